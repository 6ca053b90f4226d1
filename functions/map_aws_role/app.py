"""Grant exactly the AWS roles that a person's groups entitle them to."""

import re
import unicodedata
from typing import Any

from cognito_rules import (
    UNKNOWN,
    ConfigurationError,
    Effects,
    Login,
    account_of,
    is_role_arn,
    lambda_rule,
)

_SAML = "https://aws.amazon.com/SAML/Attributes/"
_ROLE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_MAX_TAG_LENGTH = 256


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Map groups to roles by the template's table; for SAML also write AWS's attributes.

    Reads:  the list that ``group_source`` names (``login.user.groups``, ``user.app_metadata``,
            ``authorization.groups`` or ``.roles``), ``login.aws`` (what Cognito's groups carry),
            ``login.authentication.methods``, ``login.transaction.protocol``, and for the session
            name ``login.user.email``, ``email_verified``, ``username``, ``user_id``.
    Writes: ``set_aws_role`` at each run, an empty one too, so that no other role leaks through;
            ``set_saml_attribute`` where the protocol is samlp; ``deny`` with code ``no_aws_role``
            or ``aws_role_config``.
    Source: AWS, "Role-based access control" (Cognito identity pools), "Configure SAML assertions
            for the authentication response" (IAM); Auth0 docs, "Configure AWS for SSO".
    """
    settings = login.configuration
    groups = _groups_of(login)
    mappings: list[dict[str, Any]] = []
    roles: list[str] = []
    if groups is None:
        # Unreadable groups grant nothing: no default role, and no role of an older token.
        effects.warn("groups_unknown")
    else:
        mappings = _matching(login, groups)
        mapped = [settings["roles"][mapping["role"]] for mapping in mappings]
        roles = list(dict.fromkeys([*mapped, *_carried_by_groups(login, effects)]))
    preferred = _preferred(login, mappings, roles)

    if not roles and settings["no_match"] == "deny":
        effects.deny("You do not have access to AWS.", code="no_aws_role")
        return
    if not roles and groups is not None and settings["no_match"] == "default_role":
        preferred = settings["roles"][settings["default_role"]]
        roles = [preferred]
    if len(roles) > settings["max_roles"]:
        effects.deny(
            "Your account has too many AWS roles. Please contact support.", code="aws_role_config"
        )
        return
    effects.set_aws_role(roles, preferred=preferred)
    if login.transaction.protocol == "samlp" and roles:
        _write_assertion(login, effects, roles, mappings)


def _groups_of(login: Login) -> list[str] | None:
    """Return the group names from the configured source; None when it cannot be read."""
    source = login.configuration["group_source"]
    if source == "cognito_groups":
        groups = login.user.groups
    elif source == "authorization":
        groups = login.authorization.groups
    elif source == "authorization_roles":
        groups = login.authorization.roles
    elif login.user.app_metadata is UNKNOWN:
        groups = UNKNOWN
    else:
        groups = login.at("user.app_metadata." + login.configuration["app_metadata_path"], [])
    if groups is UNKNOWN:
        return None
    groups = [groups] if isinstance(groups, str) else groups
    well_formed = isinstance(groups, list) and all(isinstance(group, str) for group in groups)
    return groups if well_formed else []


def _matching(login: Login, groups: list[str]) -> list[dict[str, Any]]:
    """Return the mappings that hold for this person, best priority first."""
    methods = login.authentication.methods or []
    used_mfa = any("mfa" in (method.get("name"), method.get("type")) for method in methods)
    held = set(groups)
    matching = [
        mapping
        for mapping in login.configuration["mappings"]
        if mapping["group"] in held and (used_mfa or not mapping["require_mfa"])
    ]
    return sorted(matching, key=lambda mapping: int(mapping["priority"]))


def _carried_by_groups(login: Login, effects: Effects) -> list[str]:
    """Return those roles of the person's Cognito groups that ``mode`` lets through."""
    mode = login.configuration["mode"]
    carried = login.aws.roles or []
    if mode == "replace":
        return []
    if mode == "intersect":
        return [role for role in carried if role in login.configuration["roles"].values()]
    legal = [role for role in carried if is_role_arn(role)]
    if len(legal) < len(carried):
        effects.warn("aws_role_refused")
    return legal


def _preferred(login: Login, mappings: list[dict[str, Any]], roles: list[str]) -> str | None:
    """Return the role with the lowest priority number, or None where two roles share it."""
    if login.configuration["preferred"] == "none":
        return None
    if not mappings:
        carried = login.aws.preferred
        return carried if carried in roles else None
    best = mappings[0]["priority"]
    contenders = {mapping["role"] for mapping in mappings if mapping["priority"] == best}
    return roles[0] if len(contenders) == 1 else None


def _write_assertion(
    login: Login, effects: Effects, roles: list[str], mappings: list[dict[str, Any]]
) -> None:
    settings = login.configuration
    providers = {settings["roles"][m["role"]]: m["provider"] for m in mappings if m["provider"]}
    pairs = []
    for role in roles:
        provider = providers.get(role, settings["saml_provider_arn"])
        if provider and account_of(provider) == account_of(role):
            pairs.append(f"{role},{provider}")
    name = _session_name(login)
    if not pairs or name is None:
        # An assertion without one of the two is of no use to AWS, and half of it is a riddle.
        effects.warn("session_name_missing" if pairs else "saml_provider_missing")
        return
    durations = [m["session_duration"] or settings["session_duration"] for m in mappings]
    duration = min(durations, default=settings["session_duration"])
    effects.set_saml_attribute(_SAML + "Role", pairs)
    effects.set_saml_attribute(_SAML + "RoleSessionName", [name])
    effects.set_saml_attribute(_SAML + "SessionDuration", [str(duration)])
    if settings["source_identity"]:
        effects.set_saml_attribute(_SAML + "SourceIdentity", [login.user.user_id])


def _session_name(login: Login) -> str | None:
    """Return the first probe that survives cleaning: what CloudTrail calls this person."""
    values = {
        "email_if_verified": login.user.email if login.user.email_verified is True else None,
        "username": login.user.username,
        "user_id": login.user.user_id,
    }
    for probe in login.configuration["session_name"]:
        name = unicodedata.normalize("NFKC", values[probe] or "")
        name = re.sub(r"[^\w+=,.@-]", "-", name, flags=re.ASCII)[:64]
        # A name of dashes alone, from a script that AWS does not take, would be everybody's.
        if len(name) >= 2 and re.search(r"[A-Za-z0-9]", name):
            return name
    return None


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse roles that cannot be granted and references that lead nowhere."""
    roles = configuration["roles"]
    for key, arn in roles.items():
        if not _ROLE_KEY.fullmatch(key):
            raise ConfigurationError(
                f"roles: the key {key!r} may hold letters, digits, _ and - only"
            )
        if not is_role_arn(arn):
            raise ConfigurationError(
                f"roles.{key}: {arn!r} is no ARN of a role that can be granted"
            )
    for mapping in configuration["mappings"]:
        provider = mapping["provider"] or configuration["saml_provider_arn"]
        _check_role("mappings", mapping["role"], provider, roles)
    if configuration["default_role"] is not None:
        _check_role(
            "default_role", configuration["default_role"], configuration["saml_provider_arn"], roles
        )
    elif configuration["no_match"] == "default_role":
        raise ConfigurationError(
            "no_match is default_role, and template.yaml names no default_role"
        )
    if (
        configuration["group_source"] == "app_metadata_path"
        and not (configuration["app_metadata_path"])
    ):
        raise ConfigurationError("group_source is app_metadata_path: app_metadata_path is missing")
    # The granted keys become one principal tag, which holds 256 characters.
    longest = sorted((len(key) + 1 for key in roles), reverse=True)[: configuration["max_roles"]]
    if sum(longest) + 1 > _MAX_TAG_LENGTH:
        raise ConfigurationError("roles: max_roles keys together are too long for the tag granted")


def _check_role(where: str, key: str, provider: str | None, roles: dict[str, str]) -> None:
    if key not in roles:
        raise ConfigurationError(f"{where}: there is no role {key!r}")
    if provider and account_of(provider) != account_of(roles[key]):
        raise ConfigurationError(f"{where}: the role {key!r} and {provider} are of two accounts")
