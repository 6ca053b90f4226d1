from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.password_age.app import rule

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
EXPIRED, UNKNOWN_AGE = "password_expired", "password_age_unknown"
LOCAL = [{"connection": "COGNITO"}]


def ago(days: float = 0, seconds: float = 0) -> str:
    return (NOW - timedelta(days=days, seconds=seconds)).isoformat()


def decide(
    reset: Any = None,
    created: Any = None,
    identities: Any = LOCAL,
    login: Any = None,
    **settings: Any,
) -> Effects:
    user = {"created_at": created, "identities": identities}
    user["app_metadata"] = {} if reset is None else {"last_password_reset": reset}
    return rule.decide(a_login(user=user, **(login or {}), now=NOW, configuration=settings))


@pytest.mark.parametrize(
    ("reset", "created", "code"),
    [
        pytest.param(ago(59), ago(400), EXPIRED, id="reset 59 days ago"),
        pytest.param(ago(17), ago(400), None, id="reset 17 days ago"),
        pytest.param(None, ago(59), EXPIRED, id="never reset, made 59 days ago"),
        pytest.param(None, ago(17), None, id="never reset, made 17 days ago"),
        pytest.param(ago(30), None, None, id="exactly the limit"),
        pytest.param(ago(30, 1), None, EXPIRED, id="a second more"),
        pytest.param(None, None, UNKNOWN_AGE, id="nobody knows since when"),
        pytest.param("last week", "long ago", UNKNOWN_AGE, id="dates that are none"),
        pytest.param("last week", ago(17), None, id="a date that is none, and the account's"),
        pytest.param("2026-11-22T11:00:00", ago(59), EXPIRED, id="a date without a zone"),
    ],
)
def test_a_password(reset: Any, created: Any, code: str | None) -> None:
    assert decide(reset, created).denied_with == code


def test_the_application_can_tell_and_the_person_reads_why() -> None:
    [denial] = decide(ago(59)).items

    assert denial["public_code"] == "password_expired"
    assert denial["reason"] == "Please change your password."


def test_metadata_that_cannot_be_read_refuse() -> None:
    login = a_login(user={"created_at": ago(1), "identities": LOCAL}, configuration={})

    assert rule.decide(login).denied_with == UNKNOWN_AGE


@pytest.mark.parametrize(
    ("identities", "methods", "code"),
    [
        pytest.param([{"connection": "Google"}], None, None, id="a Google user"),
        pytest.param([{"connection": "Google"}, *LOCAL], None, EXPIRED, id="a linked user"),
        pytest.param(
            [{"connection": "Google"}, *LOCAL], [{"name": "fed"}], None, id="linked, by Google"
        ),
        pytest.param(LOCAL, [{"name": "swk"}], None, id="a passkey"),
        pytest.param(LOCAL, [{"name": "sms"}], None, id="a texted code"),
        pytest.param(LOCAL, [{"name": "pwd"}, {"name": "mfa"}], EXPIRED, id="a password and more"),
        pytest.param(None, None, EXPIRED, id="nobody knows who"),
    ],
)
def test_who_is_asked(identities: Any, methods: Any, code: str | None) -> None:
    known = {} if methods is None else {"authentication": {"methods": methods}}

    assert decide(ago(59), identities=identities, login=known).denied_with == code


def test_a_temporary_password_that_was_just_replaced_is_recorded() -> None:
    trigger = {"transaction": {"trigger": "TokenGeneration_NewPasswordChallenge"}}

    effects = decide(ago(59), login=trigger)

    assert effects.items == [
        {
            "effect": "set_app_metadata",
            "key": "last_password_reset",
            "value": "2026-11-22T12:00:00+00:00",
        }
    ]


@pytest.mark.parametrize(
    ("days", "claim"),
    [
        pytest.param(26, 4, id="four days before the end"),
        pytest.param(30, 0, id="on the last day"),
        pytest.param(23, 7, id="as the span begins"),
        pytest.param(22, None, id="before it"),
    ],
)
def test_a_warning_in_the_id_token(days: int, claim: int | None) -> None:
    effects = decide(ago(days), warn_days=7)

    claims = {i["name"]: i["value"] for i in effects.items if i["effect"] == "set_claim"}
    assert claims == ({} if claim is None else {"password_expires_in_days": claim})


def test_a_date_in_the_future_is_now_and_a_warning() -> None:
    effects = decide(ago(-5), warn_days=30)

    assert [item["value"] for item in effects.items] == [30]
    assert effects.warnings == ["password_date_in_future"]


def test_a_password_of_this_second_is_no_warning() -> None:
    assert decide(ago(0)).warnings == []


@pytest.mark.parametrize(
    ("warn_days", "claims"),
    [
        pytest.param(0, set(), id="none without a warning"),
        pytest.param(30, {("id", "password_expires_in_days")}, id="one with it"),
    ],
)
def test_the_chain_is_told_which_claim_is_written(warn_days: int, claims: Any) -> None:
    assert rule.written_claims(rule.configure({"warn_days": warn_days})) == claims


def test_a_page_that_changes_the_password() -> None:
    effects = decide(ago(59), action="redirect", redirect_url="https://example.com/change")

    assert effects.items == [{"effect": "redirect", "url": "https://example.com/change"}]


def test_a_refresh_is_not_asked() -> None:
    assert not rule.manifest.runs_on_refresh


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"max_age_days": 0}, id="no age at all"),
        pytest.param({"warn_days": 31}, id="a warning that never ends"),
        pytest.param({"action": "redirect"}, id="no page"),
        pytest.param({"action": "redirect", "redirect_url": "http://a"}, id="a page in clear text"),
        pytest.param({"namespace": "myapp"}, id="a namespace that is no URL"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide(ago(1), **settings)
