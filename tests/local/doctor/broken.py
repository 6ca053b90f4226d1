"""How tests of the doctor break a deployed stack."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from cli.user_pool import UserPool
from local.server import ACCOUNT_ID, EmbeddedAws
from local.stack import Stack

CHAIN = """
[[rules]]
rule = "require_verified_email"
when = { applications = ["*"] }

[[rules]]
rule = "require_group"
when = { applications = ["*"] }
configuration = { groups = ["finance"] }

[[rules]]
rule = "add_email_to_access_token"
when = { applications = ["*"] }
configuration = { namespace = "https://example.com/" }
"""
RULES = {
    "Rules": [
        {
            "Claim": "email",
            "MatchType": "Contains",
            "Value": "@",
            "RoleARN": f"arn:aws:iam::{ACCOUNT_ID}:role/x",
        }
    ]
}
OTHER = f"arn:aws:lambda:eu-west-1:{ACCOUNT_ID}:function:other"

# Runs one check; level and text of all that is not well.
Finds = Callable[..., list[tuple[str, str]]]


def rewire(aws: EmbeddedAws, stack: Stack, **settings: Any) -> None:
    """Change settings of the pool, keeping the others; of LambdaConfig, single triggers."""
    cognito = aws.client("cognito-idp")
    pool = UserPool.read(cognito, stack.pool_id)
    wired = pool.triggers | settings.pop("triggers", {})
    changed = pool.changed({n: v for n, v in wired.items() if v}, pool.tags)
    cognito.update_user_pool(**changed.request() | settings)


def wire_back(aws: EmbeddedAws, stack: Stack) -> None:
    login, sign_up = (stack.outputs[f"{name}FunctionAlias"] for name in ("Login", "SignUp"))
    triggers = {
        "PreSignUp": sign_up,
        "PostAuthentication": login,
        "PostConfirmation": login,
        "PreTokenGenerationConfig": {"LambdaArn": login, "LambdaVersion": "V3_0"},
    }
    rewire(aws, stack, triggers=triggers)


def publish(aws: EmbeddedAws, stack: Stack, **configuration: Any) -> None:
    """Change the login function and let the alias follow."""
    client = aws.client("lambda")
    client.update_function_configuration(FunctionName=stack.login_function, **configuration)
    version = client.publish_version(FunctionName=stack.login_function)["Version"]
    client.update_alias(FunctionName=stack.login_function, Name="live", FunctionVersion=version)


def identity_pool(aws: EmbeddedAws, stack: Stack, **changes: Any) -> None:
    identity = aws.client("cognito-identity")
    pool = identity.describe_identity_pool(IdentityPoolId=stack.outputs["IdentityPoolId"])
    pool.pop("ResponseMetadata")
    told = {name: value for name, value in (pool | changes).items() if value != ""}
    identity.update_identity_pool(**told)


@contextmanager
def without_validator(stack: Stack) -> Iterator[None]:
    """Let a document be published that the rules which are deployed now would refuse."""
    client = stack.aws.client("appconfig")
    profile = {
        "ApplicationId": stack.outputs["ChainApplicationId"],
        "ConfigurationProfileId": stack.outputs["ChainProfileId"],
    }
    validators = client.get_configuration_profile(**profile)["Validators"]
    client.update_configuration_profile(**profile, Validators=[])
    try:
        yield
    finally:
        client.update_configuration_profile(**profile, Validators=validators)
