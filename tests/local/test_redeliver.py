"""``cognito-rules redeliver``: the archive of a bus, replayed to one rule's queue."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.rule_queues import after_login_rules
from cognito_rules.announce import Announcer
from cognito_rules.announcement import build_announcement
from cognito_rules.chain import Entry
from local.server import EmbeddedAws
from tests.local.queues_stack import QueuesStack, minutes_ago

SPLUNK, SEGMENT = "record_events_splunk", "record_events_segment"
# From two hours ago to one hour ago; the emulator archives by the clock, not by an event's time.
BEFORE, FIRST, LAST = (minutes_ago(minutes) for minutes in (121, 120, 60))
WITHIN = minutes_ago(90)
CHAIN = f"""
[[rules]]
rule = "{SPLUNK}"

[[rules]]
rule = "{SEGMENT}"
configuration = {{ send_context_ip = true }}
"""


@pytest.fixture(scope="module")
def stack(aws: EmbeddedAws) -> QueuesStack:
    return QueuesStack.deployed(aws, (SPLUNK, SEGMENT))


@pytest.fixture
def archive(stack: QueuesStack) -> Iterator[None]:
    """The archive of template.yaml, empty."""
    events = stack.aws.client("events")
    bus = events.describe_event_bus(Name=stack.outputs["EventBus"])["Arn"]
    events.create_archive(
        ArchiveName=stack.name,
        EventSourceArn=bus,
        EventPattern=json.dumps({"source": ["cognito.rules"]}),
    )
    yield
    events.delete_archive(ArchiveName=stack.name)


@pytest.fixture
def chain(tmp_path: Path) -> str:
    path = tmp_path / "chain.toml"
    path.write_text(CHAIN)
    return str(path)


def announce(stack: QueuesStack, event_id: str, user_id: str, occurred_at: str) -> None:
    """Put a login on the bus that only the Splunk rule is told of."""
    manifest = after_login_rules()[SPLUNK]
    facts: dict[str, Any] = {
        "user": {"user_id": user_id, "name": "Ann", "email": "ann@example.com"},
        "client": {"client_id": "c-1", "name": "payroll"},
        "request": {"ip": "192.0.2.7"},
    }
    announcement = build_announcement(
        "LoginCompleted",
        [Entry(id=SPLUNK, index=0, manifest=manifest)],
        facts,
        event_id=event_id,
        occurred_at=occurred_at,
    )
    images = {
        "Keys": {"pk": {"S": f"login#pool#{event_id}#client"}},
        "NewImage": {"announcement": {"S": announcement.text}},
        "SequenceNumber": "1",
    }
    announcer = Announcer(stack.aws.client("events"), stack.outputs["EventBus"])
    assert announcer.handle({"Records": [{"dynamodb": images}]}) == {"batchItemFailures": []}


def in_seconds(moment: str) -> str:
    return moment.replace(".000Z", "Z")


def redeliver(stack: QueuesStack, chain: str, *options: str) -> Any:
    window = () if "--from" in options else ("--from", in_seconds(FIRST), "--to", in_seconds(LAST))
    return stack.run(
        "redeliver", SEGMENT, *window, "--chain", chain, "--patience", "1", "--json", *options
    )


@pytest.mark.usefixtures("archive")
def test_a_new_rule_hears_of_the_logins_of_a_window(stack: QueuesStack, chain: str) -> None:
    ann = stack.person(analytics=True)
    for event_id, at in (
        ("before", BEFORE),
        ("first", FIRST),
        ("second", WITHIN),
        ("after", LAST),
    ):
        announce(stack, event_id, ann, at)

    result = redeliver(stack, chain)

    assert json.loads(result.output) == {
        "rule": SEGMENT,
        "dry_run": False,
        "deliveries": {"sent": 2},
    }
    messages = sorted(
        (json.loads(m["Body"]) for m in stack.messages(SEGMENT)), key=lambda v: v["event_id"]
    )
    assert [message["event_id"] for message in messages] == ["first", "second"]
    [delivery] = messages[0]["deliveries"]
    login = delivery["request"]["login"]
    assert (messages[0]["rule"], delivery["entry"]) == (SEGMENT, SEGMENT)
    assert delivery["request"]["configuration"]["send_context_ip"] is True
    # What it reads and Splunk was told; nobody was told of the account's age.
    assert (login["user"]["user_id"], login["client"]["name"]) == (ann, "payroll")
    assert login["request"]["ip"] == "192.0.2.7"
    assert "user.created_at" in login["unknown"]
    assert "Ann" not in json.dumps(messages)
    assert "ann@" not in json.dumps(messages)


@pytest.mark.usefixtures("archive")
def test_people_who_did_not_agree_or_are_gone_are_counted_and_not_told_of(
    stack: QueuesStack, chain: str
) -> None:
    for name, user_id in (
        ("agreed", stack.person(analytics=True)),
        ("refused", stack.person(analytics=False)),
        ("silent", stack.person()),
        ("gone", str(uuid4())),
    ):
        announce(stack, name, user_id, WITHIN)

    result = redeliver(stack, chain)

    counted = {"sent": 1, "no_consent": 2, "user_deleted": 1}
    assert json.loads(result.output)["deliveries"] == counted
    assert stack.ids(SEGMENT) == ["agreed"]


@pytest.mark.usefixtures("archive")
def test_a_dry_run_counts_and_sends_nothing(stack: QueuesStack, chain: str) -> None:
    announce(stack, "L1", stack.person(analytics=True), WITHIN)

    result = redeliver(stack, chain, "--dry-run")

    assert json.loads(result.output)["deliveries"] == {"sent": 1}
    assert stack.messages(SEGMENT) == []


@pytest.mark.usefixtures("archive")
def test_nothing_that_was_made_for_it_remains(stack: QueuesStack, chain: str) -> None:
    announce(stack, "L1", stack.person(analytics=True), WITHIN)

    assert redeliver(stack, chain).exit_code == 0

    events, sqs = stack.aws.client("events"), stack.aws.client("sqs")
    assert events.list_rules(EventBusName=stack.outputs["EventBus"])["Rules"] == []
    queues = sqs.list_queues(QueueNamePrefix=f"{stack.name}-redeliver").get("QueueUrls", [])
    assert queues == []
    assert stack.ids(SEGMENT) == ["L1"]


@pytest.mark.usefixtures("archive")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--from", "2026-11-23", "--to", "2026-11-22"], "before --to", id="backwards"),
        pytest.param(["--chain", "nowhere.toml"], "No such file", id="no chain document"),
        pytest.param(["--chain", "pyproject.toml"], "pyproject.toml", id="no chain in it"),
        pytest.param(["--stack", "unheard-of"], "no stack unheard-of", id="no such stack"),
    ],
)
def test_what_cannot_be_done_is_said(
    stack: QueuesStack, chain: str, options: list[str], message: str
) -> None:
    result = redeliver(stack, chain, *options)

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_rule_that_is_off_is_told_of_nothing(stack: QueuesStack, tmp_path: Path) -> None:
    path = tmp_path / "chain.toml"
    path.write_text(f'[[rules]]\nrule = "{SEGMENT}"\nmode = "off"\n')

    result = redeliver(stack, str(path))

    assert result.exit_code == 2
    assert f"no entry of {SEGMENT} that is on" in result.stderr


def test_without_an_archive_there_is_nothing_to_send(stack: QueuesStack, chain: str) -> None:
    result = redeliver(stack, chain)

    assert result.exit_code == 2
    assert "no archive" in result.stderr
