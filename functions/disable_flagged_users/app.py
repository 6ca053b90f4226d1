"""Refuse people who withdrew and are kept as a flagged record only."""

from typing import Any

from cognito_rules import UNKNOWN, ConfigurationError, Effects, Login, lambda_rule

_TRUE = (True, "true", "1")  # 1 equals True


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login of a flagged person, without telling that there is a flag.

    Belongs first into a chain: no later rule then touches the person. user_metadata does not count,
    since people write it themselves. The rule refuses logins and changes nothing in the pool: to
    disable the user there too, add disable_user_in_pool to the chain. To end sessions at once, use
    ``cognito-rules denylist add --sub`` where the flag is set.

    Reads:  ``login.user.app_metadata`` (unknown when the profile cannot be read, ``{}`` for a
            person without one), ``login.user.identities``.
    Writes: ``deny`` with code ``user_flagged`` or ``metadata_unavailable``.
    Source: Auth0 docs, "GDPR: conditions for consent".
    """
    settings = login.configuration
    identities = {
        f"{identity.get('connection')}|{identity.get('user_id')}"
        for identity in login.user.identities or []
    }
    if identities.intersection(settings["flagged_identities"]):
        effects.deny(settings["message"], code="user_flagged")
    elif login.user.app_metadata is UNKNOWN:
        if settings["on_store_failure"] == "deny":
            effects.deny(
                "Sign-in is unavailable right now. Please try again.",
                code="metadata_unavailable",
                public_code="try_again",
            )
        else:
            effects.warn("metadata_unavailable")
    elif any(login.at("user.app_metadata." + flag) in _TRUE for flag in settings["flags"]):
        effects.deny(settings["message"], code="user_flagged")


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse paths and identities that can match nobody."""
    for flag in configuration["flags"]:
        if not all(flag.split(".")):
            raise ConfigurationError(f"flags: {flag!r} is no path in app_metadata")
    for identity in configuration["flagged_identities"]:
        connection, _, user_id = identity.partition("|")
        if not connection or not user_id:
            raise ConfigurationError(f"flagged_identities: {identity!r} must be connection|user id")
