"""What a pool says of its app clients and the like, on a clock of the test's own."""

from __future__ import annotations

import pytest

from cognito_rules.app_clients import AppClients
from cognito_rules.aws import Aws
from cognito_rules.errors import UpstreamError
from cognito_rules.pool_parts import ASK_AGAIN_SECONDS, KEEP_SECONDS
from tests.loopback import Reply, Server, reply

SILENT = Reply(reset=True)


def described(flow: str) -> Reply:
    return reply(200, {"UserPoolClient": {"ExplicitAuthFlows": [flow]}})


class Clock:
    time = 0.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def clients(aws: Aws, clock: Clock) -> AppClients:
    return AppClients(aws, now=clock)


def flows(clients: AppClients, client_id: str = "web") -> list[str]:
    return list(clients.find("eu-west-1_Example01", client_id)["ExplicitAuthFlows"])


def test_what_cannot_be_read_is_an_error_and_is_not_asked_again_at_once(
    clients: AppClients, amazon: Server, clock: Clock
) -> None:
    amazon.replies = [reply(400, {"__type": "TooManyRequestsException"}), described("SRP")]
    for _ in range(3):
        with pytest.raises(UpstreamError):
            flows(clients)
    assert len(amazon.received) == 1

    clock.time = ASK_AGAIN_SECONDS
    assert flows(clients) == ["SRP"]


def test_an_answer_is_kept_for_a_while_and_then_asked_for_again(
    clients: AppClients, amazon: Server, clock: Clock
) -> None:
    amazon.replies = [described("SRP"), described("PASSWORD")]

    assert [flows(clients), flows(clients)] == [["SRP"], ["SRP"]]
    clock.time = KEEP_SECONDS
    assert flows(clients) == ["PASSWORD"]


def test_while_aws_is_silent_the_old_answer_counts(
    clients: AppClients, amazon: Server, clock: Clock
) -> None:
    amazon.replies = [described("SRP"), reply(500, {})]
    flows(clients)
    clock.time = KEEP_SECONDS

    assert flows(clients) == ["SRP"]


def test_one_client_is_not_taken_for_another(clients: AppClients, amazon: Server) -> None:
    amazon.replies = [described("SRP"), described("PASSWORD")]

    assert (flows(clients, "web"), flows(clients, "shop")) == (["SRP"], ["PASSWORD"])
