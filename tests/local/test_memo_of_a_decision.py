"""Which logins may share a decision: no one is judged by what was known of somebody else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginRefusedError
from tests.cognito_events import FEDERATED, SUB, attributes, post_authentication, pre_token
from tests.local.login_subject import Subject, claims
from tests.made_up_chain import GUARD, allow


def staff_only(login: Login, effects: Effects) -> None:
    if "staff" not in login.user.groups:
        effects.deny("No.", code="group_required")


def test_a_second_call_for_tokens_is_judged_by_its_own_groups(subject: Subject) -> None:
    subject.rule("first", allow, **GUARD)
    subject.rule("groups", staff_only, reads=["user.groups"], **GUARD)
    subject.handle(pre_token(groups=["staff"]))

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token(groups=["sales"]))

    assert subject.runs == {"first": 1, "groups": 2}


def test_a_second_call_for_tokens_gets_scopes_of_its_own(subject: Subject) -> None:
    def keep_reading(login: Login, effects: Effects) -> None:
        for scope in login.transaction.requested_scopes:
            if not scope.endswith("/read"):
                effects.remove_scope(scope)

    subject.rule("first", allow, **GUARD)
    subject.rule(
        "limit",
        keep_reading,
        stage="token",
        reads=["transaction.requested_scopes"],
        writes=["access_token.scopes"],
    )
    subject.handle(pre_token(scopes=["orders/read"]))

    response = subject.handle(pre_token(scopes=["orders/read", "orders/write"]))

    details = response["claimsAndScopeOverrideDetails"]["accessTokenGeneration"]
    assert details["scopesToSuppress"] == ["orders/write"]


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"configuration": {"limit": 2}}, id="another setting"),
        pytest.param({"runs_on_refresh": False}, id="anything else"),
    ],
)
def test_a_changed_chain_decides_afresh(subject: Subject, change: dict[str, Any]) -> None:
    subject.rule(
        "guard",
        allow,
        configuration={"limit": {"type": "integer", "default": 1}},
        **GUARD,
    )
    subject.handle(post_authentication())
    subject.change("guard", **change)

    subject.handle(pre_token())

    assert subject.runs == {"guard": 2}


def test_a_decision_is_taken_afresh_when_the_role_table_has_changed(subject: Subject) -> None:
    def grant(login: Login, effects: Effects) -> None:
        effects.set_aws_role(["arn:aws:iam::123456789012:role/reader"])

    subject.rule("grant", grant, writes=["aws.role"], on_error="deny")
    subject.handle(post_authentication())
    subject.roles = {"writer": "arn:aws:iam::123456789012:role/writer"}

    with pytest.raises(LoginRefusedError, match=r"^try_again"):
        subject.handle(pre_token())


def test_what_runs_for_a_linked_identity_is_seen_although_the_memo_is_older(
    subject: Subject,
) -> None:
    def mark(login: Login, effects: Effects) -> None:
        effects.set_user_metadata("partner", True)

    def show(login: Login, effects: Effects) -> None:
        effects.set_claim("id", "https://x/partner", login.user.user_metadata.get("partner", False))

    partner = {"when": {"applications": ["*"], "connections": ["Acme"]}}
    subject.rule("mark", mark, writes=["user.user_metadata"], entry=partner)
    subject.rule("show", show, reads=["user.user_metadata.partner"], writes=["id_token.claims"])
    subject.handle(post_authentication())
    linked = attributes(identities=FEDERATED["identities"])

    response = subject.handle(pre_token(user=linked))

    assert claims(response) == {"https://x/partner": True}


def test_a_value_that_looks_like_an_unknown_one_is_another_input(subject: Subject) -> None:
    def guard(login: Login, effects: Effects) -> None:
        if login.user.user_metadata.get("tier") is not None:
            effects.deny("No.", code="tier")

    subject.rule("guard", guard, reads=["user.user_metadata.tier"], **GUARD)
    subject.handle(post_authentication())
    forged = {"tier": {"M": {"unknown": {"BOOL": True}}}}
    subject.dynamodb.put_item(
        TableName=subject.tables["profiles"],
        Item={"pk": {"S": f"USER#{SUB}"}, "user_metadata": {"M": forged}},
    )

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())


def test_a_name_that_the_profile_gives_is_an_input_too(subject: Subject) -> None:
    seen: list[Any] = []
    subject.rule("look", lambda login, effects: seen.append(login.user.name), reads=["user.name"])
    subject.handle(post_authentication())
    subject.dynamodb.put_item(
        TableName=subject.tables["profiles"],
        Item={"pk": {"S": f"USER#{SUB}"}, "profile": {"M": {"name": {"S": "Jane"}}}},
    )

    subject.handle(pre_token())

    assert [name or None for name in seen] == [None, "Jane"]


def test_a_memo_is_never_made_younger_by_being_used(subject: Subject) -> None:
    subject.rule("guard", allow, **GUARD)
    subject.rule(
        "note",
        lambda login, effects: effects.set_user_metadata("at", str(login.now)),
        stage="token",
        writes=["user.user_metadata"],
    )
    for seconds in (0, 40, 40):
        subject.clock.now += seconds
        subject.handle(pre_token())

    assert subject.runs["guard"] == 2


def test_a_memo_holds_answers_of_what_both_triggers_can_ask_and_of_no_shadow(
    subject: Subject,
) -> None:
    subject.rule("early", allow, **GUARD)
    subject.rule("shadow", allow, entry={"mode": "shadow"}, **GUARD)
    subject.rule("late", allow, reads=["user.groups"], **GUARD)

    subject.handle(pre_token())

    [memo] = subject.records("decision")
    assert list(json.loads(memo["answers"])) == ["early"]
