"""Leads in Salesforce, some with what other systems know of the person: the second hop, deployed.

Every rule runs in its own function, with its own role, and reads its own secret; a lead's message
waits in its queue until its source has answered.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import requests

from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN, STAFF
from tests.local.stack.outside import about, consent, embedded_url, put_secrets, stack_name
from tests.loopback import Received, Reply, Server, reply
from tests.moments import wait_for

NewPerson = Callable[..., Person]

WITH_LEADS = (
    CHAIN
    + """
[[rules]]
rule = "track_login_mixpanel"
configuration = { project_id = "42" }
[[rules]]
rule = "track_login_mixpanel"
id = "mixpanel-sign-up"
once_per_user = true
configuration = { project_id = "42", event_name = "Sign up" }
[[rules]]
rule = "create_lead_salesforce"
configuration = { object = "Contact", lead_source = "Web" }
[[rules]]
rule = "enrich_profile_towerdata"
configuration = { countries = [] }
[[rules]]
rule = "track_leads_salesforce_enriched"
configuration = { lead_source = "AtData" }
[[rules]]
rule = "enrich_profile_fullcontact"
configuration = { use_webhook = true }
[[rules]]
rule = "track_signups_salesforce_enriched"
configuration = { lead_source = "FullContact" }
"""
)
RULES = (
    "track_login_mixpanel",
    "create_lead_salesforce",
    "enrich_profile_fullcontact",
    "enrich_profile_towerdata",
    "track_leads_salesforce_enriched",
    "track_signups_salesforce_enriched",
)
SALESFORCE = {"SALESFORCE_CLIENT_ID": "app", "SALESFORCE_CLIENT_SECRET": "word"}
SECRETS = {
    "atdata": {"ATDATA_API_KEY": "word"},
    "fullcontact": {"FULLCONTACT_API_KEY": "word"},
    "mixpanel": {
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME": "robot",
        "MIXPANEL_SERVICE_ACCOUNT_SECRET": "word",
    },
    "salesforce_lead": SALESFORCE,
    "salesforce_lead_towerdata": SALESFORCE,
    "salesforce_lead_fullcontact": SALESFORCE,
}
RECORDS = "/services/data/v68.0/sobjects/"
SOURCES = ("/v5/td", "/v3/person.enrich")
PROFILE = {"title": "Engineer", "organization": "Acme", "details": {}}
ROUTES = {
    "/import?strict=1&project_id=42": reply(200, {"code": 200}),
    "/services/oauth2/token": reply(200, {"access_token": "t1"}),
    RECORDS: reply(201, {"id": "00Q", "success": True}),
    "/v5/td": reply(200, {"age": "25-34", "gender": "Female", "household_income": "100k"}),
    "/v3/person.enrich": reply(200, PROFILE),
}


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack) -> Iterator[None]:
    put_secrets(stack, SECRETS)
    stack.use_chain(WITH_LEADS)
    yield
    stack.use_chain(CHAIN)


@pytest.fixture(autouse=True)
def answers(vendors: Server) -> None:
    vendors.routes = ROUTES


def leads(person: Person, vendors: Server) -> dict[str, list[dict[str, Any]]]:
    """Return what Salesforce was sent of a person, by the rule that sent it."""
    found: dict[str, list[dict[str, Any]]] = {"Web": [], "AtData": [], "FullContact": []}
    for received in sent_to(RECORDS, person, vendors):
        found[received.json()["LeadSource"]].append(received.json())
    return found


def sent_to(begin: str | tuple[str, ...], person: Person, vendors: Server) -> list[Received]:
    return [received for received in about(person, vendors) if received.path.startswith(begin)]


def events(person: Person, vendors: Server) -> list[str]:
    """Return the names of a person's events in Mixpanel."""
    batches = [received.json() for received in sent_to("/import", person, vendors)]
    return [event["event"] for batch in batches for event in batch]


def are_through(stack: Stack) -> bool:
    """Say whether nothing waits in the queues of these rules, visible or hidden."""
    sqs = stack.aws.client("sqs")
    waiting = {
        sqs.get_queue_attributes(
            QueueUrl=sqs.get_queue_url(QueueName=f"{stack_name(stack)}-{rule}")["QueueUrl"],
            AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
        )["Attributes"][name]
        for rule in RULES
        for name in ("ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible")
    }
    return waiting == {"0"}


def test_one_lead_is_made_with_what_was_found_and_none_at_the_next_login(
    stack: Stack, app: App, new_person: NewPerson, vendors: Server
) -> None:
    person = new_person(groups=[STAFF], given_name="Ann", family_name="Doe")
    consent(stack, person, "marketing", "enrichment")

    app.srp(person.username, person.password)
    wait_for(lambda: all(leads(person, vendors).values()), seconds=60)

    found = leads(person, vendors)
    [plain], [by_atdata], [by_fullcontact] = found.values()
    assert "\n" not in plain["Description"]
    assert by_atdata["Description"].endswith("\ntowerdata: age 25-34, gender Female")
    assert (by_fullcontact["Title"], by_fullcontact["Company"]) == ("Engineer", "Acme")
    assert "household_income" not in json.dumps(found)

    # At another application, since a second login at one and the same counts after 15 seconds only.
    stack.application(f"again-{person.name}").srp(person.username, person.password)
    wait_for(lambda: events(person, vendors).count("Sign In") == 2, seconds=30)
    wait_for(lambda: are_through(stack), seconds=30)

    assert leads(person, vendors) == found
    assert events(person, vendors).count("Sign up") == 1
    assert len(sent_to(SOURCES, person, vendors)) == 2


def test_leads_are_made_without_extras_when_the_sources_fail(
    stack: Stack, app: App, new_person: NewPerson, vendors: Server
) -> None:
    person = new_person(groups=[STAFF], given_name="Ann", family_name="Doe")
    consent(stack, person, "marketing", "enrichment")
    vendors.routes = ROUTES | {"/v5/td": Reply(422), "/v3/person.enrich": Reply(500)}

    app.srp(person.username, person.password)
    wait_for(lambda: all(leads(person, vendors).values()), seconds=60)
    wait_for(lambda: are_through(stack), seconds=30)

    for made in leads(person, vendors).values():
        [lead] = made
        assert (lead.get("Company", "Web channel signups"), lead.get("Title")) == (
            "Web channel signups",
            None,
        )
        assert "\n" not in lead["Description"]


def test_a_lead_waits_for_fullcontacts_call_and_has_what_it_says(
    stack: Stack, app: App, new_person: NewPerson, vendors: Server
) -> None:
    person = new_person(groups=[STAFF], given_name="Ann", family_name="Doe")
    consent(stack, person, "marketing", "enrichment")
    queued = {"status": 202, "message": "Queued for search."}
    vendors.routes = ROUTES | {"/v3/person.enrich": reply(202, queued)}

    app.srp(person.username, person.password)
    [asked] = wait_for(lambda: sent_to("/v3/person.enrich", person, vendors), seconds=60)
    wait_for(lambda: leads(person, vendors)["AtData"], seconds=60)
    url = embedded_url(stack, asked.json()["webhookUrl"])
    called = [requests.post(url, json=PROFILE, timeout=30) for _ in range(2)]
    wait_for(lambda: leads(person, vendors)["FullContact"], seconds=60)
    wait_for(lambda: are_through(stack), seconds=30)

    assert [answer.status_code for answer in called] == [204, 404], called[0].text
    [lead] = leads(person, vendors)["FullContact"]
    assert (lead["Title"], lead["Company"]) == ("Engineer", "Acme")
    # Whoever does not know the nonce is nobody.
    assert requests.post(url[:-43] + "A" * 43, json=PROFILE, timeout=30).status_code == 404


def test_nobody_is_looked_up_who_agreed_to_leads_only(
    stack: Stack, app: App, new_person: NewPerson, vendors: Server
) -> None:
    person = new_person(groups=[STAFF], given_name="Ann", family_name="Doe")
    consent(stack, person, "marketing")

    app.srp(person.username, person.password)
    wait_for(lambda: all(leads(person, vendors).values()), seconds=30)

    assert sent_to(SOURCES, person, vendors) == []


def test_a_person_who_was_imported_as_a_lead_is_left_alone(
    stack: Stack, app: App, new_person: NewPerson, vendors: Server
) -> None:
    person = new_person(groups=[STAFF], app_metadata={"recordedAsLead": True}, family_name="Doe")
    consent(stack, person, "marketing", "enrichment")

    app.srp(person.username, person.password)
    wait_for(lambda: events(person, vendors), seconds=30)
    wait_for(lambda: are_through(stack), seconds=30)

    assert sent_to((RECORDS, *SOURCES), person, vendors) == []
