"""A rule that is added today hears of the logins of before, by the archive of the bus."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from local.collector import Collector
from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.commands import run
from tests.local.stack.conftest import CHAIN, STAFF
from tests.loopback import Received, Server
from tests.moments import wait_for

SEGMENT = "record_events_segment"
LATER = f'{CHAIN}\n[[rules]]\nrule = "{SEGMENT}"\n'


@pytest.fixture
def archive(stack: Stack) -> Iterator[None]:
    """The archive of template.yaml, which the embedded AWS makes by API only."""
    events = stack.aws.client("events")
    bus = events.describe_event_bus(Name=stack.outputs["EventBus"])["Arn"]
    pattern = json.dumps({"source": ["cognito.rules"]})
    events.create_archive(ArchiveName=stack.name, EventSourceArn=bus, EventPattern=pattern)
    yield
    events.delete_archive(ArchiveName=stack.name)


def agree(stack: Stack, person: Person) -> None:
    """Record that the person agreed to analytics: what the browser said then nobody knows now."""
    said = {"consent": {"M": {"analytics": {"BOOL": True}}}}
    stack.aws.client("dynamodb").update_item(
        TableName=stack.outputs["ProfilesTable"],
        Key={"pk": {"S": f"USER#{person.user_id}"}},
        UpdateExpression="SET user_metadata = :said",
        ExpressionAttributeValues={":said": {"M": said}},
    )


@pytest.mark.usefixtures("archive")
def test_a_new_rule_is_delivered_old_logins_and_the_others_hear_nothing_again(
    stack: Stack,
    app: App,
    new_person: Callable[..., Person],
    collector: Collector,
    vendors: Server,
    tmp_path: Path,
) -> None:
    person = new_person(groups=[STAFF])
    app.srp(person.username, person.password)
    agree(stack, person)

    def at_splunk() -> list[float]:
        told = list(collector.events)
        return [sent["time"] for sent in told if sent["event"].get("userId") == person.user_id]

    def at_segment() -> list[Received]:
        return [r for r in list(vendors.received) if person.user_id in r.body.decode()]

    wait_for(at_splunk)
    secret = json.dumps({"SEGMENT_WRITE_KEY": "word"})
    stack.aws.client("secretsmanager").put_secret_value(
        SecretId=f"{stack.name}/segment", SecretString=secret
    )
    document = tmp_path / "chain.toml"
    document.write_text(LATER)
    an_hour_ago = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")

    for _ in range(2):
        result = run(
            stack,
            *("redeliver", SEGMENT, "--from", an_hour_ago, "--chain", str(document)),
            *("--patience", "1", "--json"),
        )
        assert json.loads(result.output)["deliveries"]["sent"] >= 1

    [request] = wait_for(at_segment)
    [occurred_at] = at_splunk()
    [message] = request.json()["batch"]
    assert datetime.fromisoformat(message["timestamp"]).timestamp() == occurred_at
