"""What other systems receive of a person: for each rule exactly the fields that are listed here.

A login that knows everything goes to each rule as the chain would send it; what then arrives at the
other system, in any part of a request, is looked through for the value of every field.
"""

import importlib
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote_plus

import pytest

from cognito_rules.chain import Entry
from cognito_rules.consent import facts_for, obstacle
from cognito_rules.fields import FIELDS, lookup
from cognito_rules.login import Login
from cognito_rules.manifest import Manifest
from cognito_rules.testing import a_login
from tests.deliveries import FIRST_LOGIN
from tests.loopback import Received, Reply, reply, serving
from tests.pool_tokens import private_pem

MANIFESTS = {
    path.parent.name: Manifest.read(path) for path in sorted(Path("functions").glob("*/rule.toml"))
}
AFTER_LOGIN = [name for name, found in MANIFESTS.items() if found.stage == "after_login"]

LEAD = {
    "user.user_id",
    "user.email",
    "user.given_name",
    "user.family_name",
    "user.phone_number",
    "client.name",
    "connection.name",
}

# Rule -> how it is set up here, what the other system answers, and the fields that it then has.
# Address and browser do not leave for analytics unless that is set.
SET_UP: dict[str, tuple[dict[str, Any], list[Reply], set[str]]] = {
    "create_customer_shopify": (
        {"shop": "acme.myshopify.com", "auth_mode": "static_token"},
        [reply(200, {"data": {"customerSet": {"customer": {"id": "gid"}}}})],
        {"user.email", "user.given_name", "user.family_name", "user.phone_number"},
    ),
    "create_lead_salesforce": (
        {"my_domain": "acme"},
        [reply(200, {"access_token": "t"}), reply(201, {"id": "00Q1"})],
        LEAD,
    ),
    "enrich_profile_fullcontact": ({}, [reply(200, {})], {"user.email"}),
    "enrich_profile_towerdata": ({"countries": []}, [reply(200, {})], {"user.email"}),
    "notify_signup_slack": (
        {},
        [Reply(200, b"ok")],
        {"user.name", "client.name"},  # and of the address its first letter and its domain
    ),
    "record_events_segment": (
        {"identify_on_signup": True},
        [Reply(200)],
        {
            "user.app_metadata.legacy_user_id",
            "user.created_at",
            "client.name",
            "connection.name",
            "transaction.protocol",
            "request.user_agent",
        },
    ),
    "record_events_splunk": (
        {"endpoint": "stand_in", "allow_private_network": True},
        [reply(200, {"code": 0})],
        {
            "user.user_id",
            "user.name",
            "client.client_id",
            "client.name",
            "connection.name",
            "request.ip",
            "request.user_agent",
            "transaction.protocol",
            "transaction.user_pool_id",
            "authentication.methods",
        },
    ),
    "record_signup_keen": (
        {"project_id": "p1"},
        [Reply(201)],
        {"user.user_id", "client.name", "connection.name"},
    ),
    "sync_contact_hubspot": (
        {"list_id": "77"},
        [reply(201, {"id": "501"})],
        {"user.email", "user.given_name", "user.family_name"},
    ),
    "track_leads_salesforce_enriched": (
        {"my_domain": "acme"},
        [reply(200, {"access_token": "t"}), reply(201, {"id": "00Q1"})],
        LEAD,
    ),
    "track_login_mixpanel": (
        {"project_id": "42", "signup_event_name": "Sign up"},
        [reply(200, {"code": 200})],
        {
            "user.app_metadata.legacy_user_id",
            "client.name",
            "connection.name",
            "stats.logins_count",
        },
    ),
    "sync_profile_firebase": (
        {"database_url": "https://acme.firebaseio.com"},
        [reply(200, {"access_token": "t1", "expires_in": 3599}), Reply(204, b"")],
        {"user.user_id", "user.email", "user.name", "user.nickname", "user.picture"},
    ),
    "track_signups_salesforce_enriched": (
        {"my_domain": "acme"},
        [reply(200, {"access_token": "t"}), reply(201, {"id": "00Q1"})],
        LEAD,
    ),
    "trigger_zap_on_login": (
        {},
        [Reply(200)],
        {
            "user.user_id",
            "user.email",
            "user.name",
            "client.name",
            "connection.name",
            "connection.strategy",
        },
    ),
    "trigger_zap_on_signup": (
        {},
        [Reply(200)],
        {
            "user.user_id",
            "user.email",
            "user.name",
            "client.name",
            "connection.name",
            "connection.strategy",
        },
    ),
    "upsert_contact_intercom": (
        {},
        [Reply(404), reply(200, {"id": "c1"})],
        {"user.app_metadata.legacy_user_id", "user.email", "user.name"},
    ),
}

# Two kinds of secret are URLs, and one signs.
SECRETS = {
    "FIREBASE_PRIVATE_KEY": private_pem("service-account"),
    "SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/x",
    "ZAPIER_HOOK_URL": "https://hooks.zapier.com/hooks/catch/x",
}

# Fields whose value must have a form of its own; all others are texts that name their field.
FORMS: dict[str, Any] = {
    "user.email": "ann.marie@people.test",
    "user.phone_number": "+351999888777",
    "user.created_at": "2026-11-21T08:15:31Z",
    "user.app_metadata.legacy_user_id": "auth0|legacy-of-a-person",
    "stats.logins_count": 918273,
    "authentication.methods": "method-of-a-person",
}


def everything() -> Login:
    """Return a login that knows every field of the vocabulary."""
    facts: dict[str, Any] = {
        section: {field: f"{section}-{field}-of-a-person" for field in fields}
        for section, fields in FIELDS.items()
        if section != "event"
    }
    for path in ("user.email", "user.phone_number", "user.created_at", "stats.logins_count"):
        section, field = path.split(".")
        facts[section][field] = FORMS[path]
    facts["authentication"]["methods"] = [{"name": "method-of-a-person"}]
    facts["user"]["user_metadata"] = {"consent": {}, "color": "user_metadata-of-a-person"}
    facts["user"]["app_metadata"] = {
        "legacy_user_id": FORMS["user.app_metadata.legacy_user_id"],
        "flag": "app_metadata-of-a-person",
    }
    facts["user"]["enrichment"] = {}
    return a_login(event=FIRST_LOGIN, **facts)


def values() -> dict[str, str]:
    """Return dotted path -> what to look for."""
    login = everything()
    paths = [f"{s}.{f}" for s, fields in FIELDS.items() for f in fields if s != "event"]
    found = {path: lookup(login.facts, tuple(path.split("."))) for path in paths}
    texts = {
        path: str(value) for path, value in found.items() if not isinstance(value, (dict, list))
    }
    return texts | {
        "user.user_metadata": "user_metadata-of-a-person",
        "user.app_metadata": "app_metadata-of-a-person",
        **{path: str(value) for path, value in FORMS.items()},
    }


def wire(received: Received) -> str:
    """Return a request as one text, with what JSON and URLs write otherwise."""
    body = received.body.decode()
    if body and received.headers.get("content-type") == "application/json":
        body = json.dumps(json.loads(body), ensure_ascii=False)
    headers = "\n".join(f"{name}: {value}" for name, value in received.headers.items())
    return "\n".join([headers, body, unquote_plus(body), unquote_plus(received.path)])


def test_every_after_login_rule_is_looked_at_that_does_not_stay_in_the_account() -> None:
    assert sorted(SET_UP) == [name for name in AFTER_LOGIN if name != "disable_user_in_pool"]


@pytest.mark.parametrize("name", SET_UP)
def test_another_system_receives_the_listed_fields_and_no_other(name: str) -> None:
    settings, replies, expected = SET_UP[name]
    rule = importlib.import_module(f"functions.{name}.app").rule
    with serving() as vendor:
        vendor.replies = list(replies)
        known = rule.manifest.settings.from_template
        given = {
            key: vendor.url if value == "stand_in" else value for key, value in settings.items()
        }
        if "stand_in" in known:
            given["stand_in"] = vendor.url
        login = Login(
            everything().facts,
            configuration=given,
            secret=lambda name, refresh: SECRETS.get(name, f"secret-{name}"),
        )

        rule.decide(login)

    sent = "\n".join(map(wire, vendor.received))
    assert sent
    assert {path for path, text in values().items() if text in sent} == expected


@pytest.mark.parametrize("name", SET_UP)
def test_what_leaves_is_declared(name: str) -> None:
    *_, expected = SET_UP[name]

    assert [path for path in sorted(expected) if not MANIFESTS[name].can_read(path)] == []


@pytest.mark.parametrize(
    ("purpose", "once", "rules"),
    [
        pytest.param(
            "security",
            False,
            {"disable_user_in_pool", "record_events_splunk"},
            id="security, every login",
        ),
        pytest.param(
            "analytics",
            False,
            {"record_events_segment", "track_login_mixpanel"},
            id="analytics, every login",
        ),
        pytest.param("analytics", True, {"record_signup_keen"}, id="analytics, once"),
        pytest.param(
            "marketing",
            False,
            {"trigger_zap_on_login", "upsert_contact_intercom"},
            id="marketing, every login",
        ),
        pytest.param(
            "marketing",
            True,
            {
                "create_customer_shopify",
                "create_lead_salesforce",
                "sync_contact_hubspot",
                "track_leads_salesforce_enriched",
                "track_signups_salesforce_enriched",
                "trigger_zap_on_signup",
            },
            id="marketing, once",
        ),
        pytest.param("operations", False, {"sync_profile_firebase"}, id="operations, every login"),
        pytest.param(
            "enrichment",
            False,
            {"enrich_profile_fullcontact", "enrich_profile_towerdata"},
            id="enrichment, when its answer is wanted",
        ),
        pytest.param("operations", True, {"notify_signup_slack"}, id="operations, once"),
    ],
)
def test_what_people_are_told_about_for(purpose: str, once: bool, rules: set[str]) -> None:
    found = {
        name
        for name in AFTER_LOGIN
        if (MANIFESTS[name].purpose, MANIFESTS[name].once_per_user) == (purpose, once)
    }

    assert found == rules


@pytest.mark.parametrize(
    "name", [n for n in AFTER_LOGIN if MANIFESTS[n].purpose in ("marketing", "enrichment")]
)
def test_an_address_that_nobody_proved_reaches_no_marketing(name: str) -> None:
    entry = Entry(id=name, index=0, manifest=MANIFESTS[name], require_consent="off")
    facts = everything().facts
    facts["user"]["email_verified"] = False

    needs_it = "user.email!" in map(str, MANIFESTS[name].required_reads)

    assert obstacle(entry, facts) == ("context_missing" if needs_it else None)
    assert "email" not in facts_for(entry, facts)["user"]
