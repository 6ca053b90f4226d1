import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from keen.client import KeenClient

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.login import Login
from functions.record_signup_keen.app import rule
from tests.deliveries import (
    EVENT,
    FIRST_LOGIN,
    LOGIN_ID,
    a_delivery,
    differences,
    facts_of,
    through_lambdas_door,
    with_rotated,
)
from tests.loopback import Reply, Server, reply, serving

# Once for each person is the delivery's promise (once_per_user), and so is an end of the retries.

SAMPLE = json.loads(Path("events/record_signup_keen.json").read_text())
SECRETS = {"KEEN_WRITE_KEY": "key-1"}
TAKEN = reply(201, {"created": True})
SIGN_UP = FIRST_LOGIN | {"type": "SignUpConfirmed"}
KNOWN: dict[str, Any] = {
    "user": {"user_id": "u1", "created_at": "2026-11-22T09:29:12Z"},
    "client": {"name": "Portal"},
    "connection": {"name": "google"},
    "request": {"ip": "203.0.113.5"},
}


@pytest.fixture
def keen() -> Iterator[Server]:
    with serving() as server:
        server.replies = [TAKEN]
        yield server


def record(keen: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    known.setdefault("event", FIRST_LOGIN)
    return a_delivery(keen, {"project_id": "p1", **(settings or {})}, SECRETS, **(KNOWN | known))


def sent_to(keen: Server) -> dict[str, Any]:
    [received] = keen.received
    event: dict[str, Any] = received.json()
    return event


def test_what_keen_receives_of_a_sign_up(keen: Server) -> None:
    effects = rule.decide(record(keen))

    # 201 is what Keen answers to an event that it stored: no alarm, no retry.
    assert (effects.items, effects.warnings) == ([], [])
    assert sent_to(keen) == {
        "userId": "u1",
        "application": "Portal",
        "connection": "google",
        "signed_up_at": "2026-11-22T09:30:00.123Z",
        "event_id": LOGIN_ID,
        "keen": {"timestamp": "2026-11-22T09:30:00.123Z"},
    }
    [received] = keen.received
    assert received.path == "/3.0/projects/p1/events/signups"
    assert received.headers["authorization"] == "key-1"


def test_the_event_is_the_one_that_keens_own_client_sends(keen: Server) -> None:
    rule.decide(record(keen))
    ours = facts_of(keen.received.pop())
    event = {name: value for name, value in ours["body"].items() if name != "keen"}

    KeenClient("p1", write_key="key-1", base_url=keen.url).add_event("signups", event)

    theirs = facts_of(keen.received[0])
    assert differences(theirs, ours) == {
        "body.keen.timestamp",  # theirs is the moment of sending
    }


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(SIGN_UP, id="that was confirmed"),
        pytest.param(FIRST_LOGIN, id="of an account that somebody else made"),
    ],
)
def test_a_sign_up_is_one(keen: Server, event: dict[str, Any]) -> None:
    rule.decide(record(keen, event=event))

    assert len(keen.received) == 1


def test_a_later_login_is_none(keen: Server) -> None:
    rule.decide(record(keen, event=EVENT))

    assert keen.received == []


@pytest.mark.parametrize(
    ("created", "recorded"),
    [
        pytest.param("2026-11-17T12:00:00Z", False, id="before the move"),
        pytest.param("2026-11-18T12:00:00Z", True, id="after it"),
        pytest.param(None, False, id="nobody knows when"),
    ],
)
def test_an_account_that_was_made(keen: Server, created: str | None, recorded: bool) -> None:
    user = {"user_id": "u1", "created_at": created}

    effects = rule.decide(record(keen, {"sign_up_cutoff": "2026-11-18"}, user=user))

    assert len(keen.received) == recorded
    assert effects.warnings == ([] if recorded else ["account_older_than_cutoff"])


@pytest.mark.parametrize(
    ("settings", "request_", "expected"),
    [
        pytest.param({}, KNOWN["request"], None, id="unless it is asked for"),
        pytest.param({"send_ip": True}, {}, None, id="unless it is known"),
        pytest.param({"send_ip": True}, KNOWN["request"], "203.0.113.5", id="or else is sent"),
    ],
)
def test_the_address_is_left_out(
    keen: Server, settings: dict[str, Any], request_: dict[str, Any], expected: str | None
) -> None:
    rule.decide(record(keen, settings, request=request_))

    assert sent_to(keen).get("ip") == expected


@pytest.mark.parametrize("status", [200, 201, 202])
def test_any_success_is_one(keen: Server, status: int) -> None:
    keen.replies = [Reply(status, b"")]

    rule.decide(record(keen))

    assert len(keen.received) == 1


def test_a_keen_that_fails_is_asked_again_later(keen: Server) -> None:
    keen.replies = [reply(500, {"message": "oops", "error_code": "InternalError"})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(record(keen))

    assert (caught.value.code, caught.value.retryable) == ("upstream_unavailable", True)
    assert len(keen.received) == 3


def test_a_keen_that_asks_for_time_gets_it(keen: Server) -> None:
    keen.replies = [Reply(429, headers={"Retry-After": "120"})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(record(keen))

    assert (caught.value.retry_after, len(keen.received)) == (120, 1)


def test_a_key_that_was_rotated_is_read_again(keen: Server) -> None:
    keen.replies = [reply(401, {"error_code": "InvalidApiKeyError"}), TAKEN]

    rule.decide(with_rotated(record(keen), SECRETS, {"KEEN_WRITE_KEY": "key-2"}))

    assert [sent.headers["authorization"] for sent in keen.received] == ["key-1", "key-2"]


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(401, "misconfigured", id="a key that stays refused is for an operator"),
        pytest.param(404, "misconfigured", id="so is a project that is not there"),
        pytest.param(400, "http_400", id="an event that Keen will not have"),
        pytest.param(413, "http_413", id="one that is too large"),
    ],
)
def test_a_refusal_is_final(keen: Server, status: int, code: str) -> None:
    keen.replies = [reply(status, {"message": "no", "error_code": "X"})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(record(keen))

    assert (caught.value.code, caught.value.retryable) == (code, False)


def test_a_keen_that_is_gone_loses_nothing() -> None:
    with serving() as gone:
        pass  # nothing listens there any more

    with pytest.raises(UpstreamError) as caught:
        rule.decide(record(gone))

    assert (caught.value.code, caught.value.retryable) == ("upstream_unavailable", True)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({}, "project_id", id="no project"),
        pytest.param({"project_id": "../x"}, "project_id", id="a project with a path"),
        pytest.param({"project_id": "p1", "collection": "a?b"}, "collection", id="a query"),
        pytest.param({"project_id": "p1", "sign_up_cutoff": "soon"}, "sign_up", id="no date"),
        pytest.param(
            {"project_id": "p1", "sign_up_cutoff": "2026-02-31"}, "sign_up", id="no such day"
        ),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {})


def test_keen_has_one_host() -> None:
    from functions.record_signup_keen.app import _endpoint

    settings = rule.configure({"project_id": "p1"}, {})

    assert _endpoint(settings).url == "https://api.keen.io/3.0/projects/p1/events/signups"


def test_the_sample_event_through_lambdas_door(keen: Server) -> None:
    response = through_lambdas_door("record_signup_keen", SAMPLE, keen, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    assert sent_to(keen)["application"] == "Portal"
