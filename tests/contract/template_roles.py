"""The IAM roles of template.yaml as an evaluator of policies needs them."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.contract.stack_template import ACCOUNT, Stack

# ARNs that only a deployment knows.
BUCKET = "arn:aws:s3:::example-bucket"
KNOWN = {
    "<ExampleBucket.Arn>": BUCKET,
    "<NoAccessRole.Arn>": f"arn:aws:iam::{ACCOUNT}:role/cognito-rules/no-access",
}
POOL = "<IdentityPool>"

JsonObject = dict[str, Any]


@dataclass(frozen=True)
class Role:
    """One role: its ARN, its trust policy, its permission policies by name, its boundary."""

    logical_id: str
    arn: str
    trust: JsonObject
    policies: Mapping[str, JsonObject]
    boundary: JsonObject


@cache
def stack() -> Stack:
    """Return the template with its default parameters."""
    return Stack()


@cache
def role(logical_id: str) -> Role:
    """Return a role with its inline policies and those that are resources of their own."""
    properties = with_arns(stack().properties(logical_id))
    inline = {one["PolicyName"]: one["PolicyDocument"] for one in properties.get("Policies", [])}
    separate = {
        name: with_arns(policy["PolicyDocument"])
        for name, policy in stack().of_type("AWS::IAM::Policy").items()
        if f"<{logical_id}>" in policy["Roles"]
    }
    assert "ManagedPolicyArns" not in properties
    boundary = properties["PermissionsBoundary"].strip("<>")
    return Role(
        logical_id,
        arn_of(logical_id),
        properties["AssumeRolePolicyDocument"],
        inline | separate,
        with_arns(stack().properties(boundary)["PolicyDocument"]),
    )


def arn_of(logical_id: str) -> str:
    """Return the ARN of a role."""
    arn: str = with_arns(stack().render({"Fn::GetAtt": [logical_id, "Arn"]}))
    return arn


def with_arns(value: Any) -> Any:
    """Return a rendered value with the stand-ins for ARNs replaced by ARNs."""
    text = json.dumps(value)
    for stand_in, arn in KNOWN.items():
        text = text.replace(stand_in, arn)
    return json.loads(text)
