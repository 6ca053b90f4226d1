"""The page of the command line is what the commands say of themselves, and they say enough."""

from __future__ import annotations

from typing import Any

import pytest
from typer.testing import CliRunner

from cli.main import app
from tools import command_line
from tools.catalogue import ROOT

COMMANDS = command_line.commands()


def test_the_page_of_the_command_line_is_fresh() -> None:
    written = (ROOT / command_line.PAGE).read_text(encoding="utf-8")

    assert written == command_line.page(), "run `make docs`"


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_each_command_and_each_option_says_what_it_is_for(command: Any) -> None:
    assert command.help
    for parameter in command.params:
        assert parameter.help, parameter.name


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_secret_is_never_an_argument(command: Any) -> None:
    names = {name for parameter in command.params for name in parameter.opts}

    assert not names & {"--password", "--token", "--refresh-token", "--code"}


@pytest.mark.parametrize(
    ("typed", "completed"),
    [
        pytest.param("cognito-rules at", ["attach"], id="a command"),
        pytest.param(
            "cognito-rules tokens TokenGeneration_Hosted",
            [f"TokenGeneration_HostedAuth_V{version}" for version in (1, 2, 3)],
            id="an event",
        ),
    ],
)
def test_the_shell_completes_what_is_typed(typed: str, completed: list[str]) -> None:
    environment = {
        "_COGNITO_RULES_COMPLETE": "complete_bash",
        "COMP_WORDS": typed,
        "COMP_CWORD": str(len(typed.split()) - 1),
    }

    result = CliRunner().invoke(app, [], env=environment, prog_name="cognito-rules")

    assert result.stdout.split() == completed
