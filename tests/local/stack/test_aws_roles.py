"""Nobody gets an AWS role that no rule granted. Beside each test stands who decides it here.

The emulator checks signatures, trust policies and IAM policies; which role an ID token may name is
decided by our completion of it, after AWS, "Role-based access control".
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.server import EmbeddedAws
from local.sign_in import App, Tokens
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN

NewPerson = Callable[..., Person]


def group(stack: Stack, role: str) -> str:
    return next(g for g, arn in stack.role_of_group.items() if arn.endswith(role))


def arn(stack: Stack, role: str) -> str:
    return stack.role_of_group[group(stack, role)]


def error_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def sign_in(stack: Stack, person: Person) -> Tokens:
    return stack.web.srp(person.username, person.password)


@pytest.fixture
def developer(stack: Stack, new_person: NewPerson) -> Person:
    profile = {"project": "apollo", "cost_center": "42"}
    return new_person(groups=["staff", group(stack, "developer")], app_metadata=profile)


def test_a_granted_role_opens_what_its_policies_say(stack: Stack, developer: Person) -> None:
    """Decided by the emulator's IAM, with the tags that our completion puts on the session."""
    credentials = stack.credentials(sign_in(stack, developer))
    s3 = stack.aws.client("s3", credentials)
    bucket, own = stack.outputs["ExampleBucket"], credentials["IdentityId"]

    s3.put_object(Bucket=bucket, Key=f"users/{own}/file", Body=b"mine")
    s3.put_object(Bucket=bucket, Key="projects/apollo/file", Body=b"ours")

    assert s3.get_object(Bucket=bucket, Key=f"users/{own}/file")["Body"].read() == b"mine"
    for key in ("users/other/file", "projects/zeus/file", "projects/file", "file"):
        assert error_of(partial(s3.get_object, Bucket=bucket, Key=key)) == "AccessDenied"
    iam = stack.aws.client("iam", credentials)
    assert error_of(iam.list_roles) == "AccessDenied"


def test_without_a_project_no_project_is_open(stack: Stack, new_person: NewPerson) -> None:
    """Decided by the emulator's IAM: the policy's Null guard."""
    person = new_person(groups=["staff", group(stack, "developer")])
    s3 = stack.aws.client("s3", stack.credentials(sign_in(stack, person)))
    bucket = stack.outputs["ExampleBucket"]

    for key in ("projects//file", "projects/apollo/file"):
        assert error_of(partial(s3.get_object, Bucket=bucket, Key=key)) == "AccessDenied"


def test_a_custom_role_that_was_not_granted(stack: Stack, developer: Person) -> None:
    """Decided by our completion: CustomRoleArn must be one of cognito:roles."""
    tokens = sign_in(stack, developer)
    wanted = arn(stack, "administrator")

    assert error_of(lambda: stack.credentials(tokens, role_arn=wanted)) == "NotAuthorizedException"


def test_a_person_without_a_mapped_group_gets_nothing(stack: Stack, new_person: NewPerson) -> None:
    """Decided by our completion: no role in the token, ambiguous resolution Deny."""
    tokens = sign_in(stack, new_person(groups=["staff"]))

    assert tokens.id_claims["aws_tag_granted"] == ":none:"
    assert error_of(lambda: stack.credentials(tokens)) == "NotAuthorizedException"


def test_assume_role_with_web_identity_around_the_pool(stack: Stack, developer: Person) -> None:
    """Decided by the emulator: signature and issuer; a user pool is no provider of these roles."""
    sts = stack.aws.client("sts")
    tokens = sign_in(stack, developer)

    code = error_of(
        lambda: sts.assume_role_with_web_identity(
            RoleArn=arn(stack, "developer"),
            RoleSessionName="around",
            WebIdentityToken=str(tokens.id_token),
        )
    )

    assert code in ("AccessDenied", "InvalidIdentityToken")


def test_the_classic_flow_is_closed(stack: Stack, developer: Person) -> None:
    """Decided by our completion: AllowClassicFlow false."""
    identity = stack.aws.client("cognito-identity")
    login = f"cognito-idp.{stack.aws.environment['AWS_REGION']}.amazonaws.com/{stack.pool_id}"
    logins = {login: str(sign_in(stack, developer).id_token)}
    identity_id = identity.get_id(IdentityPoolId=stack.outputs["IdentityPoolId"], Logins=logins)

    code = error_of(
        lambda: identity.get_open_id_token(IdentityId=identity_id["IdentityId"], Logins=logins)
    )

    assert code == "InvalidParameterException"


@pytest.mark.parametrize(
    "tamper",
    [
        pytest.param(lambda token: token[:-6] + "AAAAAA", id="another signature"),
        pytest.param(lambda token: ".".join([*token.split(".")[:2], ""]), id="no signature"),
        pytest.param(
            lambda token: token.replace(token.split(".")[1], token.split(".")[1][:-4] + "fX0="),
            id="other claims",
        ),
    ],
)
def test_an_altered_token(stack: Stack, developer: Person, tamper: Callable[[str], str]) -> None:
    """Decided by the emulator, and our completion: the pool's own key."""
    tokens = sign_in(stack, developer)
    altered = Tokens(tokens.access_token, tamper(str(tokens.id_token)), None, 900)

    assert error_of(lambda: stack.credentials(altered)) == "NotAuthorizedException"


def test_an_access_token_is_no_identity(stack: Stack, developer: Person) -> None:
    """Decided by our completion: token_use."""
    tokens = sign_in(stack, developer)
    wrong = Tokens(tokens.access_token, tokens.access_token, None, 900)

    assert error_of(lambda: stack.credentials(wrong)) == "NotAuthorizedException"


def test_a_token_of_another_application(stack: Stack, app: App, developer: Person) -> None:
    """Decided by the emulator: aud is not the client of the identity pool."""
    tokens = app.srp(developer.username, developer.password)

    assert error_of(lambda: stack.credentials(tokens)) == "NotAuthorizedException"


def test_a_refresh_after_the_group_is_gone_takes_the_role_along(
    stack: Stack, developer: Person
) -> None:
    """Decided by the rule, at the refresh."""
    tokens = sign_in(stack, developer)
    stack.remove_from_group(developer.username, group(stack, "developer"))

    refreshed = stack.web.refresh_by_initiate_auth(str(tokens.refresh_token))

    assert refreshed.id_claims.get("cognito:roles", []) == []
    assert error_of(lambda: stack.credentials(refreshed)) == "NotAuthorizedException"


@pytest.mark.parametrize("name", ["cognito:roles", "cognito:preferred_role", "aws_tag_granted"])
def test_no_chain_document_can_make_a_rule_write_the_claims_of_roles(
    stack: Stack, name: str
) -> None:
    """Decided by the chain's own check, at publication: such a document decides no login."""
    claim = json.dumps([arn(stack, "administrator")])
    document = CHAIN.replace('{ chain = "decided" }', f'{{ "{name}" = {claim} }}').replace(
        'namespace = "https://example.com/"', f'unprefixed = ["{name}"]'
    )

    with pytest.raises(ClientError, match="does not pass its validator"):
        stack.use_chain(document)


def test_two_groups_give_two_roles_and_the_better_one_is_preferred(
    stack: Stack, new_person: NewPerson
) -> None:
    """Decided by the rule; which of them a client may take, by our completion."""
    groups = ["staff", group(stack, "read-only"), group(stack, "developer")]
    tokens = sign_in(stack, new_person(groups=groups))

    assert tokens.id_claims["cognito:roles"] == [arn(stack, "developer"), arn(stack, "read-only")]
    assert tokens.id_claims["cognito:preferred_role"] == arn(stack, "developer")
    assert tokens.id_claims["aws_tag_granted"] == ":developer:read_only:"
    credentials = stack.credentials(tokens, role_arn=arn(stack, "read-only"))
    who = stack.aws.client("sts", credentials).get_caller_identity()["Arn"]
    assert "read-only" in who


def test_nobody_but_the_identity_pool_can_assume_the_roles(aws: EmbeddedAws, stack: Stack) -> None:
    """Decided by the emulator's evaluation of the trust policy."""
    root = aws.client("sts")

    code = error_of(
        lambda: root.assume_role(RoleArn=arn(stack, "administrator"), RoleSessionName="root")
    )

    assert code == "AccessDenied"
