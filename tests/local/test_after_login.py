"""A login on its way to Splunk, through everything that is between: nothing here is made up but
the table's items and the collector."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.server import EmbeddedAws
from tests.local.after_login_stack import RULE, TOKEN, AfterLogin, an_announcement
from tests.loopback import Reply, Server, reply, serving
from tests.moments import wait_for

TAKEN = reply(200, {"text": "Success", "code": 0})


@pytest.fixture(scope="module")
def running_collector() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def deployed(aws: EmbeddedAws, running_collector: Server) -> AfterLogin:
    return AfterLogin.deployed(aws, running_collector.url)


@pytest.fixture
def collector(running_collector: Server) -> Server:
    """The collector, taking everything, with nothing received yet."""
    running_collector.replies = [TAKEN]
    running_collector.received.clear()
    return running_collector


@pytest.fixture
def path(deployed: AfterLogin, collector: Server) -> AfterLogin:
    return deployed


def ids(collector: Server) -> list[str]:
    """Ids of the logins that reached the collector, in the order of their arrival."""
    return [request.json()["event"]["loginId"] for request in list(collector.received)]


def settled(collector: Server, count: int, *, seconds: float = 20.0) -> list[str]:
    """Return the ids when ``count`` have come and no more come for a second."""
    wait_for(lambda: len(collector.received) >= count, seconds=seconds)
    time.sleep(1.0)
    return ids(collector)


def test_five_logins_are_told_once_each(path: AfterLogin, collector: Server) -> None:
    for number in range(5):
        path.announce(f"five-{number}")

    assert sorted(settled(collector, 5)) == [f"five-{number}" for number in range(5)]


def test_the_collector_gets_the_login_and_the_token(path: AfterLogin, collector: Server) -> None:
    path.announce("whole", first_login=True)

    settled(collector, 1)

    [received] = collector.received
    assert received.headers["authorization"] == f"Splunk {TOKEN}"
    sent = received.json()
    assert (sent["time"], sent["event"]["message"]) == (1795339800.123, "SignUp")
    assert sent["event"]["userId"] == "user-of-whole"


def test_a_login_that_is_written_twice_is_told_once(path: AfterLogin, collector: Server) -> None:
    announcement = an_announcement("twice")
    path.write(json.dumps(announcement), key="twice")
    wait_for(lambda: collector.received)

    path.write(json.dumps(announcement), key="twice")
    path.announce("after")
    path.forget("twice")

    assert settled(collector, 2) == ["twice", "after"]


def test_the_same_login_announced_again_is_told_once(path: AfterLogin, collector: Server) -> None:
    path.announce("again", key="one")
    path.announce("again", key="another")
    path.announce("last")

    assert sorted(settled(collector, 2)) == ["again", "last"]


def test_a_malformed_announcement_is_set_aside_and_the_others_go_on(
    path: AfterLogin, collector: Server
) -> None:
    path.announce("before")
    path.write('{"schema": 1, "views": {}}', key="malformed")
    path.announce("behind")

    assert settled(collector, 2) == ["before", "behind"]
    [letter] = wait_for(lambda: path.dead_letters(path.announce_dead_url))
    assert json.loads(letter["Body"]) == {"pk": {"S": "login#pool#malformed#client"}}
    assert letter["MessageAttributes"]["sequence_number"]["StringValue"]


def test_a_collector_that_fails_twice_gets_it_the_third_time(
    path: AfterLogin, collector: Server
) -> None:
    busy = reply(503, {"text": "Server is busy", "code": 9})
    collector.replies = [busy, busy, TAKEN]

    path.announce("busy")

    assert settled(collector, 3) == ["busy", "busy", "busy"]
    assert path.dead_letters() == []


def test_a_collector_that_asks_for_time_gets_it(path: AfterLogin, collector: Server) -> None:
    # More than a delivery may take, so the message waits on the queue.
    collector.replies = [Reply(429, headers={"Retry-After": "9"}), TAKEN]

    path.announce("patient")

    assert settled(collector, 2, seconds=40) == ["patient", "patient"]
    first, second = collector.received
    assert 9.0 <= second.at - first.at < 20.0
    assert first.body == second.body


def test_an_event_that_is_refused_for_good_is_a_dead_letter(
    path: AfterLogin, collector: Server
) -> None:
    collector.replies = [reply(400, {"text": "Incorrect index", "code": 7})]

    path.announce("refused")

    [letter] = wait_for(path.dead_letters)
    attributes = {name: value["StringValue"] for name, value in letter["MessageAttributes"].items()}
    assert (attributes["reason"], attributes["login_id"]) == ("rejected:hec_7", "refused")
    assert (attributes["rule"], attributes["attempts"]) == (RULE, "1")
    assert json.loads(letter["Body"])["event_id"] == "refused"
    assert settled(collector, 1) == ["refused"]
    path.aws.client("sqs").purge_queue(QueueUrl=path.dead_url)


def test_copies_of_a_message_are_told_once(path: AfterLogin, collector: Server) -> None:
    view = {
        "schema": 1,
        "type": "LoginCompleted",
        "occurred_at": "2026-11-22T09:30:00.123Z",
        **an_announcement("copied")["views"][RULE],
    }
    for _ in range(8):
        path.send(json.dumps(view))

    assert settled(collector, 1) == ["copied"]


def test_a_crash_between_sending_and_remembering_sends_again_and_loses_nothing(
    path: AfterLogin, collector: Server, tmp_path: Path
) -> None:
    seconds = 12.0  # the rule may take 8
    with path.deliver_stopped():
        path.announce("crash")
        [message] = wait_for(lambda: _receive(path))
        collector.replies = [Reply(TAKEN.status, TAKEN.body, delay=3.0), TAKEN]
        crashing = _deliver_here(path, message, tmp_path / "event.json", seconds)
        try:
            wait_for(lambda: collector.received)
        finally:
            crashing.send_signal(signal.SIGKILL)
            crashing.wait()
        _hide(path, message, 0)
        # The record of the delivery says "in progress" until the time of the crashed call is over.
        time.sleep(seconds)

    assert settled(collector, 2) == ["crash", "crash"]
    first, second = collector.received
    assert first.body == second.body


def _receive(path: AfterLogin) -> list[dict[str, Any]]:
    answer = path.aws.client("sqs").receive_message(
        QueueUrl=path.queue_url, MessageSystemAttributeNames=["All"], VisibilityTimeout=60
    )
    messages: list[dict[str, Any]] = answer.get("Messages", [])
    return messages


def _hide(path: AfterLogin, message: dict[str, Any], seconds: int) -> None:
    path.aws.client("sqs").change_message_visibility(
        QueueUrl=path.queue_url,
        ReceiptHandle=message["ReceiptHandle"],
        VisibilityTimeout=seconds,
    )


def _deliver_here(
    path: AfterLogin, message: dict[str, Any], event: Path, seconds: float
) -> subprocess.Popen[bytes]:
    """Start the deliver function in a process of its own, which can be killed."""
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message["Attributes"],
        "eventSourceARN": path.queue_arn,
    }
    event.write_text(json.dumps({"Records": [record]}))
    script = (
        "import json, sys; from cognito_rules.testing import a_context; "
        "from cognito_rules.deliver import handler; "
        f"handler(json.load(open(sys.argv[1])), a_context(remaining_ms={int(seconds * 1000)}))"
    )
    environment = path.aws.environment | {
        "PYTHONPATH": f"layers/core{os.pathsep}.",
        "PROFILES_TABLE": path.table,
        "SESSIONS_TABLE": path.table,
        "RULE_FUNCTION_PREFIX": f"{path.name}-rule-",
    }
    return subprocess.Popen([sys.executable, "-c", script, str(event)], env=environment)
