from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.deny_api_audience.app import rule

TODO = "http://todoapi2.api"
READ = f"{TODO}/read:todos"
DENIED = "end_users_not_allowed"


def decide(
    *scopes: str, audience: str | None = None, configuration: Any = None, **login: Any
) -> Effects:
    transaction = {"requested_scopes": list(scopes), "scopes": list(scopes), "audience": audience}
    transaction |= login.pop("transaction", {})
    settings = {"audiences": [TODO], **(configuration or {})}
    return rule.decide(a_login(transaction=transaction, configuration=settings, **login))


@pytest.mark.parametrize(
    ("login", "code"),
    [
        pytest.param({"audience": TODO}, DENIED, id="a closed API"),
        pytest.param({"audience": f"{TODO}/"}, DENIED, id="with a slash behind it"),
        pytest.param({"audience": f"{TODO}//"}, None, id="with two, which is another"),
        pytest.param({"audience": "http://other.api"}, None, id="another API"),
        pytest.param({"audience": "HTTP://todoapi2.api"}, None, id="another spelling"),
        pytest.param({"scopes": [READ]}, DENIED, id="one of its scopes"),
        pytest.param({"scopes": ["openid", READ]}, DENIED, id="one of its scopes among others"),
        pytest.param({"scopes": [f"{TODO}x/read"]}, None, id="the scope of a longer name"),
        pytest.param({"scopes": ["openid", "email"]}, None, id="no API at all"),
        pytest.param({"scopes": []}, None, id="nothing at all"),
        pytest.param(
            {"scopes": [READ], "request": {"client_metadata": {"audience": "http://other.api"}}},
            DENIED,
            id="metadata that name another one",
        ),
        pytest.param(
            {"request": {"client_metadata": {"resource": TODO}}}, DENIED, id="metadata that name it"
        ),
        pytest.param({"request": {"query": {"resource": TODO}}}, DENIED, id="a query"),
        pytest.param({"request": {"query": {"audience": TODO}}}, DENIED, id="Auth0's query"),
        pytest.param(
            {"audience": "http://other.api", "request": {"query": {"audience": TODO}}},
            DENIED,
            id="two different values, one of them closed",
        ),
    ],
)
def test_who_is_kept_away(login: dict[str, Any], code: str | None) -> None:
    scopes = login.pop("scopes", ["openid"])

    effects = decide(*scopes, **login)

    assert effects.denied_with == code


@pytest.mark.parametrize(
    ("transaction", "code"),
    [
        pytest.param({}, DENIED, id="a login is refused"),
        pytest.param({"protocol": "oauth2"}, DENIED, id="a login in the browser is refused"),
        pytest.param({"protocol": "oauth2-refresh-token"}, None, id="a refresh goes on"),
    ],
)
def test_a_missing_audience_when_it_is_asked_for(
    transaction: dict[str, Any], code: str | None
) -> None:
    effects = decide("openid", transaction=transaction, configuration={"deny_when_missing": True})

    assert effects.denied_with == code


@pytest.mark.parametrize("said", ["", 7, None, [TODO]])
@pytest.mark.parametrize("part", ["query", "client_metadata"])
def test_what_names_no_api_is_no_audience(part: str, said: Any) -> None:
    request = {part: {"resource": said}}

    effects = decide("openid", request=request, configuration={"deny_when_missing": True})

    assert effects.denied_with == DENIED
    assert decide("openid", request=request).denied_with is None


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        pytest.param(["support"], None, id="an exempt group may use it"),
        pytest.param(["sales"], DENIED, id="another group may not"),
        pytest.param(None, DENIED, id="unknown groups may not"),
    ],
)
def test_exempt_groups(groups: list[str] | None, code: str | None) -> None:
    effects = decide(READ, user={"groups": groups}, configuration={"exempt_groups": ["support"]})

    assert effects.denied_with == code


def test_strip_takes_that_apis_scopes_and_no_other() -> None:
    effects = decide(
        "openid", READ, f"{TODO}/write", "http://other.api/read", configuration={"mode": "strip"}
    )

    assert effects.items == [
        {"effect": "remove_scope", "scope": READ},
        {"effect": "remove_scope", "scope": f"{TODO}/write"},
    ]


def test_machines_are_never_asked() -> None:
    assert not rule.manifest.runs_on_client_credentials


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"audiences": []}, id="no API"),
        pytest.param({"audiences": TODO}, id="a text instead of a list"),
        pytest.param({"mode": "warn"}, id="an unknown mode"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide(READ, configuration=settings)
