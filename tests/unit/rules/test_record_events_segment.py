import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from segment.analytics.client import Client

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.login import Login, parse_time
from functions.record_events_segment.app import rule
from tests.deliveries import (
    EVENT,
    FIRST_LOGIN,
    a_delivery,
    differences,
    facts_of,
    through_lambdas_door,
    with_rotated,
)
from tests.loopback import Reply, Server, reply, serving

# A refresh of tokens is announced to no rule, and what is sent back by hand after a day may be
# counted twice: the chain and the command line see to these.

SAMPLE = json.loads(Path("events/record_events_segment.json").read_text())
SECRETS = {"SEGMENT_WRITE_KEY": "key-1"}
TAKEN = reply(200, {"success": True})
KNOWN: dict[str, Any] = {
    "user": {"user_id": "u1"},
    "client": {"name": "Portal"},
    "connection": {"name": "google"},
    "transaction": {"protocol": "oidc", "user_pool_id": "eu-west-1_A"},
    "request": {"ip": "203.0.113.5", "user_agent": "Firefox"},
}


@pytest.fixture
def segment() -> Iterator[Server]:
    with serving() as server:
        server.replies = [TAKEN]
        yield server


def record(segment: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    return a_delivery(segment, settings or {}, SECRETS, **(KNOWN | known))


def batches(segment: Server) -> list[list[dict[str, Any]]]:
    return [received.json()["batch"] for received in segment.received]


def sent_to(segment: Server) -> dict[str, Any]:
    [[message]] = batches(segment)
    return message


def test_what_segment_receives_of_a_login(segment: Server) -> None:
    effects = rule.decide(record(segment))

    assert effects.items == []
    message = sent_to(segment)
    assert message.pop("messageId").startswith("crs-")
    assert message == {
        "type": "track",
        "event": "Logged in",
        "userId": "u1",
        "timestamp": "2026-11-22T09:30:00.123Z",
        "properties": {"application": "Portal", "connection": "google", "protocol": "oidc"},
        "context": {"userAgent": "Firefox"},
    }
    [received] = segment.received
    assert received.path == "/v1/batch"
    assert received.headers["authorization"] == "Basic a2V5LTE6"  # key-1: with the colon


def test_the_message_is_the_one_that_segments_own_client_sends(segment: Server) -> None:
    client = Client("key-1", host=segment.url, sync_mode=True, max_retries=0)
    client.track(
        "u1",
        "Logged in",
        {"application": "Portal", "connection": "google", "protocol": "oidc"},
        context={"ip": "203.0.113.5", "userAgent": "Firefox"},
        timestamp=parse_time(EVENT["occurred_at"]),
        integrations={"All": True},
        message_id="crs-1",
    )
    theirs = facts_of(segment.received.pop())

    rule.decide(record(segment, {"send_context_ip": True, "integrations": {"All": True}}))

    ours = facts_of(segment.received[0])
    assert differences(theirs, ours) == {
        "body.writeKey",  # the same key as in the header, once more
        "body.sentAt",  # the moment of sending
        "body.batch.0.timestamp",  # the same moment, written with Z instead of +00:00
        "body.batch.0.messageId",  # ours is made from the login, see below
        "body.batch.0.context.library.name",  # who sent it
        "body.batch.0.context.library.version",
    }
    their_time, our_time = (r["body"]["batch"][0]["timestamp"] for r in (theirs, ours))
    assert parse_time(their_time) == parse_time(our_time)


@pytest.mark.parametrize(
    ("region", "url"),
    [
        ("us", "https://api.segment.io/v1/batch"),
        ("eu", "https://events.eu1.segmentapis.com/v1/batch"),
    ],
)
def test_data_stay_in_their_region(region: str, url: str) -> None:
    from functions.record_events_segment.app import _endpoint

    assert _endpoint(rule.configure({"region": region}, {})).url == url


@pytest.mark.parametrize(
    ("event", "settings", "name"),
    [
        pytest.param(FIRST_LOGIN, {}, "Signed up", id="a first login is a sign-up and no login"),
        pytest.param(EVENT, {}, "Logged in", id="a later login"),
        pytest.param(
            FIRST_LOGIN, {"event_names": {"signup": "Registered"}}, "Registered", id="renamed"
        ),
        pytest.param(
            EVENT, {"event_names": {"signup": "Registered"}}, "Logged in", id="the other keeps its"
        ),
    ],
)
def test_the_event(
    segment: Server, event: dict[str, Any], settings: dict[str, Any], name: str
) -> None:
    rule.decide(record(segment, settings, event=event))

    assert sent_to(segment)["event"] == name


def test_a_repeated_delivery_has_the_same_message_id(segment: Server) -> None:
    rule.decide(record(segment))
    rule.decide(record(segment, {"event_names": {"login": "Renamed meanwhile"}}))

    [first], [second] = batches(segment)
    assert first["messageId"] == second["messageId"]
    assert len(first["messageId"]) == 68


@pytest.mark.parametrize(
    "known",
    [
        pytest.param({"event": EVENT | {"id": "01JD8Z6V3N4W2B7QK5XGH9T1RN"}}, id="login"),
        pytest.param({"transaction": {"user_pool_id": "eu-west-1_B"}}, id="pool"),
        pytest.param({"event": FIRST_LOGIN}, id="kind of event"),
    ],
)
def test_a_message_id_belongs_to_one(segment: Server, known: dict[str, Any]) -> None:
    # Segment compares ids across all sources of all workspaces.
    rule.decide(record(segment))
    rule.decide(record(segment, **known))

    [first], [second] = batches(segment)
    assert first["messageId"] != second["messageId"]


def test_an_event_that_is_sent_late_keeps_its_time_and_says_when_it_was_sent(
    segment: Server,
) -> None:
    rule.decide(record(segment))

    [received] = segment.received
    envelope = received.json()
    assert envelope["batch"][0]["timestamp"] == EVENT["occurred_at"]
    assert abs(parse_time(envelope["sentAt"]) - datetime.now(UTC)) < timedelta(seconds=5)


def test_a_sign_up_identifies_the_person_when_that_is_wished(segment: Server) -> None:
    user = {"user_id": "u1", "created_at": "2026-11-22T09:29:12Z"}

    rule.decide(record(segment, {"identify_on_signup": True}, event=FIRST_LOGIN, user=user))

    [[identify, track]] = batches(segment)
    assert identify["type"] == "identify"
    assert identify["traits"] == {"createdAt": "2026-11-22T09:29:12Z", "application": "Portal"}
    assert identify["messageId"] != track["messageId"]


def test_a_login_identifies_nobody(segment: Server) -> None:
    rule.decide(record(segment, {"identify_on_signup": True}))

    assert sent_to(segment)["type"] == "track"


@pytest.mark.parametrize(
    ("settings", "request_", "expected"),
    [
        pytest.param({}, {}, None, id="nothing is known"),
        pytest.param({"send_context_ip": True}, {}, None, id="no address is known"),
        pytest.param(
            {"send_context_ip": True, "send_user_agent": False},
            KNOWN["request"],
            {"ip": "203.0.113.5"},
            id="the address only",
        ),
        pytest.param({"send_user_agent": False}, KNOWN["request"], None, id="neither"),
    ],
)
def test_the_context(
    segment: Server, settings: dict[str, Any], request_: dict[str, Any], expected: Any
) -> None:
    rule.decide(record(segment, settings, request=request_))

    assert sent_to(segment).get("context") == expected


def test_people_who_were_imported_keep_the_id_that_segment_knows_them_by(segment: Server) -> None:
    user = {"user_id": "u1", "app_metadata": {"legacy_user_id": "auth0|abc"}}

    rule.decide(record(segment, user=user))

    assert sent_to(segment)["userId"] == "auth0|abc"


def test_an_event_that_segment_would_drop_in_silence_is_set_aside(segment: Server) -> None:
    login = record(segment, request={"user_agent": "x" * 32_768})

    with pytest.raises(UpstreamError) as caught:
        rule.decide(login)

    assert (caught.value.code, caught.value.retryable) == ("event_too_large", False)
    assert segment.received == []


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"Retry-After": "30"}, id="the header of HTTP"),
        pytest.param({"X-RateLimit-Reset": "30"}, id="Segment's own"),
        pytest.param({"Retry-After": "30", "X-RateLimit-Reset": "2"}, id="both: HTTP's counts"),
    ],
)
def test_segment_says_how_long_to_wait_by(segment: Server, headers: dict[str, str]) -> None:
    segment.replies = [Reply(429, headers=headers)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(record(segment))

    assert (caught.value.retryable, caught.value.retry_after) == (True, 30)
    assert len(segment.received) == 1


def test_an_unreadable_reset_is_ignored(segment: Server) -> None:
    segment.replies = [Reply(429, headers={"X-RateLimit-Reset": "soon"}), TAKEN]

    rule.decide(record(segment))

    assert len(segment.received) == 2


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        pytest.param(408, "upstream_unavailable", True, id="time is up"),
        pytest.param(460, "upstream_unavailable", True, id="the load balancer's own"),
        pytest.param(500, "upstream_unavailable", True, id="a mistake of theirs"),
        pytest.param(599, "upstream_unavailable", True, id="another one"),
        pytest.param(501, "http_501", False, id="not implemented"),
        pytest.param(505, "http_505", False, id="another HTTP"),
        pytest.param(400, "http_400", False, id="bad JSON, or too large"),
        pytest.param(401, "misconfigured", False, id="the key"),
    ],
)
def test_an_answer_that_is_no_success(
    segment: Server, status: int, code: str, retryable: bool
) -> None:
    segment.replies = [Reply(status)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(record(segment))

    assert (caught.value.code, caught.value.retryable) == (code, retryable)


def test_a_lost_answer_does_no_harm(segment: Server) -> None:
    segment.replies = [Reply(reset=True), TAKEN]

    rule.decide(record(segment))

    [first], [second] = batches(segment)
    assert first == second


def test_a_key_that_was_rotated_is_read_again(segment: Server) -> None:
    segment.replies = [Reply(401), TAKEN]

    rule.decide(with_rotated(record(segment), SECRETS, {"SEGMENT_WRITE_KEY": "key-2"}))

    sent = [request.headers["authorization"] for request in segment.received]
    assert sent == ["Basic a2V5LTE6", "Basic a2V5LTI6"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"region": "ap"}, "region", id="an unknown region"),
        pytest.param({"event_names": {"logout": "x"}}, "logout", id="an unknown event"),
        pytest.param({"write_key": "x"}, "write_key", id="a key among the settings"),
        pytest.param({"stand_in": "http://127.0.0.1"}, "template", id="a stand-in"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {})


def test_a_stand_in_is_on_this_machine() -> None:
    with pytest.raises(ConfigurationError, match="stand-in"):
        rule.configure({}, {"stand_in": "https://collector.example"})


def test_the_sample_event_through_lambdas_door(segment: Server) -> None:
    response = through_lambdas_door("record_events_segment", SAMPLE, segment, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    assert sent_to(segment)["userId"] == "auth0|5f7c8e"
