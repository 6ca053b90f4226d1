"""A bad publication rolled back, and logins while AppConfig is down, as docs/operations.md says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app as command_line
from local.chain import restart_triggers
from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN, STAFF
from tests.local.stack.patience import let_in, make_person, refusal

pytestmark = pytest.mark.timeout(300)

# Checked without a complaint, and wrong: nobody is in that group.
A_BAD_CHAIN = CHAIN.replace(f'groups = ["{STAFF}"]', 'groups = ["stafff"]')
CLAIM = "https://example.com/chain"


@pytest.fixture(scope="module")
def person(deployed: Stack) -> Iterator[Person]:
    yield make_person(deployed, "publisher", groups=[STAFF])
    deployed.use_chain(CHAIN)


def command(stack: Stack, *arguments: str) -> Result:
    """Run ``cognito-rules chain`` against the stack."""
    environment: dict[str, str | None] = {
        name: value for name, value in stack.aws.environment.items() if name.startswith("AWS_")
    }
    return CliRunner().invoke(
        command_line, ["chain", *arguments], env=environment | {"AWS_PROFILE": None}
    )


def in_new_environments(stack: Stack) -> None:
    """Let the next login ask for the chain at once, and not when its minute is over."""
    restart_triggers(stack.aws, stack.outputs)


def test_a_bad_publication_is_rolled_back(
    person: Person, stack: Stack, app: App, tmp_path: Path
) -> None:
    document = tmp_path / "chain.toml"
    document.write_text(A_BAD_CHAIN)

    published = command(stack, "publish", "--emergency", str(document))
    in_new_environments(stack)
    refused = refusal(app, person)
    rolled_back = command(stack, "rollback")
    in_new_environments(stack)

    assert let_in(app, person).id_claims[CLAIM] == "decided"
    assert "access_denied" in refused
    assert (published.exit_code, rolled_back.exit_code) == (0, 0), rolled_back.output


def test_a_refused_publication_changes_nothing(
    person: Person, stack: Stack, app: App, tmp_path: Path
) -> None:
    document = tmp_path / "chain.toml"
    document.write_text('[[rules]]\nrule = "no_such_rule"\n')

    refused = command(stack, "publish", "--emergency", str(document))
    in_new_environments(stack)

    assert refused.exit_code != 0
    assert "no_such_rule" in refused.output
    assert let_in(app, person).id_claims[CLAIM] == "decided"


@pytest.mark.parametrize("mode", ["unavailable", "slow", "throttled", "denied"])
def test_without_appconfig_the_last_good_chain_decides(
    person: Person, stack: Stack, app: App, mode: str
) -> None:
    let_in(app, person)  # which leaves it in the table

    with stack.aws.outage({"appconfig": mode}):
        in_new_environments(stack)
        claims = let_in(app, person).id_claims

    assert claims[CLAIM] == "decided"


def test_without_appconfig_and_tables_the_packaged_chain_decides(
    person: Person, stack: Stack, app: App
) -> None:
    """It holds ``disable_flagged_users``, which refuses where the profile cannot be read."""
    with stack.aws.outage({"appconfig": "unavailable", "dynamodb": "unavailable"}):
        in_new_environments(stack)
        assert "try_again" in refusal(app, person)
