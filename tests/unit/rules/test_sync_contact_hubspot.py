import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hubspot
import pytest
from hubspot.crm.contacts import (
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchReadInputSimplePublicObjectId,
    SimplePublicObjectBatchInputUpsert,
    SimplePublicObjectId,
    SimplePublicObjectInputForCreate,
)

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.login import Login
from functions.sync_contact_hubspot.app import rule
from tests.deliveries import (
    LOGIN_ID,
    a_delivery,
    differences,
    facts_of,
    through_lambdas_door,
    with_rotated,
)
from tests.loopback import Received, Reply, Server, reply, serving

# Once for each person, the consent to marketing and an address that is not verified (which is
# unknown to a marketing rule, and so keeps this rule from running) are the delivery's business.

SAMPLE = json.loads(Path("events/sync_contact_hubspot.json").read_text())
SECRETS = {"HUBSPOT_ACCESS_TOKEN": "pat-1"}
USER = {"user_id": "u1", "email": "ann@acme.test", "given_name": "Ann", "family_name": "Doe"}
PROPERTIES = {"email": "ann@acme.test", "firstname": "Ann", "lastname": "Doe"}
CREATED = reply(201, {"id": "501", "properties": PROPERTIES})
ADDED = reply(200, {"recordsIdsAdded": ["501"], "recordIdsMissing": [], "recordIdsRemoved": []})
EXISTS = reply(
    409,
    {
        "status": "error",
        "message": "Contact already exists. Existing ID: 501",
        "correlationId": "b6881283",
        "category": "CONFLICT",
    },
)
LIST = "/crm/lists/2026-09/77/memberships/add"
CONTACTS = "/crm/objects/2026-09/contacts"
LISTED = {"list_id": "77"}
OVERWRITE = {"overwrite": True, "external_id_property": "cognito_sub"}


@pytest.fixture
def crm() -> Iterator[Server]:
    with serving() as server:
        server.replies = [CREATED, ADDED]
        yield server


def sync(crm: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    return a_delivery(crm, settings or {}, SECRETS, **({"user": USER} | known))


def calls(crm: Server) -> list[tuple[str, str, Any]]:
    return [(sent.method, sent.path, sent.json()) for sent in crm.received]


# -- what is sent ----------------------------------------------------------------------------------


def test_a_new_person_becomes_a_contact_and_a_member_of_the_list(crm: Server) -> None:
    effects = rule.decide(sync(crm, LISTED))

    assert (effects.items, effects.warnings) == ([], [])
    assert calls(crm) == [
        ("POST", CONTACTS, {"properties": PROPERTIES}),
        ("PUT", LIST, ["501"]),
    ]
    # The key is in a header, and neither it nor the person in a URL.
    assert {sent.headers["authorization"] for sent in crm.received} == {"Bearer pat-1"}


def test_without_a_list_there_is_only_the_contact(crm: Server) -> None:
    rule.decide(sync(crm))

    assert [path for _, path, _ in calls(crm)] == [CONTACTS]


def test_a_contact_that_exists_is_put_on_the_list_and_not_changed(crm: Server) -> None:
    crm.replies = [EXISTS, ADDED]

    rule.decide(sync(crm, LISTED))

    assert calls(crm)[1:] == [("PUT", LIST, ["501"])]


@pytest.mark.parametrize(
    "message",
    [
        pytest.param("Contact already exists.", id="has no id"),
        pytest.param(None, id="has no message"),
    ],
)
def test_the_contact_is_looked_up_by_address_when_a_conflict(
    crm: Server, message: str | None
) -> None:
    conflict = reply(409, {"category": "CONFLICT", "message": message})
    crm.replies = [conflict, reply(200, {"results": [{"id": "501"}]}), ADDED]

    rule.decide(sync(crm, LISTED))

    assert calls(crm)[1:] == [
        (
            "POST",
            f"{CONTACTS}/batch/read",
            {"idProperty": "email", "inputs": [{"id": "ann@acme.test"}], "properties": ["email"]},
        ),
        ("PUT", LIST, ["501"]),
    ]


def test_a_contact_that_exists_is_changed_when_that_is_wished(crm: Server) -> None:
    crm.replies = [reply(200, {"status": "COMPLETE", "results": [{"id": "501", "new": False}]})]

    rule.decide(sync(crm, OVERWRITE))

    contact = {
        "idProperty": "cognito_sub",
        "id": "u1",
        "properties": PROPERTIES | {"cognito_sub": "u1"},
        "objectWriteTraceId": LOGIN_ID,
    }
    assert calls(crm) == [("POST", f"{CONTACTS}/batch/upsert", {"inputs": [contact]})]


def test_an_empty_name_does_not_erase_what_sales_has_typed(crm: Server) -> None:
    rule.decide(sync(crm, user={"user_id": "u1", "email": "ann@acme.test", "given_name": ""}))

    assert calls(crm)[0][2] == {"properties": {"email": "ann@acme.test"}}


def test_more_properties(crm: Server) -> None:
    properties = {"email": "user.email", "signup_app": "client.name"}
    settings = {
        "properties": properties,
        "legal_basis": "Legitimate interest",
        "external_id_property": "cognito_sub",
    }

    rule.decide(sync(crm, settings, client={"name": "Portal"}))

    assert calls(crm)[0][2]["properties"] == {
        "email": "ann@acme.test",
        "signup_app": "Portal",
        "hs_legal_basis": "Legitimate interest",
        "cognito_sub": "u1",
    }


def test_an_older_account_is_left_alone(crm: Server) -> None:
    user = USER | {"created_at": "2020-01-01T00:00:00Z"}

    effects = rule.decide(sync(crm, {"sign_up_cutoff": "2026-11-18"}, user=user))

    assert (effects.warnings, crm.received) == (["account_older_than_cutoff"], [])


# -- beside HubSpot's own client -------------------------------------------------------------------


def test_our_requests_are_those_of_hubspots_own_client(crm: Server) -> None:
    theirs = list(_theirs(crm))
    crm.received.clear()
    crm.replies = [reply(409, {}), reply(200, {"results": [{"id": "501"}]}), ADDED]
    rule.decide(sync(crm, LISTED))
    crm.replies = [reply(200, {"results": [{"id": "501"}]})]
    rule.decide(sync(crm, OVERWRITE))

    found = [
        differences(facts_of(t), facts_of(o)) for t, o in zip(theirs, crm.received, strict=True)
    ]

    # The client knows version 3 only, which ends; ours are the dated paths that follow it.
    assert found == [{"path"}] * 4
    assert [(sent.path, ours.path) for sent, ours in zip(theirs, crm.received, strict=True)] == [
        ("/crm/v3/objects/contacts", CONTACTS),
        ("/crm/v3/objects/contacts/batch/read", f"{CONTACTS}/batch/read"),
        ("/crm/v3/lists/77/memberships/add", LIST),
        ("/crm/v3/objects/contacts/batch/upsert", f"{CONTACTS}/batch/upsert"),
    ]


def _theirs(crm: Server) -> Iterator[Received]:
    """Yield what HubSpot's client sends to create, look up, list and upsert a contact."""
    client = hubspot.Client.create(access_token="pat-1")
    stamps = {"createdAt": "2026-11-22T09:30:00Z", "updatedAt": "2026-11-22T09:30:00Z"}
    record = {"id": "501", "properties": {}, **stamps}
    batch = {"status": "COMPLETE", "results": [], "startedAt": stamps["createdAt"]}
    batch["completedAt"] = stamps["createdAt"]

    basic, batches = client.crm.contacts.basic_api, client.crm.contacts.batch_api
    lists = client.crm.lists.memberships_api
    for api in (basic, batches, lists):
        api.api_client.configuration.host = crm.url
    crm.replies = [reply(201, record)]
    basic.create(SimplePublicObjectInputForCreate(properties=PROPERTIES))
    crm.replies = [reply(200, batch)]
    batches.read(
        BatchReadInputSimplePublicObjectId(
            id_property="email",
            inputs=[SimplePublicObjectId(id="ann@acme.test")],
            properties=["email"],
            properties_with_history=[],
        )
    )
    crm.replies = [ADDED]
    lists.add("77", ["501"])
    crm.replies = [reply(200, batch)]
    batches.upsert(
        BatchInputSimplePublicObjectBatchInputUpsert(
            inputs=[
                SimplePublicObjectBatchInputUpsert(
                    id_property="cognito_sub",
                    id="u1",
                    properties=PROPERTIES | {"cognito_sub": "u1"},
                    object_write_trace_id=LOGIN_ID,
                )
            ]
        )
    )
    yield from crm.received


# -- when HubSpot does not answer as hoped ---------------------------------------------------------


def test_a_list_that_fails_does_not_make_the_contact_twice(crm: Server) -> None:
    crm.replies = [CREATED, Reply(500)]
    with pytest.raises(UpstreamError) as caught:
        rule.decide(sync(crm, LISTED))
    assert (caught.value.retryable, len(crm.received)) == (True, 4)
    crm.received.clear()
    crm.replies = [EXISTS, ADDED]

    rule.decide(sync(crm, LISTED))

    # HubSpot has one contact for an address: the repetition finds it and goes on to the list.
    assert [path for _, path, _ in calls(crm)] == [CONTACTS, LIST]


@pytest.mark.parametrize(
    ("policy", "seconds"),
    [
        pytest.param("DAILY", 12 * 3600, id="a day: half a day at a time"),
        pytest.param("TEN_SECONDLY_ROLLING", 10, id="ten seconds"),
    ],
)
def test_a_limit_is_waited_for(crm: Server, policy: str, seconds: int) -> None:
    limit = {"errorType": "RATE_LIMIT", "policyName": policy, "correlationId": "b6881283"}
    crm.replies = [reply(429, limit)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(sync(crm))

    assert (caught.value.retryable, caught.value.retry_after) == (True, seconds)
    assert len(crm.received) == 1


def test_a_limit_of_a_second_is_waited_for_here(crm: Server) -> None:
    crm.replies = [reply(429, {"policyName": "SECONDLY"}), CREATED]

    rule.decide(sync(crm))

    first, second = crm.received
    assert second.at - first.at >= 1.0


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(400, {"category": "VALIDATION_ERROR"}), id="a dynamic list"),
        pytest.param(reply(404, {"category": "OBJECT_NOT_FOUND"}), id="an id of the old API"),
    ],
)
def test_a_list_that_takes_nobody_is_for_an_operator(crm: Server, answer: Reply) -> None:
    crm.replies = [CREATED, answer]

    with pytest.raises(UpstreamError, match="ids of the old API have changed") as caught:
        rule.decide(sync(crm, {"list_id": "1"}))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
    assert calls(crm)[0][1] == CONTACTS  # the contact was made


def test_a_contact_that_the_list_does_not_see_yet_is_tried_again(crm: Server) -> None:
    crm.replies = [CREATED, reply(200, {"recordIdsMissing": ["501"]})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(sync(crm, LISTED))

    assert (caught.value.code, caught.value.retryable) == ("hubspot_contact_missing", True)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        pytest.param(
            400,
            {"category": "VALIDATION_ERROR", "message": "ann@acme.test is no e-mail"},
            "hubspot_validation_error",
            id="what the account's own rules forbid",
        ),
        pytest.param(400, {}, "hubspot_400", id="something without a category"),
        pytest.param(403, {"category": "MISSING_SCOPES"}, "misconfigured", id="a missing scope"),
        pytest.param(404, {}, "http_404", id="a version that is gone"),
    ],
)
def test_a_refusal_is_final(crm: Server, status: int, body: dict[str, Any], code: str) -> None:
    crm.replies = [reply(status, body)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(sync(crm))

    assert (caught.value.code, caught.value.retryable) == (code, False)
    assert "ann" not in str(caught.value)
    assert len(crm.received) == 1


def test_a_refusal_of_the_one_contact_in_a_batch_is_one(crm: Server) -> None:
    body = {"status": "COMPLETE", "results": [], "errors": [{"category": "VALIDATION_ERROR"}]}
    crm.replies = [reply(207, body | {"numErrors": 1})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(sync(crm, OVERWRITE))

    assert (caught.value.code, caught.value.retryable) == ("hubspot_validation_error", False)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(201, {"properties": PROPERTIES}), id="no id"),
        pytest.param(reply(201, []), id="a list"),
        pytest.param(Reply(200, b"<html>"), id="a page"),
    ],
)
def test_an_answer_without_a_contact_does_not_count(crm: Server, answer: Reply) -> None:
    crm.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(sync(crm, LISTED))

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", True)
    assert len(crm.received) == 1  # null is put on no list


def test_a_lost_answer_is_asked_for_again(crm: Server) -> None:
    crm.replies = [Reply(reset=True), EXISTS, ADDED]

    rule.decide(sync(crm, LISTED))

    assert [path for _, path, _ in calls(crm)] == [CONTACTS, CONTACTS, LIST]


def test_a_token_that_was_rotated_is_read_again(crm: Server) -> None:
    crm.replies = [reply(401, {"category": "INVALID_AUTHENTICATION"}), CREATED]

    rule.decide(with_rotated(sync(crm), SECRETS, {"HUBSPOT_ACCESS_TOKEN": "pat-2"}))

    assert [r.headers["authorization"] for r in crm.received] == ["Bearer pat-1", "Bearer pat-2"]


def test_a_token_that_stays_refused_is_for_an_operator(crm: Server) -> None:
    crm.replies = [reply(401, {"category": "INVALID_AUTHENTICATION"})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(sync(crm))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"api_version": "v3"}, "api_version", id="a version that ends"),
        pytest.param({"list_id": "77/../1"}, "list_id", id="a list that is none"),
        pytest.param({"overwrite": True}, "external_id_property", id="an upsert by address"),
        pytest.param({"properties": {"firstname": "user.given_name"}}, "email", id="no address"),
        pytest.param(
            {"properties": {"email": "user.email", "phone": "user.phone_number"}},
            "user.phone_number",
            id="a field that the rule does not read",
        ),
        pytest.param({"sign_up_cutoff": "2026-13-01"}, "sign_up_cutoff", id="no such day"),
        pytest.param({"hapikey": "x"}, "hapikey", id="the old key"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {})


def test_the_rule_does_not_run_without_an_address() -> None:
    assert [str(read) for read in rule.manifest.required_reads] == ["user.email!"]


def test_the_sample_event_through_lambdas_door(crm: Server) -> None:
    response = through_lambdas_door("sync_contact_hubspot", SAMPLE, crm, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"], "known_as": "501"}
    assert [path for _, path, _ in calls(crm)] == [CONTACTS, LIST]
