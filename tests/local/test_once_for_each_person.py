"""Entries that run once for each person: markers against DynamoDB, through deliver."""

import time
from typing import Any

import pytest

from cognito_rules.delivery import memory_key
from cognito_rules.markers import LEASE_SECONDS, SET_ASIDE_SECONDS, Markers
from local.server import EmbeddedAws
from tests.local.post import BUSY, MAX_RECEIVES, OK, Post, Rule, a_fault
from tests.log_lines import log_lines

REJECTED = a_fault("http_400", retryable=False)
MISCONFIGURED = a_fault("misconfigured", retryable=False)
UNCERTAIN = a_fault("upstream_timeout", retryable=False)


@pytest.fixture
def rule() -> Rule:
    return Rule()


@pytest.fixture
def post(aws: EmbeddedAws, rule: Rule) -> Post:
    return Post(aws, rule)


@pytest.fixture
def markers(aws: EmbeddedAws, post: Post) -> Markers:
    return Markers(aws.client("dynamodb"), post.table, clock=lambda: post.now())


def send(post: Post, event_id: str, person: str | None = "p1") -> None:
    request = {"version": 1, "login": {"event": {"id": event_id}}, "configuration": {}}
    delivery = {"entry": "lead", "request": request, "once": True}
    post.send(event_id, deliveries=[delivery], person=person)


def later(post: Post, seconds: float) -> None:
    post.now = lambda: time.time() + seconds


# -- what becomes of a person --------------------------------------------------------------------


def test_the_second_login_finds_the_person_done(post: Post, rule: Rule) -> None:
    send(post, "L1")
    post.run()
    send(post, "L2")

    with log_lines() as log:
        assert post.run() == []

    assert rule.delivered == ["L1"]
    assert [line["outcome"] for line in log.records] == ["done_before"]
    [marker] = post.kept("ONCE#p1#").values()
    assert (marker["state"], marker["event_id"]) == ("done", "L1")
    assert "expires_at" not in marker  # for ever


def test_another_person_has_a_turn_of_their_own(post: Post, rule: Rule) -> None:
    send(post, "L1", "p1")
    send(post, "L2", "p2")

    post.run()

    assert sorted(rule.delivered) == ["L1", "L2"]


def test_of_two_first_logins_at_once_one_waits_and_then_sees_that_it_is_done(
    post: Post, rule: Rule
) -> None:
    send(post, "L2")
    [second] = post.receive()
    rule.before_answer = lambda: failed.extend(
        post.deliver([second], deliverer=post.another_environment())
    )
    failed: list[str] = []
    send(post, "L1")

    assert post.run() == []
    assert failed == [second["messageId"]]
    assert post.hidden_for == [30]
    rule.before_answer = lambda: None
    post.hurry(second)
    assert post.run() == []
    assert rule.delivered == ["L1"]


def test_a_rejected_person_stays_rejected(post: Post, rule: Rule) -> None:
    rule.answers = [REJECTED, OK]
    send(post, "L1")
    post.run()
    send(post, "L2")
    post.run()

    assert rule.delivered == ["L1"]
    assert [a["reason"] for _, a in post.dead] == ["rejected:http_400"]
    [marker] = post.kept("ONCE#p1#").values()
    assert (marker["state"], marker["code"]) == ("rejected", "http_400")


def test_a_rejected_person_is_tried_again_by_redrive(post: Post, rule: Rule) -> None:
    rule.answers = [REJECTED, OK]
    send(post, "L1")
    post.run()
    [letter] = post.receive(url=post.dead_url)
    post.forget(memory_key("lead", "L1"))  # as redrive does, after somebody repaired something

    post.send_text(letter["body"])
    post.run()

    assert rule.delivered == ["L1", "L1"]
    assert post.kept("ONCE#p1#")["lead"]["state"] == "done"


def test_while_a_vendor_is_down_the_event_that_came_first_keeps_its_turn(
    post: Post, rule: Rule
) -> None:
    rule.answers = [BUSY, OK]
    send(post, "L1")
    [first] = post.receive()
    post.deliver([first])
    send(post, "L2")

    assert len(post.run()) == 1
    post.hurry(first)
    post.run()

    assert rule.delivered == ["L1", "L1"]


def test_a_lease_that_is_over_is_taken_over(post: Post, rule: Rule, markers: Markers) -> None:
    markers.start("p1", "lead", "L0")
    send(post, "L1")
    [record] = post.receive()
    assert len(post.deliver([record])) == 1
    later(post, LEASE_SECONDS + 1)
    post.hurry(record)

    assert post.run() == []
    assert rule.delivered == ["L1"]


def test_an_interrupted_event_takes_its_own_lease_again(markers: Markers) -> None:
    assert markers.start("p1", "lead", "L1") is None
    assert markers.start("p1", "lead", "L1") is None


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(MISCONFIGURED, id="an operator has to repair something"),
        pytest.param(UNCERTAIN, id="the vendor may have the person"),
    ],
)
def test_a_person_whose_event_was_set_aside_waits_for_its_replay(
    post: Post, rule: Rule, fault: dict[str, Any]
) -> None:
    rule.answers = [fault, OK]
    send(post, "L1")
    post.run()
    send(post, "L2")
    with log_lines() as log:
        assert post.run() == []
    assert [line["outcome"] for line in log.records] == ["set_aside_before"]
    [letter] = post.receive(url=post.dead_url)

    post.send_text(letter["body"])
    post.run()

    assert rule.delivered == ["L1", "L1"]
    assert post.kept("ONCE#p1#")["lead"]["state"] == "done"


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(MISCONFIGURED, id="to be repaired by an operator"),
        pytest.param(a_fault("rule_error", retryable=False), id="by who wrote the rule"),
        pytest.param({"version": 1}, id="by who wrote a rule that answers nonsense"),
    ],
)
def test_a_letter_that_nobody_replayed_gives_the_person_free(
    post: Post, rule: Rule, fault: dict[str, Any]
) -> None:
    rule.answers = [fault, OK]
    send(post, "L1")
    post.run()
    later(post, SET_ASIDE_SECONDS + 1)
    send(post, "L2")

    assert post.run() == []
    assert rule.delivered == ["L1", "L2"]


def test_the_last_receive_sets_the_person_aside_too(post: Post, rule: Rule) -> None:
    rule.answers = [BUSY]
    send(post, "L1")
    [record] = post.receive()
    record["attributes"]["ApproximateReceiveCount"] = str(MAX_RECEIVES)

    assert post.deliver([record]) == []

    assert [a["reason"] for _, a in post.dead] == ["exhausted"]
    assert post.kept("ONCE#p1#")["lead"]["state"] == "set_aside"


def test_a_message_that_does_not_say_who_it_is_about_is_malformed(post: Post, rule: Rule) -> None:
    send(post, "L1", None)

    assert post.run() == []

    assert rule.invoked == []
    assert [a["reason"] for _, a in post.dead] == ["malformed"]


def test_a_table_that_does_not_answer_delays_the_message(post: Post, rule: Rule) -> None:
    post.deliverer._markers._table = "no-such-table"
    send(post, "L1")

    assert len(post.run()) == 1

    assert (rule.invoked, post.dead) == ([], [])
