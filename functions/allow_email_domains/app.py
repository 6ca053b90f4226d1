"""Let only people with a verified address in the company's domains in."""

from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, lambda_rule, normalise_email


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login unless the address is verified and in one of the domains.

    Before an account exists nobody has verified the address: there the domain alone decides, and
    outsiders never become users.

    Reads:  ``login.user.email``, ``login.user.email_verified``, ``login.transaction.trigger``.
    Writes: ``deny`` with code ``email_not_verified`` or ``email_domain_not_allowed``.
    Source: Auth0 rules, "simple-domain-whitelist"; Auth0, security bulletin of 2019-01-10.
    """
    settings = login.configuration
    address = normalise_email(login.user.email)
    is_sign_up = str(login.transaction.trigger or "").startswith("PreSignUp_")
    if address is None or not (is_sign_up or login.user.email_verified is True):
        effects.deny(
            settings["message"], code="email_not_verified", public_code="email_not_verified"
        )
        return
    domain = address.rpartition("@")[2]
    allowed = {_domain(text) for text in settings["domains"]}
    is_below = settings["include_subdomains"] and any(domain.endswith(f".{d}") for d in allowed)
    if domain not in allowed and not is_below:
        effects.deny(settings["message"], code="email_domain_not_allowed")


def _domain(text: str) -> str:
    address = normalise_email(f"a@{text}")
    if address is None or "@" in text or not text.strip():
        raise ConfigurationError(f"domains: {text!r} is no domain, such as example.com")
    return address.rpartition("@")[2]


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse what is no domain."""
    for text in configuration["domains"]:
        _domain(text)
