"""Somebody who publishes chains with the command line, and what sign-ins make of them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import tomlkit
from typer.testing import CliRunner, Result

from cli.main import app as command_line
from local.chain import restart_triggers
from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN

ROLES, STAFF = "https://example.com/roles", ["staff"]


def entry(**changes: Any) -> dict[str, Any]:
    """Return an entry that puts a person's groups into a claim."""
    given = {
        "rule": "add_roles_to_tokens",
        "id": "roles",
        "configuration": {"namespace": "https://example.com/", "source": "groups"},
        "placement": "inline",  # a shadow in a function of its own is not waited for
    }
    return given | changes


def chain(*entries: dict[str, Any]) -> str:
    """Return the chain of these tests with more entries, as TOML."""
    document = tomlkit.parse(CHAIN).unwrap()
    document["rules"] += entries
    return tomlkit.dumps(document)


class Operator:
    """Somebody at a terminal with the command line, a chain.toml and credentials."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.file = folder / "chain.toml"
        self.environment: dict[str, str | None] = {**stack.aws.environment, "COLUMNS": "200"}

    def run(self, *arguments: str, document: str | None = None) -> Result:
        if document is not None:
            self.file.write_text(document)
        return CliRunner().invoke(command_line, ["chain", *arguments], env=self.environment)

    def publish(self, document: str, *options: str) -> Result:
        return self.run("publish", str(self.file), *options, document=document)

    def puts(self, document: str) -> None:
        """Publish a chain; the triggers hear of it within a minute, where that does not matter."""
        result = self.publish(document, "--emergency")
        assert result.exit_code == 0, result.output

    def goes_live(self, document: str) -> None:
        """Publish a chain, and let the triggers hear of it at once instead of within a minute."""
        self.puts(document)
        restart_triggers(self.stack.aws, self.stack.outputs)

    def live(self) -> Any:
        return json.loads(self.run("show", "--json").output)


def roles(app: App, person: Person) -> Any:
    return app.srp(person.username, person.password).id_claims.get(ROLES)


def records(stack: Stack, user_id: str) -> list[dict[str, Any]]:
    """Return what the login function logged of a person's triggers, oldest first."""
    logs = stack.aws.client("logs")
    deadline = time.monotonic() + 10
    while True:
        events = logs.filter_log_events(
            logGroupName=stack.outputs["LoginLogGroup"], filterPattern=f'"{user_id}"'
        )["events"]
        lines = [json.loads(event["message"]) for event in events]
        found = [line for line in lines if line["message"] == "login decided"]
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.1)
