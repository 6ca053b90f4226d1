import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_rules import ConfigurationError
from cognito_rules.login import Login
from functions.track_leads_salesforce_enriched.app import rule
from tests.deliveries import a_delivery, through_lambdas_door
from tests.loopback import Server, reply, serving

# What all leads have in common is in test_create_lead_salesforce.py. That the lead waits for the
# enrichment, and for how long, is the delivery's business.

SAMPLE = json.loads(Path("events/track_leads_salesforce_enriched.json").read_text())
SECRETS = {"SALESFORCE_CLIENT_ID": "client-1", "SALESFORCE_CLIENT_SECRET": "word-1"}
USER = {"user_id": "u1", "email": "ann@acme.test", "given_name": "Ann", "family_name": "Doe"}
TOKEN = reply(200, {"access_token": "token-1"})
CREATED = reply(201, {"id": "00Q1", "success": True, "created": True})
FOUND = {"status": "found", "age": "25-34", "gender": "Female"}
SIGNED_UP = "Signed up in Portal via Google on 2026-11-22"


@pytest.fixture
def org() -> Iterator[Server]:
    with serving() as server:
        server.replies = [TOKEN, CREATED]
        yield server


def lead(org: Server, answer: Any, settings: dict[str, Any] | None = None, **more: Any) -> Login:
    known = {"enrichment": {} if answer is None else {"towerdata": answer}}
    return a_delivery(
        org,
        {"my_domain": "acme", **(settings or {})},
        SECRETS,
        user=USER | known | more,
        client={"name": "Portal"},
        connection={"name": "Google"},
    )


def sent_to(org: Server) -> list[dict[str, Any]]:
    return [sent.json() for sent in org.received if sent.method == "PATCH"]


def test_a_lead_has_what_was_found(org: Server) -> None:
    effects = rule.decide(lead(org, FOUND))

    assert (effects.items, effects.warnings) == ([], [])
    assert sent_to(org) == [
        {
            "FirstName": "Ann",
            "LastName": "Doe",
            "Email": "ann@acme.test",
            "Company": "Web channel signups",
            "LeadSource": "Web",
            "Description": f"{SIGNED_UP}\ntowerdata: age 25-34, gender Female",
        }
    ]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="was not asked, or did not answer in time"),
        pytest.param({"status": "none"}, id="knows nobody"),
        pytest.param({"status": "failed"}, id="failed"),
    ],
)
def test_a_lead_is_made_without_extras_when_the_source(org: Server, answer: Any) -> None:
    rule.decide(lead(org, answer))

    assert sent_to(org) == [
        {
            "FirstName": "Ann",
            "LastName": "Doe",
            "Email": "ann@acme.test",
            "Company": "Web channel signups",
            "LeadSource": "Web",
            "Description": SIGNED_UP,
        }
    ]


def test_what_the_person_typed_stays(org: Server) -> None:
    answer = {"status": "found", "organization": "Acme Inc.", "title": "Engineer"}

    rule.decide(lead(org, answer, user_metadata={"company": "Ann's boats"}))

    [made] = sent_to(org)
    assert (made["Company"], made["Title"]) == ("Ann's boats", "Engineer")


def test_the_answer_fills_fields_of_the_orgs_own(org: Server) -> None:
    fields = {"Band__c": "user.enrichment.towerdata.age", "Email": "user.enrichment.towerdata.mail"}
    answer = {"status": "found", "age": "25-34", "mail": "other@acme.test"}

    rule.decide(lead(org, answer, {"enriched_fields": fields, "describe_enrichment": False}))

    [made] = sent_to(org)
    assert (made["Band__c"], made["Email"]) == ("25-34", "ann@acme.test")
    assert made["Description"] == SIGNED_UP


@pytest.mark.parametrize("answer", [None, {"status": "none"}, {"status": "failed"}])
def test_without_data_there_is_no_lead_when_that_is_wished(org: Server, answer: Any) -> None:
    effects = rule.decide(lead(org, answer, {"lead_without_enrichment": False}))

    assert (effects.warnings, org.received) == (["skipped_no_enrichment"], [])


def test_with_data_there_is_one_then(org: Server) -> None:
    rule.decide(lead(org, FOUND, {"lead_without_enrichment": False}))

    assert len(sent_to(org)) == 1


def test_an_answer_of_another_source_is_not_read() -> None:
    with pytest.raises(ConfigurationError, match="does not read"):
        rule.configure(
            {"enriched_fields": {"Title": "user.enrichment.other.title"}}, {"my_domain": "acme"}
        )


def test_people_who_were_imported_as_leads_are_left_alone() -> None:
    assert rule.manifest.imported_markers == (("user", "app_metadata", "recordedAsLead"),)
    assert rule.manifest.once_per_user


def test_the_sample_event_through_lambdas_door(org: Server) -> None:
    response = through_lambdas_door("track_leads_salesforce_enriched", SAMPLE, org, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    assert len(sent_to(org)) == 1
