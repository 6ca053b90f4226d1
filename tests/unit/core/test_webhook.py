from collections.abc import Callable, Iterator

import pytest

from cognito_rules import UpstreamError
from cognito_rules.http import AFTER_LOGIN, Answer
from cognito_rules.webhook import post_to_webhook
from tests.log_lines import log_lines
from tests.loopback import Reply, Server, serving

OLD = "https://hooks.example.com/services/T0/B0/old-word"
NEW = "https://hooks.example.com/services/T0/B0/new-word"


@pytest.fixture
def service() -> Iterator[Server]:
    with serving() as server:
        yield server


def rotated(refresh: bool) -> str:
    return NEW if refresh else OLD


def send(service: Server | None, read_url: Callable[[bool], str] = lambda refresh: OLD) -> Answer:
    stand_in = service.url if service else ""
    return post_to_webhook(
        read_url, b"{}", hosts=["hooks.example.com"], stand_in=stand_in, budget=AFTER_LOGIN
    )


def test_the_body_goes_to_the_url_in_the_secret(service: Server) -> None:
    answer = send(service)

    [received] = service.received
    assert (answer.status, received.path, received.body) == (
        200,
        "/services/T0/B0/old-word",
        b"{}",
    )


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_webhook_that_was_replaced_is_read_again(service: Server, status: int) -> None:
    service.replies = [Reply(status), Reply(200)]

    answer = send(service, rotated)

    assert answer.is_success
    assert [sent.path for sent in service.received] == [
        "/services/T0/B0/old-word",
        "/services/T0/B0/new-word",
    ]


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_webhook_that_is_gone_is_for_an_operator(service: Server, status: int) -> None:
    service.replies = [Reply(status)]

    with pytest.raises(UpstreamError) as caught:
        send(service)

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
    assert len(service.received) == 1


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://hooks.example.com/services/word", id="plain http"),
        pytest.param("https://evil.example/services/word", id="another host"),
        pytest.param("https://hooks.example.com.evil.example/word", id="a longer host"),
        pytest.param("https://hooks.example.com@evil.example/word", id="a host as user-info"),
        pytest.param("https://u:word@hooks.example.com/", id="a password"),
        pytest.param("https://hooks.example.com:8443/word", id="another port"),
        pytest.param("https://hooks.example.com:port/word", id="a port that is none"),
        pytest.param("https://169.254.169.254/word", id="an address"),
        pytest.param("word", id="no URL"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_secret_that_holds_something_else_is_called_nowhere(url: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        send(None, lambda refresh: url)

    assert caught.value.code == "misconfigured"
    assert "hooks.example.com" in str(caught.value)
    assert "word" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_url_is_in_no_log(service: Server) -> None:
    service.replies = [Reply(503), Reply(200)]
    with log_lines() as lines:
        send(service)

    assert len(lines.records) == 2
    assert "word" not in lines.text
