"""Which IAM role an identity pool gives a signed-in person: the documented order, a pure function.

https://docs.aws.amazon.com/cognito/latest/developerguide/role-based-access-control.html
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_RoleMapping.html
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetCredentialsForIdentity.html

Nothing of the emulator is imported here: the completion of the identity pools decides by this
function, and tests run the claims that the rules produce through it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast, get_args

ROLES_CLAIM = "cognito:roles"
PREFERRED_CLAIM = "cognito:preferred_role"

MatchType = Literal["Equals", "Contains", "StartsWith", "NotEqual"]
Refusal = Literal["custom_role_not_granted", "ambiguous", "no_default_role"]


@dataclass(frozen=True)
class MappingRule:
    """One rule of a mapping of type ``Rules``: the claim's value decides about ``role_arn``."""

    claim: str
    match_type: MatchType
    value: str
    role_arn: str

    def matches(self, claims: Mapping[str, Any]) -> bool:
        """Tell whether the rule applies; without its claim in the token it never does."""
        if self.claim not in claims:
            return False
        held = _texts(claims[self.claim])
        match self.match_type:
            case "Equals":
                return self.value in held
            case "NotEqual":
                return self.value not in held
            case "StartsWith":
                return any(text.startswith(self.value) for text in held)
            case "Contains":
                return any(self.value in text for text in held)


@dataclass(frozen=True)
class RoleMapping:
    """How one provider's tokens choose a role.

    kind : ``Token`` reads the two role claims, ``Rules`` tries ``rules`` in their order.
    ambiguous : what happens when neither names one role: the pool's default role, or a refusal.
    """

    kind: Literal["Token", "Rules"]
    ambiguous: Literal["AuthenticatedRole", "Deny"]
    rules: tuple[MappingRule, ...] = ()


@dataclass(frozen=True)
class Choice:
    """The role's ARN, or None and why there is none."""

    role_arn: str | None
    refusal: Refusal | None = None


def choose_role(
    claims: Mapping[str, Any],
    *,
    mapping: RoleMapping | None,
    authenticated_role: str | None,
    custom_role_arn: str | None = None,
) -> Choice:
    """Choose the role for a verified ID token.

    Parameters
    ----------
    claims : the token's claims; anything in the role claims that is not text grants nothing.
    mapping : the pool's mapping for this user pool and app client, None when it has none.
    authenticated_role : ARN of the pool's default role for signed-in people, or None.
    custom_role_arn : ``CustomRoleArn`` of the request. It chooses among granted roles, it never
        adds one; without a mapping nothing is granted, so it is refused.

    Returns
    -------
    Choice : its ``role_arn`` is one of ``granted_roles``, or the default role where the pool says
        that the default applies, or None.
    """
    granted = granted_roles(claims, mapping)
    if custom_role_arn is not None:
        # The request may name a role of the list; the preferred role alone is not a list.
        listed = role_list(claims) if mapping and mapping.kind == "Token" else granted
        if custom_role_arn in listed:
            return Choice(custom_role_arn)
        return Choice(None, "custom_role_not_granted")
    if mapping is None:
        return _default(authenticated_role)
    if mapping.kind == "Rules":
        if granted:
            return Choice(granted[0])
    else:
        preferred = preferred_role(claims)
        if preferred is not None:
            return Choice(preferred)
        if len(granted) == 1:
            return Choice(granted[0])
    if mapping.ambiguous == "AuthenticatedRole":
        return _default(authenticated_role)
    return Choice(None, "ambiguous")


def granted_roles(claims: Mapping[str, Any], mapping: RoleMapping | None) -> tuple[str, ...]:
    """Return the ARNs that the token grants under ``mapping``, each once, the first one first."""
    if mapping is None:
        return ()
    if mapping.kind == "Rules":
        matching = [rule.role_arn for rule in mapping.rules if rule.matches(claims)]
        return tuple(dict.fromkeys(matching))
    preferred = preferred_role(claims)
    return tuple(dict.fromkeys([*role_list(claims), *([preferred] if preferred else [])]))


def role_list(claims: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the ARNs of ``cognito:roles``: a list in tokens, in the guide comma-separated text."""
    return tuple(
        dict.fromkeys(text for text in _texts(claims.get(ROLES_CLAIM), commas=True) if text)
    )


def preferred_role(claims: Mapping[str, Any]) -> str | None:
    """Return ``cognito:preferred_role``, or None when it is absent, empty or not text."""
    preferred = claims.get(PREFERRED_CLAIM)
    return preferred if isinstance(preferred, str) and preferred else None


def mapping_from_api(value: Mapping[str, Any]) -> RoleMapping:
    """Return a ``RoleMapping`` of the API as ours. ValueError names what AWS would refuse."""
    kind, ambiguous = value.get("Type"), value.get("AmbiguousRoleResolution")
    if kind not in ("Token", "Rules"):
        raise ValueError(f"Type is Token or Rules, not {kind!r}")
    if ambiguous not in ("AuthenticatedRole", "Deny"):
        raise ValueError(f"AmbiguousRoleResolution is required for the type {kind}")
    rules: Sequence[Mapping[str, str]] = (value.get("RulesConfiguration") or {}).get("Rules") or []
    if kind == "Rules" and not rules:
        raise ValueError("RulesConfiguration is required for the type Rules")
    return RoleMapping(kind, ambiguous, tuple(_rule(rule) for rule in rules))


def _rule(rule: Mapping[str, str]) -> MappingRule:
    match_type = rule.get("MatchType")
    if match_type not in get_args(MatchType):
        raise ValueError(
            f"MatchType is one of Equals, Contains, StartsWith, NotEqual, not {match_type!r}"
        )
    try:
        return MappingRule(
            rule["Claim"], cast(MatchType, match_type), rule["Value"], rule["RoleARN"]
        )
    except KeyError as error:
        raise ValueError(f"a rule has no {error.args[0]}") from error


def _default(authenticated_role: str | None) -> Choice:
    return Choice(authenticated_role) if authenticated_role else Choice(None, "no_default_role")


def _texts(value: Any, *, commas: bool = False) -> list[str]:
    """Return the strings in a claim: itself, or the members of a list; other types hold none."""
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")] if commas else [value]
    if isinstance(value, list):
        return [item for item in value if isinstance(item, str)]
    return []
