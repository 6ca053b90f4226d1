"""Keep people's tokens away from APIs that are meant for machines."""

from collections.abc import Iterator
from typing import Any

from cognito_rules import Effects, Login, lambda_rule

# Cognito's word, and the one that Auth0's applications use.
_PARAMETERS = ("resource", "audience")


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny a login that asks for a closed API, or take that API's scopes away.

    Cognito shows no trigger the ``resource`` of an authorize request: what it is known from is the
    front door, and the resource server of each requested scope. An API has to insist on its ``aud``
    and on one of its scopes; a resource parameter alone reaches it otherwise.

    Reads:  ``login.transaction`` (audience, requested_scopes, scopes, protocol),
            ``login.request.query`` and ``client_metadata``, ``login.user.groups``. What a caller
            says in its metadata can add an API to the login, never take one away.
    Writes: ``deny`` with code ``end_users_not_allowed``, or ``remove_scope``.
    Source: Auth0 docs, "Restrict access to an API".
    """
    settings = login.configuration
    if set(settings["exempt_groups"]).intersection(login.user.groups or []):
        return
    closed = {_normal(audience) for audience in settings["audiences"]}
    asked = {_normal(audience) for audience in _audiences(login)}
    if not asked:
        # A refresh names no audience, whatever the login before it named.
        is_refresh = login.transaction.protocol == "oauth2-refresh-token"
        if settings["deny_when_missing"] and not is_refresh:
            effects.deny(settings["message"], code="end_users_not_allowed")
        return
    if closed.isdisjoint(asked):
        return
    if settings["mode"] == "deny":
        effects.deny(settings["message"], code="end_users_not_allowed")
        return
    for scope in login.transaction.scopes or []:
        if _normal(_resource_server(scope)) in closed:
            effects.remove_scope(scope)


def _audiences(login: Login) -> Iterator[str]:
    if login.transaction.audience:
        yield login.transaction.audience
    for parameters in (login.request.query, login.request.client_metadata):
        for name in _PARAMETERS:
            value = parameters.get(name) if parameters else None
            if isinstance(value, str) and value:
                yield value
    for scope in login.transaction.requested_scopes:
        if server := _resource_server(scope):
            yield server


def _resource_server(scope: str) -> str:
    return scope.rpartition("/")[0]


def _normal(audience: Any) -> str:
    return str(audience).removesuffix("/")
