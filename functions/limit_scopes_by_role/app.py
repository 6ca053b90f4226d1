"""Leave people only those API scopes that one of their roles allows."""

import re
from collections.abc import Iterable
from typing import Any

from cognito_rules import UNKNOWN, ConfigurationError, Effects, Login, is_scope, lambda_rule

# Not scopes of an API: nobody's role has to allow them.
_OIDC = frozenset({"openid", "profile", "email", "phone", "address", "offline_access"})
_SELF_SERVICE = "aws.cognito.signin.user.admin"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Remove the requested API scopes that no role of the person allows; add none.

    An application that signs people in through an SDK cannot ask for scopes: with
    ``when_nothing_requested`` it gets all that the roles allow.

    Reads:  ``login.authorization.roles`` or ``login.user.groups``, as ``role_source`` says;
            ``login.transaction.requested_scopes`` and ``scopes`` (after earlier rules).
    Writes: ``remove_scope``, ``add_scope``; ``deny`` with code ``insufficient_role``.
    Source: Auth0 docs, "Restrict access to an API" (based on a role); "Mobile + API".
    """
    settings = login.configuration
    allowed = _allowed(login, effects)
    filtered = [scope for scope in login.transaction.scopes or [] if _is_filtered(scope, settings)]
    surviving = [scope for scope in filtered if _allows(allowed, scope)]
    for scope in filtered:
        if scope not in surviving:
            effects.remove_scope(scope)
    is_sdk = login.transaction.requested_scopes == [_SELF_SERVICE]
    if is_sdk and settings["when_nothing_requested"] == "all_allowed":
        for scope in sorted(allowed):
            if not scope.endswith("/*") and _is_filtered(scope, settings):
                effects.add_scope(scope)
        if any(scope.endswith("/*") for scope in allowed):
            effects.warn("wildcard_not_granted")
    if filtered and not surviving and settings["deny_if_none_left"]:
        effects.deny(settings["message"], code="insufficient_role")


def _allowed(login: Login, effects: Effects) -> set[str]:
    """Return the scopes, and server/* patterns, that the person's roles allow."""
    settings = login.configuration
    by_groups = settings["role_source"] == "groups"
    held = login.user.groups if by_groups else login.authorization.roles
    if held is UNKNOWN:
        effects.warn("authorization_missing")
        return set()
    listed = [settings["roles"][role] for role in held if role in settings["roles"]]
    return {scope for scopes in listed or [settings["default_scopes"]] for scope in scopes}


def _is_filtered(scope: str, settings: dict[str, Any]) -> bool:
    if scope in _OIDC or scope.startswith("aws.cognito."):
        return False
    servers = [server.removesuffix("/") for server in settings["resource_servers"]]
    return not servers or _server(scope) in servers


def _allows(allowed: Iterable[str], scope: str) -> bool:
    # The part behind the last slash alone is free: a wildcard never reaches another server.
    return scope in allowed or f"{_server(scope)}/*" in allowed


def _server(scope: str) -> str:
    return scope.rpartition("/")[0]


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse illegal scopes, and wildcards that stand for more than one server's scopes."""
    for scopes in (*configuration["roles"].values(), configuration["default_scopes"]):
        for scope in scopes:
            if not is_scope(scope):
                raise ConfigurationError(f"invalid_scope: {scope!r} is no scope")
            if "*" in scope and not re.fullmatch(r"[^*]*[^*/]/\*", scope):
                raise ConfigurationError(f"{scope!r}: a wildcard is written server/*")
