"""``cognito-rules`` on the deployed stack."""

from __future__ import annotations

from typer.testing import CliRunner, Result

from cli.main import app
from local.stack import Stack


def run(stack: Stack, *arguments: str, given: str | None = None) -> Result:
    """Run a command with what it reads from standard input."""
    environment: dict[str, str | None] = {**stack.aws.environment, "COLUMNS": "250"}
    return CliRunner().invoke(app, list(arguments), env=environment, input=given)
