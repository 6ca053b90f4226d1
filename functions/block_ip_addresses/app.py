"""Refuse logins from addresses that are known to be bad."""

from typing import Any

from cognito_rules import Effects, Login, Network, is_in, lambda_rule, parse_address, parse_network


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login when its address is in a blocked network, and in none of the exceptions.

    A list of the bad refuses only what it knows: an unknown address is let in by default. Against
    many requests, an AWS WAF IP set on the user pool refuses earlier.

    Reads:  ``login.request.ip`` (known from a signed source only).
    Writes: ``deny`` with code ``ip_blocked``.
    Source: Auth0 rules, "ip-address-blocklist".
    """
    settings = login.configuration
    address = parse_address(login.request.ip)
    if address is None:
        blocked = settings["on_unknown_ip"] == "deny"
        effects.warn("ip_unknown")
    else:
        blocked = is_in(address, _networks(settings, "networks")) and not is_in(
            address, _networks(settings, "allow")
        )
    if blocked:
        effects.deny(settings["message"], code="ip_blocked")


def _networks(settings: dict[str, Any], name: str) -> list[Network]:
    return [parse_network(text, allow_any=settings["allow_any"]) for text in settings[name]]


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse what is no network, and networks that hold every address."""
    _networks(configuration, "networks")
    _networks(configuration, "allow")
