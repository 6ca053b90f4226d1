"""Tell an administration application which of its roles the person has."""

from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, claim_name, lambda_rule

_KNOWN = frozenset(
    f"Delegated Admin - {role}" for role in ("User", "Administrator", "Auditor", "Operator")
)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set one claim to ``{"roles": [...]}``; without a role there is no claim, so no access.

    Names of Cognito's groups have no blanks, as the roles have: hence the map.

    Reads:  ``login.user.groups``, ``login.authorization.roles``.
    Writes: ``set_claim`` on the ID token.
    Source: Auth0 docs, "Sample use cases: rules with authorization" (delegated administration).
    """
    settings = login.configuration
    held = {*(login.user.groups or []), *(login.authorization.roles or [])}
    roles = sorted({role for name, role in settings["roles"].items() if name in held})
    if not roles:
        return
    if not _KNOWN.issuperset(roles):
        effects.warn("unknown_delegated_role")
    effects.set_claim("id", settings["claim"], {**settings["extra"], "roles": roles})


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a protected claim, and extras that would hide the roles."""
    claim_name("", configuration["claim"])
    if "roles" in configuration["extra"]:
        raise ConfigurationError("extra cannot hold roles: they come from the person's groups")


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claim that this configuration writes."""
    return [("id", configuration["claim"])]
