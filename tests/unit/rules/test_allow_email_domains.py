from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.allow_email_domains.app import rule

UNVERIFIED, ELSEWHERE = "email_not_verified", "email_domain_not_allowed"
DOMAINS = ["example.com", "example.org"]


def decide(email: Any, verified: Any = True, trigger: str = "", **settings: Any) -> Effects:
    user = {"email": email, "email_verified": verified}
    configuration = {"domains": DOMAINS, **settings}
    transaction = {"trigger": trigger or "PostAuthentication_Authentication"}
    return rule.decide(a_login(user=user, transaction=transaction, configuration=configuration))


@pytest.mark.parametrize(
    ("email", "settings", "code"),
    [
        pytest.param("accessible@example.com", {}, None, id="an address of the company"),
        pytest.param("accessible@example.org", {}, None, id="of its second domain"),
        pytest.param("denied@nope.com", {}, ELSEWHERE, id="of another domain"),
        pytest.param("", {}, UNVERIFIED, id="no address"),
        pytest.param(None, {}, UNVERIFIED, id="an unknown address"),
        pytest.param("USER@EXAMPLE.COM", {}, None, id="in capitals"),
        pytest.param("user@example.com", {"domains": ["Example.com"]}, None, id="the setting"),
        pytest.param("user@example.com.", {}, None, id="with a dot at the end"),
        pytest.param("user@example.com.evil.org", {}, ELSEWHERE, id="the domain as a part"),
        pytest.param('"a@example.com"@evil.org', {}, ELSEWHERE, id="the domain in the local part"),
        pytest.param("user@notexample.com", {}, ELSEWHERE, id="the domain as an end"),
        pytest.param("user+x@example.com", {}, None, id="with a plus"),
        pytest.param("user@eu.example.com", {}, ELSEWHERE, id="below the domain"),
        pytest.param(
            "user@eu.example.com", {"include_subdomains": True}, None, id="below, when allowed"
        ),
        pytest.param(
            "user@notexample.com", {"include_subdomains": True}, ELSEWHERE, id="no dot between"
        ),
        pytest.param(
            "user@münchen.example", {"domains": ["xn--mnchen-3ya.example"]}, None, id="by A-label"
        ),
        pytest.param(
            "user@xn--mnchen-3ya.example", {"domains": ["münchen.example"]}, None, id="by U-label"
        ),
        pytest.param("user@\u0435\u0445ample.com", {}, ELSEWHERE, id="with Cyrillic letters"),
    ],
)
def test_who_gets_in(email: Any, settings: dict[str, Any], code: str | None) -> None:
    assert decide(email, **settings).denied_with == code


@pytest.mark.parametrize("verified", [False, None])
def test_an_address_that_is_not_verified_does_not_count(verified: Any) -> None:
    effects = decide("user@example.com", verified)

    assert effects.denied_with == UNVERIFIED
    assert effects.items[0]["public_code"] == "email_not_verified"


@pytest.mark.parametrize(
    ("email", "code"),
    [
        pytest.param("user@example.com", None, id="of the company"),
        pytest.param("user@nope.com", ELSEWHERE, id="of another domain"),
        pytest.param(None, UNVERIFIED, id="that is not there"),
    ],
)
@pytest.mark.parametrize("trigger", ["PreSignUp_SignUp", "PreSignUp_ExternalProvider"])
def test_before_the_account_exists_the_domain_decides(
    trigger: str, email: str | None, code: str | None
) -> None:
    assert decide(email, None, trigger).denied_with == code


@pytest.mark.parametrize("domains", [[], [""], ["user@example.com"], ["exa mple.com"]])
def test_a_wrong_setting_is_an_error(domains: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        decide("user@example.com", domains=domains)
