import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from intercom import Intercom
from intercom.types import CreateContactRequestWithExternalId

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.login import Login
from functions.upsert_contact_intercom.app import rule
from tests.deliveries import a_delivery, differences, facts_of, through_lambdas_door, with_rotated
from tests.loopback import Reply, Server, reply, serving

# The consent to marketing and an address that is not verified, which is unknown to a marketing
# rule, are the delivery's business.

SAMPLE = json.loads(Path("events/upsert_contact_intercom.json").read_text())
SECRETS = {"INTERCOM_ACCESS_TOKEN": "token-1"}
USER = {
    "user_id": "u1",
    "email": "ann@acme.test",
    "name": "Ann Doe",
    "created_at": "2026-11-22T09:29:12Z",
}
NOW = 1795339800  # of the login
HOUR = 3600
CREATED = {
    "role": "user",
    "external_id": "u1",
    "email": "ann@acme.test",
    "name": "Ann Doe",
    "signed_up_at": 1795339752,
    "last_seen_at": NOW,
}
NOT_FOUND = reply(404, {"type": "error.list", "errors": [{"code": "not_found"}]})
FIND = ("GET", "/contacts/find_by_external_id/u1", None)
ID = "6762f0dd1bb69f9f2193bb83"
CONFLICT = reply(
    409,
    {
        "type": "error.list",
        "request_id": "1f8a3c5d",
        "errors": [
            {
                "code": "conflict",
                "message": f"A contact matching those details already exists with id={ID}",
            }
        ],
    },
)


def contact(**more: Any) -> Reply:
    return reply(200, {"type": "contact", "id": ID, "external_id": "u1", **more})


@pytest.fixture
def intercom() -> Iterator[Server]:
    with serving() as server:
        server.replies = [NOT_FOUND, contact()]
        yield server


def upsert(intercom: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    return a_delivery(intercom, settings or {}, SECRETS, **({"user": USER} | known))


def calls(intercom: Server) -> list[tuple[str, str, Any]]:
    return [(r.method, r.path, json.loads(r.body or b"null")) for r in intercom.received]


# -- what is sent ----------------------------------------------------------------------------------


def test_a_new_person_becomes_a_contact(intercom: Server) -> None:
    effects = rule.decide(upsert(intercom))

    assert effects.items == []
    assert calls(intercom) == [FIND, ("POST", "/contacts", CREATED)]
    for received in intercom.received:
        assert received.headers["authorization"] == "Bearer token-1"
        assert received.headers["intercom-version"] == "2.14"


def test_our_requests_are_those_of_intercoms_own_client(intercom: Server) -> None:
    facts: dict[str, Any] = {name: value for name, value in CREATED.items() if name != "role"}
    intercom.replies = [contact()]
    with httpx.Client() as connections:
        client = Intercom(token="token-1", base_url=intercom.url, httpx_client=connections)
        client.contacts.show_contact_by_external_id("u1")
        client.contacts.create(request=CreateContactRequestWithExternalId(**facts))
        client.contacts.update(ID, last_seen_at=NOW)
    theirs = list(intercom.received)
    intercom.received.clear()
    intercom.replies = [NOT_FOUND, contact(), contact(last_seen_at=NOW - 2 * HOUR)]

    rule.decide(upsert(intercom))
    rule.decide(upsert(intercom))

    found, created, _, updated = intercom.received
    pairs = zip(theirs, (found, created, updated), strict=True)
    assert [differences(facts_of(t), facts_of(o)) for t, o in pairs] == [
        {"content-type"},  # ours names the type of a body that is empty
        {"body.role"},  # ours says user, the default beside an external id
        set(),
    ]


@pytest.mark.parametrize(
    ("seen", "written"),
    [
        pytest.param(NOW - 5 * 60, False, id="five minutes before is not noted again"),
        pytest.param(NOW - 2 * HOUR, True, id="two hours before is noted"),
        pytest.param(NOW + HOUR, False, id="after this login, which is told late, stays"),
        pytest.param(None, True, id="never is noted"),
    ],
)
def test_a_person_who_was_seen(intercom: Server, seen: int | None, written: bool) -> None:
    intercom.replies = [contact(last_seen_at=seen), contact()]

    rule.decide(upsert(intercom))

    put = ("PUT", f"/contacts/{ID}", {"last_seen_at": NOW})
    assert calls(intercom) == ([FIND, put] if written else [FIND])


@pytest.mark.parametrize(
    ("user", "missing"),
    [
        pytest.param({"created_at": None}, "signed_up_at", id="nobody knows since when"),
        pytest.param({"email": None}, "email", id="the address is not verified"),
        pytest.param({"name": ""}, "name", id="there is no name"),
    ],
)
def test_what_is_unknown_is_left_out(intercom: Server, user: dict[str, Any], missing: str) -> None:
    rule.decide(upsert(intercom, user=USER | user))

    expected = {name: value for name, value in CREATED.items() if name != missing}
    assert calls(intercom)[1][2] == expected


def test_attributes_of_ones_own(intercom: Server) -> None:
    settings = {"custom_attributes": {"signup_app": "client.name", "via": "connection.name"}}

    rule.decide(upsert(intercom, settings, client={"name": "Portal"}))

    assert calls(intercom)[1][2] == CREATED | {"custom_attributes": {"signup_app": "Portal"}}


def test_people_who_were_imported_keep_the_id_that_intercom_knows_them_by(intercom: Server) -> None:
    user = USER | {"app_metadata": {"legacy_user_id": "auth0|abc"}}

    rule.decide(upsert(intercom, user=user))

    find, create = calls(intercom)
    assert find[1] == "/contacts/find_by_external_id/auth0%7Cabc"
    assert create[2]["external_id"] == "auth0|abc"


# -- somebody has the address already --------------------------------------------------------------


def test_a_contact_without_an_external_id_becomes_the_persons(intercom: Server) -> None:
    intercom.replies = [NOT_FOUND, CONFLICT, contact(external_id=None), contact()]

    rule.decide(upsert(intercom))

    assert calls(intercom)[2:] == [
        ("GET", f"/contacts/{ID}", None),
        ("PUT", f"/contacts/{ID}", {"last_seen_at": NOW, "external_id": "u1"}),
    ]


def test_a_contact_that_two_deliveries_made_at_once_is_one(intercom: Server) -> None:
    intercom.replies = [NOT_FOUND, CONFLICT, contact(last_seen_at=NOW)]

    rule.decide(upsert(intercom))

    assert [method for method, *_ in calls(intercom)] == ["GET", "POST", "GET"]


@pytest.mark.parametrize(
    "answers",
    [
        pytest.param([CONFLICT, contact(external_id="u2")], id="belongs to somebody else"),
        pytest.param([reply(409, {"errors": [{"code": "conflict"}]})], id="is not named"),
    ],
)
def test_a_contact_is_not_taken_over_when_it(intercom: Server, answers: list[Reply]) -> None:
    intercom.replies = [NOT_FOUND, *answers]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(upsert(intercom))

    assert (caught.value.code, caught.value.retryable) == ("intercom_conflict", False)
    assert "PUT" not in [method for method, *_ in calls(intercom)]


# -- when Intercom does not answer as hoped --------------------------------------------------------


def test_a_limit_is_waited_for(intercom: Server) -> None:
    reset = str(int(time.time()) + 60)
    intercom.replies = [Reply(429, headers={"X-RateLimit-Reset": reset})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(upsert(intercom))

    assert caught.value.retryable
    assert caught.value.retry_after == pytest.approx(60, abs=2)


def test_a_limit_that_is_over_is_not_waited_for(intercom: Server) -> None:
    intercom.replies = [Reply(429, headers={"X-RateLimit-Reset": "1"}), NOT_FOUND, contact()]

    rule.decide(upsert(intercom))

    assert [method for method, *_ in calls(intercom)] == ["GET", "GET", "POST"]


@pytest.mark.parametrize(
    ("status", "error", "code"),
    [
        pytest.param(400, "parameter_invalid", "intercom_parameter_invalid", id="a bad value"),
        pytest.param(422, "missing_parameter", "intercom_missing_parameter", id="one missing"),
        pytest.param(401, "unauthorized", "misconfigured", id="a token that stays refused"),
        pytest.param(403, "api_plan_restricted", "misconfigured", id="a plan"),
    ],
)
def test_a_refusal_is_final(intercom: Server, status: int, error: str, code: str) -> None:
    body = {"type": "error.list", "errors": [{"code": error, "message": "ann@acme.test"}]}
    intercom.replies = [NOT_FOUND, reply(status, body)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(upsert(intercom))

    assert (caught.value.code, caught.value.retryable) == (code, False)
    assert "ann" not in str(caught.value)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reply(200, b"<html>"), id="a page"),
        pytest.param(reply(200, []), id="a list"),
        pytest.param(reply(200, {"type": "contact"}), id="no id"),
    ],
)
def test_an_answer_that_is_no_contact_does_not_count(intercom: Server, answer: Reply) -> None:
    intercom.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(upsert(intercom))

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", True)


def test_a_lost_answer_is_asked_for_again(intercom: Server) -> None:
    intercom.replies = [NOT_FOUND, Reply(reset=True), CONFLICT, contact(last_seen_at=NOW)]

    rule.decide(upsert(intercom))

    assert [method for method, *_ in calls(intercom)] == ["GET", "POST", "POST", "GET"]


def test_a_token_that_was_rotated_is_read_again(intercom: Server) -> None:
    intercom.replies = [Reply(401), contact(last_seen_at=NOW)]

    rule.decide(with_rotated(upsert(intercom), SECRETS, {"INTERCOM_ACCESS_TOKEN": "token-2"}))

    sent = [received.headers["authorization"] for received in intercom.received]
    assert sent == ["Bearer token-1", "Bearer token-2"]


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "host"),
    [("us", "api.intercom.io"), ("eu", "api.eu.intercom.io"), ("au", "api.au.intercom.io")],
)
def test_data_stay_in_their_region(region: str, host: str) -> None:
    from functions.upsert_contact_intercom.app import _endpoint

    settings = rule.configure({"region": region}, {})

    assert _endpoint(settings, "/contacts").url == f"https://{host}/contacts"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"region": "in"}, "region", id="an unknown region"),
        pytest.param({"api_version": "1.4"}, "api_version", id="a version that is gone"),
        pytest.param(
            {"custom_attributes": {"ip": "request.ip"}}, "request.ip", id="a field not read"
        ),
        pytest.param({"min_interval_minutes": -1}, "min_interval", id="a negative interval"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {})


def test_the_sample_event_through_lambdas_door(intercom: Server) -> None:
    response = through_lambdas_door("upsert_contact_intercom", SAMPLE, intercom, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    assert [method for method, *_ in calls(intercom)] == ["GET", "POST"]
