"""Captured logins: written by the rule's own role, printed and run again by the command line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cli.main import app as command_line
from cognito_rules.captures import CAPTURE
from cognito_rules.dynamodb_json import to_item
from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN

END = (datetime.now(UTC) + timedelta(hours=1)).isoformat(timespec="seconds")
# Before the guards, so that refused logins are seen too.
CAPTURING = f"""
[[rules]]
rule = "debug_capture"
configuration = {{ enabled_until = "{END}", fields = ["user.user_id", "user.groups"] }}
{CHAIN}"""


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack) -> Iterator[None]:
    stack.use_chain(CAPTURING)
    yield
    stack.use_chain(CHAIN)


def run(stack: Stack, *arguments: str) -> Result:
    environment: dict[str, str | None] = {**stack.aws.environment, "COLUMNS": "250"}
    return CliRunner().invoke(command_line, list(arguments), env=environment)


def ids(stack: Stack) -> list[str]:
    return re.findall(r"^[0-9A-Z]{26}", run(stack, "captures").output, re.MULTILINE)


def test_a_refused_login_is_captured_and_decides_the_same_at_home(
    stack: Stack, app: App, new_person: Callable[..., Person], tmp_path: Path
) -> None:
    person = new_person(groups=["guests"])
    with pytest.raises(SignInRefused, match="access_denied"):
        app.srp(person.username, person.password)

    printed = run(stack, "captures", ids(stack)[0])

    event = json.loads(printed.output)
    assert event["login"]["user"] == {"user_id": person.user_id, "groups": ["guests"]}
    # What it was is an event for any rule.
    event["configuration"] = {"groups": ["staff"]}
    file = tmp_path / "captured.json"
    file.write_text(json.dumps(event))
    tried = run(stack, "try", "require_group", "--event", str(file))
    assert "group_required" in tried.output


@pytest.mark.parametrize("has_expired", [False, True], ids=["never", "for a second"])
def test_what_is_not_there_is_said_in_one_line(stack: Stack, has_expired: bool) -> None:
    if has_expired:
        at = int(datetime.now(UTC).timestamp())
        item = {"captured_at": at - 3601, "expires_at": at - 1, "request": "{}"}
        item["pk"] = f"{CAPTURE}01JD8Z6V3N4W2B7QK5XGH9T1RM"
        stack.aws.client("dynamodb").put_item(
            TableName=stack.outputs["SessionsTable"], Item=to_item(item)
        )

    result = run(stack, "captures", "01JD8Z6V3N4W2B7QK5XGH9T1RM")

    assert result.exit_code == 2
    assert "may have expired" in result.output
    assert len(result.output.strip().splitlines()) == 1
