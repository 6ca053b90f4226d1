"""Whose account ``cognito-rules forget`` means, by a user name or a sub."""

from collections.abc import Callable
from uuid import uuid4

import pytest
import typer

from cli.forget import Account
from cli.stack import DeployedStack
from local.server import EmbeddedAws
from tests.local.queues_stack import QueuesStack


@pytest.fixture(scope="module")
def deployed(aws: EmbeddedAws) -> QueuesStack:
    return QueuesStack.deployed(aws, ())


@pytest.fixture
def account(deployed: QueuesStack, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Account]:
    for name, value in deployed.aws.environment.items():
        monkeypatch.setenv(name, value)
    return lambda name: Account(DeployedStack(deployed.name), name)


def sign_up(deployed: QueuesStack, username: str) -> str:
    """Make an account, and return its sub."""
    made = deployed.aws.client("cognito-idp").admin_create_user(
        UserPoolId=deployed.outputs["UserPoolId"], Username=username
    )["User"]
    return next(str(a["Value"]) for a in made["Attributes"] if a["Name"] == "sub")


@pytest.mark.parametrize("by_sub", [True, False], ids=["the sub", "the user name"])
def test_an_account_is_found_by(
    deployed: QueuesStack, account: Callable[[str], Account], by_sub: bool
) -> None:
    # As of people from an identity provider, whom AdminGetUser does not find by their sub.
    username = f"google_{uuid4().int}"
    sub = sign_up(deployed, username)

    found = account(sub if by_sub else username)

    assert (found.exists, found.sub) == (True, sub)
    found.disable()
    found.delete()
    assert not account(sub).exists


def test_of_an_account_that_is_gone_the_sub_is_known(account: Callable[[str], Account]) -> None:
    sub = str(uuid4())

    found = account(sub)

    assert (found.exists, found.sub) == (False, sub)


def test_whoever_chose_the_sub_of_somebody_as_user_name_is_not_taken_for_them(
    deployed: QueuesStack, account: Callable[[str], Account], capsys: pytest.CaptureFixture[str]
) -> None:
    gone = str(uuid4())
    other = sign_up(deployed, gone)

    with pytest.raises(typer.Exit):
        account(gone)

    assert f"the user name of {other}" in capsys.readouterr().err
