"""Let people in from the company's networks only."""

from typing import Any

from cognito_rules import Effects, Login, Network, is_in, lambda_rule, parse_address, parse_network


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login when its address is in none of the networks, or nobody vouches for one.

    For many requests, an AWS WAF IP set on the user pool refuses earlier; it sees neither
    applications nor groups.

    Reads:  ``login.request.ip`` (known from a signed source only); ``login.user.groups`` for
            ``exempt_groups``, which the token stage alone knows.
    Writes: ``deny`` with code ``ip_not_allowed``.
    Source: Auth0 rules, "ip-address-allowlist"; Auth0 docs, "Sample use cases: rules with
            authorization" (corporate network).
    """
    settings = login.configuration
    if set(settings["exempt_groups"]).intersection(login.user.groups or []):
        return
    address = parse_address(login.request.ip)
    if address is None:
        allowed = settings["on_unknown_ip"] == "allow"
        effects.warn("ip_unknown")
    else:
        allowed = is_in(address, _networks(settings))
    if not allowed:
        effects.deny(settings["message"], code="ip_not_allowed")


def _networks(settings: dict[str, Any]) -> list[Network]:
    return [parse_network(text, allow_any=settings["allow_any"]) for text in settings["networks"]]


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse what is no network, and networks that hold every address."""
    _networks(configuration)
