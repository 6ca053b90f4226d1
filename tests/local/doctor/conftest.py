"""A stack that the tests of the doctor break, one piece each, and the doctor's word on it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from local.server import EmbeddedAws
from local.stack import Stack
from tests.local.doctor.broken import CHAIN, Finds


@pytest.fixture(scope="package")
def aws() -> Iterator[EmbeddedAws]:
    """An emulator of its own: these tests leave a broken stack behind."""
    with EmbeddedAws.started() as running:
        yield running


@pytest.fixture(scope="package")
def deployed(aws: EmbeddedAws) -> Stack:
    return Stack.deployed(aws)


@pytest.fixture(scope="package")
def command(aws: EmbeddedAws) -> Callable[..., Result]:
    environment = {n: v for n, v in aws.environment.items() if n.startswith("AWS_")}

    def run(*arguments: str, **environs: str) -> Result:
        given = environment | {"COLUMNS": "240", "AWS_PROFILE": None} | environs
        return CliRunner().invoke(app, ["doctor", *arguments], env=given)

    return run


@pytest.fixture(scope="package")
def fresh(deployed: Stack, command: Callable[..., Result]) -> Result:
    """What the doctor says before anything is broken."""
    return command("--json")


@pytest.fixture(scope="module")
def stack(deployed: Stack, fresh: Result) -> Stack:
    """The stack with a chain for it; a test that breaks anything else mends it."""
    deployed.use_chain(CHAIN)
    return deployed


@pytest.fixture
def finds(stack: Stack, command: Callable[..., Result]) -> Finds:
    """Run one check and return the level and the text of all that is not well."""

    def run(name: str, *arguments: str) -> list[tuple[str, str]]:
        result = command("--check", name, "--json", *arguments)
        found = json.loads(result.stdout)
        assert result.exit_code == int(any(item["level"] == "error" for item in found))
        assert all(item["do"] for item in found if item["level"] != "ok")
        return [(item["level"], item["what"]) for item in found if item["level"] != "ok"]

    return run
