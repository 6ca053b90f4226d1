"""The doctor on a fresh stack, and what it says where it may not look."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import Result

from cli.checks import CHECKS
from local.server import EmbeddedAws
from local.stack import Stack

# What a deployment into the embedded AWS leaves as it is: nobody to alarm, no protection of the
# stack, and no backups, which it does not make of a template.
LEFT = {"alarms", "stack_protection", "tables"}


def test_a_fresh_stack_is_well(fresh: Result) -> None:
    found = json.loads(fresh.stdout)

    assert fresh.exit_code == 0
    assert {item["check"] for item in found} == set(CHECKS)
    assert {item["check"] for item in found if item["level"] == "warning"} == LEFT


def test_the_table_shows_what_to_do(command: Callable[..., Result], fresh: Result) -> None:
    result = command("--check", "alarms")

    assert result.exit_code == 0
    assert "Deploy with AlarmTopicArn" in result.output
    assert "0 errors, 1 warnings" in result.output


def test_a_command_to_run_stands_on_one_line_in_eighty_columns(
    command: Callable[..., Result], fresh: Result
) -> None:
    result = command("--check", "tables", "--check", "triggers", COLUMNS="80")

    assert "…" not in result.output
    [line] = [line for line in result.output.splitlines() if "aws dynamodb" in line]
    assert line.endswith("PointInTimeRecoveryEnabled=true")
    assert "Every trigger calls this stack, by its alias" in result.output


def test_what_may_not_be_asked_is_said(
    aws: EmbeddedAws, stack: Stack, command: Callable[..., Result]
) -> None:
    iam = aws.client("iam")
    iam.create_user(UserName="narrow")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": "cloudformation:DescribeStacks", "Resource": "*"}
        ],
    }
    iam.put_user_policy(UserName="narrow", PolicyName="p", PolicyDocument=json.dumps(policy))
    key = iam.create_access_key(UserName="narrow")["AccessKey"]

    result = command(
        "--check",
        "pool_protection",
        "--json",
        AWS_ACCESS_KEY_ID=key["AccessKeyId"],
        AWS_SECRET_ACCESS_KEY=key["SecretAccessKey"],
    )

    [found] = json.loads(result.stdout)
    assert result.exit_code == 0
    assert found["level"] == "warning"
    assert "Not checked: DescribeUserPool: AccessDenied" in found["what"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["--check", "weather"], "There is no check weather", id="no such check"),
        pytest.param(["--stack", "absent"], "There is no stack absent", id="no such stack"),
    ],
)
def test_wrong_input_is_one_line(
    command: Callable[..., Result], arguments: list[str], said: str
) -> None:
    result = command(*arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
