"""The chain taken out of a pool's login path and put back, as docs/operations.md says."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app as command_line
from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests.local.stack.patience import let_in, make_person, refusal

pytestmark = pytest.mark.timeout(300)

CLAIM = "https://example.com/chain"


@pytest.fixture(scope="module")
def person(deployed: Stack) -> Iterator[Person]:
    """Somebody whom the chain refuses, for want of the group."""
    yield make_person(deployed, "glass")
    command(deployed, "attach", "--yes")


# A pool may have others, which stay.
OURS = {"PreSignUp", "PostAuthentication", "PostConfirmation", "PreTokenGenerationConfig"}


def command(stack: Stack, *arguments: str) -> dict[str, Any]:
    """Run ``cognito-rules`` against the stack, and return the triggers that its pool has then."""
    environment: dict[str, str | None] = {
        name: value for name, value in stack.aws.environment.items() if name.startswith("AWS_")
    }
    result = CliRunner().invoke(
        command_line, list(arguments), env=environment | {"AWS_PROFILE": None}
    )
    assert result.exit_code == 0, result.output
    described = stack.aws.client("cognito-idp").describe_user_pool(UserPoolId=stack.pool_id)
    triggers: dict[str, Any] = described["UserPool"].get("LambdaConfig", {})
    return triggers


def test_a_detached_pool_lets_people_in_without_the_chain_and_an_attached_one_does_not(
    person: Person, stack: Stack, app: App
) -> None:
    assert "access_denied" in refusal(app, person)

    with stack.aws.outage({f"lambda:{stack.login_function}": "unavailable"}):
        with pytest.raises(SignInRefused, match="UnexpectedLambdaException"):
            app.srp(person.username, person.password)
        detached = command(stack, "detach", "--yes")
        claims = let_in(app, person).id_claims

    assert not OURS & set(detached)
    assert CLAIM not in claims
    attached = command(stack, "attach", "--yes")
    assert attached["PostAuthentication"] == stack.outputs["LoginFunctionAlias"]
    assert "access_denied" in refusal(app, person)
