"""The login function where something is wrong: with rules, time, tables, or the event itself.

What it decides and stores when all is well stands in tests/local/test_login_function.py.
"""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginRefusedError
from tests.cognito_events import (
    SUB,
    attributes,
    client_credentials,
    post_authentication,
    post_confirmation,
    pre_token,
)
from tests.log_lines import log_lines
from tests.loopback import Reply, reply
from tests.made_up_chain import GUARD, Decide, refuse
from tests.moments import SILENCE, ends_soon
from tests.unit.core.chains import answer
from tests.unit.core.login_subject import REFUSED, Subject

# Nothing but a refusal comes out --------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(None, id="nothing"),
        pytest.param({**pre_token(), "callerContext": {"clientId": ["x"]}}, id="a malformed event"),
        pytest.param({**pre_token(), "request": {"userAttributes": [1]}}, id="odd attributes"),
        pytest.param(pre_token(scopes=[["x"]]), id="odd scopes"),  # type: ignore[list-item]
    ],
)
def test_a_fault_of_ours_is_told_to_nobody(subject: Subject, event: Any) -> None:
    subject.rule(
        "scoper",
        lambda login, effects: effects.remove_scope("y"),
        stage="token",
        writes=["access_token.scopes"],
    )

    with pytest.raises(LoginRefusedError, match=REFUSED):
        subject.handle(event)


def test_a_fault_of_ours_is_logged_without_what_it_was_about(subject: Subject) -> None:
    with log_lines() as lines, pytest.raises(LoginRefusedError):
        subject.handle(pre_token(scopes=[{"jane@example.com": 1}]))  # type: ignore[list-item]

    assert "jane" not in lines.text
    assert any(record["level"] == "ERROR" for record in lines.records)


def test_a_login_whose_tokens_cannot_be_made_does_not_take_effect(subject: Subject) -> None:
    subject.rule(
        "scoper",
        lambda login, effects: effects.add_scope("y"),
        stage="token",
        writes=["access_token.scopes"],
    )
    subject.rule("tell", stage="after_login")

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token(scopes=[["x"]]))  # type: ignore[list-item]

    assert subject.calls == ["BatchGetItem"]


# Without tables -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 500])
def test_a_denial_needs_no_tables(subject: Subject, status: int) -> None:
    subject.rule("guard", refuse, **GUARD)
    subject.amazon.replies = [Reply(status)]

    with pytest.raises(LoginRefusedError, match=r"^access_denied: No\.$"):
        subject.handle(post_authentication())


def test_what_the_tables_did_not_tell_is_not_remembered(subject: Subject) -> None:
    subject.rule("guard", **GUARD)
    subject.amazon.replies = [Reply(400), Reply()]

    subject.handle(post_authentication())

    assert subject.calls == ["BatchGetItem"]


def test_an_allowed_login_goes_on_without_tables(subject: Subject) -> None:
    subject.rule("guard", **GUARD)
    subject.amazon.replies = [Reply(400)]

    with log_lines() as lines:
        response = subject.handle(pre_token(groups=["staff"]))

    details = response["claimsAndScopeOverrideDetails"]
    assert details["groupOverrideDetails"]["groupsToOverride"] == ["staff"]
    [record] = [record for record in lines.records if record["message"] == "login decided"]
    assert record["level"] == "ERROR"
    assert record["commit"] == "failed"


def test_a_chain_may_insist_on_its_record(subject: Subject) -> None:
    subject.document = {"on_commit_failure": "refuse"}
    subject.amazon.replies = [Reply(400)]

    with pytest.raises(LoginRefusedError, match=REFUSED):
        subject.handle(pre_token())


@pytest.mark.parametrize("required", [True, False])
def test_a_guard_of_an_unread_profile_refuses(subject: Subject, required: bool) -> None:
    def guard(login: Login, effects: Effects) -> None:
        if not isinstance(login.user.app_metadata, dict):
            effects.deny("No.", code="metadata_unavailable")

    read = "user.app_metadata" + ("!" if required else "")
    subject.rule("guard", guard, reads=[read], **GUARD)
    subject.amazon.replies = [Reply(400)]

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())

    assert subject.ran == ([] if required else ["guard"])


def test_slow_tables_cost_no_more_than_their_share(subject: Subject) -> None:
    subject.rule("guard", **GUARD)
    subject.amazon.replies = [Reply(delay=SILENCE)]

    with ends_soon():
        subject.handle(pre_token())


# Time -----------------------------------------------------------------------------------------


def test_the_chain_leaves_time_for_the_commit(subject: Subject) -> None:
    subject.rule("slow", entry={"placement": "function"}, timeout_ms=3_000)
    read = subject.amazon.replies[0]
    subject.amazon.replies = [read, reply(200, answer(), delay=SILENCE), Reply()]

    with ends_soon():
        subject.handle(pre_token(), started=time.monotonic() - 3.5)

    assert subject.calls == ["BatchGetItem", "Invoke", "TransactWriteItems"]


def test_a_call_whose_time_is_over_refuses_where_a_guard_stands(subject: Subject) -> None:
    subject.rule("guard", **GUARD)

    with pytest.raises(LoginRefusedError, match=REFUSED):
        subject.handle(pre_token(), started=time.monotonic() - 10)

    assert subject.calls == []


# Who runs -------------------------------------------------------------------------------------


def test_what_is_off_does_not_run_and_what_is_in_shadow_does_not_count(subject: Subject) -> None:
    subject.rule("off", refuse, entry={"mode": "off"}, **GUARD)
    subject.rule("shadow", refuse, entry={"mode": "shadow"}, **GUARD)

    subject.handle(pre_token())

    assert subject.ran == ["shadow"]


def test_a_rule_for_nobody_yet_does_not_run(subject: Subject) -> None:
    subject.rule("new", entry={"rollout": 0})

    subject.handle(pre_token())

    assert subject.ran == []


def test_a_percentage_of_machines_goes_by_the_client(subject: Subject) -> None:
    subject.rule(
        "new",
        stage="token",
        runs_on_client_credentials=True,
        entry={"rollout": 50, "runs_on_client_credentials": True},
    )

    for number in range(40):
        subject.handle(client_credentials(client_id=f"client{number}"))

    assert 5 < len(subject.ran) < 35


def test_a_machine_touches_no_table(subject: Subject) -> None:
    subject.rule("guard", refuse, stage="token", runs_on_client_credentials=True, **GUARD)

    with pytest.raises(LoginRefusedError, match=r"^access_denied: No\.$"):
        subject.handle(client_credentials())

    assert subject.calls == []


# Refusals -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("decide", "writes", "text"),
    [
        pytest.param(
            lambda login, effects: effects.require_mfa(["otp"]),
            ["mfa"],
            "mfa_required: Please confirm your sign-in.",
            id="a proof",
        ),
        pytest.param(
            lambda login, effects: effects.redirect("https://x/consent"),
            ["redirect"],
            "interaction_required: Please complete your sign-in.",
            id="a page",
        ),
    ],
)
@pytest.mark.parametrize("event", [post_authentication(), pre_token()], ids=["before", "tokens"])
def test_what_this_path_cannot_ask_for_ends_the_login(
    subject: Subject, decide: Decide, writes: list[str], text: str, event: Any
) -> None:
    subject.rule("ask", decide, writes=writes)

    with pytest.raises(LoginRefusedError) as refused:
        subject.handle(event)

    assert str(refused.value) == text
    assert "TransactWriteItems" not in subject.calls


def test_a_refused_person_reads_the_reason_and_not_the_code(subject: Subject) -> None:
    subject.rule(
        "guard",
        lambda login, effects: effects.deny("Not\ntoday.", code="user_flagged"),
        **GUARD,
    )

    with log_lines() as lines, pytest.raises(LoginRefusedError) as refused:
        subject.handle(pre_token())

    assert str(refused.value) == "access_denied: Not today."
    [record] = [record for record in lines.records if record["message"] == "login decided"]
    assert (record["outcome"], record["code"], record["entry"]) == (
        "deny",
        "user_flagged",
        "guard",
    )


def test_a_refusal_of_an_unregistered_application_is_logged_and_recorded(
    subject: Subject,
) -> None:
    subject.document = {"unregistered_applications": "refuse"}

    with log_lines() as lines, pytest.raises(LoginRefusedError, match=r"^access_denied: "):
        subject.handle(pre_token())

    assert subject.calls == ["PutItem"]
    [record] = [record for record in lines.records if record["message"] == "login decided"]
    assert record["code"] == "application_not_registered"


def test_an_account_that_was_confirmed_elsewhere_is_no_login_to_refuse(subject: Subject) -> None:
    subject.document = {"unregistered_applications": "refuse"}
    event = post_confirmation()

    assert subject.function.handle(event) == event


def test_without_the_plan_essentials_nobody_gets_what_a_rule_takes_away(subject: Subject) -> None:
    subject.rule(
        "limit",
        lambda login, effects: effects.remove_scope("a"),
        stage="token",
        writes=["access_token.scopes"],
    )

    with pytest.raises(LoginRefusedError, match=r"^access_denied: "):
        subject.handle(pre_token(version="1"))

    assert "TransactWriteItems" not in subject.calls


# The log --------------------------------------------------------------------------------------


def test_the_log_of_a_login_holds_no_personal_data(subject: Subject) -> None:
    def everything(login: Login, effects: Effects) -> None:
        effects.set_claim("id", "https://x/mail", login.user.email)
        effects.set_user_metadata("phone", login.user.phone_number)
        effects.warn("jane@example.com")

    subject.rule(
        "all", everything, reads=["user"], writes=["id_token.claims", "user.user_metadata"]
    )
    subject.rule("crash", lambda login, effects: login.user.email["x"], reads=["user.email"])
    subject.rule("tell", stage="after_login", reads=["user"])
    person = attributes(name="Jane Doe", phone_number="+390612345678")

    with log_lines() as lines:
        subject.handle(pre_token(user=person, metadata={"tenant": "secret-tenant"}))

    assert SUB in lines.text
    for personal in ("jane@", "Doe", "+3906", "secret-tenant", '"jane"'):
        assert personal not in lines.text


def test_the_log_says_how_each_entry_went(subject: Subject) -> None:
    subject.rule("guard", **GUARD)
    subject.rule("late", reads=["user.groups"])

    with log_lines() as lines:
        subject.handle(post_authentication())

    [record] = [record for record in lines.records if record["message"] == "login decided"]
    assert (record["outcome"], record["decision"]) == ("allow", "taken")
    assert record["deferred"] == {"late": "user.groups"}
    [entry] = record["entries"]
    assert (entry["entry"], entry["outcome"], entry["placement"]) == ("guard", "ok", "inline")


def test_the_log_says_who_was_not_told_and_nothing_of_the_person(subject: Subject) -> None:
    subject.rule("splunk", stage="after_login", reads=["user.user_id"])
    subject.rule("crm", stage="after_login", purpose="marketing", reads=["user.email"])
    subject.rule("near", stage="after_login", reads=["request.ip!"])
    subject.knows({"user_metadata": {"consent": {"marketing": False}}})

    with log_lines() as lines:
        subject.handle(pre_token())

    [record] = [record for record in lines.records if record["message"] == "login decided"]
    assert record["not_told"] == {"crm": "no_consent", "near": "context_missing"}
    assert "jane@" not in lines.text
    assert list(json.loads(subject.committed()["login"]["announcement"])["views"]) == ["splunk"]
