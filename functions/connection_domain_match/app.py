"""Let a company's identity provider vouch only for addresses of that company."""

from typing import Any

from cognito_rules import (
    UNKNOWN,
    ConfigurationError,
    Effects,
    Login,
    UpstreamError,
    lambda_rule,
    normalise_email,
)
from cognito_rules.identity_providers import identity_provider

_LOCAL = "COGNITO"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login when the address is not of a domain of the connection it came by.

    Of a person with several linked identities Cognito does not say which one signed in: the address
    must be of one of their connections.

    Reads:  ``login.user.email``, ``email_verified``, ``identities``; ``login.connection.name``;
            ``login.transaction.user_pool_id``, whose providers' identifiers can be the domains.
    Writes: ``deny`` with code ``connection_misconfigured``, ``email_domain_mismatch`` or
            ``identity_provider_unreadable``.
    Source: Auth0 rules, "check-domains-against-connection-aliases"; Auth0, security bulletin of
            2019-01-10; AWS, "Identity provider identifiers" (domain-based selection).
    """
    settings = login.configuration
    names = _connections(login)
    try:
        listed = [found for name in names if (found := _listed(login, name)) is not None]
    except UpstreamError:
        effects.deny(
            "Sign-in is unavailable right now. Please try again.",
            code="identity_provider_unreadable",
            public_code="try_again",
        )
        return
    if not listed:
        is_local = names == [_LOCAL]
        if settings["unknown_connection"] == "deny" and not is_local:
            effects.deny(settings["message"], code="email_domain_mismatch")
        return
    domains = [_domains(connection) for connection in listed]
    if not all(domains):
        return  # a connection without domains vouches for everything
    needs_tenant = settings["require_tenant_domain"] and settings["source"] == "static"
    if needs_tenant and not all(c["tenant_domain"] for c in listed):
        effects.deny(settings["message"], code="connection_misconfigured")
        return
    address = normalise_email(login.user.email)
    is_verified = login.user.email_verified is True or not settings["require_verified"]
    domain = (address or "").rpartition("@")[2]
    if not is_verified or not any(domain in of_connection for of_connection in domains):
        effects.deny(settings["message"], code="email_domain_mismatch")


def _connections(login: Login) -> list[str]:
    if login.connection.name is not UNKNOWN:
        return [login.connection.name]
    return [identity["connection"] for identity in login.user.identities or []]


def _listed(login: Login, name: str) -> dict[str, Any] | None:
    """Return the domains of a connection as the table would hold them, None for an unknown one."""
    settings = login.configuration
    if settings["source"] == "static":
        connection: dict[str, Any] | None = settings["connections"].get(name)
        return connection
    if name == _LOCAL:
        return None
    provider = identity_provider(login.transaction.user_pool_id, name)
    if provider is None:
        return None
    identifiers = [text for text in provider.get("IdpIdentifiers") or [] if _is_domain(text)]
    return {"tenant_domain": None, "domain_aliases": identifiers}


def _is_domain(identifier: str) -> bool:
    """Say whether an identifier is a domain; it may be any word, or an address."""
    is_name = "." in identifier and "@" not in identifier
    return is_name and normalise_email(f"a@{identifier}") is not None


def _domains(connection: dict[str, Any]) -> set[str]:
    texts = [connection["tenant_domain"], *connection["domain_aliases"]]
    return {_domain(text) for text in texts if text}


def _domain(text: str) -> str:
    address = normalise_email(f"a@{text}")
    if address is None or "@" in text:
        raise ConfigurationError(f"connections: {text!r} is no domain, such as contoso.com")
    return address.rpartition("@")[2]


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse what is no domain, and a table that is missing or that nobody would look at."""
    connections = configuration["connections"]
    if configuration["source"] == "static" and not connections:
        raise ConfigurationError("connections is empty: nobody would be asked")
    if configuration["source"] != "static" and connections:
        raise ConfigurationError("connections is for source static: identifiers take its place")
    for connection in connections.values():
        _domains(connection)
