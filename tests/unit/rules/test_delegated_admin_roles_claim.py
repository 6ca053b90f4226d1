from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.delegated_admin_roles_claim.app import rule

ROLES = {
    "dae-user": "Delegated Admin - User",
    "dae-admin": "Delegated Admin - Administrator",
}


def decide(login: dict[str, Any], **settings: Any) -> Effects:
    return rule.decide(a_login(**login, configuration={"roles": ROLES, **settings}))


@pytest.mark.parametrize(
    ("login", "value"),
    [
        pytest.param({"groups": ["dae-user"]}, ["Delegated Admin - User"], id="a group"),
        pytest.param(
            {"authorization": {"roles": ["dae-user"]}}, ["Delegated Admin - User"], id="a role"
        ),
        pytest.param(
            {"groups": ["dae-user", "dae-admin", "dae-user"]},
            ["Delegated Admin - Administrator", "Delegated Admin - User"],
            id="two, sorted",
        ),
        pytest.param(
            {"groups": ["dae-user", "sales"]}, ["Delegated Admin - User"], id="no other group"
        ),
    ],
)
def test_the_claim_of(login: dict[str, Any], value: list[str]) -> None:
    effects = decide(login)

    assert effects.items == [
        {
            "effect": "set_claim",
            "token": "id",
            "name": "https://example.com/auth0-delegated-admin",
            "value": {"roles": value},
        }
    ]
    assert effects.warnings == []


@pytest.mark.parametrize(
    "login",
    [
        pytest.param({"groups": ["sales"]}, id="no mapped group"),
        pytest.param({"groups": ["DAE-user"]}, id="another spelling"),
        pytest.param({"groups": []}, id="no group"),
        pytest.param({}, id="nothing known"),
    ],
)
def test_no_role_is_no_claim(login: dict[str, Any]) -> None:
    assert decide(login).items == []


def test_extra_members_stand_beside_the_roles() -> None:
    effects = decide({"groups": ["dae-user"]}, extra={"memberships": ["emea"]})

    assert effects.items[0]["value"] == {
        "memberships": ["emea"],
        "roles": ["Delegated Admin - User"],
    }


def test_a_role_that_the_extension_does_not_know_is_a_warning_only() -> None:
    effects = decide({"groups": ["boss"]}, roles={"boss": "Boss"})

    assert effects.items[0]["value"] == {"roles": ["Boss"]}
    assert effects.warnings == ["unknown_delegated_role"]


def test_it_is_for_named_applications() -> None:
    assert rule.manifest.needs_applications


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"claim": "identities"}, id="a protected claim"),
        pytest.param({"claim": "roles"}, id="a claim without a scheme"),
        pytest.param({"claim": "https://aws.amazon.com/tags"}, id="a claim that feeds AWS"),
        pytest.param({"roles": {}}, id="no role"),
        pytest.param({"extra": {"roles": ["Delegated Admin - Administrator"]}}, id="roles for all"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide({"groups": ["dae-user"]}, **settings)
