"""The circuit of a rule, whose state is in DynamoDB: a vendor that is down is left alone."""

import pytest

from local.server import EmbeddedAws
from tests.local.post import BUSY, OK, Post, Rule, a_fault
from tests.log_lines import log_lines


@pytest.fixture
def rule() -> Rule:
    return Rule()


@pytest.fixture
def post(aws: EmbeddedAws, rule: Rule) -> Post:
    return Post(aws, rule)


@pytest.fixture
def down(post: Post, rule: Rule) -> Post:
    """A post whose rule failed five times in a row."""
    rule.answers = [BUSY]
    for number in range(5):
        post.send(f"D{number}")
    while len(rule.invoked) < 5:
        post.run()
    return post


def test_after_five_failures_the_circuit_is_open(down: Post, rule: Rule) -> None:
    rule.answers = [OK]
    down.send("L1")
    [record] = down.receive()

    with log_lines() as log:
        failed = down.deliver([record])

    assert failed == [record["messageId"]]
    assert len(rule.invoked) == 5
    assert [line["code"] for line in log.records if "code" in line] == ["circuit_open"]


def test_an_open_circuit_is_known_to_other_environments(down: Post, rule: Rule) -> None:
    rule.answers = [OK]
    down.send("L1")

    failed = down.run(deliverer=down.another_environment())

    assert (len(failed), len(rule.invoked)) == (1, 5)
    circuit = next(item for item in down.items if item["pk"]["S"].startswith("circuit#"))
    assert circuit["state"]["S"] == "OPEN"


def test_faults_that_are_not_the_vendors_leave_the_circuit_closed(post: Post, rule: Rule) -> None:
    rule.answers = [a_fault("http_400", retryable=False)]
    for number in range(6):
        post.send(f"R{number}")

    while len(rule.invoked) < 6:
        post.run()

    rule.answers = [OK]
    post.send("L1")
    assert post.run() == []
