"""What each system is asked when a person is to be forgotten, and what its answers mean.

That it is asked once, later when it is down, and whom it may know at all are the delivery's.
"""

import json
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import hubspot
import pytest
import requests
from hubspot.crm.contacts import PublicGdprDeleteInput
from intercom import Intercom
from simple_salesforce.api import SFType

from cognito_rules import Effects, UpstreamError
from cognito_rules.access_tokens import _kept
from cognito_rules.rule import Rule
from tests.deliveries import LOGIN_ID, a_delivery, differences, facts_of
from tests.loopback import Received, Reply, Server, reply, serving
from tests.pool_tokens import private_pem

RULES = sorted(path.parent.name for path in Path("functions").glob("*/rule.toml"))
DELETED = {
    "id": LOGIN_ID,
    "type": "UserDeleted",
    "occurred_at": "2026-11-22T09:30:00.123Z",
}
IMPORTED = {"user_id": "u1", "app_metadata": {"legacy_user_id": "auth0|5f7c"}}
TOKEN = reply(200, {"access_token": "token-1", "expires_in": 3600, "token_type": "Bearer"})
TOKEN_PATHS = ("/services/oauth2/token", "/admin/oauth/access_token", "/token")
SECRETS = {
    "MIXPANEL_PROJECT_TOKEN": "591b3354",
    "MIXPANEL_GDPR_TOKEN": "gdpr-1",
    "SEGMENT_PUBLIC_API_TOKEN": "sgp-1",
    "HUBSPOT_ACCESS_TOKEN": "pat-1",
    "INTERCOM_ACCESS_TOKEN": "token-1",
    "SALESFORCE_CLIENT_ID": "client-1",
    "SALESFORCE_CLIENT_SECRET": "word-1",
    "SHOPIFY_CLIENT_ID": "client-1",
    "SHOPIFY_CLIENT_SECRET": "word-1",
    "FIREBASE_CLIENT_EMAIL": "rules@acme.iam.gserviceaccount.com",
    "FIREBASE_PRIVATE_KEY": private_pem("service-account"),
    "FIREBASE_PRIVATE_KEY_ID": "key-1",
}
SETTINGS: dict[str, dict[str, Any]] = {
    "create_customer_shopify": {"shop": "acme.myshopify.com"},
    "create_lead_salesforce": {"my_domain": "acme"},
    "sync_profile_firebase": {"database_url": "https://acme.firebaseio.com"},
    "track_leads_salesforce_enriched": {"my_domain": "acme"},
    "track_login_mixpanel": {"project_id": "42"},
    "track_signups_salesforce_enriched": {"my_domain": "acme"},
}


@pytest.fixture(autouse=True)
def a_new_environment() -> None:
    """Forget the access tokens that an execution environment keeps."""
    _kept.clear()


@pytest.fixture
def vendor() -> Iterator[Server]:
    with serving() as server:
        server.routes = dict.fromkeys(TOKEN_PATHS, TOKEN)
        yield server


def rule_of(name: str) -> Rule:
    rule: Rule = import_module(f"functions.{name}.app").rule
    return rule


def forget(
    name: str,
    vendor: Server,
    user: dict[str, Any],
    *answers: Reply,
    settings: dict[str, Any] | None = None,
) -> Effects:
    vendor.replies = list(answers)
    given = SETTINGS.get(name, {}) | (settings or {})
    login = a_delivery(vendor, given, SECRETS, user=user, event=DELETED)
    return rule_of(name).decide(login)


def asked(vendor: Server) -> list[Received]:
    return [received for received in vendor.received if received.path not in TOKEN_PATHS]


def calls(vendor: Server) -> list[tuple[str, str, Any]]:
    return [(r.method, r.path, json.loads(r.body or b"null")) for r in asked(vendor)]


# -- for every rule --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", RULES)
def test_a_rule_has_a_handler_when_its_manifest_says_what_that_reads(name: str) -> None:
    rule = rule_of(name)

    assert rule.forgets == rule.manifest.forgets


def test_a_rule_without_a_handler_forgets_nobody(vendor: Server) -> None:
    event = {"version": 1, "login": {"event": DELETED, "user": {"user_id": "u1"}}}

    answer = rule_of("notify_signup_slack").answer(event)

    assert answer["fault"]["code"] == "configuration_error"
    assert vendor.received == []


# -- Mixpanel --------------------------------------------------------------------------------------

TASK = reply(200, {"status": "ok", "results": {"task_id": "1583958653"}})


@pytest.mark.parametrize(
    ("settings", "person"),
    [({}, "auth0|5f7c"), ({"distinct_id": "sub"}, "u1")],
    ids=["imported", "the sub"],
)
def test_mixpanel_is_asked_for_a_deletion(
    vendor: Server, settings: dict[str, Any], person: str
) -> None:
    forget("track_login_mixpanel", vendor, IMPORTED, TASK, settings=settings)

    path = "/api/app/data-deletions/v3.0/?token=591b3354"
    body = {"distinct_ids": [person], "compliance_type": "GDPR"}
    assert calls(vendor) == [("POST", path, body)]
    assert asked(vendor)[0].headers["authorization"] == "Bearer gdpr-1"


def test_mixpanel_holds_nothing_of_an_id_that_it_takes_for_nobody(vendor: Server) -> None:
    forget("track_login_mixpanel", vendor, {"user_id": "null"}, TASK)

    assert vendor.received == []


# -- Segment ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["SUPPRESS_WITH_DELETE", "DELETE_ONLY"])
def test_segment_is_asked_for_a_regulation(vendor: Server, kind: str) -> None:
    settings = {} if kind == "SUPPRESS_WITH_DELETE" else {"regulation": kind}
    done = reply(200, {"data": {"regulateId": "2lyRm"}})

    forget("record_events_segment", vendor, IMPORTED, done, settings=settings)

    body = {"regulationType": kind, "subjectType": "USER_ID", "subjectIds": ["auth0|5f7c"]}
    assert calls(vendor) == [("POST", "/regulations", body)]
    assert asked(vendor)[0].headers["authorization"] == "Bearer sgp-1"


# -- HubSpot ---------------------------------------------------------------------------------------

CONTACTS = "/crm/objects/2026-09/contacts"
GONE = Reply(204, b"")
NOBODY = reply(200, {"status": "COMPLETE", "results": []})
UNIQUE = {"external_id_property": "cognito_sub"}


@pytest.mark.parametrize(
    ("user", "settings", "before", "body"),
    [
        pytest.param(
            {"known_as": "501", "email": "ann@acme.test"}, {}, [], {"objectId": "501"}, id="its id"
        ),
        pytest.param(
            {"app_metadata": {"hubSpotContactId": 77}}, {}, [], {"objectId": "77"}, id="imported"
        ),
        pytest.param(
            {"email": "ann@acme.test"},
            {},
            [],
            {"objectId": "ann@acme.test", "idProperty": "email"},
            id="the address",
        ),
        pytest.param(
            {},
            UNIQUE,
            [reply(200, {"status": "COMPLETE", "results": [{"id": "502"}]})],
            {"objectId": "502"},
            id="a property",
        ),
        pytest.param(
            {"email": "ann@acme.test"},
            UNIQUE,
            [NOBODY],
            {"objectId": "ann@acme.test", "idProperty": "email"},
            id="an address without the property",
        ),
    ],
)
def test_hubspot_deletes_the_contact_known_by(
    vendor: Server,
    user: dict[str, Any],
    settings: dict[str, Any],
    before: list[Reply],
    body: dict[str, Any],
) -> None:
    user = {"user_id": "u1", **user}

    forget("sync_contact_hubspot", vendor, user, *before, GONE, settings=settings)

    *looked_up, deleted = calls(vendor)
    assert deleted == ("POST", f"{CONTACTS}/gdpr-delete", body)
    assert [path for _, path, _ in looked_up] == [f"{CONTACTS}/batch/read"] * len(before)


@pytest.mark.parametrize(
    ("settings", "answers"), [({}, [GONE]), (UNIQUE, [NOBODY])], ids=["no property", "not found"]
)
def test_hubspot_is_asked_for_nobody_who_cannot_be_named(
    vendor: Server, settings: dict[str, Any], answers: list[Reply]
) -> None:
    with pytest.raises(UpstreamError) as caught:
        forget("sync_contact_hubspot", vendor, {"user_id": "u1"}, *answers, settings=settings)

    assert (caught.value.code, caught.value.retryable) == ("person_unknown", False)
    assert not any("gdpr" in path for _, path, _ in calls(vendor))


def test_our_request_is_that_of_hubspots_own_client_but_for_the_dated_path(vendor: Server) -> None:
    forget("sync_contact_hubspot", vendor, {"user_id": "u1", "known_as": "501"}, GONE)
    contacts = hubspot.Client.create(access_token="pat-1").crm.contacts.basic_api
    contacts.api_client.configuration.host = vendor.url
    contacts.purge(PublicGdprDeleteInput(object_id="501"))

    ours, theirs = map(facts_of, asked(vendor))
    assert differences(theirs, ours) == {"path"}
    assert (theirs["path"], ours["path"]) == (
        "/crm/v3/objects/contacts/gdpr-delete",
        f"{CONTACTS}/gdpr-delete",
    )


# -- Intercom --------------------------------------------------------------------------------------

CONTACT = reply(200, {"type": "contact", "id": "6762f0dd", "external_id": "auth0|5f7c"})
NOT_FOUND = reply(404, {"type": "error.list", "errors": [{"code": "not_found"}]})
CONTACT_GONE = reply(200, {"type": "contact", "id": "6762f0dd", "deleted": True})


def test_intercom_deletes_the_contact(vendor: Server) -> None:
    forget("upsert_contact_intercom", vendor, IMPORTED, CONTACT, CONTACT_GONE)

    assert calls(vendor) == [
        ("GET", "/contacts/find_by_external_id/auth0%7C5f7c", None),
        ("DELETE", "/contacts/6762f0dd", None),
    ]


def test_our_request_is_that_of_intercoms_own_client(vendor: Server) -> None:
    forget("upsert_contact_intercom", vendor, IMPORTED, CONTACT, CONTACT_GONE)
    with httpx.Client() as connections:
        client = Intercom(token="token-1", base_url=vendor.url, httpx_client=connections)
        client.contacts.delete(contact_id="6762f0dd")

    _, ours, theirs = map(facts_of, asked(vendor))
    assert differences(theirs, ours) <= {"content-type"}


# -- Salesforce ------------------------------------------------------------------------------------

SALESFORCE = (
    "create_lead_salesforce",
    "track_leads_salesforce_enriched",
    "track_signups_salesforce_enriched",
)
RECORD = "/services/data/v68.0/sobjects/Lead/Cognito_Sub__c/u1"


def not_found(message: str) -> Reply:
    return reply(404, [{"errorCode": "NOT_FOUND", "message": message}])


@pytest.mark.parametrize("name", SALESFORCE)
@pytest.mark.parametrize(
    "answer",
    [GONE, not_found("The requested resource does not exist")],
    ids=["deleted", "not there"],
)
def test_salesforce_deletes_the_record(vendor: Server, name: str, answer: Reply) -> None:
    forget(name, vendor, {"user_id": "u1"}, answer)

    assert calls(vendor) == [("DELETE", RECORD, None)]


def test_our_request_is_that_of_simple_salesforce(vendor: Server) -> None:
    forget(SALESFORCE[0], vendor, {"user_id": "u1"}, GONE)
    with to(vendor) as session:
        theirs = SFType("Lead", "token-1", "acme.my.salesforce.com", "68.0", session=session)
        theirs.delete("Cognito_Sub__c/u1")

    ours, other = map(facts_of, asked(vendor))
    assert differences(other, ours) == set()


def to(vendor: Server) -> requests.Session:
    """Return a session that calls the vendor whatever host it is asked for."""

    class Diverted(requests.Session):
        def request(self, method: Any, url: Any, *args: Any, **options: Any) -> Any:
            path = str(url).removeprefix("https://acme.my.salesforce.com")
            return super().request(method, vendor.url + path, *args, **options)

    return Diverted()


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(
            not_found("Provided external ID field does not exist or is not accessible: X__c"),
            "misconfigured",
            id="no such field",
        ),
        pytest.param(Reply(404, b"<html>"), "misconfigured", id="another page"),
        pytest.param(
            reply(400, [{"errorCode": "DELETE_FAILED", "message": "it is in use"}]),
            "salesforce_delete_failed",
            id="a record that is in use",
        ),
        pytest.param(
            reply(400, [{"errorCode": "CANNOT_UPDATE_CONVERTED_LEAD", "message": "no"}]),
            "salesforce_cannot_update_converted_lead",
            id="a lead that became a contact, who is still there",
        ),
    ],
)
def test_salesforce_did_not_delete(vendor: Server, answer: Reply, code: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        forget(SALESFORCE[0], vendor, {"user_id": "u1"}, answer)

    assert (caught.value.code, caught.value.retryable) == (code, False)


def test_without_an_external_id_salesforce_knows_nobody_by_the_sub(vendor: Server) -> None:
    with pytest.raises(UpstreamError) as caught:
        forget(SALESFORCE[0], vendor, {"user_id": "u1"}, settings={"external_id_field": ""})

    assert caught.value.code == "person_unknown"
    assert vendor.received == []


# -- Shopify ---------------------------------------------------------------------------------------

GID = "gid://shopify/Customer/501"
FIND = (
    "query($identifier: CustomerIdentifierInput!) {"
    " customerByIdentifier(identifier: $identifier) { id } }"
)
ERASE = (
    "mutation($id: ID!) { customerRequestDataErasure(customerId: $id)"
    " { customerId userErrors { field message code } } }"
)


def erased(*errors: dict[str, Any]) -> Reply:
    payload = {"customerId": None if errors else GID, "userErrors": list(errors)}
    return reply(200, {"data": {"customerRequestDataErasure": payload}})


UNKNOWN_CUSTOMER = {"code": "DOES_NOT_EXIST", "field": ["customerId"], "message": "Not found"}


@pytest.mark.parametrize("answer", [erased(), erased(UNKNOWN_CUSTOMER)], ids=["asked", "not there"])
def test_shopify_is_asked_for_an_erasure(vendor: Server, answer: Reply) -> None:
    forget("create_customer_shopify", vendor, {"known_as": GID}, answer)

    [(_, path, body)] = calls(vendor)
    assert path == "/admin/api/2026-10/graphql.json"
    assert body == {"query": ERASE, "variables": {"id": GID}}


@pytest.mark.parametrize("found", [{"id": GID}, None], ids=["there", "not there"])
def test_shopify_finds_the_customer_by_the_address(
    vendor: Server, found: dict[str, Any] | None
) -> None:
    answer = reply(200, {"data": {"customerByIdentifier": found}})

    forget("create_customer_shopify", vendor, {"email": "ann@acme.test"}, answer, erased())

    looked_up, *rest = [body for _, _, body in calls(vendor)]
    identifier = {"identifier": {"emailAddress": "ann@acme.test"}}
    assert looked_up == {"query": FIND, "variables": identifier}
    assert rest == ([{"query": ERASE, "variables": {"id": GID}}] if found else [])


@pytest.mark.parametrize(
    ("user", "code"),
    [
        pytest.param({"known_as": GID}, "shopify_failed_to_request", id="refused"),
        pytest.param({"user_id": "u1"}, "person_unknown", id="nobody knows who"),
    ],
)
def test_shopify_did_not_take_the_request(vendor: Server, user: dict[str, Any], code: str) -> None:
    refused = erased({"code": "FAILED_TO_REQUEST", "message": "No"})

    with pytest.raises(UpstreamError) as caught:
        forget("create_customer_shopify", vendor, user, refused)

    assert (caught.value.code, caught.value.retryable) == (code, False)


# -- Firebase --------------------------------------------------------------------------------------


def test_firebase_loses_the_fields_that_were_written(vendor: Server) -> None:
    forget("sync_profile_firebase", vendor, {"user_id": "u1"}, GONE)

    [(method, path, body)] = calls(vendor)
    assert (method, path) == ("PATCH", "/users/u1/identity.json?print=silent")
    assert body
    assert set(body.values()) == {None}


# -- what the answers mean, everywhere -------------------------------------------------------------

PEOPLE: dict[str, dict[str, Any]] = {
    "create_customer_shopify": {"known_as": GID},
    "sync_contact_hubspot": {"known_as": "501"},
}
CASES = [name for name in RULES if rule_of(name).manifest.forgets]


def person_of(name: str) -> dict[str, Any]:
    return {"user_id": "u1"} | PEOPLE.get(name, {})


@pytest.mark.parametrize("name", CASES)
def test_a_system_that_is_down_is_asked_later(name: str, vendor: Server) -> None:
    busy = Reply(503, b"", headers={"Retry-After": "3600"})

    with pytest.raises(UpstreamError) as caught:
        forget(name, vendor, person_of(name), busy)

    assert (caught.value.retryable, caught.value.retry_after) == (True, 3600)


@pytest.mark.parametrize("name", CASES)
def test_a_credential_that_may_not_is_the_operators_to_repair(name: str, vendor: Server) -> None:
    with pytest.raises(UpstreamError) as caught:
        forget(name, vendor, person_of(name), reply(403, {}))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)


WHO_IS_NOT_THERE: dict[str, Callable[[], list[Reply]]] = {
    "sync_contact_hubspot": lambda: [reply(404, {"category": "OBJECT_NOT_FOUND"})],
    "upsert_contact_intercom": lambda: [NOT_FOUND],
}


@pytest.mark.parametrize("name", WHO_IS_NOT_THERE)
def test_a_person_who_is_not_there_is_forgotten(name: str, vendor: Server) -> None:
    effects = forget(name, vendor, person_of(name), *WHO_IS_NOT_THERE[name]())

    assert (effects.items, effects.warnings) == ([], [])


def test_a_contact_that_vanished_in_between_is_forgotten(vendor: Server) -> None:
    forget("upsert_contact_intercom", vendor, IMPORTED, CONTACT, NOT_FOUND)

    assert len(calls(vendor)) == 2


# -- what is noted for it --------------------------------------------------------------------------


def test_the_ids_that_systems_give_are_noted(vendor: Server) -> None:
    user = {"user_id": "u1", "email": "ann@acme.test"}

    def made_known(name: str, answer: Reply) -> str | None:
        vendor.replies = [answer]
        login = a_delivery(vendor, SETTINGS.get(name, {}), SECRETS, user=user)
        return rule_of(name).decide(login).known_as

    customer = {"customer": {"id": GID}, "userErrors": []}
    assert made_known("sync_contact_hubspot", reply(201, {"id": "501"})) == "501"
    shopify = reply(200, {"data": {"customerSet": customer}})
    assert made_known("create_customer_shopify", shopify) == GID
