"""Somebody in two groups that carry IAM roles, in a pool of each module's own."""

import json

import pytest

from local.server import EmbeddedAws
from local.sign_in import App
from tests.local.two_groups import READER, WRITER
from tests.local.user_pool import UserPool


@pytest.fixture(scope="session", autouse=True)
def roles(aws: EmbeddedAws) -> None:
    """A group can only bring a role that exists."""
    for arn in (READER, WRITER):
        aws.client("iam").create_role(
            RoleName=arn.rsplit("/", 1)[1],
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": []}),
        )


@pytest.fixture(scope="module")
def app(pool: UserPool) -> App:
    return pool.app()


@pytest.fixture(scope="module")
def person(pool: UserPool) -> str:
    """Somebody in two groups, the more important one made last."""
    name = pool.person(given_name="Ada")
    pool.group("staff", name, Precedence=20, RoleArn=READER)
    pool.group("bosses", name, Precedence=10, RoleArn=WRITER)
    return name
