"""Deliveries against SQS and DynamoDB; what a rule answers is told by each test."""

import json
import threading
import time
from typing import Any

import pytest

from cognito_rules.delivery import memory_key
from local.server import EmbeddedAws
from tests.local.post import BUSY, MAX_RECEIVES, OK, Post, Rule, a_fault
from tests.log_lines import log_lines


@pytest.fixture
def rule() -> Rule:
    return Rule()


@pytest.fixture
def post(aws: EmbeddedAws, rule: Rule) -> Post:
    return Post(aws, rule)


def test_each_entry_of_each_message_is_delivered(post: Post, rule: Rule) -> None:
    post.send("L1", "one", "two")
    post.send("L2", "one")

    assert post.run() == []

    assert sorted(rule.delivered) == ["L1", "L1", "L2"]
    assert post.receive() == []


def test_a_message_that_comes_twice_is_delivered_once(post: Post, rule: Rule) -> None:
    post.send("L1")
    post.send("L1")

    assert post.run() == []

    assert rule.delivered == ["L1"]


def test_what_was_delivered_is_known_to_every_environment(post: Post, rule: Rule) -> None:
    post.send("L1")
    post.run()
    post.send("L1")

    with log_lines() as log:
        post.run(deliverer=post.another_environment())

    assert rule.delivered == ["L1"]
    assert [line["outcome"] for line in log.records] == ["duplicate"]


def test_a_delivery_is_remembered_for_fifteen_days_without_personal_data(post: Post) -> None:
    post.send("L1")

    post.run()

    [item] = post.items
    assert item["pk"]["S"] == memory_key("one", "L1")
    assert int(item["expires_at"]["N"]) == pytest.approx(time.time() + 15 * 86400, abs=60)
    assert json.loads(item["data"]["S"]) == {"outcome": "delivered"}


def test_only_the_entry_that_failed_comes_again(post: Post, rule: Rule) -> None:
    rule.answers = [BUSY, OK]
    post.send("L1", "one", "two")
    [record] = post.receive()

    assert post.deliver([record]) == [record["messageId"]]
    assert len(rule.invoked) == 2

    post.hurry(record)
    assert post.run() == []
    assert len(rule.invoked) == 3


def test_one_failure_does_not_fail_the_batch(post: Post, rule: Rule) -> None:
    rule.answers = [OK, BUSY, OK]
    for number in range(3):
        post.send(f"L{number}")

    assert len(post.run()) == 1
    assert len(rule.invoked) == 3


@pytest.mark.parametrize(
    ("fault", "attempts", "delay"),
    [
        pytest.param(BUSY, 1, 30, id="at first for 30 seconds"),
        pytest.param(BUSY, 2, 60, id="then for twice as long"),
        pytest.param(
            a_fault("upstream_unavailable", retryable=True, retry_after=120),
            1,
            120,
            id="for as long as the vendor asks",
        ),
        pytest.param(
            a_fault("upstream_unavailable", retryable=True, retry_after=10**6),
            1,
            43_200 - 300,
            id="for nearly twelve hours at most",
        ),
    ],
)
def test_a_message_is_hidden(
    post: Post, rule: Rule, fault: dict[str, Any], attempts: int, delay: int
) -> None:
    rule.answers = [fault]
    post.send("L1")
    [record] = post.receive()
    record["attributes"]["ApproximateReceiveCount"] = str(attempts)

    post.deliver([record])

    assert post.hidden_for == [delay]
    assert post.receive() == []


def test_a_refused_event_is_a_dead_letter_at_once_and_stays_known(post: Post, rule: Rule) -> None:
    rule.answers = [a_fault("hec_6", retryable=False)]
    post.send("L1", "one", "two")

    assert post.run() == []

    letters = sorted(post.dead, key=lambda letter: letter[1]["entry"])
    assert [attributes["entry"] for _, attributes in letters] == ["one", "two"]
    body, attributes = letters[0]
    assert [delivery["entry"] for delivery in body["deliveries"]] == ["one"]
    assert attributes.pop("first_sent_ms").isdigit()
    assert attributes == {
        "reason": "rejected:hec_6",
        "code": "hec_6",
        "rule": post.rule_name,
        "entry": "one",
        "login_id": "L1",
        "occurred_at": "2026-11-22T09:30:00.000Z",
        "attempts": "1",
    }
    post.send("L1", "one", "two")
    post.run()
    assert len(rule.invoked) == 2


@pytest.mark.parametrize(
    ("code", "reason"), [("misconfigured", "misconfigured"), ("upstream_timeout", "uncertain")]
)
def test_what_can_be_repaired_can_be_sent_back_from_the_dead_letters(
    post: Post, rule: Rule, code: str, reason: str
) -> None:
    rule.answers = [a_fault(code, retryable=False), OK]
    post.send("L1")
    post.run()

    [(body, attributes)] = post.dead
    post.send_text(json.dumps(body))
    failed = post.run()

    assert attributes["reason"] == reason
    assert (failed, rule.delivered) == ([], ["L1", "L1"])


def test_the_last_attempt_ends_in_a_dead_letter_that_says_so(post: Post, rule: Rule) -> None:
    rule.answers = [BUSY]
    post.send("L1")
    for _ in range(MAX_RECEIVES - 1):
        [record] = post.receive()
        assert post.deliver([record]) == [record["messageId"]]
        post.hurry(record)

    assert post.run() == []

    [(_, attributes)] = post.dead
    assert (attributes["reason"], attributes["attempts"]) == ("exhausted", str(MAX_RECEIVES))
    assert attributes["code"] == "upstream_unavailable"


@pytest.mark.parametrize("body", ["{", "{}", '{"schema": 1, "rule": "unheard_of"}'])
def test_a_malformed_message_is_a_dead_letter(post: Post, rule: Rule, body: str) -> None:
    post.send_text(body)

    assert post.run() == []

    [letter] = post.receive(url=post.dead_url)
    assert letter["body"] == body
    assert letter["messageAttributes"]["reason"]["StringValue"] == "malformed"
    assert rule.invoked == []


def test_two_at_the_same_time_deliver_once(post: Post, rule: Rule) -> None:
    started, go_on = threading.Event(), threading.Event()

    def wait() -> None:
        started.set()
        assert go_on.wait(10)

    rule.before_answer = wait
    post.send("L1")
    post.send("L1")
    first, second = post.receive()
    failed: list[str] = []
    slow = threading.Thread(target=lambda: failed.extend(post.deliver([first])))
    slow.start()
    assert started.wait(10)

    meanwhile = post.deliver([second], deliverer=post.another_environment())
    go_on.set()
    slow.join()

    assert (failed, meanwhile) == ([], [second["messageId"]])
    assert rule.delivered == ["L1"]
    post.hurry(second)
    assert post.run() == []
    assert rule.delivered == ["L1"]


def test_a_delivery_that_was_cut_off_is_made_again_when_its_time_is_over(
    post: Post, rule: Rule
) -> None:
    class CutOff(BaseException):
        """The end of a process, which no handler sees."""

    def cut_off() -> None:
        raise CutOff

    rule.before_answer = cut_off
    post.send("L1")
    [record] = post.receive()
    with pytest.raises(CutOff):
        post.deliver([record], seconds=5.0)
    rule.before_answer = lambda: None

    too_early = post.deliver([record], deliverer=post.another_environment())
    time.sleep(5.0)
    later = post.deliver([record], deliverer=post.another_environment())

    assert (too_early, later) == ([record["messageId"]], [])
    assert rule.delivered == ["L1", "L1"]


def test_a_rule_gets_no_more_time_than_is_left(post: Post, rule: Rule) -> None:
    for event_id, seconds in (("L1", 30.0), ("L2", 5.0)):
        post.send(event_id)
        post.run(seconds=seconds)

    [(_, _, plenty), (_, _, little)] = rule.invoked
    assert plenty == pytest.approx(6.0)
    assert little == pytest.approx(2.0)


def test_without_time_for_a_rule_it_is_not_started(post: Post, rule: Rule) -> None:
    post.send("L1")

    failed = post.run(seconds=3.5)

    assert (len(failed), rule.invoked) == (1, [])
    time.sleep(1.1)
    assert post.run() == []
    assert rule.delivered == ["L1"]
