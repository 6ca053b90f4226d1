from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.oidc_scope_claims.app import rule

ATTRIBUTES = {
    "sub": "6f1c2d9e-0000-4000-8000-000000000001",
    "cognito:user_status": "CONFIRMED",
    "identities": "[]",
    "name": "Jane Doe",
    "nickname": "jd",
    "picture": "https://example.com/jane.png",
    "updated_at": "1795300000",
    "email": "jane@example.com",
    "email_verified": "true",
    "phone_number": "+15550100",
    "address": "Main Street",
    "custom:tier": "gold",
    "dev:note": "x",
}
SDK = "aws.cognito.signin.user.admin"


def decide(scopes: list[str] | None, user: Any = None, **settings: Any) -> Effects:
    known = {"attributes": ATTRIBUTES, "nickname": "jd", "username": "jane"} | (user or {})
    transaction = {} if scopes is None else {"requested_scopes": scopes}
    return rule.decide(a_login(user=known, transaction=transaction, configuration=settings))


def left(effects: Effects) -> set[str]:
    """Return the attributes that are still in the ID token, but for those nobody can take out."""
    removed = {item["name"] for item in effects.items if item["effect"] == "remove_claim"}
    return set(ATTRIBUTES) - removed - {"sub", "cognito:user_status", "identities"}


@pytest.mark.parametrize(
    ("scopes", "settings", "attributes"),
    [
        pytest.param(
            ["openid", "profile", "email"],
            {},
            {"name", "nickname", "picture", "updated_at", "email", "email_verified"},
            id="profile and email",
        ),
        pytest.param(["openid"], {}, set(), id="nothing but an identity"),
        pytest.param(["openid", "email"], {}, {"email", "email_verified"}, id="email alone"),
        pytest.param(["openid", "phone"], {}, {"phone_number"}, id="phone, of which one is there"),
        pytest.param(["openid", "address"], {}, {"address"}, id="address"),
        pytest.param(["openid", "orders/read"], {}, set(), id="an API's scope"),
        pytest.param(
            ["openid"], {"keep_custom": True}, {"custom:tier", "dev:note"}, id="custom ones kept"
        ),
        pytest.param(
            ["openid", "tier"],
            {"scope_claims": {"tier": ["custom:tier"]}},
            {"custom:tier"},
            id="a scope of the customer's own",
        ),
        pytest.param([SDK], {"sdk_logins": "apply"}, set(), id="an SDK sign-in that is meant"),
    ],
)
def test_what_an_application_sees(
    scopes: list[str], settings: dict[str, Any], attributes: set[str]
) -> None:
    assert left(decide(scopes, **settings)) == attributes


@pytest.mark.parametrize(
    "scopes",
    [
        pytest.param([SDK], id="an SDK sign-in"),
        pytest.param([], id="no scope"),
        pytest.param(["orders/read"], id="an API without openid"),
        pytest.param(None, id="unknown scopes"),
    ],
)
def test_without_openid_the_token_is_left_alone(scopes: list[str] | None) -> None:
    assert decide(scopes).items == []


def test_an_api_without_openid_is_no_sdk_sign_in() -> None:
    assert decide(["orders/read"], sdk_logins="apply").items == []


def test_unknown_attributes_are_no_error() -> None:
    login = a_login(transaction={"requested_scopes": ["openid"]}, configuration={})

    assert rule.decide(login).items == []


def test_what_cannot_be_taken_out_is_not_asked_for() -> None:
    removed = {item["name"] for item in decide(["openid"]).items}

    assert removed.isdisjoint({"sub", "cognito:user_status", "identities"})


def test_claims_of_other_rules_are_left_alone() -> None:
    removed = [item["name"] for item in decide(["openid"]).items]

    assert set(removed) <= set(ATTRIBUTES)


@pytest.mark.parametrize(
    ("user", "nickname"),
    [
        pytest.param({"email": "jane.doe@example.com"}, "jane.doe", id="from the address"),
        pytest.param({"email": "no-address"}, "jane", id="from the username"),
        pytest.param({}, "jane", id="without an address"),
    ],
)
def test_a_missing_nickname_is_made(user: dict[str, Any], nickname: str) -> None:
    effects = decide(["openid", "profile"], {"nickname": None, **user})

    set_claims = {i["name"]: i["value"] for i in effects.items if i["effect"] == "set_claim"}
    assert set_claims == {"nickname": nickname}


@pytest.mark.parametrize(
    ("scopes", "user", "settings"),
    [
        pytest.param(["openid"], {}, {}, id="without profile"),
        pytest.param(["openid", "profile"], {}, {"fill_auth0_profile": False}, id="when not asked"),
        pytest.param(["openid", "profile"], {"nickname": "jd"}, {}, id="for who has one"),
        pytest.param(["openid", "profile"], {"username": None}, {}, id="for who has no name"),
    ],
)
def test_no_nickname_is_made(
    scopes: list[str], user: dict[str, Any], settings: dict[str, Any]
) -> None:
    effects = decide(scopes, {"nickname": None, **user}, **settings)

    assert [item for item in effects.items if item["effect"] == "set_claim"] == []


@pytest.mark.parametrize("settings", [{"scope_claims": ["email"]}, {"sdk_logins": "all"}])
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide(["openid"], **settings)
