"""Who has a message of their own in a minute, and who tells of the others, is known to all."""

import json
import os
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cognito_rules.aws import Aws
from cognito_rules.dynamodb_json import from_item
from cognito_rules.errors import StoreError
from cognito_rules.pace import COUNTED, SHOWN, Pace, Turn
from functions.notify_signup_slack.app import key_of, rule
from local.server import EmbeddedAws
from tests.loopback import Reply, serving

SAMPLE = Path("events/notify_signup_slack.json")
NOON = 1_795_348_800.0
KEY = "notify#1"


class Clock:
    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def pace(aws: EmbeddedAws, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Pace:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    table = f"pace-{uuid4().hex[:8]}"
    aws.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    return Pace(Aws(), table, clock=clock)


def another(pace: Pace, clock: Clock) -> Pace:
    """Return another environment with the same table."""
    return Pace(Aws(), pace._table, clock=clock)


def test_a_hundred_in_a_minute_are_thirty_messages_and_one_digest(pace: Pace, clock: Clock) -> None:
    # As many as deliver runs at once for a queue, each an environment of its own.
    environments = threading.local()

    def turn(number: int) -> Turn:
        if not hasattr(environments, "pace"):
            environments.pace = another(pace, clock)
        found: Turn = environments.pace.turn(KEY, f"L{number}", 30)
        return found

    with ThreadPoolExecutor(5) as threads:
        turns = list(threads.map(turn, range(100)))

    assert Counter(turns) == {SHOWN: 30, COUNTED: 69, Turn(wait=60): 1}
    carrier = f"L{turns.index(Turn(wait=60))}"
    clock.now += 61
    assert pace.turn(KEY, carrier, 30) == Turn(told=70)


def test_a_copy_of_an_event_counts_once(pace: Pace, clock: Clock) -> None:
    first = [pace.turn(KEY, event, 1) for event in ("L1", "L2", "L3")]

    again = [another(pace, clock).turn(KEY, event, 1) for event in ("L1", "L2", "L3")]

    assert first == again == [SHOWN, Turn(wait=60), COUNTED]
    clock.now += 60
    assert pace.turn(KEY, "L2", 1) == Turn(told=2)


def test_the_digest_that_failed_is_told_again_and_counts_the_same(pace: Pace, clock: Clock) -> None:
    for event in ("L1", "L2", "L3"):
        pace.turn(KEY, event, 1)
    clock.now += 60

    told = [pace.turn(KEY, "L2", 1)]
    clock.now += 14 * 24 * 3600  # out of the dead-letter queue
    told.append(pace.turn(KEY, "L2", 1))

    assert told == [Turn(told=2), Turn(told=2)]


def test_the_next_minute_begins_anew(pace: Pace, clock: Clock) -> None:
    assert pace.turn(KEY, "L1", 1) == SHOWN
    clock.now += 60
    assert pace.turn(KEY, "L2", 1) == SHOWN


def test_who_comes_late_to_a_closed_minute_goes_to_the_next(pace: Pace, clock: Clock) -> None:
    for event in ("L1", "L2"):
        pace.turn(KEY, event, 1)
    clock.now += 60
    assert pace.turn(KEY, "L2", 1) == Turn(told=1)

    slow = Clock()
    slow.now = NOON + 59
    late = another(pace, slow)

    assert late.turn(KEY, "L3", 1) == SHOWN
    assert late.turn(KEY, "L4", 1) == Turn(wait=61)


def test_who_was_not_shown_in_an_outage_is_counted_when_they_come_again(
    pace: Pace, clock: Clock
) -> None:
    for number in range(3):  # one a minute, while Slack is down
        assert pace.turn(KEY, f"L{number}", 1) == SHOWN
        clock.now += 60

    again = [pace.turn(KEY, f"L{number}", 1) for number in range(3)]

    assert again == [SHOWN, Turn(wait=60), COUNTED]


def test_entries_have_minutes_of_their_own(pace: Pace) -> None:
    assert pace.turn(KEY, "L1", 1) == SHOWN
    assert pace.turn("notify#2", "L1", 1) == SHOWN


def test_a_count_forgets_itself_and_holds_nobody(aws: EmbeddedAws, pace: Pace) -> None:
    for event in ("L1", "L2"):
        pace.turn(KEY, event, 1)

    items = aws.client("dynamodb").scan(TableName=pace._table)["Items"]
    minute, until = int(NOON // 60), int(NOON) + 30 * 24 * 3600
    assert sorted(map(from_item, items), key=lambda item: str(item["pk"])) == [
        {
            "pk": f"NOTES#{KEY}#{minute}",
            "shown": 1,
            "counted": 1,
            "carrier": "L2",
            "expires_at": until,
        },
        {"pk": f"NOTES#{KEY}#L1", "role": "shown", "minute": minute, "expires_at": until},
        {"pk": f"NOTES#{KEY}#L2", "role": "carrier", "minute": minute, "expires_at": until},
    ]


def test_what_cannot_be_counted_is_not_sent(pace: Pace) -> None:
    pace._table = "no-such-table"

    with pytest.raises(StoreError):
        pace.turn(KEY, "L1", 30)


# -- as the rule's function ------------------------------------------------------------------------

SCRIPT = """
import json, sys
from functions.notify_signup_slack.app import rule
print(json.dumps([rule(event, None) for event in json.load(sys.stdin)]))
"""


def a_sign_up(event_id: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(SAMPLE.read_text())
    event["login"]["event"]["id"] = event_id
    return event | {"configuration": {"max_per_minute": 2}}


def answers(aws: EmbeddedAws, table: str, slack: str, events: list[dict[str, Any]]) -> Any:
    """Return what the rule's function answers to events, in a process of its own."""
    secret = f"slack-{uuid4().hex[:8]}"
    hook = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x"}
    aws.client("secretsmanager").create_secret(Name=secret, SecretString=json.dumps(hook))
    environment = {
        "PYTHONPATH": f"layers/core{os.pathsep}.",
        "PROFILES_TABLE": table,
        "RULE_SETTINGS": json.dumps({"stand_in": slack}),
        "SECRET_NAMES": json.dumps({"SLACK_WEBHOOK_URL": secret}),
    }
    finished = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=json.dumps(events),
        env=os.environ | aws.environment | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(finished.stdout.splitlines()[-1])


def test_what_the_channel_gets_of_a_busy_minute(aws: EmbeddedAws, pace: Pace, clock: Clock) -> None:
    key = key_of(rule.configure({}, {}))
    # Five minutes ago there was one too many, a minute later two more, and there will be one.
    for at, events in ((-300, "ab"), (-240, "cdef"), (600, "gh")):
        clock.now = time.time() + at
        for event in events:
            pace.turn(key, event, 1)

    with serving() as slack:
        slack.replies = [Reply(200, b"ok")]
        found = answers(aws, pace._table, slack.url, [a_sign_up(event) for event in "abdefhi"])
        told = {
            sent.json()["blocks"][1]["elements"][0]["text"][-1]: sent.json()["text"]
            for sent in slack.received
        }

    one = "New user: Ann Doe (a***@acme.test) in Portal"
    assert told == {"a": one, "b": one, "d": "3 more sign-ups", "i": one}
    outcome = dict(zip("abdefhi", found, strict=True))
    for event in "ef":
        assert outcome[event]["warnings"] == ["counted_in_digest"]
    fault = outcome["h"]["fault"]
    assert (fault["code"], fault["retryable"]) == ("waits_for_digest", True)
    assert fault["retry_after"] > 300
