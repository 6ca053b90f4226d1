from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cognito_rules import connections
from cognito_rules.connections import Connections, HttpAnswer
from cognito_rules.errors import UpstreamError, UpstreamTimeoutError
from tests.loopback import Reply, Server, reply, self_signed, serving
from tests.moments import SOON


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def send(to: Connections, body: bytes = b"{}", *, timeout: float = 2.0) -> HttpAnswer:
    return to.send("POST", "/invocations", body, {"X-Channel": "c"}, connect=0.3, timeout=timeout)


def test_what_is_sent_and_what_comes_back(server: Server) -> None:
    server.replies = [reply(429, {"text": "slower"}, headers={"X-Id": "7"})]

    answer = send(Connections(server.url), '{"name":"Zoë"}'.encode())

    [received] = server.received
    assert (received.path, received.json()) == ("/invocations", {"name": "Zoë"})
    assert received.headers["host"] == server.url.removeprefix("http://")
    assert received.headers["x-channel"] == "c"
    assert (answer.status, answer.data) == (429, b'{"text": "slower"}')
    assert answer.headers["x-id"] == "7"


def test_a_connection_is_used_again(server: Server) -> None:
    to = Connections(server.url)

    for _ in range(3):
        send(to)

    assert (len(server.received), server.connections) == (3, 1)


def test_calls_at_the_same_time_have_a_connection_each(server: Server) -> None:
    to = Connections(server.url)
    together = threading.Barrier(8, timeout=SOON)
    server.replies = [*[Reply(after=together.wait)] * 8, Reply()]

    with ThreadPoolExecutor(8) as threads:
        for answer in list(threads.map(lambda _: send(to), range(8))):
            assert answer.status == 200
    send(to)

    assert (len(server.received), server.connections) == (9, 8)


def test_a_connection_that_the_other_side_closed_is_not_used_again(server: Server) -> None:
    to = Connections(server.url)
    send(to)
    server.close_connections()

    assert send(to).status == 200
    assert server.connections == 2


def test_a_connection_that_was_idle_for_long_is_not_used_again(server: Server) -> None:
    to = Connections(server.url, idle_seconds=0.05)
    send(to)
    time.sleep(0.1)
    send(to)

    assert server.connections == 2


def test_a_connection_whose_answer_came_too_late_is_not_used_again(server: Server) -> None:
    to = Connections(server.url)
    come = threading.Event()
    server.replies = [reply(200, "late", after=come.wait), reply(200, "right")]
    with pytest.raises(UpstreamTimeoutError) as caught:
        send(to, timeout=0.1)
    come.set()
    time.sleep(0.1)

    assert send(to).data == b'"right"'
    assert caught.value.retryable


def test_an_answer_that_ends_the_connection_is_taken(server: Server) -> None:
    to = Connections(server.url)
    server.replies = [Reply(headers={"Connection": "close"})]

    assert [send(to).status for _ in range(2)] == [200, 200]
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reply(reset=True), id="a reset"),
        pytest.param(Reply(body=b"{", says_length=9), id="half an answer"),
    ],
)
def test_a_broken_answer_is_an_upstream_error(server: Server, answer: Reply) -> None:
    to = Connections(server.url)
    server.replies = [answer, Reply()]

    with pytest.raises(UpstreamError) as caught:
        send(to)

    assert caught.value.retryable
    assert not isinstance(caught.value, UpstreamTimeoutError)
    assert send(to).status == 200


def test_something_that_is_no_http_is_an_upstream_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as threads:
        listening.settimeout(5)

        def talk() -> None:
            made, _ = listening.accept()
            with made:
                made.recv(1000)
                made.sendall(b"SSH-2.0-OpenSSH\r\n")

        talking = threads.submit(talk)
        with pytest.raises(UpstreamError, match="BadStatusLine"):
            send(Connections(f"http://127.0.0.1:{listening.getsockname()[1]}"))
        talking.result()


def test_nobody_listening_is_an_upstream_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

    with pytest.raises(UpstreamError, match="ConnectionRefusedError"):
        send(Connections(f"http://127.0.0.1:{port}"))


def test_no_header_can_smuggle_a_line(server: Server) -> None:
    with pytest.raises(UpstreamError):
        Connections(server.url).send("POST", "/", b"", {"A": "b\r\nC: d"}, connect=0.3, timeout=1.0)

    assert server.received == []


def test_a_certificate_must_be_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    certificate = self_signed(tmp_path)
    connections._trust.cache_clear()
    with serving(certificate) as server:
        with pytest.raises(UpstreamError, match="SSLCertVerificationError"):
            send(Connections(server.url))

        connections._trust.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        to = Connections(server.url)
        statuses = [send(to).status for _ in range(2)]
        refused = Connections(server.url.replace("127.0.0.1", "localhost"))
        with pytest.raises(UpstreamError, match="SSLCertVerificationError"):
            send(refused)
    connections._trust.cache_clear()

    assert statuses == [200, 200]
    assert [received.path for received in server.received] == ["/invocations"] * 2
