"""``cognito-rules trace`` on the deployed stack: real sign-ins, their records in CloudWatch."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app as command_line
from cli.stack import DeployedStack
from cli.traces import LoginTrace, TraceLog
from local.server import EmbeddedAws
from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN
from tests.moments import wait_for

NewPerson = Callable[..., Person]
IN_SHADOW = """
[[rules]]
rule = "weekday_access"
when = { applications = ["*"] }
mode = "shadow"

[[rules]]
rule = "require_verified_email"
when = { applications = ["*"] }
mode = "off"
"""


@pytest.fixture(autouse=True)
def environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stack.aws.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def chain(stack: Stack) -> Iterator[Stack]:
    stack.use_chain(IN_SHADOW + CHAIN)
    yield stack
    stack.use_chain(CHAIN)


@pytest.fixture(scope="module")
def member(chain: Stack, app: App) -> Person:
    """Somebody who signed in."""
    person = chain.person("traced", groups=["staff"], name="Trace Marker")
    app.srp(person.username, person.password)
    return person


def trace(*arguments: str) -> Result:
    return CliRunner().invoke(command_line, ["trace", *arguments], env={"COLUMNS": "200"})


def logins(*arguments: str) -> Any:
    result = trace(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def log_of(stack: Stack) -> TraceLog:
    return TraceLog(DeployedStack(stack.login_function.removesuffix("-login")))


def test_both_calls_of_a_login_are_joined(member: Person) -> None:
    [login] = logins(member.user_id)

    first, second = login["calls"]
    assert login["joined_by"] == "transaction_id"
    assert first["trigger"] == "PostAuthentication_Authentication"
    assert first["deferred"]["require_group"] == "user.groups"
    assert second["trigger"].startswith("TokenGeneration_")
    assert (second["outcome"], second["decision"]) == ("allow", "reused")
    assert second["told"] == ["record_events_splunk"]
    assert first["skipped"]["require_verified_email"] == "off"
    shadow = next(e for e in second["entries"] if e["entry"] == "weekday_access")
    assert shadow["shadow"] is True


def test_two_sign_ins_that_share_a_decision_are_two_logins(
    chain: Stack, app: App, new_person: NewPerson
) -> None:
    person = new_person(groups=["staff"])
    for _ in range(2):
        app.srp(person.username, person.password)

    assert [len(login["calls"]) for login in logins(person.user_id, "--last", "5")] == [2, 2]
    assert "1 earlier logins: --last 2" in trace(person.user_id).output


@pytest.mark.parametrize("key", ["transaction_id", "event_id", "email", "username", "first call"])
def test_a_login_is_found_by_each_of_its_names(chain: Stack, member: Person, key: str) -> None:
    [expected] = logins(member.user_id)
    first, last = expected["calls"]
    name = {
        "email": member.username,
        "username": member.user_id,
        "first call": first["event_id"],
    }.get(key) or last[key]

    assert logins(name) == [expected]


def test_the_timeline_names_every_entry(member: Person) -> None:
    result = trace(member.username)

    assert result.exit_code == 0
    for entry in ("disable_flagged_users", "require_group", "map_aws_role", "shadow: "):
        assert entry in result.output
    assert "let in" in result.output
    assert "deferred to the tokens: " in result.output
    assert "require_group (user.groups)" in result.output
    assert "require_verified_email (off)" in result.output
    assert "█" in result.output


def test_a_refused_login_says_by_whom(app: App, chain: Stack, new_person: NewPerson) -> None:
    person = new_person()
    with pytest.raises(SignInRefused):
        app.srp(person.username, person.password)

    [login] = logins(person.user_id)
    result = trace(person.user_id)

    assert (login["calls"][-1]["code"], login["calls"][-1]["entry"]) == (
        "group_required",
        "require_group",
    )
    assert "refused by require_group: group_required" in result.output


def test_no_line_of_the_log_names_the_person(chain: Stack, app: App, member: Person) -> None:
    since = int((time.time() - 5) * 1000)
    app.srp(member.username, member.password)

    def lines_since() -> list[str]:
        pages = chain.aws.client("logs").get_paginator("filter_log_events")
        found = pages.paginate(logGroupName=chain.outputs["LoginLogGroup"], startTime=since)
        return [event["message"] for page in found for event in page["events"]]

    wait_for(lambda: any(member.user_id in line for line in lines_since()))
    lines = lines_since()
    assert [line for line in lines if member.username in line or "Trace Marker" in line] == []


def test_cloudwatch_counts_logins_and_rules(chain: Stack, app: App, new_person: NewPerson) -> None:
    """Decided by our completion, which takes metrics from log lines as CloudWatch says it does."""
    name = chain.login_function.removesuffix("-login")
    of_stack = {"Name": "Stack", "Value": name}
    of_guard = [{"Name": "Rule", "Value": "require_group"}, of_stack]

    def total(metric: str, dimensions: list[dict[str, str]], statistic: str = "Sum") -> float:
        now = datetime.now(UTC)
        found = chain.aws.client("cloudwatch").get_metric_statistics(
            Namespace="CognitoRules",
            MetricName=metric,
            Dimensions=dimensions,
            StartTime=now - timedelta(hours=1),
            EndTime=now + timedelta(hours=1),
            Period=7200,
            Statistics=[statistic],
        )
        return float(sum(point[statistic] for point in found["Datapoints"]))

    counted: list[tuple[str, list[dict[str, str]], str]] = [
        ("Allowed", [of_stack], "Sum"),
        ("Denied", [of_stack], "Sum"),
        ("Denials", of_guard, "Sum"),
        ("Milliseconds", of_guard, "SampleCount"),
    ]
    before = [total(*metric) for metric in counted]
    member, stranger = new_person(groups=["staff"]), new_person()
    app.srp(member.username, member.password)
    with pytest.raises(SignInRefused):
        app.srp(stranger.username, stranger.password)

    after = [total(*metric) for metric in counted]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 1, 2]


def test_somebody_who_just_signed_in_is_waited_for(
    chain: Stack, app: App, new_person: NewPerson
) -> None:
    person, since = new_person(groups=["staff"]), datetime.now(UTC) - timedelta(seconds=5)
    log = log_of(chain)

    assert log.await_login(person.user_id, since=since, seconds=0) is None
    app.srp(person.username, person.password)
    login = log.await_login(person.user_id, since=since)

    assert isinstance(login, LoginTrace)
    assert login.is_over
    assert login.last["outcome"] == "allow"


def test_calls_that_share_no_decision_are_joined_by_person_and_time(
    stack: Stack, app: App, new_person: NewPerson
) -> None:
    """All entries wait for the token stage, so the first call leaves nothing to the second."""
    person = new_person(groups=["staff"])
    stack.use_chain(
        '[[rules]]\nrule = "require_group"\nwhen = { applications = ["*"] }\n'
        'configuration = { groups = ["staff"] }'
    )
    try:
        app.srp(person.username, person.password)
    finally:
        stack.use_chain(CHAIN)

    [login] = logins(person.user_id)
    [again] = logins(login["calls"][0]["transaction_id"])

    assert login["joined_by"] == "time"
    assert len(login["calls"]) == 2
    assert again == login


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        pytest.param(["6f1c2d9e-0000-4000-8000-00000000dead"], 1, "look further back", id="an id"),
        pytest.param(
            ["6f1c2d9e-0000-4000-8000-00000000dead", "--since", "40d"],
            1,
            "traces expire after 30 days",
            id="expired",
        ),
        pytest.param(["nobody@example.com"], 2, "There is no user nobody@example.com", id="nobody"),
        pytest.param(["x", "--since", "yesterday"], 2, "--since yesterday: write", id="a period"),
        pytest.param(["x", "--stack", "strange"], 2, "There is no stack strange", id="a stack"),
    ],
)
def test_what_is_not_there_is_one_line(
    chain: Stack, arguments: list[str], code: int, said: str
) -> None:
    result = trace(*arguments)

    assert result.exit_code == code
    assert said in result.output
    assert result.output.count("\n") == 1


def test_without_a_network_it_says_so_in_one_line(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")

    result = trace("6f1c2d9e-0000-4000-8000-00000000dead")

    assert result.exit_code == 2
    assert "AWS cannot be asked" in result.output
    assert result.output.count("\n") == 1
