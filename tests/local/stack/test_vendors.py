"""One sign-in, and what each system outside hears of it: through stream, bus, queue and role.

Every rule runs in its own function, with its own role, and reads its own secret; what the systems
answer is made up, and what they receive is what the rules' own tests compare with the vendors'
clients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN, STAFF
from tests.local.stack.outside import about, consent, put_secrets
from tests.loopback import Reply, Server, reply
from tests.moments import wait_for
from tests.pool_tokens import private_pem

NewPerson = Callable[..., Person]

WITH_VENDORS = (
    CHAIN
    + """
[[rules]]
rule = "track_login_mixpanel"
configuration = { project_id = "42", signup_event_name = "Sign up" }
[[rules]]
rule = "record_events_segment"
[[rules]]
rule = "record_signup_keen"
configuration = { project_id = "p1" }
[[rules]]
rule = "sync_contact_hubspot"
configuration = { list_id = "77" }
[[rules]]
rule = "create_customer_shopify"
[[rules]]
rule = "upsert_contact_intercom"
[[rules]]
rule = "notify_signup_slack"
[[rules]]
rule = "sync_profile_firebase"
[[rules]]
rule = "trigger_zap_on_login"
[[rules]]
rule = "trigger_zap_on_signup"
"""
)
# Secret below the stack's name -> what somebody put in.
SECRETS = {
    "mixpanel": {
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME": "robot",
        "MIXPANEL_SERVICE_ACCOUNT_SECRET": "word",
    },
    "segment": {"SEGMENT_WRITE_KEY": "word"},
    "keen": {"KEEN_WRITE_KEY": "word"},
    "hubspot": {"HUBSPOT_ACCESS_TOKEN": "word"},
    "shopify": {"SHOPIFY_CLIENT_ID": "app", "SHOPIFY_CLIENT_SECRET": "word"},
    "intercom": {"INTERCOM_ACCESS_TOKEN": "word"},
    "firebase": {
        "FIREBASE_CLIENT_EMAIL": "rules@acme.iam.gserviceaccount.com",
        "FIREBASE_PRIVATE_KEY": private_pem("service-account"),
        "FIREBASE_PRIVATE_KEY_ID": "key-1",
    },
    "slack": {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/word"},
    "zapier_login": {
        "ZAPIER_HOOK_URL": "https://hooks.zapier.com/hooks/catch/login/",
        "ZAPIER_SIGNING_KEY": "word",
    },
    "zapier_signup": {
        "ZAPIER_HOOK_URL": "https://hooks.zapier.com/hooks/catch/signup/",
        "ZAPIER_SIGNING_KEY": "word",
    },
}
CUSTOMER = {"data": {"customerSet": {"customer": {"id": "gid"}, "userErrors": []}}}
# Path that a system is called at -> what it answers.
ROUTES = {
    "/import?strict=1&project_id=42": reply(200, {"code": 200}),
    "/v1/batch": reply(200, {"success": True}),
    "/3.0/projects/p1/events/signups": reply(201, {"created": True}),
    "/crm/objects/2026-09/contacts": reply(201, {"id": "501"}),
    "/crm/lists/2026-09/77/memberships/add": reply(200, {"recordsIdsAdded": ["501"]}),
    "/admin/oauth/access_token": reply(200, {"access_token": "t1", "expires_in": 86399}),
    "/admin/api/2026-10/graphql.json": reply(200, CUSTOMER),
    "/contacts/find_by_external_id/": reply(404, {}),
    "/contacts": reply(200, {"id": "c1"}),
    "/token": reply(200, {"access_token": "t1", "expires_in": 3599}),
    "/users/": Reply(204, b""),
    "/services/T0/B0/word": Reply(200, b"ok"),
    "/hooks/catch/login/": reply(200, {"status": "success"}),
    "/hooks/catch/signup/": reply(200, {"status": "success"}),
}


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack, vendors: Server) -> Iterator[None]:
    put_secrets(stack, SECRETS)
    vendors.routes = ROUTES
    stack.use_chain(WITH_VENDORS)
    yield
    stack.use_chain(CHAIN)


def test_every_system_hears_of_a_first_login(
    stack: Stack, app: App, new_person: NewPerson, vendors: Server
) -> None:
    person = new_person(groups=[STAFF], given_name="Ann", family_name="Doe")
    consent(stack, person, "marketing")

    app.srp(person.username, person.password)

    expected = {
        path
        for path in ROUTES
        if not path.startswith(("/admin/oauth", "/crm/lists", "/s", "/token"))
    }
    heard = wait_for(
        lambda: (
            {p for p in expected for r in about(person, vendors) if r.path.startswith(p)}
            == expected
        ),
        seconds=60,
    )
    assert heard
    [mixpanel] = [r for r in about(person, vendors) if r.path.startswith("/import")]
    assert [event["event"] for event in mixpanel.json()] == ["Sign up", "Sign In"]
    # Put on the list by the id that HubSpot gave, and told to a channel by the name alone.
    wait_for(lambda: paths(vendors, "/crm/lists") and paths(vendors, "/services/T0"))


def paths(vendors: Server, begin: str) -> list[str]:
    return [received.path for received in list(vendors.received) if received.path.startswith(begin)]
