from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.custom_api_scopes.app import rule
from tests.scopes import scopes_after

APPT = "https://appt.example.com"
READ = f"{APPT}/read:appointments"
API = {"audience": APPT, "scopes": ["read:appointments", "write:appointments"]}
FIRST = {"audience": "https://one.example.com", "scopes": ["read:items"]}
SECOND = {"audience": "https://two.example.com", "scopes": ["read:items"]}
BOTH = ["https://one.example.com/read:items", "https://two.example.com/read:items"]
SDK = "aws.cognito.signin.user.admin"


def decide(
    *scopes: str, apis: Any = (API,), audience: str | None = None, **settings: Any
) -> Effects:
    transaction = {"requested_scopes": list(scopes), "scopes": list(scopes), "audience": audience}
    settings = {"apis": list(apis), **settings}
    return rule.decide(a_login(transaction=transaction, client_id="mobile", configuration=settings))


@pytest.mark.parametrize(
    ("emit", "scopes"),
    [
        pytest.param("both", [READ, "read:appointments"], id="both names"),
        pytest.param("bare", ["read:appointments"], id="the bare name alone"),
        pytest.param("cognito", [READ], id="Cognito's name alone"),
    ],
)
def test_a_declared_scope_becomes(emit: str, scopes: list[str]) -> None:
    effects = decide(READ, apis=[{**API, "emit": emit}])

    assert scopes_after(effects, [READ]) == scopes


@pytest.mark.parametrize(
    "scopes",
    [
        pytest.param(["openid"], id="openid"),
        pytest.param([f"{APPT}/delete:appointments"], id="an undeclared scope of a declared API"),
        pytest.param(["https://other.example.com/read:appointments"], id="another API's"),
        pytest.param([], id="nothing"),
        pytest.param(["read:appointments"], id="a bare name that is there already"),
    ],
)
def test_what_is_left_as_it_is(scopes: list[str]) -> None:
    assert decide(*scopes).items == []


@pytest.mark.parametrize(
    ("audience", "bare", "warnings"),
    [
        pytest.param(None, [], ["ambiguous_scope"], id="nobody's without an audience"),
        pytest.param("https://three.example.com", [], ["ambiguous_scope"], id="nor with another"),
        pytest.param(
            "https://one.example.com/", ["read:items"], ["ambiguous_scope"], id="the audience's own"
        ),
    ],
)
def test_a_bare_name_of_two_apis_is(
    audience: str | None, bare: list[str], warnings: list[str]
) -> None:
    effects = decide(*BOTH, apis=[FIRST, SECOND], audience=audience)

    assert scopes_after(effects, BOTH) == [*BOTH, *bare]
    assert effects.warnings == warnings


def test_two_apis_of_which_one_is_asked_for_are_no_collision() -> None:
    effects = decide(BOTH[1], apis=[FIRST, SECOND])

    assert scopes_after(effects, [BOTH[1]]) == [BOTH[1], "read:items"]
    assert effects.warnings == []


def test_a_collision_leaves_cognitos_name_where_the_bare_one_was_wanted() -> None:
    apis = [{**FIRST, "emit": "bare"}, {**SECOND, "emit": "bare"}]

    assert decide(*BOTH, apis=apis).items == []


@pytest.mark.parametrize(
    ("requested", "client_id", "scopes"),
    [
        pytest.param([SDK], "mobile", [SDK, READ, "read:appointments"], id="its own client"),
        pytest.param([SDK], "other", [SDK], id="not another client"),
        pytest.param(["openid"], "mobile", ["openid"], id="not a sign-in in the browser"),
    ],
)
def test_an_sdk_grant_is_for(requested: list[str], client_id: str, scopes: list[str]) -> None:
    granted = {"mobile": [READ]} if client_id == "mobile" else {"somebody": [READ]}

    effects = decide(*requested, sdk_grants=granted)

    assert scopes_after(effects, requested) == scopes


def test_the_resource_server_can_have_another_name() -> None:
    effects = decide("appt/read:appointments", apis=[{**API, "resource_server": "appt"}])

    assert scopes_after(effects, []) == ["read:appointments"]


def test_unknown_scopes_stay_unknown() -> None:
    login = a_login(client_id="mobile", configuration={"apis": [API]})

    assert rule.decide(login).items == []


def test_it_runs_on_refresh() -> None:
    assert rule.manifest.runs_on_refresh


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"apis": []}, id="no API"),
        pytest.param({"apis": [{**API, "scopes": ["read items"]}]}, id="a blank in a scope"),
        pytest.param({"apis": [{**API, "scopes": ["a/b"]}]}, id="a slash in a scope"),
        pytest.param({"apis": [{**API, "resource_server": "a b"}]}, id="a blank in a server"),
        pytest.param({"apis": [{**API, "scopes": ["openid"]}]}, id="a name of OpenID's"),
        pytest.param({"apis": [{**API, "scopes": [SDK]}]}, id="the self-service scope"),
        pytest.param({"sdk_grants": {"mobile": ["pay/read"]}}, id="a grant nobody declares"),
        pytest.param({"apis": [{**API, "emit": "none"}]}, id="an unknown way"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide(READ, **settings)
