import hashlib
import hmac
from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.add_email_to_access_token.app import rule

JANE = {"email": "jane@example.com", "email_verified": True}
EMAIL, VERIFIED = "https://api.example.com/email", "https://api.example.com/email_verified"
HASH = "https://api.example.com/email_hash"
KEY = "a key of the tests"


def decide(login: dict[str, Any], **settings: Any) -> Effects:
    settings.setdefault("namespace", "https://api.example.com/")
    return rule.decide(a_login(**login, configuration=settings, secrets={"EMAIL_HASH_KEY": KEY}))


def claims_of(effects: Effects) -> dict[str, Any]:
    assert {item["effect"] for item in effects.items} <= {"set_claim"}
    assert {item["token"] for item in effects.items} <= {"access"}
    return {item["name"]: item["value"] for item in effects.items}


@pytest.mark.parametrize(
    ("login", "settings"),
    [
        pytest.param({}, {}, id="a machine has no email"),
        pytest.param({"user": {"phone_number": "+15550100"}}, {}, id="a phone-only user"),
        pytest.param({"user": {"email": ""}}, {}, id="an empty email"),
        pytest.param(
            {"user": JANE | {"email_verified": False}},
            {"only_verified": True},
            id="an unverified email, when only verified ones count",
        ),
        pytest.param(
            {"user": {"email": "jane@example.com"}},
            {"only_verified": True},
            id="an email of which nothing is known",
        ),
        pytest.param(
            {"user": JANE | {"email_verified": "false"}},
            {"only_verified": True},
            id="a text is not verified",
        ),
        pytest.param(
            {"user": JANE, "requested_scopes": ["aws.cognito.signin.user.admin"]},
            {"required_scope": "email"},
            id="an SDK login, when a scope is required",
        ),
        pytest.param({"user": JANE}, {"required_scope": "email"}, id="unknown scopes"),
        pytest.param(
            {"user": JANE, "audience": "https://b.example.com"},
            {"audiences": ["https://a.example.com"]},
            id="another API",
        ),
        pytest.param(
            {"user": JANE}, {"audiences": ["https://a.example.com"]}, id="an unknown audience"
        ),
    ],
)
def test_no_claims(login: dict[str, Any], settings: dict[str, Any]) -> None:
    effects = decide(login, **settings)

    assert claims_of(effects) == {}


@pytest.mark.parametrize(
    ("login", "settings", "claims"),
    [
        pytest.param(
            {"user": JANE}, {}, {EMAIL: "jane@example.com", VERIFIED: True}, id="both by default"
        ),
        pytest.param(
            {"user": JANE | {"email_verified": False}},
            {},
            {EMAIL: "jane@example.com", VERIFIED: False},
            id="false is a real boolean",
        ),
        pytest.param(
            {"user": JANE},
            {"only_verified": True},
            {EMAIL: "jane@example.com", VERIFIED: True},
            id="a verified one, when only those count",
        ),
        pytest.param(
            {"user": {"email": "jane@example.com"}},
            {},
            {EMAIL: "jane@example.com", VERIFIED: False},
            id="nothing known counts as not verified",
        ),
        pytest.param(
            {"user": JANE | {"email": " Jane@EXAMPLE.com"}},
            {"include_verified": False},
            {EMAIL: " Jane@EXAMPLE.com"},
            id="the address as it is stored",
        ),
        pytest.param(
            {"user": JANE},
            {"namespace": "", "allow_unprefixed": True},
            {"email": "jane@example.com", "email_verified": True},
            id="plain names when allowed",
        ),
        pytest.param(
            {"user": JANE, "requested_scopes": ["openid", "email"]},
            {"required_scope": "email", "include_verified": False},
            {EMAIL: "jane@example.com"},
            id="the required scope",
        ),
        pytest.param(
            {"user": JANE, "audience": "https://a.example.com"},
            {"audiences": ["https://a.example.com"], "include_verified": False},
            {EMAIL: "jane@example.com"},
            id="the API that it is for",
        ),
    ],
)
def test_claims_of_the_access_token(
    login: dict[str, Any], settings: dict[str, Any], claims: dict[str, Any]
) -> None:
    effects = decide(login, **settings)

    assert claims_of(effects) == claims
    names = {
        name
        for _, name in rule.written_claims(
            rule.configure({"namespace": "https://api.example.com/"} | settings)
        )
    }
    assert names == set(claims)


def test_a_malformed_address_has_no_pseudonym() -> None:
    effects = decide({"user": {"email": "jane"}}, hash="hmac_sha256")

    assert claims_of(effects) == {}
    assert effects.warnings == ["malformed_email"]


@pytest.mark.parametrize("email", ["jane@example.com", " Jane@EXAMPLE.com. "])
def test_a_pseudonym_is_equal_for_equal_addresses_and_shows_none(email: str) -> None:
    effects = decide({"user": {"email": email, "email_verified": True}}, hash="hmac_sha256")

    digest = hmac.new(KEY.encode(), b"jane@example.com", hashlib.sha256).hexdigest()
    assert claims_of(effects) == {HASH: digest, VERIFIED: True}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"namespace": ""}, "namespace", id="no namespace"),
        pytest.param({"namespace": "api"}, "namespace", id="no URL"),
        pytest.param(
            {"namespace": "", "allow_unprefixed": True, "claim": "sub"},
            "protected_claim",
            id="a protected claim",
        ),
        pytest.param({"claim": "e mail"}, "claim", id="a claim with a blank"),
        pytest.param({"hash": "md5"}, "hash", id="another hash"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide({"user": JANE}, **settings)


def test_the_namespace_has_no_default() -> None:
    with pytest.raises(ConfigurationError, match="namespace"):
        rule.decide(a_login())
