"""Give verified people roles by their e-mail address or its domain."""

from typing import Any

from cognito_rules import (
    UNKNOWN,
    ConfigurationError,
    Effects,
    Login,
    claim_name,
    lambda_rule,
    normalise_email,
)

_KEY = "roles"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Assign the roles of the first match, keep them in app_metadata, and show them.

    Roles that this configuration does not name stay as they are stored, unless ``merge`` replaces
    them. Later rules read the result as ``login.authorization``; Cognito's groups are not changed.

    Reads:  ``login.user.email``, ``email_verified``, ``app_metadata.roles``;
            ``login.authorization``, of an earlier rule.
    Writes: ``set_app_metadata`` when the roles changed, ``set_claim`` on the ID token,
            ``set_authorization``. Whether a login goes on that could not be stored is the chain
            document's ``on_commit_failure``.
    Source: Auth0 rules, "roles-creation".
    """
    settings = login.configuration
    address = normalise_email(login.user.email)
    if address is None or login.user.email_verified is not True:
        return
    stored = login.user.app_metadata.get(_KEY) if login.user.app_metadata else None
    if login.user.app_metadata is UNKNOWN:
        effects.warn("metadata_unavailable")
    held = {role for role in stored if isinstance(role, str)} if isinstance(stored, list) else set()
    assigned = set(_matching(settings, address))
    kept = held - _managed(settings) if settings["merge"] == "managed" else set()
    roles = sorted(assigned | kept)
    if settings["persist"] == "app_metadata" and stored != roles:
        effects.set_app_metadata(_KEY, roles)
    effects.set_claim("id", _claim(settings), roles)
    effects.set_authorization(
        roles=sorted({*roles, *(login.authorization.roles or [])}),
        permissions=login.authorization.permissions or [],
        groups=login.authorization.groups or [],
    )


def _matching(settings: dict[str, Any], address: str) -> list[str]:
    domain = address.rpartition("@")[2]
    for pattern in settings["rules"]:
        if _normal(pattern) == (domain if pattern["domain"] else address):
            roles: list[str] = pattern["roles"]
            return roles
    default: list[str] = settings["default_roles"]
    return default


def _managed(settings: dict[str, Any]) -> set[str]:
    named = {role for pattern in settings["rules"] for role in pattern["roles"]}
    return named | set(settings["default_roles"])


def _normal(pattern: dict[str, Any]) -> str:
    """Return the domain or address of a pattern in the spelling that can be compared."""
    if bool(pattern["domain"]) == bool(pattern["email"]):
        raise ConfigurationError("rules: each has a domain or an email, and not both")
    text = f"a@{pattern['domain']}" if pattern["domain"] else pattern["email"]
    address = normalise_email(text)
    if address is None or "@" in (pattern["domain"] or ""):
        raise ConfigurationError(f"rules: {text!r} is no address or domain")
    return address.rpartition("@")[2] if pattern["domain"] else address


def _claim(settings: dict[str, Any]) -> str:
    return claim_name(settings["namespace"], settings["claim"])


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a protected claim, and patterns that are neither a domain nor an address."""
    _claim(configuration)
    for pattern in configuration["rules"]:
        _normal(pattern)


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claim that this configuration writes."""
    return [("id", _claim(configuration))]
