"""A thousand logins while the collector fails in every way: each arrives, and none is shown twice.

Thirty people really sign in. For some of the others the login function in this process commits what
it commits, into the stack's tables, and for the rest the same is written there with ids of their
own. From there on everything is as deployed: stream, bus, queue, deliver, the rule in its function.
Only two numbers are smaller than in the template, so that what a killed delivery leaves behind
comes back within the minute: how long deliver may take, and for how long a message that it took is
hidden.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import batched
from typing import Any
from uuid import uuid4

import pytest

from cognito_rules.ulid import new_ulid
from local.committing import Committing
from local.stack import Person, Stack
from tests.local.stack.commands import run
from tests.local.stack.conftest import CHAIN
from tests.local.stack.deliveries import (
    CHAIN_OF_IT,
    RULE,
    function_with,
    kill,
    queue_url,
    queue_with,
    sending_to,
)
from tests.loopback import Received, Reply, Server, reply, serving
from tests.moments import wait_for

# The burst itself takes most of a minute, some on a busy machine, and perhaps the stack is deployed
# before it.
pytestmark = pytest.mark.timeout(900)

LOGINS, SIGN_INS = 1_000, 30
REFUSED = 10
AT_ONCE = 25  # what one call of DynamoDB takes
TAKEN = reply(200, {"text": "Success", "code": 0})
NO_INDEX = reply(400, {"text": "Incorrect index", "code": 7})
# More than the rule waits for data, and than a delivery may take.
SILENT, SLOWER = 7.0, 0.4

# What the collector answers to the first requests about one login. Where the answer is lost the
# collector has the event all the same, and gets it again.
LOST = {
    "timeout": [Reply(TAKEN.status, TAKEN.body, delay=SILENT)],
    "reset": [Reply(reset=True)],
    "a body that takes too long": [Reply(TAKEN.status, TAKEN.body, drip=SLOWER)],
    "a body that breaks off": [Reply(TAKEN.status, TAKEN.body, says_length=99)],
    "crash": [Reply(TAKEN.status, TAKEN.body, delay=0.5)],
}
NOT_TAKEN = {
    "429, soon": [Reply(429, headers={"Retry-After": "1"})],
    "429, later": [Reply(429, headers={"Retry-After": "9"})],
    "500": [Reply(500)],
    "500 three times": [Reply(500)] * 3,
}
SLOW = {"a slow body": [Reply(TAKEN.status, TAKEN.body, drip=0.05)]}
# How many logins meet which trouble; what waits on the queue comes first, or all would wait for it.
NUMBERS = {
    "timeout": 2,
    "a body that takes too long": 2,
    "500 three times": 3,
    "crash": 1,
    "429, later": 3,
    "429, soon": 10,
    "reset": 20,
    "500": 40,
    "a body that breaks off": 5,
    "a slow body": 10,
}
PERSONAL = ("Burst-Name", "burst-mail", "192.0.2.", "+3519")


@dataclass
class Collector:
    """Splunk's side: which login gets which treatment, and what it took of each."""

    troubles: dict[str, str]
    refused: set[str]
    on_crash: Callable[[], Any] = lambda: None
    requests: dict[str, list[Received]] = field(default_factory=lambda: defaultdict(list))
    taken: Counter[str] = field(default_factory=Counter)

    @property
    def arrived(self) -> set[str]:
        # A copy, since requests go on meanwhile.
        return {user_id for user_id, times in self.taken.copy().items() if times > 0}

    def __call__(self, received: Received) -> Reply:
        user_id = received.json()["event"]["userId"]
        earlier = len(self.requests[user_id])
        self.requests[user_id].append(received)
        if user_id in self.refused:
            return NO_INDEX
        trouble = self.troubles.get(user_id, "none")
        answers = (LOST | NOT_TAKEN | SLOW).get(trouble, [])
        if earlier >= len(answers):
            self.taken[user_id] += 1
            return TAKEN
        self.taken[user_id] += trouble not in NOT_TAKEN
        if trouble == "crash":
            self.on_crash()
        return answers[earlier]


@dataclass(frozen=True)
class Burst:
    """What became of the thousand logins."""

    stack: Stack
    collector: Collector
    people: list[str]
    refused: list[Person]
    killed: list[int]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture(scope="module")
def burst(deployed: Stack, server: Server) -> Iterator[Burst]:
    """Let everybody sign in, and wait until nothing moves any more."""
    stack = deployed
    stack.use_chain(CHAIN_OF_IT)
    # What other tests left there is none of ours.
    stack.aws.client("sqs").purge_queue(QueueUrl=queue_url(stack, "-dead"))
    persons = [stack.person(f"burst-mail-{n}", name=f"Burst-Name {n}") for n in range(SIGN_INS)]
    others = [str(uuid4()) for _ in range(LOGINS - SIGN_INS)]
    refused = persons[:REFUSED]
    people = [person.user_id for person in persons] + others
    affected = iter(others[::5])  # spread over the whole burst
    troubles = {next(affected): name for name, number in NUMBERS.items() for _ in range(number)}
    collector = Collector(troubles, {person.user_id for person in refused})
    deliver, killed = f"{stack.name}-deliver", []
    collector.on_crash = lambda: killed.append(kill(stack, deliver))
    server.decide = collector
    with ExitStack() as changed:
        changed.enter_context(sending_to(stack, server.url))
        changed.enter_context(function_with(stack, deliver, Timeout=25))
        changed.enter_context(queue_with(stack, VisibilityTimeout="30"))
        commit = changed.enter_context(Committing.to(stack, CHAIN_OF_IT))
        for n, (user_id, *same) in enumerate(batched(others, AT_ONCE, strict=False)):
            commit.commit({"sub": user_id, "email": f"burst-mail{n}@x.test", "name": "Burst-Name"})
            commit_the_same(stack, user_id, same)
            if persons:
                person = persons.pop()
                stack.web.srp(person.username, person.password)
        assert not persons
        wanted = set(people) - collector.refused
        wait_for(lambda: wanted <= collector.arrived and quiet(stack), seconds=600)
        yield Burst(stack, collector, people, refused, killed)
    stack.use_chain(CHAIN)


def commit_the_same(stack: Stack, committed: str, user_ids: list[str]) -> None:
    """Write what the login function committed for one person for others, in one call."""
    dynamodb, table = stack.aws.client("dynamodb"), stack.outputs["SessionsTable"]
    key = f"login#{stack.pool_id}#{committed}#{stack.outputs['UserPoolClientId']}"
    found = dynamodb.get_item(TableName=table, Key={"pk": {"S": key}}, ConsistentRead=True)["Item"]
    text, login_id = json.dumps(found), found["event_id"]["S"]
    assert text.count(committed) > 1
    puts = []
    for user_id in user_ids:
        own = text.replace(committed, user_id).replace(login_id, new_ulid(datetime.now(UTC)))
        puts.append({"PutRequest": {"Item": json.loads(own)}})
    assert not dynamodb.batch_write_item(RequestItems={table: puts})["UnprocessedItems"]


def quiet(stack: Stack) -> bool:
    """Say whether nothing is on the queue, visible or hidden."""
    names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
    found = stack.aws.client("sqs").get_queue_attributes(
        QueueUrl=queue_url(stack), AttributeNames=names
    )["Attributes"]
    return all(found[name] == "0" for name in names)


def letters(stack: Stack) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (
        stack.aws.client("sqs")
        .receive_message(
            QueueUrl=queue_url(stack, "-dead"),
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=0,
        )
        .get("Messages", [])
    )
    return found


def test_every_login_arrives(burst: Burst) -> None:
    missing = set(burst.people) - burst.collector.refused - burst.collector.arrived

    assert len(burst.people) == LOGINS
    assert missing == set()


def test_each_failure_happened(burst: Burst) -> None:
    collector = burst.collector
    for user_id, trouble in collector.troubles.items():
        failures = len((LOST | NOT_TAKEN | SLOW)[trouble])
        needed = failures if trouble in SLOW else failures + 1
        assert len(collector.requests[user_id]) >= needed, trouble
    assert len(burst.killed) == 1
    assert burst.killed[0] >= 1


def test_nobody_is_told_twice_whose_answer_was_not_lost(burst: Burst) -> None:
    taken, troubles = burst.collector.taken, burst.collector.troubles
    twice = {user_id for user_id, times in taken.items() if times > 1}
    lost = {user_id for user_id, trouble in troubles.items() if trouble in LOST}

    # Each killed worker was in the middle of one delivery, and lost what the vendor said.
    assert lost <= twice
    assert len(twice - lost) <= burst.killed[0]
    assert sum(times - 1 for times in taken.values() if times) <= len(lost) + burst.killed[0]


def test_whatever_came_twice_is_known_by_its_id_and_is_the_same(burst: Burst) -> None:
    for received in burst.collector.requests.values():
        assert len({request.body for request in received}) == 1
        assert len({request.json()["event"]["loginId"] for request in received}) == 1
    ids = {received[0].json()["event"]["loginId"] for received in burst.collector.requests.values()}
    assert len(ids) == LOGINS


def test_nothing_personal_is_in_logs_dead_letters_and_keys(burst: Burst) -> None:
    stack = burst.stack
    logs = stack.aws.client("logs")
    texts = [json.dumps(letter["MessageAttributes"]) for letter in letters(stack)]
    for group in logs.describe_log_groups()["logGroups"]:
        pages = logs.get_paginator("filter_log_events").paginate(logGroupName=group["logGroupName"])
        texts += [event["message"] for page in pages for event in page["events"]]
    items = stack.aws.client("dynamodb").get_paginator("scan")
    remembered = 0
    for page in items.paginate(TableName=stack.outputs["SessionsTable"]):
        for item in page["Items"]:
            if item["pk"]["S"].startswith(("idempotency#", "circuit#")):
                texts.append(json.dumps(item))
                remembered += 1

    assert remembered >= LOGINS
    assert sum("delivery finished" in text for text in texts) >= LOGINS
    found = [text[:300] for text in texts if any(mark in text for mark in PERSONAL)]
    assert found == []


def test_what_was_refused_for_good_is_delivered_once_it_can_be(burst: Burst) -> None:
    stack, collector = burst.stack, burst.collector
    told = run(stack, "redrive", "--rule", RULE, "--dry-run", "--json")
    assert json.loads(told.output)["rules"] == {RULE: {"rejected:hec_7": {"letters": REFUSED}}}
    before = {user_id: len(collector.requests[user_id]) for user_id in collector.refused}
    assert set(before.values()) == {1}

    repaired, collector.refused = collector.refused, set()
    sent = run(stack, "redrive", "--rule", RULE, "--reason", "rejected", "--json")

    assert json.loads(sent.output)["sent"] == REFUSED
    wait_for(lambda: repaired <= collector.arrived and quiet(stack))
    assert {collector.taken[user_id] for user_id in repaired} == {1}
    for user_id in repaired:
        refused, taken = collector.requests[user_id]
        assert refused.body == taken.body
    assert letters(stack) == []
