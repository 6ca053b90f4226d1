"""What IAM takes of a role's policies, with the longest names that a stack can have.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.contract import stack_template
from tests.contract.stack_template import AFTER_LOGIN, Stack

# Characters without white space: of all inline policies of a role, and of a managed policy.
INLINE = 10_240
MANAGED = 6_144
# How many policies a role takes, by the quota that nobody has to ask AWS for.
ATTACHED = 10
# A stack's name has 22 characters at most, since names of functions are made from it.
LONGEST = {
    "AWS::AccountId": "111122223333",
    "AWS::Partition": "aws",
    "AWS::Region": "ap-southeast-1",
    "AWS::StackName": "s" * 22,
    "AWS::URLSuffix": "amazonaws.com",
}
PREFIX = f"arn:aws:%s:{LONGEST['AWS::Region']}:{LONGEST['AWS::AccountId']}:"
# What CloudFormation adds to a logical id to make a name of it.
SUFFIX = "-" + "X" * 13
ENOUGH_RULES = 40


@pytest.fixture
def stack(monkeypatch: pytest.MonkeyPatch) -> Stack:
    """The stack with everything that can be asked for, and the longest names."""
    for name, value in LONGEST.items():
        monkeypatch.setitem(stack_template.PSEUDO, name, value)
    everything = {
        "AlarmTopicArn": PREFIX % "sns" + "alarms",
        "DenylistCascade": "true",
        "EnableDenylist": "true",
        "KmsKeyArn": PREFIX % "kms" + "key/12345678-1234-1234-1234-123456789012",
        "RecordFromCloudTrail": "true",
    }
    return Stack(**everything)


def written_out(stack: Stack, document: Any) -> str:
    """Return a policy as IAM counts it, the stand-ins replaced by ARNs of their real length."""
    text = json.dumps(document, separators=(",", ":"))
    return re.sub(r"<([A-Za-z0-9]+)(?:\.([A-Za-z]+))?>", lambda m: arn_of(stack, m[1]), text)


def arn_of(stack: Stack, name: str) -> str:
    kind = stack.resources[name]["Type"]
    properties = stack.properties(name)
    generated = f"{LONGEST['AWS::StackName']}-{name}{SUFFIX}"
    match kind:
        case "AWS::Lambda::Function":
            return PREFIX % "lambda" + f"function:{properties['FunctionName']}"
        case "AWS::SQS::Queue":
            return PREFIX % "sqs" + str(properties["QueueName"])
        case "AWS::DynamoDB::Table":
            return PREFIX % "dynamodb" + f"table/{generated}/stream/2026-11-22T09:30:00.123"
        case "AWS::Logs::LogGroup":
            return PREFIX % "logs" + f"log-group:{properties['LogGroupName']}:*"
        case "AWS::SecretsManager::Secret":
            return PREFIX % "secretsmanager" + f"secret:{properties['Name']}-XXXXXX"
        case "AWS::Cognito::UserPool":
            return PREFIX % "cognito-idp" + f"userpool/{LONGEST['AWS::Region']}_XXXXXXXXX"
        case _:
            return PREFIX % "servicename" + generated


def inline_policies(stack: Stack) -> Mapping[str, str]:
    """Return the text of all inline policies by role."""
    texts: dict[str, str] = {}
    for role, properties in stack.of_type("AWS::IAM::Role").items():
        texts[role] = "".join(
            written_out(stack, policy["PolicyDocument"])
            for policy in properties.get("Policies", [])
        )
    for policy in stack.of_type("AWS::IAM::Policy").values():
        for role in policy["Roles"]:
            texts[role.strip("<>")] += written_out(stack, policy["PolicyDocument"])
    return texts


def managed_policies(stack: Stack) -> Iterator[tuple[str, str]]:
    for name, policy in stack.of_type("AWS::IAM::ManagedPolicy").items():
        yield name, written_out(stack, policy["PolicyDocument"])


def test_the_inline_policies_of_each_role_fit(stack: Stack) -> None:
    sizes = {role: len(text) for role, text in inline_policies(stack).items()}

    assert sizes
    assert {role: size for role, size in sizes.items() if size > INLINE} == {}


def test_each_managed_policy_fits(stack: Stack) -> None:
    sizes = {name: len(text) for name, text in managed_policies(stack)}

    assert {name: size for name, size in sizes.items() if size > MANAGED} == {}


def test_no_role_has_more_policies_than_it_can(stack: Stack) -> None:
    roles = stack.of_type("AWS::IAM::Role")

    assert max(len(role.get("ManagedPolicyArns", ())) for role in roles.values()) <= ATTACHED
    # What a policy attaches itself to would not be counted here.
    assert [n for n, p in stack.of_type("AWS::IAM::ManagedPolicy").items() if "Roles" in p] == []


def test_there_is_room_for_rules_to_come(stack: Stack) -> None:
    sizes = {name: len(text) for name, text in managed_policies(stack)}
    growing = {name: size for name, size in sizes.items() if name.startswith("Deliver")}

    for name, size in growing.items():
        assert size / len(AFTER_LOGIN) * ENOUGH_RULES <= MANAGED, name
    # Nothing of a rule's is in the role itself, which would not have the room.
    assert "sss-rule-" not in inline_policies(stack)["DeliverRole"]
    assert len(growing) == 3
