"""What a fault, a missing table, a refused event or the feature plan Lite does to a login."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.login import UNKNOWN, Login
from cognito_rules.pipeline import LoginRefusedError
from tests.cognito_events import (
    CLIENT,
    attributes,
    post_authentication,
    pre_token,
)
from tests.local.login_subject import Subject, claims
from tests.made_up_chain import GUARD, allow

# Faults ---------------------------------------------------------------------------------------


def test_a_crashing_guard_refuses_and_a_crashing_enricher_does_not(subject: Subject) -> None:
    def crash(login: Login, effects: Effects) -> None:
        raise KeyError("x")

    subject.rule("enricher", crash)
    subject.handle(pre_token())
    subject.rule("guard", crash, **GUARD)

    with pytest.raises(LoginRefusedError, match=r"^try_again: Sign-in is unavailable right now"):
        subject.handle(pre_token(client_id="another"))


def test_without_tables_rules_that_need_the_profile_do_as_they_declare(subject: Subject) -> None:
    def guard(login: Login, effects: Effects) -> None:
        if login.user.app_metadata is UNKNOWN:
            effects.deny("No.", code="metadata_unavailable")

    subject.rule("enricher", allow, reads=["user.user_metadata!"])
    subject.tables = {"profiles": "absent", "sessions": "absent"}

    subject.handle(pre_token())
    subject.rule("guard", guard, reads=["user.app_metadata"], **GUARD)
    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())

    assert subject.runs == {"guard": 1}


def test_without_tables_a_chain_may_insist_on_its_record(subject: Subject) -> None:
    subject.document = {"on_commit_failure": "refuse"}
    subject.tables = {"profiles": "absent", "sessions": "absent"}

    with pytest.raises(LoginRefusedError, match=r"^try_again"):
        subject.handle(pre_token())


def test_an_unregistered_application_is_refused_when_the_chain_says_so(subject: Subject) -> None:
    subject.document = {
        "unregistered_applications": "refuse",
        "applications": {CLIENT: {"name": "payroll"}},
    }

    subject.handle(pre_token())
    with pytest.raises(LoginRefusedError, match=r"^access_denied"):
        subject.handle(pre_token(client_id="another"))


def test_an_unknown_role_is_refused_by_the_chain(subject: Subject) -> None:
    def grant(login: Login, effects: Effects) -> None:
        effects.set_aws_role(["arn:aws:iam::123456789012:role/administrator"])

    subject.rule("grant", grant, stage="token", writes=["aws.role"], on_error="deny")

    with pytest.raises(LoginRefusedError, match=r"^try_again"):
        subject.handle(pre_token())


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(None, id="nothing"),
        pytest.param([], id="a list"),
        pytest.param({}, id="an empty object"),
        pytest.param({**pre_token(), "triggerSource": "CustomMessage_SignUp"}, id="other trigger"),
        pytest.param({**pre_token(), "callerContext": {}}, id="no client"),
        pytest.param({**pre_token(), "request": None}, id="no request"),
        pytest.param({**pre_token(), "userPoolId": 7}, id="a pool that is no text"),
        pytest.param({**pre_token(user={"email": "x"}), "userName": ""}, id="nobody"),
    ],
)
def test_a_malformed_event_is_refused(subject: Subject, event: Any) -> None:
    with pytest.raises(LoginRefusedError, match=r"^try_again"):
        subject.handle(event)


def test_long_and_unicode_attributes_reach_the_tokens_unchanged(subject: Subject) -> None:
    name = "Žofie \U0001f600 " + "x" * 2_000

    def show(login: Login, effects: Effects) -> None:
        effects.set_claim("id", "https://x/name", login.user.name)

    subject.rule("show", show, reads=["user.name"], writes=["id_token.claims"])
    subject.handle(post_authentication(user=attributes(name=name)))

    response = subject.handle(pre_token(user=attributes(name=name)))

    assert claims(response) == {"https://x/name": name}


# Feature plan Lite ----------------------------------------------------------------------------


def test_an_event_of_version_1_is_answered_in_its_shape(subject: Subject) -> None:
    def show(login: Login, effects: Effects) -> None:
        effects.set_claim("id", "https://x/list", ["a", "b"])
        effects.set_claim("access", "https://x/lost", "x")

    subject.rule("show", show, writes=["id_token.claims", "access_token.claims"])

    response = subject.handle(pre_token(version="1", groups=["staff"]))

    assert response == {
        "claimsOverrideDetails": {
            "claimsToAddOrOverride": {"https://x/list": '["a","b"]'},
            "claimsToSuppress": [],
            "groupOverrideDetails": {"groupsToOverride": ["staff"], "iamRolesToOverride": []},
        }
    }


def test_a_scope_that_version_1_cannot_take_away_is_a_refusal(subject: Subject) -> None:
    def reduce(login: Login, effects: Effects) -> None:
        effects.remove_scope("orders/write")

    subject.rule("reduce", reduce, stage="token", writes=["access_token.scopes"])

    with pytest.raises(LoginRefusedError, match=r"^access_denied"):
        subject.handle(pre_token(version="1"))


def test_an_error_of_our_own_refuses_without_its_text(
    subject: Subject, capsys: pytest.CaptureFixture[str]
) -> None:
    event = pre_token()
    event["request"]["userAttributes"] = ["jane@example.com"]

    with pytest.raises(LoginRefusedError) as refusal:
        subject.handle(event)

    assert str(refusal.value) == "try_again: Sign-in is unavailable right now. Please try again."
    assert "jane@example.com" not in capsys.readouterr().out


def test_a_later_login_by_the_same_decision_is_an_event_of_its_own(subject: Subject) -> None:
    """Deliveries are made once for each event id: a second login under the first one's is lost."""
    subject.rule("guard", allow, **GUARD)
    subject.rule("tell", allow, stage="after_login")
    subject.handle(post_authentication())
    subject.handle(pre_token())
    [first] = subject.records("login")

    subject.clock.now += 20
    subject.handle(post_authentication())
    subject.handle(pre_token())

    [second] = subject.records("login")
    assert subject.runs == {"guard": 1}
    assert json.loads(first["announcement"])["id"] != json.loads(second["announcement"])["id"]


def test_a_denial_after_a_login_by_the_same_decision_is_an_event_of_its_own(
    subject: Subject,
) -> None:
    def guard(login: Login, effects: Effects) -> None:
        if "staff" not in login.user.groups:
            effects.deny("No.", code="refused")

    subject.rule("shared", allow, **GUARD)
    subject.rule("guard", guard, reads=["user.groups"], **GUARD)
    subject.rule("tell", allow, stage="after_login", events=["LoginCompleted", "LoginDenied"])
    subject.handle(pre_token(groups=["staff"]))
    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token(groups=[]))

    [login], [denied] = subject.records("login"), subject.records("denied")

    assert subject.runs["shared"] == 1
    assert json.loads(login["announcement"])["id"] != json.loads(denied["announcement"])["id"]
