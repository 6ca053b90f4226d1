"""The procedures in docs/operations.md that need nothing but a deployment, rehearsed."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cognito_rules.chain import Chain
from cognito_rules.manifest import catalogue
from local import leash
from local.deployment import BUILT
from local.server import PROJECT
from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN, STAFF
from tests.local.stack.patience import let_in, make_person, refusal
from tests.local.stack.rule_functions import function_of

pytestmark = pytest.mark.timeout(300)

GUARD = 'rule = "require_group"'
TRIAL_CLAIM = "https://example.com/roles"
TRIAL = """
[[rules]]
rule = "add_roles_to_tokens"
placement = "inline"
rollout = 10
configuration = { namespace = "https://example.com/", source = "groups" }
"""
A_BAD_RELEASE = "def handler(event, context):\n    raise KeyError(event['userName'])\n"


@pytest.fixture(scope="module")
def person(deployed: Stack) -> Iterator[Person]:
    """Somebody made before anything is broken; afterwards the other tests' chain is back."""
    yield make_person(deployed, "operator", groups=[STAFF], app_metadata={"plan": "gold"})
    deployed.use_chain(CHAIN)


def test_a_rule_whose_function_is_broken_can_be_taken_out(
    person: Person, stack: Stack, app: App
) -> None:
    with stack.aws.outage({f"lambda:{function_of(stack, 'require_group')}": "unavailable"}):
        assert "try_again" in refusal(app, person)
        stack.use_chain(CHAIN.replace(GUARD, f'{GUARD}\nmode = "off"'))
        claims = let_in(app, person).id_claims

    assert claims["https://example.com/chain"] == "decided"


def test_a_bad_release_is_gone_when_the_one_before_is_deployed_again(
    person: Person, stack: Stack, app: App, tmp_path: Path
) -> None:
    bad = tmp_path / "build"
    shutil.copytree(BUILT.parent, bad)
    (bad / "LoginFunction" / "app.py").write_text(A_BAD_RELEASE)

    deploy(stack, bad)
    assert "failed with error" in refusal(app, person)
    deploy(stack, BUILT.parent)

    assert let_in(app, person).id_token is not None
    assert stack.profile(person.user_id)["app_metadata"] == {"plan": "gold"}


def test_a_change_goes_from_shadow_over_a_tenth_of_the_people_to_all(
    person: Person, stack: Stack, app: App
) -> None:
    trial = Chain.parse_toml(TRIAL, catalogue()).entries[0]
    people = (make_person(stack, f"trial{number}", groups=[STAFF]) for number in range(200))
    among, beside = person, person
    while not trial.is_rolled_out_to(among.user_id) or trial.is_rolled_out_to(beside.user_id):
        one = next(people)
        among, beside = (one, beside) if trial.is_rolled_out_to(one.user_id) else (among, one)

    def who_has_it() -> list[bool]:
        signed_in = [let_in(app, one) for one in (among, beside)]
        return [TRIAL_CLAIM in tokens.id_claims for tokens in signed_in]

    stack.use_chain(TRIAL.replace("rollout = 10", 'mode = "shadow"'))
    in_shadow = who_has_it()
    stack.use_chain(TRIAL)
    for_a_tenth = who_has_it()
    stack.use_chain(TRIAL.replace("rollout = 10", "rollout = 100"))

    assert in_shadow == [False, False]
    assert for_a_tenth == [True, False]
    assert who_has_it() == [True, True]


def deploy(stack: Stack, built: Path) -> None:
    """Run ``sam deploy`` of a build; parameters keep their values."""
    sam = Path(sys.executable).with_name("sam")
    template = str(built / "template.yaml")
    command = [str(sam), "deploy", "--template-file", template, "--config-env", "local"]
    environment = stack.aws.environment | {"SAM_CLI_POLL_DELAY": "0.3"}
    config = ["--config-file", str(PROJECT / "samconfig.toml")]
    finished = leash.run([*command, *config, "--no-progressbar"], cwd=PROJECT, env=environment)
    assert finished.returncode == 0, f"{finished.stdout}\n{finished.stderr}"
