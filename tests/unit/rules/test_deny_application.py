from typing import Any

import pytest

from cognito_rules import ConfigurationError
from cognito_rules.testing import a_login
from functions.deny_application.app import rule

DENIED = "end_users_not_allowed"
WINDOW = {"from": "2026-11-23T22:00:00Z", "until": "2026-11-23T23:00:00Z"}
TESTER = {"email": "jane@example.com", "email_verified": True}


def test_a_closed_application_is_closed() -> None:
    effects = rule.decide(a_login(groups=["sales"], configuration={}))

    assert effects.denied_with == DENIED
    assert effects.items[0]["reason"] == "This application is not available."


@pytest.mark.parametrize(
    ("user", "settings", "code"),
    [
        pytest.param({"groups": ["it"]}, {"exempt_groups": ["it"]}, None, id="an exempt group"),
        pytest.param({"groups": ["IT"]}, {"exempt_groups": ["it"]}, DENIED, id="another spelling"),
        pytest.param({}, {"exempt_groups": ["it"]}, DENIED, id="unknown groups"),
        pytest.param(TESTER, {"exempt_users": ["Jane@Example.com"]}, None, id="an exempt person"),
        pytest.param(
            TESTER | {"email_verified": False},
            {"exempt_users": ["jane@example.com"]},
            DENIED,
            id="an exempt address that is not verified",
        ),
        pytest.param(
            {"email": "jane@example.com"},
            {"exempt_users": ["jane@example.com"]},
            DENIED,
            id="an exempt address of which nobody knows",
        ),
        pytest.param(
            {"email_verified": True},
            {"exempt_users": ["jane@example.com"]},
            DENIED,
            id="no address",
        ),
        pytest.param({"email": "", "email_verified": True}, {}, DENIED, id="nobody is exempt"),
    ],
)
def test_who_is_let_through(user: dict[str, Any], settings: dict[str, Any], code: str) -> None:
    effects = rule.decide(a_login(user=user, configuration=settings))

    assert effects.denied_with == code


@pytest.mark.parametrize(
    ("now", "settings", "code"),
    [
        pytest.param("2026-11-23T21:59:59Z", WINDOW, None, id="before the window"),
        pytest.param("2026-11-23T22:00:00Z", WINDOW, DENIED, id="as it begins"),
        pytest.param("2026-11-23T22:59:59.999Z", WINDOW, DENIED, id="just before it ends"),
        pytest.param("2026-11-23T23:00:00Z", WINDOW, None, id="as it ends"),
        pytest.param(
            "2026-11-23T22:30:00Z", {"from": "2026-11-23T23:30:00+01:00"}, DENIED, id="by its zone"
        ),
        pytest.param("2099-01-01T00:00:00Z", {"from": WINDOW["from"]}, DENIED, id="no end"),
        pytest.param("2020-01-01T00:00:00Z", {"until": WINDOW["until"]}, DENIED, id="no start"),
    ],
)
def test_the_window(now: str, settings: dict[str, Any], code: str | None) -> None:
    effects = rule.decide(a_login(now=now, configuration=settings))

    assert effects.denied_with == code


def test_a_refresh_is_refused_too_and_a_machine_never() -> None:
    assert rule.manifest.runs_on_refresh
    assert not rule.manifest.runs_on_client_credentials


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"from": WINDOW["until"], "until": WINDOW["from"]}, id="it ends too early"),
        pytest.param({"from": WINDOW["from"], "until": WINDOW["from"]}, id="an empty window"),
        pytest.param({"from": "tonight"}, id="no time"),
        pytest.param({"until": "2026-11-23T22:00:00"}, id="a time without a zone"),
        pytest.param({"exempt_users": ["jane"]}, id="no address"),
        pytest.param({"client_ids": ["abc"]}, id="applications belong to the entry"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        rule.decide(a_login(groups=[], configuration=settings))
