import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from simple_salesforce.api import SFType
from simple_salesforce.login import SalesforceLogin

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.salesforce_token import org_endpoint
from functions.create_lead_salesforce.app import rule
from tests.deliveries import (
    EVENT,
    differences,
    facts_of,
    through_lambdas_door,
    with_rotated,
)
from tests.log_lines import log_lines
from tests.loopback import Reply, Server, reply
from tests.unit.rules.salesforce_org import (
    CREATED,
    LEAD,
    PATH,
    SECRETS,
    TOKEN,
    USER,
    an_error,
    lead,
    org,
    sent_to,
    their_session,
)

__all__ = ["org", "their_session"]  # fixtures

# Once for each person (also for one who was imported as recordedAsLead), the consent to marketing,
# an address that is not verified (which is unknown to a marketing rule, and so keeps this rule from
# running) and the connections it is for are decided in the login and by the delivery.

SAMPLE = json.loads(Path("events/create_lead_salesforce.json").read_text())

# -- what is sent ----------------------------------------------------------------------------------


def test_a_person_becomes_a_lead(org: Server) -> None:
    effects = rule.decide(lead(org))

    assert (effects.items, effects.warnings) == ([], [])
    asked, made = org.received
    assert (asked.method, asked.path) == ("POST", "/services/oauth2/token")
    assert dict(parse_qsl(asked.body.decode())) == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": "word-1",
    }
    assert (made.method, made.path) == ("PATCH", PATH)
    assert made.json() == LEAD
    assert made.headers["authorization"] == "Bearer token-1"
    assert made.headers["sforce-auto-assign"] == "TRUE"
    assert made.headers["sforce-duplicate-rule-header"] == "allowSave=false"


def test_a_token_is_kept_for_the_next_person(org: Server) -> None:
    rule.decide(lead(org))
    rule.decide(lead(org))

    assert len(org.received) - len(sent_to(org)) == 1


@pytest.mark.parametrize(
    ("user", "first", "last"),
    [
        pytest.param({"family_name": "Doe", "given_name": "Ann"}, "Ann", "Doe", id="both names"),
        pytest.param({"name": "Ann Marie Doe"}, "Ann Marie", "Doe", id="one name of several words"),
        pytest.param({"name": "Ann Doe", "given_name": "Annie"}, "Annie", "Doe", id="a nickname"),
        pytest.param({"name": "ann@acme.test"}, None, "ann", id="a name that is the address"),
        pytest.param({"name": "bob@acme.test"}, None, "ann", id="a name that is another address"),
        pytest.param({"name": "Ann", "given_name": "Ann"}, "Ann", "ann", id="a first name only"),
        pytest.param({"name": " "}, None, "ann", id="a name of nothing"),
        pytest.param({}, None, "ann", id="no name"),
        pytest.param({"family_name": " ", "given_name": " "}, None, "ann", id="names of nothing"),
        pytest.param({"family_name": "D" * 90}, None, "D" * 80, id="a name that is too long"),
    ],
)
def test_nobody_is_without_a_last_name(
    org: Server, user: dict[str, Any], first: str | None, last: str
) -> None:
    rule.decide(lead(org, user={"user_id": "u1", "email": "ann@acme.test"} | user))

    body = sent_to(org)[0].json()
    assert (body.get("FirstName"), body["LastName"]) == (first, last)


def test_what_is_known_of_a_person_is_there_to_act_on(org: Server) -> None:
    user = USER | {"phone_number": "+351210000000", "user_metadata": {"company": "Acme"}}

    rule.decide(lead(org, user=user, request={"geoip": {"country_code": "PT"}}))

    assert sent_to(org)[0].json() == LEAD | {
        "Phone": "+351210000000",
        "Company": "Acme",
        "Country": "PT",
    }


@pytest.mark.parametrize(
    ("company", "sent"),
    [
        pytest.param({"name": "Acme"}, LEAD["Company"], id="an object"),
        pytest.param(["Acme"], LEAD["Company"], id="a list"),
        pytest.param("  ", LEAD["Company"], id="a text of nothing"),
        pytest.param(42, "42", id="a number"),
    ],
)
def test_what_people_put_into_their_metadata_is_no_reason_to_refuse_them(
    org: Server, company: Any, sent: str
) -> None:
    rule.decide(lead(org, user=USER | {"user_metadata": {"company": company}}))

    assert sent_to(org)[0].json() == LEAD | {"Company": sent}


def test_more_fields_and_another_object(org: Server) -> None:
    settings = {
        "object": "Contact",
        "fields": {"Email": "user.email", "App__c": "client.name"},
        "lead_source": "Portal",
        "description": "{application}/{connection}/{date}",
        "auto_assign": "01Q000000000001",
        "allow_duplicate_save": True,
    }

    rule.decide(lead(org, settings, connection={}))

    [made] = sent_to(org)
    assert made.path == PATH.replace("Lead", "Contact")
    assert made.json() == {
        "FirstName": "Ann",
        "LastName": "Doe",
        "Email": "ann@acme.test",
        "App__c": "Portal",
        "LeadSource": "Portal",
        "Description": "Portal/unknown/2026-11-22",
    }
    assert made.headers["sforce-auto-assign"] == "01Q000000000001"
    assert made.headers["sforce-duplicate-rule-header"] == "allowSave=true"


def test_the_id_in_the_path_cannot_lead_elsewhere(org: Server) -> None:
    rule.decide(lead(org, user=USER | {"user_id": "../../x?y=.inc"}))

    assert sent_to(org)[0].path == PATH.removesuffix("u1") + "..%2F..%2Fx%3Fy%3D.inc"


def test_without_an_external_id_the_orgs_duplicate_rules_decide(org: Server) -> None:
    rule.decide(lead(org, {"external_id_field": ""}))

    [made] = sent_to(org)
    assert (made.method, made.path) == ("POST", "/services/data/v68.0/sobjects/Lead")
    assert made.json() == LEAD


def test_an_older_account_is_left_alone(org: Server) -> None:
    user = USER | {"created_at": "2020-01-01T00:00:00Z"}

    effects = rule.decide(lead(org, {"sign_up_cutoff": "2026-11-18"}, user=user))

    assert (effects.warnings, org.received) == (["account_older_than_cutoff"], [])


# -- beside simple-salesforce ----------------------------------------------------------------------


def test_our_lead_is_the_one_that_simple_salesforce_sends(
    org: Server, their_session: requests.Session
) -> None:
    rule.decide(lead(org))
    [ours] = sent_to(org)
    rule.decide(lead(org, {"external_id_field": ""}))
    our_insert = sent_to(org)[-1]
    org.received.clear()
    client = SFType(
        "Lead", "token-1", "acme.my.salesforce.com", sf_version="68.0", session=their_session
    )

    client.upsert("Cognito_Sub__c/u1", ours.json())
    client.create(our_insert.json())

    theirs, their_insert = org.received
    assert differences(facts_of(theirs), facts_of(ours)) == set()
    # The client ends the path of a new record with a slash; Salesforce's reference has it too, for
    # no record in particular.
    assert differences(facts_of(their_insert), facts_of(our_insert)) == {"path"}
    assert facts_of(their_insert)["path"] == facts_of(our_insert)["path"] + "/"


def test_our_token_request_is_the_one_that_simple_salesforce_sends(
    org: Server, their_session: requests.Session
) -> None:
    rule.decide(lead(org))
    ours = org.received[0]
    org.received.clear()
    org.replies = [TOKEN]

    SalesforceLogin(
        session=their_session,
        domain="acme.my",
        consumer_key="client-1",
        consumer_secret="word-1",
    )

    [theirs] = org.received
    # RFC 6749, section 2.3.1, knows both places for a client's credentials, and so does Salesforce:
    # the client uses the header, we the body, as for other services.
    assert differences(facts_of(theirs), facts_of(ours)) == {
        "authorization",
        "body.client_id",
        "body.client_secret",
    }


def test_the_orgs_own_host_is_called() -> None:
    settings = rule.configure({}, {"my_domain": "acme--uat.sandbox"})

    assert org_endpoint(settings, "/x").url == "https://acme--uat.sandbox.my.salesforce.com/x"


# -- when Salesforce does not answer as hoped ------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(200, {"id": "00Q1", "success": True, "created": False}), id="is there"),
        pytest.param(Reply(204, b""), id="is there, in older versions"),
    ],
)
def test_a_lead_with_the_persons_id_is_no_error(org: Server, answer: Reply) -> None:
    org.replies = [TOKEN, answer]

    assert rule.decide(lead(org)).warnings == []


@pytest.mark.parametrize("code", ["DUPLICATES_DETECTED", "CANNOT_UPDATE_CONVERTED_LEAD"])
def test_a_person_whom_sales_knows_is_done(org: Server, code: str) -> None:
    org.replies = [TOKEN, an_error(400, code)]

    assert rule.decide(lead(org)).warnings == ["salesforce_duplicate"]
    assert len(sent_to(org)) == 1


def test_a_locked_row_is_tried_again(org: Server) -> None:
    org.replies = [TOKEN, an_error(400, "UNABLE_TO_LOCK_ROW"), CREATED]

    rule.decide(lead(org))

    assert len(sent_to(org)) == 2


def test_the_days_limit_is_asked_about_again_in_an_hour(org: Server) -> None:
    org.replies = [TOKEN, an_error(403, "REQUEST_LIMIT_EXCEEDED")]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(lead(org))

    assert (caught.value.retryable, caught.value.retry_after) == (True, 3600)
    assert len(sent_to(org)) == 1


@pytest.mark.parametrize(
    ("usage", "warnings"),
    [
        pytest.param("api-usage=18/15000", [], id="few"),
        pytest.param("api-usage=14000/15000", ["salesforce_api_usage_high"], id="most"),
        pytest.param("nonsense", [], id="something else"),
    ],
)
def test_the_days_calls_are_watched(org: Server, usage: str, warnings: list[str]) -> None:
    org.replies = [TOKEN, Reply(201, CREATED.body, {"Sforce-Limit-Info": usage})]

    assert rule.decide(lead(org)).warnings == warnings


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        pytest.param(
            an_error(400, "REQUIRED_FIELD_MISSING"),
            "salesforce_required_field_missing",
            id="a field that the org requires",
        ),
        pytest.param(
            an_error(400, "STRING_TOO_LONG"), "salesforce_string_too_long", id="a long text"
        ),
        pytest.param(reply(400, {}), "salesforce_400", id="something without a code"),
        pytest.param(
            reply(400, [{"errorCode": "ann@acme.test"}]), "salesforce_400", id="a code that is none"
        ),
        pytest.param(an_error(404, "NOT_FOUND"), "misconfigured", id="a field that there is not"),
        pytest.param(an_error(410, "UNSUPPORTED_API_VERSION"), "misconfigured", id="a version"),
        pytest.param(an_error(403, "API_DISABLED_FOR_ORG"), "misconfigured", id="no API"),
        pytest.param(reply(300, ["/a", "/b"]), "misconfigured", id="two with one external id"),
    ],
)
def test_a_refusal_is_final(org: Server, answer: Reply, code: str) -> None:
    org.replies = [TOKEN, answer]

    with log_lines() as log, pytest.raises(UpstreamError) as caught:
        rule.decide(lead(org))

    assert (caught.value.code, caught.value.retryable) == (code, False)
    assert "ann" not in json.dumps(log.records) + str(caught.value)
    assert len(sent_to(org)) == 1


def test_an_outage_is_tried_three_times_and_then_later(org: Server) -> None:
    org.replies = [TOKEN, Reply(503)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(lead(org))

    assert (caught.value.retryable, len(sent_to(org))) == (True, 3)


def test_a_lost_answer_is_asked_for_again(org: Server) -> None:
    org.replies = [TOKEN, Reply(reset=True), CREATED]

    rule.decide(lead(org))

    assert [sent.path for sent in sent_to(org)] == [PATH, PATH]


def test_a_lost_answer_is_not_asked_for_again_where_it_would_make_two(org: Server) -> None:
    org.replies = [TOKEN, Reply(reset=True), CREATED]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(lead(org, {"external_id_field": ""}))

    assert (caught.value.code, caught.value.retryable) == ("upstream_timeout", False)


def test_a_token_that_ended_is_renewed_once(org: Server) -> None:
    newer = reply(200, {"access_token": "token-2"})
    org.replies = [TOKEN, an_error(401, "INVALID_SESSION_ID"), newer, CREATED]

    rule.decide(lead(org))

    assert [r.headers["authorization"] for r in sent_to(org)] == [
        "Bearer token-1",
        "Bearer token-2",
    ]


def test_a_client_secret_that_was_rotated_is_read_again(org: Server) -> None:
    org.replies = [reply(400, {"error": "invalid_client"}), TOKEN, CREATED]

    rule.decide(with_rotated(lead(org), SECRETS, SECRETS | {"SALESFORCE_CLIENT_SECRET": "word-2"}))

    forms = [dict(parse_qsl(r.body.decode())) for r in org.received[:2]]
    assert [form["client_secret"] for form in forms] == ["word-1", "word-2"]


def test_a_client_that_stays_refused_is_for_an_operator(org: Server) -> None:
    org.replies = [reply(400, {"error": "invalid_grant", "error_description": "word-1"})]

    with log_lines() as log, pytest.raises(UpstreamError) as caught:
        rule.decide(lead(org))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
    assert "word-1" not in json.dumps(log.records) + str(caught.value)


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"api_version": "20.0"}, "Summer '22", id="a version that is gone"),
        pytest.param({"api_version": "v68"}, "api_version", id="no version"),
        pytest.param({"external_id_field": "Email/x"}, "external_id_field", id="a path"),
        pytest.param({"external_id_field": "Email"}, "external_id_field", id="a standard field"),
        pytest.param({"object": "Account"}, "object", id="another object"),
        pytest.param(
            {"fields": {"Nick__c": "user.nickname"}}, "user.nickname", id="a field it does not read"
        ),
        pytest.param({"description": "{email}"}, "no placeholder {email}", id="a placeholder"),
        pytest.param({"auto_assign": "yes"}, "auto_assign", id="no assignment rule"),
        pytest.param({"sign_up_cutoff": "2026-13-01"}, "sign_up_cutoff", id="no such day"),
        pytest.param(
            {"auth_mode": "jwt_bearer"}, "SalesforceSigningKeyArn", id="assertions without a key"
        ),
        pytest.param(
            {"update_existing": True, "external_id_field": ""},
            "external_id_field",
            id="updates of whom?",
        ),
        pytest.param(
            {"update_existing": True, "api_version": "60.0"}, "61.0", id="updates that make records"
        ),
        pytest.param({"notify_slack": "some"}, "notify_slack", id="some notes"),
        pytest.param({"password": "x"}, "password", id="the old way in"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {"my_domain": "acme"})


@pytest.mark.parametrize("my_domain", ["", "evil.com/?", "acme.my.salesforce.com", "acme.evil"])
def test_only_a_my_domain_is_one(my_domain: str) -> None:
    with pytest.raises(ConfigurationError, match="my_domain"):
        rule.configure({}, {"my_domain": my_domain})


def test_the_rule_does_not_run_without_an_address() -> None:
    assert [str(read) for read in rule.manifest.required_reads] == ["user.email!"]


def test_a_replayed_event_makes_the_same_lead(org: Server) -> None:
    rule.decide(lead(org, event=EVENT))
    rule.decide(lead(org, event=EVENT))

    first, second = sent_to(org)
    assert (first.path, first.body) == (second.path, second.body)


def test_the_sample_event_through_lambdas_door(org: Server) -> None:
    response = through_lambdas_door("create_lead_salesforce", SAMPLE, org, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    assert len(sent_to(org)) == 1
