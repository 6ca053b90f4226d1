from collections.abc import Callable
from typing import Any

import pytest

from cognito_rules import UpstreamError
from cognito_rules.chain import Chain
from cognito_rules.errors import SecretError
from cognito_rules.login import Login
from cognito_rules.manifest import catalogue
from functions.create_lead_salesforce.app import rule
from tests.deliveries import a_delivery
from tests.loopback import Reply, Server, reply
from tests.unit.rules.salesforce_org import (
    CREATED,
    KNOWN,
    LEAD,
    PATH,
    SECRETS,
    TOKEN,
    USER,
    an_error,
    lead,
    org,
    sent_to,
)

__all__ = ["org"]  # a fixture

# -- brought up to date ----------------------------------------------------------------------------

COMPANY = "user.user_metadata.company"
UPDATES = {"update_existing": True}
NOT_FOUND = an_error(404, "NOT_FOUND")
UPDATED = Reply(204, b"")


def test_a_record_that_is_there_gets_what_the_person_is_known_by(org: Server) -> None:
    org.replies = [TOKEN, UPDATED]

    rule.decide(lead(org, UPDATES | {"fields": {"Email": "user.email", "Company": COMPANY}}))

    [written] = sent_to(org)
    assert (written.method, written.path) == ("PATCH", PATH + "?updateOnly=true")
    # No company that is a guess, no source, no description: sales may have changed them.
    assert written.json() == {"FirstName": "Ann", "LastName": "Doe", "Email": "ann@acme.test"}
    assert written.headers["sforce-auto-assign"] == "FALSE"


def test_a_name_that_is_a_guess_replaces_none(org: Server) -> None:
    org.replies = [TOKEN, UPDATED]

    rule.decide(lead(org, UPDATES, user={"user_id": "u1", "email": "ann@acme.test"}))

    assert sent_to(org)[0].json() == {"Email": "ann@acme.test"}


def test_of_whom_nothing_is_known_nothing_is_replaced(org: Server) -> None:
    org.replies = [TOKEN, UPDATED]

    rule.decide(lead(org, UPDATES | {"fields": {}}, user={"user_id": "u1", "email": "a@acme.test"}))

    assert [(sent.path, sent.json()) for sent in sent_to(org)] == [(PATH + "?updateOnly=true", {})]


def test_a_record_that_is_not_there_is_made(org: Server) -> None:
    org.replies = [TOKEN, NOT_FOUND, CREATED]

    rule.decide(lead(org, UPDATES))

    asked, made = sent_to(org)
    assert (asked.path, made.path) == (PATH + "?updateOnly=true", PATH)
    assert made.json() == LEAD
    assert made.headers["sforce-auto-assign"] == "TRUE"


def test_the_lead_that_an_imported_person_has_gets_no_double(org: Server) -> None:
    org.replies = [TOKEN, NOT_FOUND]
    user = USER | {"app_metadata": {"recordedAsLead": True}}

    effects = rule.decide(lead(org, UPDATES, user=user))

    assert effects.warnings == ["lead_without_external_id"]
    assert len(sent_to(org)) == 1


def test_a_lead_that_became_a_contact_is_left_alone(org: Server) -> None:
    org.replies = [TOKEN, an_error(400, "CANNOT_UPDATE_CONVERTED_LEAD")]

    assert rule.decide(lead(org, UPDATES)).warnings == ["salesforce_duplicate"]
    assert len(sent_to(org)) == 1


@pytest.mark.parametrize(
    ("settings", "once"),
    [({}, True), (UPDATES, False), ({"update_existing": False}, True)],
)
def test_who_is_brought_up_to_date_is_told_of_at_every_login(
    settings: dict[str, Any], once: bool
) -> None:
    entry = {"rule": "create_lead_salesforce", "configuration": settings}

    chain = Chain.parse({"rules": [entry]}, catalogue())

    assert [entry.once_per_user for entry in chain.entries] == [once]


# -- notes in Slack --------------------------------------------------------------------------------

HOOK = "/services/T0/B0/word-1"
WITH_HOOK = SECRETS | {"SLACK_WEBHOOK_URL": f"https://hooks.slack.com{HOOK}"}
MADE = reply(201, {"id": "00Q000000000001", "success": True, "errors": [], "created": True})
TOOK = Reply(200, b"ok")
REFUSED = an_error(400, "REQUIRED_FIELD_MISSING")


def noted_lead(org: Server, mode: str) -> Login:
    settings = {"my_domain": "acme", "notify_slack": mode}
    return a_delivery(org, settings, WITH_HOOK, **KNOWN)


def notes_in(org: Server) -> list[str]:
    return [sent.json()["text"] for sent in org.received if sent.path == HOOK]


@pytest.mark.parametrize(
    ("mode", "notes"),
    [
        ("none", []),
        ("errors", []),
        ("all", ["New lead: https://acme.my.salesforce.com/00Q000000000001"]),
    ],
)
def test_a_channel_hears_of_a_new_lead(org: Server, mode: str, notes: list[str]) -> None:
    org.replies = [TOKEN, MADE, TOOK]

    assert rule.decide(noted_lead(org, mode)).warnings == []

    assert notes_in(org) == notes


def test_a_channel_hears_once_of_a_lead(org: Server) -> None:
    org.replies = [TOKEN, reply(200, {"id": "00Q000000000001", "created": False}), TOOK]

    rule.decide(noted_lead(org, "all"))

    assert notes_in(org) == []


@pytest.mark.parametrize(("mode", "told"), [("none", 0), ("errors", 1), ("all", 1)])
@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ([TOKEN, REFUSED, TOOK], "salesforce_required_field_missing"),
        ([reply(400, {"error": "invalid_grant", "x": "word-1"}), TOOK], "misconfigured"),
    ],
    ids=["refused", "misconfigured"],
)
def test_a_channel_hears_of_a_lead_that_is_not_made(
    org: Server, replies: list[Reply], code: str, mode: str, told: int
) -> None:
    org.replies = list(replies)

    with pytest.raises(UpstreamError) as caught:
        rule.decide(noted_lead(org, mode))

    assert caught.value.code == code
    assert notes_in(org) == [f"Salesforce: a lead was not made ({code})."] * told


def test_what_is_tried_again_is_no_news(org: Server) -> None:
    org.replies = [TOKEN, an_error(403, "REQUEST_LIMIT_EXCEEDED")]

    with pytest.raises(UpstreamError):
        rule.decide(noted_lead(org, "all"))

    assert notes_in(org) == []


def without_a_webhook(name: str, refresh: bool) -> str:
    if name == "SLACK_WEBHOOK_URL":
        raise SecretError(name, "the secret holds no text for it")
    return SECRETS[name]


@pytest.mark.parametrize(
    "read_secret",
    [
        pytest.param(lambda name, refresh: WITH_HOOK[name], id="Slack refuses"),
        pytest.param(without_a_webhook, id="there is no webhook"),
    ],
)
def test_a_note_that_is_lost_loses_no_lead(
    org: Server, read_secret: Callable[[str, bool], str]
) -> None:
    org.replies = [TOKEN, MADE, Reply(404, b"no_service")]
    login = noted_lead(org, "all")

    effects = rule.decide(Login(login.facts, configuration=login.configuration, secret=read_secret))

    assert effects.warnings == ["slack_note_lost"]
    assert len([sent for sent in sent_to(org) if sent.method == "PATCH"]) == 1
