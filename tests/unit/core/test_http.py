import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from cognito_rules import UpstreamError
from cognito_rules.errors import UpstreamTimeoutError
from cognito_rules.http import (
    AFTER_LOGIN,
    IN_LOGIN,
    Answer,
    Budget,
    basic_credentials,
    code_of,
    encode,
    post,
    post_json,
    send,
)
from tests.log_lines import LogLines, log_lines
from tests.loopback import Reply, Server, at, reply, serving
from tests.moments import ends_soon

# As AFTER_LOGIN, at the pace of a test.
QUICK = Budget(2.0, connect=0.3, read=0.3, tries=3, base=0.01, cap=0.05, least=0.05)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def log() -> Iterator[LogLines]:
    with log_lines() as lines:
        yield lines


def test_what_is_sent_and_what_comes_back(server: Server) -> None:
    server.replies = [reply(200, {"text": "Success"}, headers={"X-Id": "7"})]

    answer = post(at(server, "/in?x=1"), b'{"a":1}', headers={"X-Channel": "c"})

    [received] = server.received
    assert (received.path, received.body) == ("/in?x=1", b'{"a":1}')
    assert received.headers["user-agent"] == "cognito-rules/1"
    assert received.headers["content-type"] == "application/json"
    assert received.headers["x-channel"] == "c"
    assert (answer.status, answer.json(), answer.headers["x-id"]) == (200, {"text": "Success"}, "7")


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
def test_other_methods_go_the_same_way(server: Server, method: str) -> None:
    server.replies = [Reply(503), reply(200, {"done": True})]

    answer = send(method, at(server), b"[1]", budget=QUICK)

    assert answer.json() == {"done": True}
    assert [(sent.method, sent.body) for sent in server.received] == [(method, b"[1]")] * 2


def test_basic_credentials_are_utf_8() -> None:
    # RFC 7617, section 2.1.
    assert basic_credentials("test", "123£") == {"Authorization": "Basic dGVzdDoxMjPCow=="}


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_a_busy_service_is_asked_again(server: Server, status: int) -> None:
    server.replies = [Reply(status), Reply(status), reply(200, {"done": True})]

    answer = post(at(server), b"{}", budget=QUICK)

    assert (answer.json(), len(server.received)) == ({"done": True}, 3)


def test_a_busy_service_is_given_up_after_three_tries(server: Server) -> None:
    server.replies = [Reply(503)]

    with pytest.raises(UpstreamError) as caught:
        post(at(server), b"{}", budget=QUICK)

    error = caught.value
    assert (error.code, error.status, error.retryable) == ("upstream_unavailable", 503, True)
    assert len(server.received) == 3


def test_in_a_login_an_answer_is_never_waited_for_twice(server: Server) -> None:
    server.replies = [Reply(503), Reply(200)]

    with pytest.raises(UpstreamError):
        post(at(server), b"{}", budget=IN_LOGIN)

    assert len(server.received) == 1


def test_retry_after_is_waited_for_when_it_fits(server: Server) -> None:
    server.replies = [Reply(429, headers={"Retry-After": "1"}), Reply(200)]

    post(at(server), b"{}", budget=AFTER_LOGIN)

    first, second = server.received
    assert 1.0 <= second.at - first.at < 1.3


def asked_in_the_body(answer: Answer) -> float | None:
    seconds: float | None = answer.json().get("wait")
    return seconds


@pytest.mark.parametrize("status", [200, 400, 403, 429])
def test_a_service_may_ask_to_wait_in_words_of_its_own(server: Server, status: int) -> None:
    server.replies = [reply(status, {"wait": 0.2}), reply(200, {"done": True})]

    answer = send("POST", at(server), b"{}", budget=QUICK, busy=asked_in_the_body)

    first, second = server.received
    assert answer.json() == {"done": True}
    assert second.at - first.at >= 0.2


def test_words_of_its_own_give_way_to_retry_after(server: Server) -> None:
    server.replies = [reply(429, {"wait": 7}, headers={"Retry-After": "120"})]

    with pytest.raises(UpstreamError) as caught:
        send("POST", at(server), b"{}", budget=QUICK, busy=asked_in_the_body)

    assert caught.value.retry_after == 120


def test_an_answer_that_asks_for_nothing_is_taken_as_it_is(server: Server) -> None:
    server.replies = [reply(400, {"error": "no"})]

    answer = send("POST", at(server), b"{}", budget=QUICK, busy=asked_in_the_body)

    assert (answer.status, len(server.received)) == (400, 1)


def in_100_seconds() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=100)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        pytest.param(lambda: "120", 120, id="seconds"),
        pytest.param(lambda: "999999", 12 * 3600, id="at most twelve hours"),
        pytest.param(lambda: format_datetime(in_100_seconds(), usegmt=True), 100, id="a date"),
        pytest.param(
            lambda: in_100_seconds().strftime("%a, %d %b %Y %H:%M:%S"),
            100,
            id="a date without zone is UTC",
        ),
    ],
)
def test_a_long_retry_after_is_left_to_the_caller(
    server: Server, header: Callable[[], str], seconds: int
) -> None:
    server.replies = [Reply(429, headers={"Retry-After": header()})]

    with ends_soon(), pytest.raises(UpstreamError) as caught:
        post(at(server), b"{}", budget=QUICK)

    assert caught.value.retry_after == pytest.approx(seconds, abs=5)
    assert caught.value.retryable
    assert len(server.received) == 1


@pytest.mark.parametrize("header", ["soon", "-5", "1.5e3", "", "Mon, 99 Foo 2026"])
def test_an_unreadable_retry_after_is_ignored(server: Server, header: str) -> None:
    server.replies = [Reply(429, headers={"Retry-After": header}), Reply(200)]

    answer = post(at(server), b"{}", budget=QUICK)

    assert answer.is_success


def test_a_silent_service_is_not_asked_again_when_it_may_have_acted(server: Server) -> None:
    server.replies = [Reply(delay=0.6), Reply(200)]

    with pytest.raises(UpstreamTimeoutError) as caught:
        post(at(server), b"{}", budget=QUICK)

    assert (caught.value.code, caught.value.retryable) == ("upstream_timeout", False)
    assert len(server.received) == 1


def test_a_silent_service_is_asked_again_when_duplicates_do_no_harm(server: Server) -> None:
    server.replies = [Reply(delay=0.6), Reply(200)]

    answer = post(at(server), b"{}", budget=QUICK, repeatable=True)

    assert (answer.is_success, len(server.received)) == (True, 2)


@pytest.mark.parametrize("repeatable", [False, True])
def test_a_reset_connection_is_a_doubt_too(server: Server, repeatable: bool) -> None:
    server.replies = [Reply(reset=True)]

    with pytest.raises(UpstreamTimeoutError) as caught:
        post(at(server), b"{}", budget=QUICK, repeatable=repeatable)

    assert caught.value.retryable == repeatable
    assert len(server.received) == (3 if repeatable else 1)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "http_400"),
        (401, "misconfigured"),
        (402, "misconfigured"),
        (403, "misconfigured"),
        (404, "http_404"),
        (409, "http_409"),
        (410, "http_410"),
        (413, "http_413"),
        (422, "http_422"),
    ],
)
def test_a_refusal_is_final(server: Server, status: int, code: str) -> None:
    server.replies = [Reply(status)]

    with pytest.raises(UpstreamError) as caught:
        post_json(at(server), {}, budget=QUICK)

    error = caught.value
    assert (error.code, error.status, error.retryable) == (code, status, False)
    assert len(server.received) == 1


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"<html>jane@example.com", id="a page"),
        pytest.param(b"[" * 100_000, id="deeper than anybody reads"),
    ],
)
def test_an_answer_that_is_no_json_is_an_error_without_the_answer(
    server: Server, body: bytes
) -> None:
    server.replies = [Reply(body=body)]

    with pytest.raises(UpstreamError) as caught:
        post_json(at(server), {})

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", True)
    assert "jane" not in repr(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        pytest.param(b'{"code": 7}', {"code": 7}, id="an object"),
        pytest.param(b'[{"code": 7}]', {}, id="a list"),
        pytest.param(b"<html>", {}, id="a page"),
        pytest.param(b"", {}, id="nothing"),
    ],
)
def test_what_a_refusal_says_is_an_object_or_nothing(
    server: Server, body: bytes, fields: dict[str, int]
) -> None:
    server.replies = [Reply(400, body)]

    assert post(at(server), b"{}").fields() == fields


def test_a_services_own_word_becomes_a_code() -> None:
    assert code_of("VALIDATION-Error: e-mail!") == "validation_error_e_mail"
    assert len(code_of("x" * 200)) == 50


def test_no_call_is_started_without_time(server: Server) -> None:
    with pytest.raises(UpstreamError, match="no time"):
        post(at(server), b"{}", budget=IN_LOGIN.within(0.35 - 0.4))

    assert server.connections == 0


class Credential:
    """A secret that was rotated after it was read."""

    def __init__(self, *versions: str) -> None:
        self.versions = list(versions)
        self.asked: list[bool] = []

    def __call__(self, refresh: bool) -> dict[str, str]:
        self.asked.append(refresh)
        if refresh and len(self.versions) > 1:
            del self.versions[0]
        return {"Authorization": self.versions[0]}


def test_a_rotated_credential_is_read_again_once(server: Server, log: LogLines) -> None:
    server.replies = [Reply(401), Reply(200)]
    credential = Credential("old", "new")

    answer = post(at(server), b"{}", authorize=credential, budget=QUICK)

    assert answer.is_success
    assert [request.headers["authorization"] for request in server.received] == ["old", "new"]
    assert [line["message"] for line in log.records].count("auth_refreshed") == 1


def test_a_credential_that_stays_refused_is_returned_as_such(server: Server) -> None:
    server.replies = [Reply(401)]
    credential = Credential("old", "new", "newer")

    answer = post(at(server), b"{}", authorize=credential, budget=QUICK)

    assert (answer.status, answer.refusal().code) == (401, "misconfigured")
    assert len(server.received) == 2


def test_the_same_credential_is_not_sent_twice(server: Server) -> None:
    server.replies = [Reply(401)]

    answer = post(at(server), b"{}", authorize=Credential("only"), budget=QUICK)

    assert (answer.status, len(server.received)) == (401, 1)


def test_keys_that_name_a_secret_do_not_leave() -> None:
    sent = encode(
        {
            "user": {"name": "Jane", "identities": [{"access_token": "x", "provider": "google"}]},
            "Password": "x",
            "client_secret": "x",
            "SAMLAssertion": "x",
            "set-cookie": "x",
        }
    )

    assert json.loads(sent) == {"user": {"name": "Jane", "identities": [{"provider": "google"}]}}


def test_a_log_line_tells_of_each_attempt_and_nothing_personal(
    server: Server, log: LogLines
) -> None:
    server.replies = [Reply(503), reply(200, {"text": "jane@example.com"})]

    post(
        at(server, "/in?key=hidden"),
        b'{"name": "Jane"}',
        headers={"Authorization": "Splunk hidden"},
        budget=QUICK,
        about={"login_id": "L1"},
    )

    first, second = log.records
    assert (first["level"], first["attempt"], first["status"]) == ("WARNING", 1, 503)
    assert (second["level"], second["attempt"], second["status"]) == ("INFO", 2, 200)
    assert (second["upstream"], second["login_id"]) == ("127.0.0.1", "L1")
    assert second["bytes_in"] == len(b'{"text": "jane@example.com"}')
    assert second["duration_ms"] >= 0
    text = log.text
    assert "hidden" not in text
    assert "ane" not in text
