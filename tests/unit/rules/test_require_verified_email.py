from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.require_verified_email.app import rule

DENIED = "email_not_verified"
NOW = "2026-11-22T12:00:00Z"


def decide(user: dict[str, Any], connection: str | None = None, **settings: Any) -> Effects:
    named = {} if connection is None else {"name": connection}
    return rule.decide(a_login(user=user, connection=named, now=NOW, configuration=settings))


def with_email(**more: Any) -> dict[str, Any]:
    return {"email": "jane@example.com", **more}


@pytest.mark.parametrize(
    ("user", "connection", "settings", "code"),
    [
        pytest.param(with_email(email_verified=True), None, {}, None, id="verified"),
        pytest.param(with_email(email_verified=False), None, {}, DENIED, id="not verified"),
        pytest.param(with_email(), None, {}, DENIED, id="of nobody knows what"),
        pytest.param({}, None, {}, DENIED, id="no address"),
        pytest.param({}, None, {"without_email": "allow"}, None, id="none, which is allowed"),
        pytest.param({"email_verified": True}, None, {}, DENIED, id="no address that is verified"),
        pytest.param(
            with_email(email_verified=False),
            None,
            {"without_email": "allow"},
            DENIED,
            id="one that is not verified, where none would be allowed",
        ),
        pytest.param(
            with_email(), "Contoso", {"trusted_connections": ["Contoso"]}, None, id="trusted"
        ),
        pytest.param(
            with_email(), "contoso", {"trusted_connections": ["Contoso"]}, DENIED, id="spelling"
        ),
        pytest.param(
            with_email(), None, {"trusted_connections": ["Contoso"]}, DENIED, id="linked, unknown"
        ),
    ],
)
def test_who_gets_in(
    user: dict[str, Any], connection: str | None, settings: dict[str, Any], code: str | None
) -> None:
    effects = decide(user, connection, **settings)

    assert effects.denied_with == code
    assert [item["public_code"] for item in effects.items] == ([code] if code else [])


@pytest.mark.parametrize(
    ("created_at", "hours", "code"),
    [
        pytest.param("2026-11-21T13:00:00Z", 24, None, id="23 hours of 24"),
        pytest.param("2026-11-21T11:00:00Z", 24, DENIED, id="25 hours of 24"),
        pytest.param("2026-11-21T12:00:00Z", 24, DENIED, id="the whole day"),
        pytest.param("2026-11-22T11:59:59Z", 0, DENIED, id="no grace"),
        pytest.param(None, 24, DENIED, id="nobody knows since when"),
        pytest.param("yesterday", 24, DENIED, id="a date that is none"),
        pytest.param("2026-11-22T11:00:00", 24, DENIED, id="a date without a zone"),
    ],
)
def test_a_grace_after_the_first_login(created_at: Any, hours: int, code: str | None) -> None:
    user = with_email(email_verified=False, created_at=created_at)

    assert decide(user, grace_hours=hours).denied_with == code


def test_grace_is_for_people_with_an_address() -> None:
    assert decide({"created_at": "2026-11-22T11:59:59Z"}, grace_hours=24).denied_with == DENIED


def test_a_changed_address_counts_at_the_next_refresh() -> None:
    assert rule.manifest.runs_on_refresh


@pytest.mark.parametrize("settings", [{"grace_hours": -1}, {"without_email": "ask"}])
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide(with_email(), **settings)
