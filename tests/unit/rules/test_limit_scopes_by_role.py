from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.limit_scopes_by_role.app import rule
from tests.scopes import scopes_after

EMPLOYEE = ["timesheets/create", "timesheets/read", "timesheets/delete"]
ROLES = {"Employee": EMPLOYEE, "Manager": ["timesheets/*"]}
SELF_SERVICE = "aws.cognito.signin.user.admin"


def decide(
    held: list[str] | None, scopes: list[str] | None, login: Any = None, **settings: Any
) -> Effects:
    subject = {
        "authorization": {} if held is None else {"roles": held},
        "transaction": {} if scopes is None else {"requested_scopes": scopes, "scopes": scopes},
    }
    return rule.decide(
        a_login(**subject | (login or {}), configuration={"roles": ROLES, **settings})
    )


@pytest.mark.parametrize(
    ("roles", "scopes", "left"),
    [
        pytest.param(
            ["Employee"],
            ["timesheets/read", "timesheets/approve"],
            ["timesheets/read"],
            id="an employee reads and does not approve",
        ),
        pytest.param(
            ["Manager"], ["timesheets/approve"], ["timesheets/approve"], id="a manager approves"
        ),
        pytest.param(
            ["Employee", "Manager"],
            ["timesheets/read", "timesheets/approve"],
            ["timesheets/read", "timesheets/approve"],
            id="two roles allow what either does",
        ),
        pytest.param([], ["timesheets/read"], [], id="nobody without a role"),
        pytest.param(["Guest"], ["timesheets/read"], [], id="nobody with another role"),
        pytest.param(["employee"], ["timesheets/read"], [], id="role names are case sensitive"),
        pytest.param(None, ["timesheets/read"], [], id="nobody whose roles are unknown"),
        pytest.param([], ["openid", "email"], ["openid", "email"], id="OpenID scopes stay"),
        pytest.param([], [SELF_SERVICE], [SELF_SERVICE], id="the self-service scope stays"),
        pytest.param([], ["read:timesheets"], [], id="a bare scope name is an API's too"),
        pytest.param(
            ["Manager"], ["timesheets/a/b", "payroll/read"], [], id="a wildcard is one server's"
        ),
        pytest.param(["Employee"], [], [], id="nothing requested, nothing added"),
        pytest.param(["Employee"], None, None, id="scopes unknown"),
    ],
)
def test_which_scopes_are_left(
    roles: list[str] | None, scopes: list[str] | None, left: list[str] | None
) -> None:
    effects = decide(roles, scopes)

    assert scopes_after(effects, scopes) == left
    assert effects.denied_with is None


def test_unknown_roles_are_a_warning_and_no_default() -> None:
    effects = decide(None, ["timesheets/read"], default_scopes=["timesheets/read"])

    assert effects.warnings == ["authorization_missing"]
    assert scopes_after(effects, ["timesheets/read"]) == []


@pytest.mark.parametrize(
    ("roles", "left"),
    [
        pytest.param([], ["timesheets/read"], id="a person without a role"),
        pytest.param(["Guest"], ["timesheets/read"], id="a person with an unlisted role"),
        pytest.param(["Nobody"], [], id="not a person with a listed role that allows nothing"),
    ],
)
def test_the_default_is_for(roles: list[str], left: list[str]) -> None:
    settings = {"roles": {"Nobody": []}, "default_scopes": ["timesheets/read"]}

    assert scopes_after(decide(roles, ["timesheets/read"], **settings), ["timesheets/read"]) == left


@pytest.mark.parametrize(
    ("scopes", "code"),
    [
        pytest.param(["timesheets/read"], "insufficient_role", id="none is left"),
        pytest.param(["openid", "timesheets/read"], "insufficient_role", id="no API's is left"),
        pytest.param(["openid"], None, id="none was asked for"),
        pytest.param(None, None, id="nothing is known of scopes"),
    ],
)
def test_when_a_login_is_refused(scopes: list[str] | None, code: str | None) -> None:
    assert decide([], scopes, deny_if_none_left=True).denied_with == code


def test_one_scope_that_is_left_is_enough() -> None:
    scopes = ["timesheets/read", "timesheets/approve"]

    assert decide(["Employee"], scopes, deny_if_none_left=True).denied_with is None


def test_only_the_named_resource_servers_are_limited() -> None:
    scopes = ["timesheets/approve", "https://pay.example.com/read"]

    effects = decide([], scopes, resource_servers=["https://pay.example.com/"])

    assert scopes_after(effects, scopes) == ["timesheets/approve"]


@pytest.mark.parametrize(
    ("requested", "roles", "wanted", "warnings"),
    [
        pytest.param(
            [SELF_SERVICE], ["Employee"], [SELF_SERVICE, *sorted(EMPLOYEE)], [], id="an SDK sign-in"
        ),
        pytest.param(
            [SELF_SERVICE], ["Manager"], [SELF_SERVICE], ["wildcard_not_granted"], id="a wildcard"
        ),
        pytest.param([SELF_SERVICE], [], [SELF_SERVICE], [], id="a person without a role"),
        pytest.param(["openid"], ["Employee"], ["openid"], [], id="a sign-in in the browser"),
    ],
)
def test_all_that_is_allowed_when_nothing_can_be_asked_for(
    requested: list[str], roles: list[str], wanted: list[str], warnings: list[str]
) -> None:
    effects = decide(roles, requested, when_nothing_requested="all_allowed")

    assert scopes_after(effects, requested) == wanted
    assert effects.warnings == warnings


def test_of_all_that_is_allowed_only_what_the_rule_limits_is_granted() -> None:
    settings = {"roles": {"Employee": ["email", "pay/read", "timesheets/read"]}}

    effects = decide(
        ["Employee"],
        [SELF_SERVICE],
        when_nothing_requested="all_allowed",
        resource_servers=["timesheets"],
        **settings,
    )

    assert scopes_after(effects, [SELF_SERVICE]) == [SELF_SERVICE, "timesheets/read"]


def test_an_sdk_sign_in_gets_nothing_unless_asked() -> None:
    assert decide(["Employee"], [SELF_SERVICE]).items == []


def test_roles_can_be_groups() -> None:
    login = {"user": {"groups": ["Employee"]}}

    effects = decide(["Manager"], ["timesheets/approve"], login, role_source="groups")

    assert scopes_after(effects, ["timesheets/approve"]) == []


def test_it_runs_again_on_refresh_and_never_for_machines() -> None:
    assert rule.manifest.runs_on_refresh
    assert not rule.manifest.runs_on_client_credentials


@pytest.mark.parametrize(
    "scope",
    [
        pytest.param("*", id="a wildcard alone"),
        pytest.param("/*", id="a wildcard of no server"),
        pytest.param("timesheets/re*", id="a part of a name"),
        pytest.param("time*/read", id="a part of a server"),
        pytest.param("*/*", id="any server"),
        pytest.param("timesheets//*", id="a server that ends in a slash"),
        pytest.param("read timesheets", id="a blank"),
    ],
)
@pytest.mark.parametrize("setting", ["roles", "default_scopes"])
def test_a_scope_that_is_none_is_an_error(scope: str, setting: str) -> None:
    settings: dict[str, Any] = {setting: {"Employee": [scope]} if setting == "roles" else [scope]}

    with pytest.raises(ConfigurationError):
        decide([], [], **settings)


@pytest.mark.parametrize("settings", [{}, {"roles": {}}])
def test_roles_are_required(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match="roles"):
        rule.decide(a_login(authorization={"roles": []}, configuration=settings))
