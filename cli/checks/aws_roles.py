"""From an ID token to an AWS role: the identity pool, and the roles that trust it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from cli.checks import Finding, check, error, warning
from cli.checks.subject import Subject
from cognito_rules.claims import GRANTED_TAG_CLAIM

_TRUSTED = "cognito-identity.amazonaws.com"
_DEPLOY = "Run `sam deploy`; the template has it right."


@check
def classic_flow(subject: Subject) -> Iterator[Finding]:
    """The identity pool's classic flow is off."""
    if subject.identity_pool.get("AllowClassicFlow"):
        yield error(
            "The classic flow is on: a token for any role that trusts the identity pool, granted "
            "or not",
            "Set AllowClassicFlow to false on the identity pool.",
        )


@check
def unauthenticated_identities(subject: Subject) -> Iterator[Finding]:
    """Nobody gets AWS credentials without signing in."""
    if subject.identity_pool.get("AllowUnauthenticatedIdentities"):
        yield error(
            "The identity pool gives credentials to people who are not signed in",
            "Set AllowUnauthenticatedIdentities to false on the identity pool.",
        )


@check
def identity_providers(subject: Subject) -> Iterator[Finding]:
    """The identity pool believes this user pool's tokens, after asking it."""
    pool = subject.identity_pool
    for provider in pool.get("CognitoIdentityProviders") or []:
        if provider.get("ProviderName") != subject.provider:
            yield error(
                f"The identity pool believes {provider.get('ProviderName')}, where no rule decides",
                "Remove that provider from the identity pool.",
            )
            continue
        if provider.get("ClientId") != subject.output("UserPoolClientId"):
            yield error(
                f"The identity pool believes tokens of the app client {provider.get('ClientId')} "
                "too",
                "Remove that client from the identity pool's providers.",
            )
        if not provider.get("ServerSideTokenCheck"):
            yield warning(
                "Tokens of people who were signed out everywhere are still exchanged for "
                "credentials",
                "Set ServerSideTokenCheck on the identity pool's provider.",
            )
    others = {
        *(pool.get("OpenIdConnectProviderARNs") or []),
        *(pool.get("SamlProviderARNs") or []),
        *(pool.get("SupportedLoginProviders") or {}),
    }
    if pool.get("DeveloperProviderName"):
        others.add(pool["DeveloperProviderName"])
    if others:
        yield error(
            f"The identity pool believes {', '.join(sorted(others))}, where no rule decides",
            "Remove these providers from the identity pool.",
        )


@check
def role_mapping(subject: Subject) -> Iterator[Finding]:
    """The identity pool gives the role that the rules granted, or none."""
    answer = subject.stack.client("cognito-identity").get_identity_pool_roles(
        IdentityPoolId=subject.output("IdentityPoolId")
    )
    mappings: Mapping[str, Any] = answer.get("RoleMappings") or {}
    provider = next((m for name, m in mappings.items() if name.startswith(subject.provider)), None)
    if provider is None or provider.get("Type") != "Token":
        yield error(
            "The identity pool does not choose the role by the token: what rules grant is ignored",
            _DEPLOY,
        )
    elif provider.get("AmbiguousRoleResolution") != "Deny":
        yield error(
            "A token without a granted role gets the identity pool's default role",
            "Set AmbiguousRoleResolution to Deny.",
        )
    default = (answer.get("Roles") or {}).get("authenticated")
    if default != subject.output("NoAccessRoleArn"):
        yield error(
            f"The identity pool's default role is {default}, which no rule granted",
            "Make NoAccessRole the default again, or deploy.",
        )


@check
def group_roles(subject: Subject) -> Iterator[Finding]:
    """No group of the user pool carries a role beside the template's table."""
    pages = subject.cognito.get_paginator("list_groups").paginate(UserPoolId=subject.pool_id)
    for group in (group for page in pages for group in page["Groups"]):
        if group.get("RoleArn"):
            yield warning(
                f"The group {group['GroupName']} carries {group['RoleArn']}: whoever may change "
                "groups grants it, and no template says so",
                "Take the role off the group, and put it into the table of map_aws_role.",
            )


@check
def principal_tags(subject: Subject) -> Iterator[Finding]:
    """AWS sessions carry the tag that says which roles were granted."""
    answer = subject.stack.client("cognito-identity").get_principal_tag_attribute_map(
        IdentityPoolId=subject.output("IdentityPoolId"), IdentityProviderName=subject.provider
    )
    tags = answer.get("PrincipalTags") or {}
    if answer.get("UseDefaults") or tags.get("granted") != GRANTED_TAG_CLAIM:
        yield error(
            f"The claim {GRANTED_TAG_CLAIM} does not become the session tag granted, which the "
            "roles ask for",
            _DEPLOY,
        )


@check
def trust_policies(subject: Subject) -> Iterator[Finding]:
    """Each role that rules can grant trusts this identity pool, and asks for the grant."""
    iam = subject.stack.client("iam")
    for key, arn in subject.roles.items():
        name = arn.rpartition("/")[2]
        role = iam.get_role(RoleName=name)["Role"]
        for problem in trust_problems(
            role["AssumeRolePolicyDocument"], key, subject.output("IdentityPoolId")
        ):
            yield error(f"The role {name} {problem}", "Deploy again, or correct its trust policy.")


def trust_problems(document: Mapping[str, Any], key: str, identity_pool: str) -> Iterator[str]:
    """Yield what is wrong with the trust policy of the role that is granted as ``key``."""
    statements = document.get("Statement", [])
    for statement in [statements] if isinstance(statements, dict) else statements:
        if statement.get("Effect") != "Allow":
            continue
        principal = statement.get("Principal")
        if principal != {"Federated": _TRUSTED}:
            yield f"trusts {principal} as well: no rule decides about that way in"
            continue
        conditions = statement.get("Condition") or {}
        if _values(conditions, f"{_TRUSTED}:aud") != [identity_pool]:
            yield "trusts other identity pools"
        if _values(conditions, f"{_TRUSTED}:amr") != ["authenticated"]:
            yield "trusts people who are not signed in"
        if _values(conditions, "aws:RequestTag/granted") != [f"*:{key}:*"]:
            yield f"does not ask for the grant :{key}: of the rules"


def _values(conditions: Mapping[str, Any], key: str) -> list[str]:
    found: list[str] = []
    for operator, tests in conditions.items():
        # A condition that an absent key meets is none.
        if "IfExists" in operator or "Not" in operator:
            continue
        for name, value in tests.items():
            if name.lower() == key.lower():
                found += [value] if isinstance(value, str) else value
    return found
