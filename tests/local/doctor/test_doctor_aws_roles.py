"""What the doctor finds between an ID token and an AWS role."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.server import ACCOUNT_ID, EmbeddedAws
from local.stack import Stack
from tests.local.doctor.broken import (
    RULES,
    Finds,
    identity_pool,
)


@pytest.mark.parametrize(
    ("check", "changes", "said"),
    [
        pytest.param(
            "classic_flow", {"AllowClassicFlow": True}, "classic flow is on", id="classic"
        ),
        pytest.param(
            "unauthenticated_identities",
            {"AllowUnauthenticatedIdentities": True},
            "not signed in",
            id="nobody in particular",
        ),
        pytest.param(
            "identity_providers",
            {"SupportedLoginProviders": {"graph.facebook.com": "1"}},
            "believes graph.facebook.com",
            id="another provider",
        ),
    ],
)
def test_identity_pools_that_give_more(
    aws: EmbeddedAws, stack: Stack, finds: Finds, check: str, changes: dict[str, Any], said: str
) -> None:
    identity_pool(aws, stack, **changes)

    [(level, what)] = finds(check)

    assert level == "error"
    assert said in what


def test_a_provider_that_is_not_asked_again(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    identity = aws.client("cognito-identity")
    pool = identity.describe_identity_pool(IdentityPoolId=stack.outputs["IdentityPoolId"])
    ours = pool["CognitoIdentityProviders"][0]
    other = {**ours, "ProviderName": "cognito-idp.eu-west-1.amazonaws.com/eu-west-1_other"}
    unasked = {**ours, "ServerSideTokenCheck": False}
    identity_pool(aws, stack, CognitoIdentityProviders=[unasked, other], SupportedLoginProviders={})

    assert [level for level, _ in finds("identity_providers")] == ["warning", "error"]


def test_another_app_client_in_the_identity_pool(
    aws: EmbeddedAws, stack: Stack, finds: Finds
) -> None:
    identity = aws.client("cognito-identity")
    pool = identity.describe_identity_pool(IdentityPoolId=stack.outputs["IdentityPoolId"])
    ours = pool["CognitoIdentityProviders"][0] | {"ServerSideTokenCheck": True}
    both = [ours, ours | {"ClientId": "test0client"}]
    identity_pool(aws, stack, CognitoIdentityProviders=both, SupportedLoginProviders={})

    [(level, what)] = finds("identity_providers")

    assert level == "error"
    assert "app client test0client too" in what


def test_groups_that_carry_a_role(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    role = stack.outputs["NoAccessRoleArn"]
    aws.client("cognito-idp").create_group(
        UserPoolId=stack.pool_id, GroupName="powerful", RoleArn=role
    )

    [(level, what)] = finds("group_roles")

    assert level == "warning"
    assert f"powerful carries {role}" in what


@pytest.mark.parametrize(
    ("mapping", "said"),
    [
        pytest.param(
            {"Type": "Rules", "AmbiguousRoleResolution": "Deny", "RulesConfiguration": RULES},
            "by the token",
            id="rules of its own",
        ),
        pytest.param(
            {"Type": "Token", "AmbiguousRoleResolution": "AuthenticatedRole"},
            "gets the identity pool's default role",
            id="a default role",
        ),
    ],
)
def test_roles_that_no_rule_granted(
    aws: EmbeddedAws, stack: Stack, finds: Finds, mapping: dict[str, str], said: str
) -> None:
    identity = aws.client("cognito-identity")
    pool_id = stack.outputs["IdentityPoolId"]
    roles = identity.get_identity_pool_roles(IdentityPoolId=pool_id)
    [name] = roles["RoleMappings"]
    administrator = next(iter(stack.role_of_group.values()))
    identity.set_identity_pool_roles(
        IdentityPoolId=pool_id,
        Roles={"authenticated": administrator},
        RoleMappings={name: mapping},
    )

    found = finds("role_mapping")

    assert [level for level, _ in found] == ["error", "error"]
    assert said in found[0][1]
    assert f"default role is {administrator}" in found[1][1]


def test_sessions_without_the_tag_of_grants(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    aws.client("cognito-identity").set_principal_tag_attribute_map(
        IdentityPoolId=stack.outputs["IdentityPoolId"],
        IdentityProviderName=f"cognito-idp.eu-west-1.amazonaws.com/{stack.pool_id}",
        UseDefaults=False,
        PrincipalTags={"Project": "aws_tag_project"},
    )

    assert [level for level, _ in finds("principal_tags")] == ["error"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            {"Condition": {}},
            [
                "trusts other identity pools",
                "trusts people who are not signed in",
                "does not ask for the grant :read_only:",
            ],
            id="no condition",
        ),
        pytest.param(
            {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT_ID}:root"}},
            ["no rule decides about that way in"],
            id="another principal",
        ),
    ],
)
def test_roles_that_trust_too_much(
    aws: EmbeddedAws, stack: Stack, finds: Finds, change: dict[str, Any], said: list[str]
) -> None:
    iam = aws.client("iam")
    name = next(a for a in stack.role_of_group.values() if a.endswith("read-only")).split("/")[-1]
    before = iam.get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]
    after = {**before, "Statement": [before["Statement"][0] | change]}
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(after))

    found = finds("trust_policies")

    assert {level for level, _ in found} == {"error"}
    assert len(found) == len(said)
    for (_, what), text in zip(found, said, strict=True):
        assert text in what
    iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(before))
