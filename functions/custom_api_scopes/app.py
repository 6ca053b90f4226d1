"""Give APIs that were written for Auth0 the bare scope names they check for."""

from collections import Counter
from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, is_scope, lambda_rule

_SDK_SCOPES = ["aws.cognito.signin.user.admin"]
# A bare name that means something to Cognito or OpenID would grant more than the API's scope.
_RESERVED = frozenset({"openid", "profile", "email", "phone", "address", "offline_access"})


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Add, or put in its place, the name behind the slash of each declared API scope.

    Cognito issues ``identifier/read:appointments`` where Auth0 issued ``read:appointments``. Put
    rules that limit scopes behind this one.

    Reads:  ``login.transaction`` (requested_scopes, scopes, audience), ``login.client.client_id``.
    Writes: ``add_scope``, ``remove_scope``.
    Source: Auth0 docs, "Sample use cases: scopes and claims" (request custom API access).
    """
    settings = login.configuration
    present = list(login.transaction.scopes or [])
    if login.transaction.requested_scopes == _SDK_SCOPES:
        for scope in settings["sdk_grants"].get(login.client.client_id, ()):
            if scope not in present:
                effects.add_scope(scope)
                present.append(scope)
    declared = _declared(settings)
    found = [(scope, *declared[scope]) for scope in present if scope in declared]
    times = Counter(name for _, name, _ in found)
    audience = str(login.transaction.audience or "").removesuffix("/")
    for scope, name, api in found:
        if api["emit"] == "cognito":
            continue
        if times[name] > 1 and audience != api["audience"].removesuffix("/"):
            if "ambiguous_scope" not in effects.warnings:
                effects.warn("ambiguous_scope")
            continue
        if name not in present:
            effects.add_scope(name)
        if api["emit"] == "bare":
            effects.remove_scope(scope)


def _declared(settings: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Return Cognito's scope -> its bare name and its API."""
    return {
        f"{_server(api)}/{name}": (name, api) for api in settings["apis"] for name in api["scopes"]
    }


def _server(api: dict[str, Any]) -> str:
    return str(api["resource_server"] or api["audience"])


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse illegal scopes, names of another meaning, and grants of undeclared scopes."""
    declared = _declared(configuration)
    for scope, (name, _) in declared.items():
        if not is_scope(scope) or not is_scope(name) or "/" in name:
            raise ConfigurationError(f"invalid_scope: {scope!r} is no scope of a resource server")
        if name in _RESERVED or name.startswith("aws.cognito."):
            raise ConfigurationError(f"apis: the bare name {name!r} has a meaning of its own")
    for client_id, scopes in configuration["sdk_grants"].items():
        for scope in scopes:
            if scope not in declared:
                raise ConfigurationError(f"sdk_grants.{client_id}: no API declares {scope!r}")
