from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.assign_roles_by_email.app import rule

RULES = [
    {"email": "boss@example.com", "roles": ["boss"]},
    {"domain": "Example.com", "roles": ["admin"]},
]
UNREAD: Any = object()


def decide(
    email: Any, verified: Any = True, stored: Any = None, authorization: Any = None, **settings: Any
) -> Effects:
    user: dict[str, Any] = {"email": email, "email_verified": verified}
    if stored is not UNREAD:
        user["app_metadata"] = {} if stored is None else {"roles": stored}
    configuration = {"rules": RULES, "namespace": "https://example.com/", **settings}
    return rule.decide(
        a_login(user=user, authorization=authorization or {}, configuration=configuration)
    )


def of(effects: Effects, name: str) -> Any:
    """Return what one kind of effect says, or None."""
    found = [item for item in effects.items if item["effect"] == name]
    return (found[0].get("value") or found[0].get("roles")) if found else None


@pytest.mark.parametrize(
    ("email", "verified"),
    [
        pytest.param(None, True, id="no address"),
        pytest.param("", True, id="an empty address"),
        pytest.param("admin@example.com", False, id="an address that is not verified"),
        pytest.param("admin@example.com", None, id="one nobody knows of"),
    ],
)
def test_nobody_gets_a_role_without_a_verified_address(email: Any, verified: Any) -> None:
    assert decide(email, verified).items == []


@pytest.mark.parametrize(
    ("email", "roles"),
    [
        pytest.param("denied@nope.com", ["user"], id="everybody"),
        pytest.param("admin@example.com", ["admin"], id="people of a domain"),
        pytest.param("ADMIN@EXAMPLE.COM", ["admin"], id="in other letters"),
        pytest.param("boss@example.com", ["boss"], id="one person, by the first match"),
        pytest.param("a@evil-example.com", ["user"], id="a domain that ends so"),
        pytest.param("a@example.com.evil.org", ["user"], id="a domain that begins so"),
        pytest.param("a@eu.example.com", ["user"], id="a domain below"),
    ],
)
def test_who_gets_which_roles(email: str, roles: list[str]) -> None:
    effects = decide(email)

    assert of(effects, "set_claim") == roles
    assert of(effects, "set_app_metadata") == roles
    assert of(effects, "set_authorization") == roles


@pytest.mark.parametrize(
    ("email", "stored", "settings", "roles", "is_written"),
    [
        pytest.param(
            "a@nope.com", ["admin", "auditor"], {}, ["auditor", "user"], True, id="a role lost"
        ),
        pytest.param(
            "a@nope.com", ["auditor"], {"merge": "replace"}, ["user"], True, id="all replaced"
        ),
        pytest.param("a@nope.com", ["user"], {}, ["user"], False, id="nothing changed"),
        pytest.param(
            "a@nope.com", ["auditor", "user"], {}, ["auditor", "user"], False, id="nor here"
        ),
        pytest.param("a@nope.com", "user", {}, ["user"], True, id="a text instead of a list"),
        pytest.param("a@nope.com", ["x", 7], {}, ["user", "x"], True, id="a number for a role"),
        pytest.param("a@nope.com", None, {"persist": "none"}, ["user"], False, id="not to be kept"),
    ],
)
def test_what_is_stored(
    email: str, stored: Any, settings: dict[str, Any], roles: list[str], is_written: bool
) -> None:
    effects = decide(email, stored=stored, **settings)

    assert of(effects, "set_claim") == roles
    assert of(effects, "set_app_metadata") == (roles if is_written else None)


def test_a_store_that_cannot_be_read_is_a_warning_and_the_claim_is_set() -> None:
    effects = decide("admin@example.com", stored=UNREAD)

    assert of(effects, "set_claim") == ["admin"]
    assert effects.warnings == ["metadata_unavailable"]


def test_what_an_earlier_rule_granted_stays() -> None:
    earlier = {"roles": ["editor"], "permissions": ["read:x"], "groups": ["g"]}

    effects = decide("admin@example.com", authorization=earlier)

    assert effects.items[-1] == {
        "effect": "set_authorization",
        "roles": ["admin", "editor"],
        "permissions": ["read:x"],
        "groups": ["g"],
    }


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"namespace": ""}, id="no namespace"),
        pytest.param({"rules": [{"roles": ["a"]}]}, id="neither domain nor address"),
        pytest.param(
            {"rules": [{"domain": "a.b", "email": "c@a.b", "roles": ["a"]}]}, id="both of them"
        ),
        pytest.param({"rules": [{"email": "boss", "roles": ["a"]}]}, id="no address"),
        pytest.param({"rules": [{"domain": "a@b.c", "roles": ["a"]}]}, id="no domain"),
        pytest.param({"persist": "groups"}, id="Cognito's groups"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide("admin@example.com", **settings)


def test_a_refresh_gives_the_same_roles_again() -> None:
    assert rule.manifest.runs_on_refresh
