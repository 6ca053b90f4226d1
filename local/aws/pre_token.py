"""The pre token generation event and what its answer may do to the tokens.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-step-up-authentication.html
(``acr`` and ``amr`` are protected too)

AWS does not say what it does with a protected name in an answer: here it is left out, and the
trigger's journal entry names it under ``dropped``.
"""

from dataclasses import dataclass, field
from typing import Any, Literal

from local.aws.events import JsonObject, with_metadata

Token = Literal["id", "access"]

PROTECTED = frozenset(
    {"acr", "amr", "at_hash", "auth_time", "azp", "client_id", "device_key", "event_id", "exp"}
    | {"iat", "identities", "iss", "jti", "nbf", "nonce", "origin_jti", "sub", "token_use"}
    | {"username", "version"}
)
# These carry one value each in the ID token, never a list or an object.
PLAIN_ONLY = frozenset({"phone_number_verified", "email_verified", "updated_at", "address"})
GROUPS, ROLES, PREFERRED = "cognito:groups", "cognito:roles", "cognito:preferred_role"


class WrongShape(Exception):
    """The answer is not what AWS documents; the text says where."""


@dataclass(frozen=True)
class GroupConfiguration:
    """What the token stage knows about groups: names, their role ARNs, the preferred role ARN."""

    groups: list[str] = field(default_factory=list)
    roles: list[str] = field(default_factory=list)
    preferred: str | None = None

    def as_request(self) -> JsonObject:
        """Return the trigger's ``request.groupConfiguration``."""
        return {
            "groupsToOverride": self.groups,
            "iamRolesToOverride": self.roles,
            "preferredRole": self.preferred,
        }


@dataclass
class Tokens:
    """Claims of one sign-in before they are signed; ``id`` is None for a machine."""

    id: JsonObject | None
    access: JsonObject
    groups: GroupConfiguration = field(default_factory=GroupConfiguration)


def request(
    version: str,
    attributes: dict[str, str],
    groups: GroupConfiguration,
    scopes: list[str],
    metadata: dict[str, str] | None,
) -> JsonObject:
    """Return the event's ``request``; only versions two and three tell the scopes."""
    body: JsonObject = {"userAttributes": attributes, "groupConfiguration": groups.as_request()}
    if version != "V1_0":
        body["scopes"] = scopes
    return with_metadata(body, metadata)


def empty_response(version: str) -> JsonObject:
    """Return the event's ``response`` as the function finds it."""
    return {_container(version): None}


def apply(version: str, response: JsonObject, tokens: Tokens, client_id: str) -> list[str]:
    """Change ``tokens`` as the answer's ``response`` asks; return what was refused, by name.

    WrongShape when a part has the wrong type; then ``tokens`` must not be used.
    """
    override = _object(response, _container(version), "response")
    dropped: list[str] = []
    if override is None:
        set_groups(tokens)
        return dropped
    where = _container(version)
    if "groupOverrideDetails" in override:
        tokens.groups = _groups(override, where)
    set_groups(tokens)
    if version == "V1_0":
        if tokens.id is not None:
            _claims(tokens.id, override, "id", where, client_id, dropped, strings_only=True)
        return dropped
    for name, token, claims in (
        ("idTokenGeneration", "id", tokens.id),
        ("accessTokenGeneration", "access", tokens.access),
    ):
        block = _object(override, name, where)
        if block is None or claims is None:
            continue
        if "groupOverrideDetails" in block:
            dropped.append(f"{name}.groupOverrideDetails")
        _claims(claims, block, "id" if token == "id" else "access", name, client_id, dropped)
        if token == "access":
            _scopes(claims, block, name)
    return dropped


def set_groups(tokens: Tokens) -> None:
    """Write the groups into both tokens and the roles into the ID token."""
    for claims in (tokens.id, tokens.access):
        if claims is not None and tokens.groups.groups:
            claims[GROUPS] = list(tokens.groups.groups)
    if tokens.id is not None:
        if tokens.groups.roles:
            tokens.id[ROLES] = list(tokens.groups.roles)
        if tokens.groups.preferred:
            tokens.id[PREFERRED] = tokens.groups.preferred


def _container(version: str) -> str:
    return "claimsOverrideDetails" if version == "V1_0" else "claimsAndScopeOverrideDetails"


def _groups(override: JsonObject, where: str) -> GroupConfiguration:
    """Return the answer's groups; they replace the user's, so a missing part is an empty one."""
    details = _object(override, "groupOverrideDetails", where) or {}
    preferred = details.get("preferredRole")
    if preferred is not None and not isinstance(preferred, str):
        raise WrongShape("preferredRole is not a string")
    return GroupConfiguration(
        groups=_strings(details, "groupsToOverride", "groupOverrideDetails"),
        roles=_strings(details, "iamRolesToOverride", "groupOverrideDetails"),
        preferred=preferred or None,
    )


def _claims(
    claims: JsonObject,
    block: JsonObject,
    token: Token,
    where: str,
    client_id: str,
    dropped: list[str],
    *,
    strings_only: bool = False,
) -> None:
    suppressed = _strings(block, "claimsToSuppress", where)
    for name, value in (_object(block, "claimsToAddOrOverride", where) or {}).items():
        _check_value(name, value, token, strings_only)
        if name in suppressed:
            continue
        if _may_set(name, value, token, client_id):
            claims[name] = value
        else:
            dropped.append(f"{token}.{name}")
    for name in suppressed:
        if name == GROUPS:
            for owned in (GROUPS, ROLES, PREFERRED):
                claims.pop(owned, None)
        elif _is_protected(name, token):
            dropped.append(f"{token}.{name}")
        else:
            claims.pop(name, None)


def _is_protected(name: str, token: Token) -> bool:
    return (
        name in PROTECTED
        or name == "aud"
        or name.startswith("cognito:")
        or (name == "scope" and token == "access")
    )


def _may_set(name: str, value: Any, token: Token, client_id: str) -> bool:
    if name == "aud" and token == "access":
        return bool(value == client_id)
    return not _is_protected(name, token) and not name.startswith("dev:")


def _check_value(name: str, value: Any, token: Token, strings_only: bool) -> None:
    if strings_only and not isinstance(value, str):
        raise WrongShape(f"claim {name!r} is not a string")
    if token == "id" and name in PLAIN_ONLY and isinstance(value, (list, dict)):
        raise WrongShape(f"claim {name!r} is a list or an object")
    if isinstance(value, list):
        if not all(isinstance(item, (str, int, float)) for item in value):
            raise WrongShape(f"claim {name!r} lists something else than strings, numbers, booleans")
    elif not isinstance(value, (str, int, float, dict)):
        raise WrongShape(f"claim {name!r} is null")


def _scopes(claims: JsonObject, block: JsonObject, where: str) -> None:
    added = _strings(block, "scopesToAdd", where)
    suppressed = _strings(block, "scopesToSuppress", where)
    if any(not scope or scope.split() != [scope] for scope in added):
        raise WrongShape("scopesToAdd has a scope with white space")
    wanted = [*str(claims.get("scope", "")).split(), *added]
    claims["scope"] = " ".join(dict.fromkeys(s for s in wanted if s not in suppressed))


def _object(parent: JsonObject, name: str, where: str) -> JsonObject | None:
    value = parent.get(name)
    if value is not None and not isinstance(value, dict):
        raise WrongShape(f"{name} of {where} is not an object")
    return value


def _strings(parent: JsonObject, name: str, where: str) -> list[str]:
    value = parent.get(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise WrongShape(f"{name} of {where} is not a list of strings")
    return list(value)
