import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from mixpanel import Consumer, Mixpanel, ServiceAccountCredentials

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.login import Login
from functions.track_login_mixpanel.app import rule
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

# Consent and a delivery made twice are the delivery's business, not the rule's. One delivery is
# one login, so what is told of one event among many concerns the two events of a sign-up here.

SAMPLE = json.loads(Path("events/track_login_mixpanel.json").read_text())
SETTINGS = {"project_id": "42"}
SECRETS = {
    "MIXPANEL_SERVICE_ACCOUNT_USERNAME": "robot",
    "MIXPANEL_SERVICE_ACCOUNT_SECRET": "sa-1",
    "MIXPANEL_PROJECT_TOKEN": "project-1",
}
TAKEN = reply(200, {"code": 200, "num_records_imported": 1, "status": "OK"})
# Mixpanel docs, "Import Events": what it refuses as a distinct_id.
NOBODY = (
    *("", "anon", "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown"),
    *("0", "-1", "true", "false", "[]", "{}", "00000000-0000-0000-0000-000000000000"),
    *("Anonymous", "NULL"),
)
KNOWN: dict[str, Any] = {
    "user": {"user_id": "u1"},
    "client": {"client_id": "c1", "name": "Portal"},
    "connection": {"name": "google"},
    "stats": {"logins_count": 7},
}


@pytest.fixture
def mixpanel() -> Iterator[Server]:
    with serving() as server:
        server.replies = [TAKEN]
        yield server


def track(mixpanel: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    return a_delivery(mixpanel, SETTINGS | (settings or {}), SECRETS, **(KNOWN | known))


def sent_to(mixpanel: Server) -> list[dict[str, Any]]:
    [received] = mixpanel.received
    events: list[dict[str, Any]] = received.json()
    return events


def insert_id(event_name: str) -> str:
    return sha256(f"{LOGIN_ID}|{event_name}".encode()).hexdigest()[:36]


def test_what_mixpanel_receives_of_a_login(mixpanel: Server) -> None:
    effects = rule.decide(track(mixpanel))

    assert (effects.items, effects.warnings) == ([], [])
    assert sent_to(mixpanel) == [
        {
            "event": "Sign In",
            "properties": {
                "time": 1795339800123,
                "distinct_id": "u1",
                "$insert_id": insert_id("Sign In"),
                "ip": 0,
                "application": "Portal",
                "connection": "google",
                "login_count": 7,
            },
        }
    ]
    [received] = mixpanel.received
    # The token and the person are in no URL, which proxies log.
    assert received.path == "/import?strict=1&project_id=42"
    assert received.headers["authorization"] == "Basic cm9ib3Q6c2EtMQ=="  # robot:sa-1


def test_the_events_are_those_that_mixpanels_own_client_sends(mixpanel: Server) -> None:
    mixpanel.replies = [reply(200, {"status": 1})]
    credentials = ServiceAccountCredentials("robot", "sa-1", "42")
    consumer = Consumer(import_url=f"{mixpanel.url}/import", credentials=credentials)
    Mixpanel("project-1", consumer=consumer).import_data(
        None,
        "u1",
        "Sign In",
        1795339800,
        {"application": "Portal", "connection": "google", "login_count": 7},
    )
    theirs = facts_of(mixpanel.received.pop())
    # Their form holds one event and, beside it, what ours says with the events.
    form = theirs["body"]
    theirs["body"] = [json.loads(form.pop("data"))]
    mixpanel.replies = [TAKEN]

    rule.decide(track(mixpanel))

    ours = facts_of(mixpanel.received[0])
    assert form == {"verbose": "1", "ip": "0"}
    assert differences(theirs, ours) == {
        "query.strict",  # they do not ask why an event was dropped
        "content-type",  # JSON, the only type that the documentation of /import knows
        "body.0.properties.ip",  # theirs stands in the form
        "body.0.properties.time",  # in milliseconds, theirs in seconds: both are documented
        "body.0.properties.$insert_id",  # theirs is another one in each repetition
        "body.0.properties.token",  # the project is named in the query
        "body.0.properties.mp_lib",
        "body.0.properties.$lib_version",
    }


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("us", "https://api.mixpanel.com"),
        ("eu", "https://api-eu.mixpanel.com"),
        ("in", "https://api-in.mixpanel.com"),
    ],
)
def test_data_stay_in_their_region(region: str, host: str) -> None:
    from functions.track_login_mixpanel.app import _endpoint

    settings = rule.configure(SETTINGS | {"region": region}, {})

    assert _endpoint(settings).url == f"{host}/import?strict=1&project_id=42"


def test_a_first_login_is_a_sign_up_too_when_that_is_wished(mixpanel: Server) -> None:
    rule.decide(track(mixpanel, {"signup_event_name": "Sign up"}, event=FIRST_LOGIN))

    sent = sent_to(mixpanel)
    assert [event["event"] for event in sent] == ["Sign up", "Sign In"]
    assert [event["properties"]["$insert_id"] for event in sent] == [
        insert_id("Sign up"),
        insert_id("Sign In"),
    ]


@pytest.mark.parametrize(
    ("settings", "event"),
    [
        pytest.param({}, FIRST_LOGIN, id="of a first login, when not wished"),
        pytest.param({"signup_event_name": "Sign up"}, EVENT, id="of a later login"),
    ],
)
def test_there_is_no_sign_up(
    mixpanel: Server, settings: dict[str, Any], event: dict[str, Any]
) -> None:
    rule.decide(track(mixpanel, settings, event=event))

    assert [event["event"] for event in sent_to(mixpanel)] == ["Sign In"]


def test_a_repeated_delivery_sends_the_very_same_event(mixpanel: Server) -> None:
    rule.decide(track(mixpanel))
    rule.decide(track(mixpanel, now="2026-11-29T10:00:00Z"))

    first, second = mixpanel.received
    assert first.body == second.body


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({}, "auth0|abc", id="keep the id that Mixpanel knows them by"),
        pytest.param({"distinct_id": "sub"}, "u1", id="begin anew, when that is wished"),
    ],
)
def test_people_who_were_imported(
    mixpanel: Server, settings: dict[str, Any], expected: str
) -> None:
    user = {"user_id": "u1", "app_metadata": {"legacy_user_id": "auth0|abc"}}

    rule.decide(track(mixpanel, settings, user=user))

    [event] = sent_to(mixpanel)
    assert event["properties"]["distinct_id"] == expected


@pytest.mark.parametrize(
    ("settings", "request_", "expected"),
    [
        pytest.param({}, {"ip": "203.0.113.7"}, 0, id="0 when it is not to be sent"),
        pytest.param({"send_ip": True}, {"ip": "203.0.113.7"}, "203.0.113.7", id="the person's"),
        pytest.param({"send_ip": True}, {}, 0, id="0 when nobody knows, not this function's"),
    ],
)
def test_the_address_is(
    mixpanel: Server, settings: dict[str, Any], request_: dict[str, Any], expected: Any
) -> None:
    rule.decide(track(mixpanel, settings, request=request_))

    [event] = sent_to(mixpanel)
    assert event["properties"]["ip"] == expected


def test_what_is_unknown_is_left_out(mixpanel: Server) -> None:
    settings = {"properties": {"app": "client.name", "how": "authentication.methods"}}

    rule.decide(track(mixpanel, settings, client={}, authentication={"methods": []}))

    [event] = sent_to(mixpanel)
    assert set(event["properties"]) == {"time", "distinct_id", "$insert_id", "ip"}


def test_a_property_cannot_take_the_place_of_what_tells_events_apart(mixpanel: Server) -> None:
    names = ("time", "distinct_id", "$insert_id", "ip")
    settings = {"properties": dict.fromkeys(names, "client.name")}

    rule.decide(track(mixpanel, settings))

    [event] = sent_to(mixpanel)
    assert "Portal" not in event["properties"].values()


@pytest.mark.parametrize("user_id", NOBODY)
def test_an_id_that_mixpanel_takes_for_nobody_is_not_sent(mixpanel: Server, user_id: str) -> None:
    effects = rule.decide(track(mixpanel, user={"user_id": user_id}))

    assert effects.warnings == ["mixpanel_takes_this_id_for_nobody"]
    assert mixpanel.received == []


def test_a_projects_token_is_another_way_in(mixpanel: Server) -> None:
    login = track(mixpanel, {"auth_mode": "project_token", "project_id": None})

    rule.decide(login)

    [received] = mixpanel.received
    assert received.path == "/import?strict=1"
    assert received.headers["authorization"] == "Basic cHJvamVjdC0xOg=="  # project-1:


@pytest.mark.parametrize(
    ("failed", "code"),
    [
        pytest.param(
            [{"index": 1, "insert_id": "x", "field": "properties.time", "message": "is in the …"}],
            "mixpanel_properties_time",
            id="one field of one event",
        ),
        pytest.param([], "mixpanel_http_400", id="nothing in particular"),
        pytest.param([{"index": 0, "field": ""}], "mixpanel_http_400", id="a field without name"),
    ],
)
def test_an_event_that_mixpanel_will_not_have_is_not_sent_again(
    mixpanel: Server, failed: list[dict[str, Any]], code: str
) -> None:
    # The good ones are in already.
    answer = {"code": 400, "num_records_imported": 1, "status": "Bad Request"}
    mixpanel.replies = [reply(400, answer | {"failed_records": failed})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(track(mixpanel, {"signup_event_name": "Sign up"}, event=FIRST_LOGIN))

    assert (caught.value.code, caught.value.retryable) == (code, False)
    assert len(mixpanel.received) == 1


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(Reply(400, b"<html>"), "mixpanel_http_400", id="a page instead of reasons"),
        pytest.param(reply(413, {"code": 413}), "http_413", id="too large"),
        pytest.param(reply(404, {}), "http_404", id="nothing there"),
    ],
)
def test_other_refusals_are_final(mixpanel: Server, answer: Reply, code: str) -> None:
    mixpanel.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(track(mixpanel))

    assert (caught.value.code, caught.value.retryable) == (code, False)


@pytest.mark.parametrize("status", [429, 502, 503])
def test_a_busy_mixpanel_is_asked_again(mixpanel: Server, status: int) -> None:
    mixpanel.replies = [reply(status, {"code": status}), TAKEN]

    rule.decide(track(mixpanel))

    assert len(mixpanel.received) == 2


def test_a_mixpanel_that_stays_busy_is_asked_again_later(mixpanel: Server) -> None:
    mixpanel.replies = [reply(429, {"code": 429})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(track(mixpanel))

    assert (caught.value.code, caught.value.retryable) == ("upstream_unavailable", True)
    assert len(mixpanel.received) == 3


def test_a_lost_answer_does_no_harm(mixpanel: Server) -> None:
    mixpanel.replies = [Reply(reset=True), TAKEN]

    rule.decide(track(mixpanel))

    first, second = mixpanel.received
    assert first.body == second.body


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reply(200, b"1"), id="of the old /track"),
        pytest.param(Reply(200, b"<html>OK</html>"), id="a page"),
        pytest.param(reply(200, {"ok": True}), id="other JSON"),
    ],
)
def test_an_answer_of_something_else_does_not_count_as_delivered(
    mixpanel: Server, answer: Reply
) -> None:
    mixpanel.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(track(mixpanel))

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", True)


def test_a_secret_that_was_rotated_is_read_again(mixpanel: Server) -> None:
    mixpanel.replies = [reply(401, {"code": 401}), TAKEN]
    newer = SECRETS | {"MIXPANEL_SERVICE_ACCOUNT_SECRET": "sa-2"}

    rule.decide(with_rotated(track(mixpanel), SECRETS, newer))

    sent = [request.headers["authorization"] for request in mixpanel.received]
    assert sent == ["Basic cm9ib3Q6c2EtMQ==", "Basic cm9ib3Q6c2EtMg=="]


def test_an_account_without_the_project_is_for_an_operator(mixpanel: Server) -> None:
    mixpanel.replies = [reply(401, {"code": 401})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(track(mixpanel))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(SETTINGS | {"region": "eur"}, "region", id="an unknown region"),
        pytest.param({}, "project_id", id="no project"),
        pytest.param({"project_id": "42&x=1"}, "project_id", id="a project that is none"),
        pytest.param(
            SETTINGS | {"properties": {"mail": "user.email"}}, "user.email", id="an address"
        ),
        pytest.param(
            SETTINGS | {"properties": {"all": "user.identities"}},
            "user.identities",
            id="identities",
        ),
        pytest.param(SETTINGS | {"event_name": ""}, "event_name", id="an event without a name"),
        pytest.param(SETTINGS | {"host": "evil.example"}, "host", id="a host"),
        pytest.param(SETTINGS | {"stand_in": "http://127.0.0.1"}, "template", id="a stand-in"),
    ],
)
def test_a_wrong_setting_is_an_error_before_anything_is_sent(
    settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {})


def test_the_sample_event_through_lambdas_door(mixpanel: Server) -> None:
    response = through_lambdas_door("track_login_mixpanel", SAMPLE, mixpanel, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    [event] = sent_to(mixpanel)
    assert (event["event"], event["properties"]["application"]) == ("Sign In", "Portal")
