"""What a login leaves behind, and when: metadata, counts and announcements, on real tables."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginRefusedError
from tests.cognito_events import (
    SUB,
    post_authentication,
    pre_token,
)
from tests.local.login_subject import Subject, claims
from tests.made_up_chain import GUARD, allow


def test_nothing_takes_effect_before_the_token_stage(subject: Subject) -> None:
    def write(login: Login, effects: Effects) -> None:
        effects.set_user_metadata("color", "blue")

    subject.rule("write", write, writes=["user.user_metadata"])
    subject.rule("tell", allow, stage="after_login")

    subject.handle(post_authentication())

    assert subject.profile() == {}
    assert subject.records("login") == []


def test_a_refusal_at_the_token_stage_discards_what_was_pending(subject: Subject) -> None:
    def write(login: Login, effects: Effects) -> None:
        effects.set_user_metadata("color", "blue")

    def late_guard(login: Login, effects: Effects) -> None:
        effects.deny("No.", code="late")

    subject.rule("write", write, writes=["user.user_metadata"])
    subject.rule("late", late_guard, reads=["user.groups"], **GUARD)
    subject.rule("tell", allow, stage="after_login", events=["LoginCompleted", "LoginDenied"])
    subject.handle(post_authentication())

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())

    assert subject.profile() == {}
    assert subject.records("login") == []
    [denied] = subject.records("denied")
    view = json.loads(denied["announcement"])["views"]["tell"]["deliveries"][0]["request"]
    assert view["login"]["now"] == "2026-11-21T22:26:40.000Z"


def test_a_login_is_announced_with_one_view_for_each_subscribed_entry(subject: Subject) -> None:
    subject.rule("tell", allow, stage="after_login", reads=["user.user_id", "event.first_login"])
    subject.rule("crm", allow, stage="after_login", reads=["user.email"])
    subject.rule("denials", allow, stage="after_login", events=["LoginDenied"])

    subject.handle(pre_token())

    [record] = subject.records("login")
    announcement = json.loads(record["announcement"])
    assert announcement["type"] == "LoginCompleted"
    assert announcement["rules"] == ["crm", "tell"]
    views = {
        rule: view["deliveries"][0]["request"]["login"]
        for rule, view in announcement["views"].items()
    }
    assert views["tell"]["user"] == {"user_id": SUB}
    assert views["tell"]["event"] == {"first_login": True}
    assert views["crm"]["user"] == {"email": "jane@example.com"}


def test_a_login_counts_once_in_fifteen_seconds(subject: Subject) -> None:
    counts = []
    for seconds in (0, 14, 2, 20):
        subject.clock.now += seconds
        subject.handle(pre_token())
        counts.append(subject.profile()["logins_count"])

    assert counts == [1, 1, 2, 3]


def test_two_applications_count_apart(subject: Subject) -> None:
    subject.handle(pre_token())
    subject.handle(pre_token(client_id="another"))

    assert subject.profile()["logins_count"] == 2


@pytest.mark.parametrize("clients", [1, 2], ids=["one client", "two clients"])
def test_parallel_sign_ins_of_one_person_do_not_mix(subject: Subject, clients: int) -> None:
    def remember(login: Login, effects: Effects) -> None:
        channel = login.request.client_metadata["channel"]
        effects.set_claim("id", "https://x/channel", channel)
        effects.set_user_metadata(f"from_{channel}", True)

    subject.rule(
        "remember",
        remember,
        reads=["request.client_metadata"],
        writes=["id_token.claims", "user.user_metadata"],
    )
    ready = threading.Barrier(8)
    function = subject.function

    def sign_in(number: int) -> str:
        details: dict[str, Any] = {
            "metadata": {"channel": f"c{number}"},
            "client_id": f"app{number % clients}",
        }
        ready.wait()
        function.handle(post_authentication(**details))
        response = function.handle(pre_token(**details))["response"]
        return str(claims(response)["https://x/channel"])

    with ThreadPoolExecutor(8) as threads:
        channels = list(threads.map(sign_in, range(8)))

    assert channels == [f"c{number}" for number in range(8)]
    profile = subject.profile()
    assert profile["logins_count"] == clients
    assert profile["user_metadata"] == {f"from_c{number}": True for number in range(8)}
    assert len(subject.records("login")) == clients


def test_a_value_that_somebody_set_between_read_and_write_is_kept(subject: Subject) -> None:
    def default(login: Login, effects: Effects) -> None:
        green: dict[str, Any] = {"pk": {"S": f"USER#{SUB}"}}
        for kind in ("user_metadata", "app_metadata", "profile"):
            green[kind] = {"M": {}}
        green["user_metadata"] = {"M": {"color": {"S": "green"}}}
        subject.dynamodb.put_item(TableName=subject.tables["profiles"], Item=green)
        effects.set_user_metadata("color", "blue", only_if_missing=True)

    subject.rule("default", default, writes=["user.user_metadata"])

    subject.handle(pre_token())

    assert subject.profile()["user_metadata"] == {"color": "green"}
    assert subject.profile()["logins_count"] == 1


@pytest.mark.parametrize("kinds", [(), ("app_metadata",), ("user_metadata", "profile")], ids=str)
def test_a_profile_that_somebody_made_between_read_and_write_is_kept(
    subject: Subject, kinds: tuple[str, ...]
) -> None:
    def write(login: Login, effects: Effects) -> None:
        made: dict[str, Any] = {"pk": {"S": f"USER#{SUB}"}}
        made |= {kind: {"M": {"theirs": {"BOOL": True}}} for kind in kinds}
        subject.dynamodb.put_item(TableName=subject.tables["profiles"], Item=made)
        effects.set_app_metadata("ours", 1)

    subject.rule("write", write, writes=["user.app_metadata"])

    subject.handle(pre_token())

    profile = subject.profile()
    assert profile["logins_count"] == 1
    assert profile["app_metadata"]["ours"] == 1
    for kind in kinds:
        assert profile[kind]["theirs"] is True


def test_a_login_exactly_fifteen_seconds_later_counts(subject: Subject) -> None:
    subject.handle(pre_token())
    subject.clock.now += 15
    subject.handle(pre_token())

    assert subject.profile()["logins_count"] == 2


def test_a_value_that_was_removed_and_set_again_is_the_new_one(subject: Subject) -> None:
    subject.rule(
        "first",
        lambda login, effects: effects.set_user_metadata("color", "green"),
        writes=["user.user_metadata"],
    )
    subject.handle(pre_token())
    subject.rule(
        "remove",
        lambda login, effects: effects.set_user_metadata("color", None),
        writes=["user.user_metadata"],
    )
    subject.rule(
        "default",
        lambda login, effects: effects.set_user_metadata("color", "blue", only_if_missing=True),
        writes=["user.user_metadata"],
    )

    subject.handle(pre_token(client_id="another"))

    assert subject.profile()["user_metadata"] == {"color": "blue"}


def test_metadata_keeps_its_types_and_null_removes(subject: Subject) -> None:
    stored = {"n": 1, "f": 1.5, "t": "ö\u0000", "l": [1, {"a": None}], "b": False, "e": ""}

    def write(login: Login, effects: Effects) -> None:
        for key, value in stored.items():
            effects.set_app_metadata(key, value)
        effects.set_app_metadata("gone", None)

    subject.rule("write", write, writes=["user.app_metadata"])
    subject.handle(pre_token())
    subject.clock.now += 100
    subject.handle(pre_token())

    assert subject.profile()["app_metadata"] == stored
