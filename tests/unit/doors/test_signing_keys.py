"""The pool's keys over time: on a clock of the test's own."""

from __future__ import annotations

import pytest

from cognito_rules.errors import ConfigurationError, UpstreamError
from cognito_rules.signing_keys import MAX_AGE, MAX_STALE, TRY_AGAIN_SECONDS, SigningKeys
from tests.loopback import Reply, Server, reply
from tests.pool_tokens import KEYS_PATH, published


class Clock:
    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys(amazon: Server, clock: Clock) -> SigningKeys:
    amazon.replies = [reply(200, published("first"))]
    return SigningKeys(amazon.url + KEYS_PATH, now=clock)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reply(status=500), id="an error"),
        pytest.param(Reply(reset=True), id="no answer"),
        pytest.param(Reply(body=b"<html>"), id="a page"),
        pytest.param(reply(200, {"keys": []}), id="no key"),
        pytest.param(reply(200, ["first"]), id="a list"),
    ],
)
def test_while_the_pool_is_silent_the_keys_of_before_count(
    answer: Reply, keys: SigningKeys, amazon: Server, clock: Clock
) -> None:
    keys.find("first")
    amazon.replies = [answer]
    clock.time = MAX_AGE + 1

    assert keys.find("first") is not None

    clock.time = MAX_STALE + 1
    with pytest.raises(UpstreamError):
        keys.find("first")


def test_a_silent_pool_is_not_asked_for_every_token(
    keys: SigningKeys, amazon: Server, clock: Clock
) -> None:
    amazon.replies = [Reply(status=500)]
    for second in range(int(TRY_AGAIN_SECONDS)):
        clock.time = float(second)
        with pytest.raises(UpstreamError):
            keys.find("first")

    assert len(amazon.received) == 1
    amazon.replies = [reply(200, published("first"))]
    clock.time = TRY_AGAIN_SECONDS
    assert keys.find("first") is not None


def test_a_key_that_was_withdrawn_is_forgotten_within_the_hour(
    keys: SigningKeys, amazon: Server, clock: Clock
) -> None:
    keys.find("first")
    amazon.replies = [reply(200, published("second"))]
    clock.time = MAX_AGE

    assert keys.find("first") is None
    assert keys.find("second") is not None


def test_an_unknown_key_is_asked_about_once_a_minute(
    keys: SigningKeys, amazon: Server, clock: Clock
) -> None:
    keys.find("first")
    for second in (1, 2, 30, 59):
        clock.time = float(second)
        assert keys.find("unknown") is None
    assert len(amazon.received) == 2

    clock.time = 62.0
    keys.find("unknown")
    assert len(amazon.received) == 3


def test_keys_come_from_https_or_this_machine_only() -> None:
    with pytest.raises(ConfigurationError):
        SigningKeys("http://keys.example.com/jwks.json")
