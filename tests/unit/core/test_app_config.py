"""The deployed configuration as AppConfig hands it out: sessions, tokens, failures."""

from __future__ import annotations

import pytest

from cognito_rules.app_config import ConfigurationSession
from cognito_rules.aws import Aws
from cognito_rules.errors import UpstreamError, UpstreamTimeoutError
from tests.loopback import Reply, Server, reply


@pytest.fixture
def session(aws: Aws) -> ConfigurationSession:
    return ConfigurationSession(aws, "stack", "live", "chain")


def started(token: str = "token-1+/=") -> Reply:
    return reply(201, {"InitialConfigurationToken": token})


def polled(content: bytes, token: str) -> Reply:
    return Reply(200, content, {"Next-Poll-Configuration-Token": token})


def refused(status: int, kind: str) -> Reply:
    return reply(status, {"Message": "no"}, headers={"x-amzn-ErrorType": f"{kind}:http://x"})


def paths(amazon: Server) -> list[str]:
    return [f"{request.method} {request.path}" for request in amazon.received]


def test_a_session_is_started_once_and_each_token_is_used_once(
    amazon: Server, session: ConfigurationSession
) -> None:
    amazon.replies = [started(), polled(b"one", "token-2"), polled(b"", "token-3"), Reply()]

    assert session.latest(1.0) == b"one"
    assert session.latest(1.0) is None

    assert paths(amazon) == [
        "POST /configurationsessions",
        "GET /configuration?configuration_token=token-1%2B%2F%3D",
        "GET /configuration?configuration_token=token-2",
    ]
    assert amazon.received[0].json() == {
        "ApplicationIdentifier": "stack",
        "EnvironmentIdentifier": "live",
        "ConfigurationProfileIdentifier": "chain",
        "RequiredMinimumPollIntervalInSeconds": 15,
    }
    scopes = {request.headers["authorization"].split("/")[3] for request in amazon.received}
    assert scopes == {"appconfig"}


def test_an_expired_token_begins_a_new_session(
    amazon: Server, session: ConfigurationSession
) -> None:
    amazon.replies = [
        started(),
        polled(b"one", "expires"),
        refused(400, "BadRequestException"),
        started("token-9"),
        polled(b"two", "token-10"),
    ]
    session.latest(1.0)

    assert session.latest(1.0) == b"two"
    assert paths(amazon)[-1] == "GET /configuration?configuration_token=token-9"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(polled(b"", "token-2"), id="an empty answer"),
        pytest.param(refused(404, "ResourceNotFoundException"), id="not found"),
    ],
)
def test_without_a_deployment_there_is_none(
    amazon: Server, session: ConfigurationSession, answer: Reply
) -> None:
    amazon.replies = [started(), answer]

    assert session.latest(1.0) is None


@pytest.mark.parametrize(
    ("replies", "problem"),
    [
        pytest.param(
            [refused(403, "AccessDeniedException")],
            "StartConfigurationSession: AccessDeniedException",
            id="no permission",
        ),
        pytest.param([Reply(200, b"[]")], "StartConfigurationSession: 200", id="junk"),
        pytest.param(
            [started(), refused(500, "InternalServerException")],
            "GetLatestConfiguration: InternalServerException",
            id="an error of AppConfig",
        ),
        pytest.param([started(), Reply(200, b"x")], "GetLatestConfiguration: 200", id="no token"),
    ],
)
def test_a_refusal_is_named_and_the_next_call_begins_anew(
    amazon: Server, session: ConfigurationSession, replies: list[Reply], problem: str
) -> None:
    amazon.replies = [*replies, started("fresh"), polled(b"one", "token-2")]

    with pytest.raises(UpstreamError, match=problem):
        session.latest(1.0)

    assert session.latest(1.0) == b"one"


def test_a_silent_service_is_waited_for_as_long_as_was_said(
    amazon: Server, session: ConfigurationSession
) -> None:
    amazon.replies = [Reply(delay=0.5)]

    with pytest.raises(UpstreamTimeoutError):
        session.latest(0.1)


def test_a_lost_answer_does_not_lose_the_configuration(
    amazon: Server, session: ConfigurationSession
) -> None:
    """Whether the token of a lost call was used up is unknown: it is never used again."""
    amazon.replies = [started(), Reply(reset=True), started("fresh"), polled(b"one", "token-2")]

    with pytest.raises(UpstreamError):
        session.latest(1.0)

    assert session.latest(1.0) == b"one"
