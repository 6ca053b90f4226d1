"""Leave in the access token only scopes for which the person has the permission."""

from typing import Any

from cognito_rules import UNKNOWN, ConfigurationError, Effects, Login, is_scope, lambda_rule

_SELF_SERVICE = "aws.cognito.signin.user.admin"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Cut the requested scopes down to the person's permissions, or hand out all of them.

    Cognito has cut them down to what the application may have already.

    Reads:  ``login.authorization.permissions`` (set by an earlier rule),
            ``login.transaction.requested_scopes`` and ``scopes``.
    Writes: ``remove_scope``, ``add_scope``; ``deny`` with code ``insufficient_permissions``.
    Source: Auth0 docs, "Mobile + API: configure the scopes", part 2.
    """
    settings = login.configuration
    present = login.transaction.scopes or []
    permitted = _permitted(login, effects)
    known = permitted | {_scope(settings, name) for name in settings["known_permissions"]}
    asked = [scope for scope in present if scope not in settings["passthrough"]]
    kept = [
        scope
        for scope in asked
        if scope in permitted or (scope not in known and settings["unknown_scopes"] == "keep")
    ]
    for scope in asked:
        if scope not in kept:
            effects.remove_scope(scope)
    is_sdk = login.transaction.requested_scopes == [_SELF_SERVICE]
    if settings["mode"] == "grant_all" or (
        is_sdk and settings["when_nothing_requested"] == "grant_all"
    ):
        added = [scope for scope in sorted(permitted) if scope not in present]
        for scope in added:
            effects.add_scope(scope)
        kept += added
    if asked and not kept and settings["deny_if_none_left"]:
        effects.deny(settings["message"], code="insufficient_permissions")


def _permitted(login: Login, effects: Effects) -> set[str]:
    """Return the scopes that the person's permissions stand for; none when they are unknown."""
    permissions = login.authorization.permissions
    if permissions is UNKNOWN:
        effects.warn("authorization_missing")
        return set()
    scopes = {_scope(login.configuration, permission) for permission in permissions}
    legal = {scope for scope in scopes if is_scope(scope)}
    if legal != scopes:
        effects.warn("invalid_scope")
    return legal


def _scope(settings: dict[str, Any], permission: str) -> str:
    template: str = settings["permission_to_scope"]
    return template.replace("{permission}", permission)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a template that names no permission, or that makes no scope."""
    if configuration["permission_to_scope"].count("{permission}") != 1:
        raise ConfigurationError("permission_to_scope must hold {permission} once")
    for scope in (
        _scope(configuration, "read"),
        *(_scope(configuration, name) for name in configuration["known_permissions"]),
        *configuration["passthrough"],
    ):
        if not is_scope(scope):
            raise ConfigurationError(f"invalid_scope: {scope!r} is no scope")
