"""``cognito-rules rules``: what there is."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.rules import rule_names


def command(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["rules", *arguments], env={"COLUMNS": "200"})


def test_every_rule_has_a_line() -> None:
    lines = command().output.splitlines()
    starts = [line.split()[0] for line in lines[1:] if not line.startswith(" ")]  # not wrapped

    assert starts == rule_names()


def test_a_stage_narrows_the_list() -> None:
    result = command("--stage", "after_login", "--json")

    assert {rule["stage"] for rule in json.loads(result.output).values()} == {"after_login"}


@pytest.mark.parametrize("stage", ["", "tokens"])
def test_an_unknown_stage_is_one_clear_message(stage: str) -> None:
    result = command("--stage", stage)

    assert result.exit_code == 2
    assert "there are sign_up, challenge, post_authentication, token" in result.output
