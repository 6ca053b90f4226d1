"""Show applications profile facts for which OpenID Connect has no claim."""

import json
import math
import re
from typing import Any

from cognito_rules import (
    UNKNOWN,
    ConfigurationError,
    Effects,
    InvalidEffectError,
    Login,
    claim_name,
    lambda_rule,
)

_SDK_SCOPES = ["aws.cognito.signin.user.admin"]
_IDENTITY = re.compile(r"user\.identities\[([^\]]+)\]\.(.+)")
_CUSTOM = "user.attributes.custom:"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set each configured claim that has a value; one that cannot be set is left out.

    Cognito's ``/oauth2/userInfo`` shows attributes only, never these claims.

    Reads:  ``login.user``, as far as paths name it; ``login.transaction.requested_scopes``.
    Writes: ``set_claim``; ``remove_claim`` for a raw attribute with ``hide_source``.
    Source: Auth0 docs, "Sample use cases: scopes and claims", "Create custom claims".
    """
    requested = login.transaction.requested_scopes or []
    for claim in login.configuration["claims"]:
        is_sdk = requested == _SDK_SCOPES and claim["sdk"]
        if claim["required_scope"] not in (None, *requested) and not is_sdk:
            continue
        value = _value(login, claim["from"])
        if value is UNKNOWN:
            value = UNKNOWN if claim["default"] is None else claim["default"]
        else:
            try:
                value = _converted(value, claim["type"])
            except ValueError:
                effects.warn(f"not_converted:{claim['name']}")
                continue
        if value is not UNKNOWN:
            _set(login, effects, claim, value)


def _set(login: Login, effects: Effects, claim: dict[str, Any], value: Any) -> None:
    name = _name(login.configuration, claim)
    for token in _tokens(claim):
        try:
            effects.set_claim(token, name, value)
        except InvalidEffectError as error:
            effects.warn(error.code)
    if claim["hide_source"]:
        effects.remove_claim("id", claim["from"].removeprefix("user.attributes."))


def _value(login: Login, path: str) -> Any:
    identity = _IDENTITY.fullmatch(path)
    if identity is None:
        return login.at(path)
    connection, rest = identity.groups()
    for candidate in login.user.identities or []:
        if candidate.get("connection") == connection:
            value: Any = candidate
            for key in rest.split("."):
                value = value.get(key) if isinstance(value, dict) else None
            return UNKNOWN if value is None else value
    return UNKNOWN


def _converted(value: Any, kind: str | None) -> Any:
    """Return ``value`` as the wanted type; ValueError when it stands for none of it."""
    match kind:
        case "json":
            return json.loads(value) if isinstance(value, str) else value
        case "string":
            return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        case "boolean":
            return value if isinstance(value, bool) else _boolean(value)
        case "number":
            return _number(json.loads(value) if isinstance(value, str) else value)
    return value


def _boolean(value: Any) -> bool:
    if not isinstance(value, str) or value.lower() not in ("true", "false"):
        raise ValueError("no boolean")
    return value.lower() == "true"


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
        raise ValueError("no number")
    return value


def _name(settings: dict[str, Any], claim: dict[str, Any]) -> str:
    unprefixed = settings["allow_unprefixed"]
    return claim_name(settings["namespace"], claim["name"], unprefixed=unprefixed)


def _tokens(claim: dict[str, Any]) -> list[str]:
    return ["id", "access"] if claim["target"] == "both" else [claim["target"]]


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse protected names, paths the rule does not read, and private values unacknowledged."""
    for claim in configuration["claims"]:
        _name(configuration, claim)
        path = claim["from"]
        if _IDENTITY.fullmatch(path) is None and not rule.manifest.can_read(path):
            raise ConfigurationError(f"{claim['name']}: the rule cannot read {path}")
        if path.startswith("user.app_metadata") and not claim["acknowledge_private"]:
            raise ConfigurationError(
                f"{claim['name']}: whoever holds a token reads {path}: "
                "write acknowledge_private = true to publish it"
            )
        if claim["hide_source"] and not path.startswith(_CUSTOM):
            raise ConfigurationError(f"{claim['name']}: only a custom attribute can be hidden")


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    return [
        (token, _name(configuration, claim))
        for claim in configuration["claims"]
        for token in _tokens(claim)
    ]
