"""What is decided before an account exists."""

from __future__ import annotations

from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginRefusedError
from cognito_rules.triggers import Trigger
from tests.cognito_events import CLIENT, post_authentication, pre_sign_up, pre_token
from tests.made_up_chain import GUARD, refuse
from tests.unit.core.login_subject import REFUSED, Subject

AT_SIGN_UP: dict[str, Any] = {**GUARD, "stage": "sign_up"}
ADMINISTRATOR = "CLIENT_ID_NOT_APPLICABLE"
SOURCES = ["PreSignUp_SignUp", "PreSignUp_ExternalProvider", "PreSignUp_AdminCreateUser"]


@pytest.mark.parametrize("source", SOURCES)
def test_an_account_is_refused_before_it_exists(subject: Subject, source: str) -> None:
    subject.rule("closed", refuse, **AT_SIGN_UP)

    with pytest.raises(LoginRefusedError, match=r"^access_denied: No\.$"):
        subject.handle(pre_sign_up(source))

    assert subject.amazon.received == []


@pytest.mark.parametrize("source", SOURCES)
def test_an_account_that_nobody_refuses_is_cognitos_to_make(subject: Subject, source: str) -> None:
    subject.rule("open", **AT_SIGN_UP)
    event = pre_sign_up(source)

    assert subject.handle(event) == event["response"]
    assert subject.amazon.received == []
    assert subject.ran == ["open"]


def test_rules_of_a_login_run_at_sign_up_when_they_say_so(subject: Subject) -> None:
    subject.rule("login_only", refuse, **GUARD)
    subject.rule("both", runs_on_sign_up=True, **GUARD)
    subject.rule("switched_off", refuse, entry={"runs_on_sign_up": False}, **GUARD)
    subject.rule("switched_on", entry={"runs_on_sign_up": True}, **GUARD)

    subject.handle(pre_sign_up())

    assert subject.ran == ["both", "switched_on"]


@pytest.mark.parametrize("event", [post_authentication, pre_token])
def test_rules_of_a_sign_up_never_run_at_a_login(subject: Subject, event: Any) -> None:
    subject.rule("closed", refuse, **AT_SIGN_UP)
    subject.knows()

    subject.handle(event())

    assert subject.ran == []


def test_what_only_a_login_knows_is_unknown_and_nothing_waits_for_it(subject: Subject) -> None:
    seen: list[frozenset[str]] = []

    def look(login: Login, effects: Effects) -> None:
        seen.append(login.unknown)

    reads = ["user.user_id", "user.groups", "user.app_metadata", "user.email"]
    subject.rule("look", look, reads=reads, **AT_SIGN_UP)

    subject.handle(pre_sign_up())

    assert seen == [{"user.user_id", "user.groups", "user.app_metadata"}]


def test_a_guard_that_fails_refuses_the_account(subject: Subject) -> None:
    def crash(login: Login, effects: Effects) -> None:
        raise KeyError("x")

    subject.rule("broken", crash, **AT_SIGN_UP)

    with pytest.raises(LoginRefusedError, match=REFUSED):
        subject.handle(pre_sign_up())


@pytest.mark.parametrize(
    ("source", "client_id", "is_refused"),
    [
        pytest.param("PreSignUp_SignUp", CLIENT, True, id="a person, through a strange client"),
        pytest.param("PreSignUp_AdminCreateUser", ADMINISTRATOR, False, id="an administrator"),
    ],
)
def test_where_applications_must_be_registered(
    subject: Subject, source: str, client_id: str, is_refused: bool
) -> None:
    subject.document["unregistered_applications"] = "refuse"

    if not is_refused:
        subject.handle(pre_sign_up(source, client_id=client_id))
        return
    with pytest.raises(LoginRefusedError, match="access_denied"):
        subject.handle(pre_sign_up(source, client_id=client_id))


@pytest.mark.parametrize(
    ("source", "username", "connection", "is_social"),
    [
        pytest.param("PreSignUp_SignUp", "Google_1", "COGNITO", False, id="a local account"),
        pytest.param("PreSignUp_ExternalProvider", "Google_1", "Google", True, id="Google"),
        pytest.param("PreSignUp_ExternalProvider", "google_1", "Google", True, id="in lower case"),
        pytest.param("PreSignUp_ExternalProvider", "Contoso_a_b", "Contoso", False, id="SAML"),
        pytest.param("PreSignUp_ExternalProvider", "Contoso", "Contoso", False, id="no id"),
    ],
)
def test_by_which_connection_somebody_comes(
    source: str, username: str, connection: str, is_social: bool
) -> None:
    facts = Trigger.parse(pre_sign_up(source, username=username)).facts(None)

    assert facts["connection"]["name"] == connection
    assert [found["is_social"] for found in facts["user"]["identities"]] == [is_social]


def test_a_chosen_name_is_not_logged(subject: Subject, caplog: pytest.LogCaptureFixture) -> None:
    subject.rule("open", **AT_SIGN_UP)

    subject.handle(pre_sign_up(username="jane@example.com"))

    [record] = [record for record in caplog.records if record.message == "login decided"]
    assert "jane@example.com" not in str(vars(record))
