from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl

import pytest

from cognito_rules import UpstreamError
from cognito_rules.access_tokens import AccessToken, client_credentials_token
from cognito_rules.http import AFTER_LOGIN
from tests.loopback import Reply, Server, at, reply, serving

OLD = {"client_id": "c1", "client_secret": "before"}
NEW = {"client_id": "c1", "client_secret": "after"}


@pytest.fixture
def service() -> Iterator[Server]:
    with serving() as server:
        server.replies = [a_token("t1"), a_token("t2")]
        yield server


def a_token(text: str, **more: Any) -> Reply:
    return reply(200, {"access_token": text, "token_type": "bearer", **more})


def ask(service: Server, *, renew: bool = False, lifetime: float = 60.0) -> AccessToken:
    return client_credentials_token(
        at(service, "/token"),
        lambda refresh: NEW if refresh else OLD,
        budget=AFTER_LOGIN,
        lifetime_seconds=lifetime,
        renew=renew,
    )


def forms(service: Server) -> list[Mapping[str, str]]:
    return [dict(parse_qsl(received.body.decode())) for received in service.received]


def test_a_token_is_asked_for_as_rfc_6749_says(service: Server) -> None:
    service.replies = [a_token("t1", instance_url="https://acme.example")]

    token = ask(service)

    assert (token.text, token.facts["instance_url"]) == ("t1", "https://acme.example")
    assert forms(service) == [{"grant_type": "client_credentials", **OLD}]
    [received] = service.received
    assert received.headers["content-type"] == "application/x-www-form-urlencoded"


def test_a_token_is_kept_while_it_lasts(service: Server) -> None:
    assert [ask(service).text, ask(service).text] == ["t1", "t1"]
    assert len(service.received) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"expires_in": 0}, id="by the service's word"),
        pytest.param({"expires_in": "soon"}, id="by the caller's, when the service's is none"),
    ],
)
def test_a_token_that_ended_is_not_used(service: Server, answer: dict[str, Any]) -> None:
    service.replies = [a_token("t1", **answer), a_token("t2")]

    assert [ask(service, lifetime=0).text, ask(service, lifetime=0).text] == ["t1", "t2"]


def test_a_refused_token_is_replaced_with_credentials_that_are_read_again(service: Server) -> None:
    ask(service)

    assert ask(service, renew=True).text == "t2"
    assert forms(service)[1]["client_secret"] == "after"
    assert ask(service).text == "t2"


def test_rotated_credentials_are_read_again_once(service: Server) -> None:
    service.replies = [reply(400, {"error": "invalid_client"}), a_token("t1")]

    assert ask(service).text == "t1"
    assert [form["client_secret"] for form in forms(service)] == ["before", "after"]


@pytest.mark.parametrize(
    ("status", "error"), [(400, "invalid_client"), (400, "shop_not_permitted"), (401, "denied")]
)
def test_credentials_that_stay_refused_are_for_an_operator(
    service: Server, status: int, error: str
) -> None:
    service.replies = [reply(status, {"error": error})]

    with pytest.raises(UpstreamError) as caught:
        ask(service)

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
    assert "before" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(200, {}), id="without a token"),
        pytest.param(reply(200, {"access_token": ""}), id="with an empty one"),
        pytest.param(reply(200, ["t1"]), id="that is a list"),
        pytest.param(Reply(200, b"<html>"), id="that is a page"),
    ],
)
def test_an_answer_is_no_token(service: Server, answer: Reply) -> None:
    service.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        ask(service)

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", True)
