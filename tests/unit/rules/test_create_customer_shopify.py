import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
import shopify

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.login import Login
from functions.create_customer_shopify.app import rule
from tests.deliveries import (
    EVENT,
    a_delivery,
    differences,
    facts_of,
    through_lambdas_door,
    with_rotated,
)
from tests.loopback import Reply, Server, reply, serving

# Once for each person, the consent to marketing and an address that is not verified (which is
# unknown to a marketing rule, and so keeps this rule from running) are the delivery's business. So
# is a shop that is down: the person has logged in long since, and the delivery waits.

SAMPLE = json.loads(Path("events/create_customer_shopify.json").read_text())
SECRETS = {
    "SHOPIFY_CLIENT_ID": "client-1",
    "SHOPIFY_CLIENT_SECRET": "word-1",
    "SHOPIFY_ACCESS_TOKEN": "shpat_1",
}
USER = {
    "user_id": "u1",
    "email": "ann@acme.test",
    "given_name": "Ann",
    "family_name": "Doe",
    "phone_number": "+351210000000",
}
GID = "gid://shopify/Customer/501"
TOKEN = reply(200, {"access_token": "token-1", "scope": "write_customers", "expires_in": 86399})
CUSTOMER_SET = (
    "mutation($input: CustomerSetInput!, $identifier: CustomerSetIdentifiers) {"
    " customerSet(input: $input, identifier: $identifier)"
    " { customer { id } userErrors { field message code } } }"
)
GRAPHQL = "/admin/api/2026-10/graphql.json"
STATIC = {"auth_mode": "static_token"}


def customer_set(*errors: dict[str, Any], **more: Any) -> Reply:
    payload = {"customer": None if errors else {"id": GID}, "userErrors": list(errors)}
    return reply(200, {"data": {"customerSet": payload}}, **more)


def errors_of(code: str, **extensions: Any) -> Reply:
    error = {"message": code, "extensions": {"code": code}}
    return reply(200, {"errors": [error], "extensions": extensions})


TAKEN = customer_set()
PHONE_TAKEN = {"field": ["input", "phone"], "message": "Phone has been taken", "code": "TAKEN"}


@pytest.fixture
def shop() -> Iterator[Server]:
    with serving() as server:
        server.replies = [TOKEN, TAKEN]
        yield server


@pytest.fixture
def open_shop(shop: Server) -> Server:
    """A shop whose first answer is to the customer: the token is an older app's."""
    shop.replies = [TAKEN]
    return shop


def create(shop: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    settings = {"shop": "acme.myshopify.com", **(settings or {})}
    return a_delivery(shop, settings, SECRETS, **({"user": USER} | known))


def sent_to(shop: Server) -> list[dict[str, Any]]:
    return [r.json() for r in shop.received if r.path == GRAPHQL]


# -- what is sent ----------------------------------------------------------------------------------


def test_a_person_becomes_a_customer(shop: Server) -> None:
    effects = rule.decide(create(shop))

    assert (effects.items, effects.warnings) == ([], [])
    asked, made = shop.received
    assert asked.path == "/admin/oauth/access_token"
    assert dict(parse_qsl(asked.body.decode())) == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": "word-1",
    }
    assert made.path == GRAPHQL
    assert made.headers["x-shopify-access-token"] == "token-1"
    assert "authorization" not in made.headers
    assert made.json() == {
        "query": CUSTOMER_SET,
        "variables": {
            "identifier": {"email": "ann@acme.test"},
            "input": {
                "email": "ann@acme.test",
                "firstName": "Ann",
                "lastName": "Doe",
                "phone": "+351210000000",
            },
        },
    }


def test_the_request_is_the_one_that_shopifys_own_client_sends(open_shop: Server) -> None:
    rule.decide(create(open_shop, STATIC))
    our_request = open_shop.received.pop()
    ours = facts_of(our_request)
    session = shopify.Session("acme.myshopify.com", "unstable", "shpat_1")
    shopify.ShopifyResource.activate_session(session)
    # The client knows no address but the store's own, and versions up to its last release.
    shopify.ShopifyResource.set_site(f"{open_shop.url}/admin/api/2026-10")
    try:
        shopify.GraphQL().execute(ours["body"]["query"], ours["body"]["variables"])
    finally:
        shopify.ShopifyResource.clear_session()

    their_request = open_shop.received[0]
    assert differences(facts_of(their_request), ours) == set()
    name = "x-shopify-access-token"
    assert their_request.headers[name] == our_request.headers[name] == "shpat_1"


def test_the_shops_own_host_is_called() -> None:
    from functions.create_customer_shopify.app import _endpoint

    settings = rule.configure({}, {"shop": "acme.myshopify.com"})

    assert _endpoint(settings).url == f"https://acme.myshopify.com{GRAPHQL}"


def test_a_token_is_kept_for_the_next_person(shop: Server) -> None:
    rule.decide(create(shop))
    rule.decide(create(shop))

    assert [sent.path for sent in shop.received].count("/admin/oauth/access_token") == 1


@pytest.mark.parametrize(
    ("phone", "sent"),
    [
        pytest.param("+351210000000", True, id="with country code"),
        pytest.param("210 000 000", False, id="as people write them"),
        pytest.param("+0123456789", False, id="with a country code that is none"),
        pytest.param("", False, id="that are empty"),
        pytest.param(None, False, id="that nobody knows"),
    ],
)
def test_phone_numbers(open_shop: Server, phone: str | None, sent: bool) -> None:
    rule.decide(create(open_shop, STATIC, user=USER | {"phone_number": phone}))

    [request] = sent_to(open_shop)
    assert ("phone" in request["variables"]["input"]) == sent


def test_what_the_customer_has_is_not_replaced_by_nothing(open_shop: Server) -> None:
    user = {"user_id": "u1", "email": "ann@acme.test", "given_name": ""}

    rule.decide(create(open_shop, STATIC | {"tags": ["lead"]}, user=user))

    # Omitted fields stay as they are; a list would replace the customer's, so none is sent here.
    assert sent_to(open_shop)[0]["variables"]["input"] == {"email": "ann@acme.test"}


def test_tags_and_the_user_id_are_added_beside_what_there_is(open_shop: Server) -> None:
    added: dict[str, Any] = {"tagsAdd": {"userErrors": []}, "metafieldsSet": {"userErrors": []}}
    open_shop.replies = [TAKEN, reply(200, {"data": added})]

    rule.decide(create(open_shop, STATIC | {"tags": ["lead"], "metafield": "$app:pool.user_id"}))

    second = sent_to(open_shop)[1]
    assert second["query"] == (
        "mutation($id: ID!, $tags: [String!]!, $metafields: [MetafieldsSetInput!]!) {"
        " tagsAdd(id: $id, tags: $tags) { userErrors { field message } }"
        " metafieldsSet(metafields: $metafields) { userErrors { field message code } } }"
    )
    assert second["variables"] == {
        "id": GID,
        "tags": ["lead"],
        "metafields": [
            {
                "ownerId": GID,
                "namespace": "$app:pool",
                "key": "user_id",
                "type": "single_line_text_field",
                "value": "u1",
            }
        ],
    }


@pytest.mark.parametrize(
    ("said", "at"),
    [
        pytest.param(
            {"granted": True, "at": "2026-11-20T08:00:00Z", "version": "3"},
            "2026-11-20T08:00:00Z",
            id="with its time",
        ),
        pytest.param(True, EVENT["occurred_at"], id="without a time"),
    ],
)
def test_a_consent_to_marketing_is_told_to_the_shop(open_shop: Server, said: Any, at: str) -> None:
    consent = {"marketing": said}
    done: dict[str, Any] = {"customerEmailMarketingConsentUpdate": {"userErrors": []}}
    open_shop.replies = [TAKEN, reply(200, {"data": done})]
    user = USER | {"user_metadata": {"consent": consent}}

    rule.decide(create(open_shop, STATIC | {"marketing_consent": "from_consent"}, user=user))

    second = sent_to(open_shop)[1]
    assert second["query"].startswith(
        "mutation($consent: CustomerEmailMarketingConsentUpdateInput!) {"
    )
    assert second["variables"] == {
        "consent": {
            "customerId": GID,
            "emailMarketingConsent": {
                "marketingState": "SUBSCRIBED",
                "marketingOptInLevel": "SINGLE_OPT_IN",
                "consentUpdatedAt": at,
            },
        }
    }


@pytest.mark.parametrize(
    ("settings", "consent"),
    [
        pytest.param({}, {"marketing": {"granted": True}}, id="unless that is wished"),
        pytest.param({"marketing_consent": "from_consent"}, None, id="when there is none"),
        pytest.param(
            {"marketing_consent": "from_consent"}, {"marketing": {"granted": False}}, id="a refusal"
        ),
        pytest.param(
            {"marketing_consent": "from_consent"}, {"marketing": {"granted": "yes"}}, id="a word"
        ),
        pytest.param(
            {"marketing_consent": "from_consent"}, {"analytics": {"granted": True}}, id="another's"
        ),
    ],
)
def test_no_consent_is_told(open_shop: Server, settings: dict[str, Any], consent: Any) -> None:
    user = USER | {"user_metadata": {"consent": consent} if consent else {}}

    rule.decide(create(open_shop, STATIC | settings, user=user))

    assert len(open_shop.received) == 1


def test_an_older_account_is_left_alone(open_shop: Server) -> None:
    user = USER | {"created_at": "2020-01-01T00:00:00Z"}

    effects = rule.decide(create(open_shop, {"sign_up_cutoff": "2026-11-18"}, user=user))

    assert (effects.warnings, open_shop.received) == (["account_older_than_cutoff"], [])


# -- a 200 that is no success ----------------------------------------------------------------------


def test_a_phone_that_somebody_else_has_is_left_out(open_shop: Server) -> None:
    open_shop.replies = [customer_set(PHONE_TAKEN), TAKEN]

    rule.decide(create(open_shop, STATIC))

    first, second = (request["variables"]["input"] for request in sent_to(open_shop))
    assert "phone" in first
    assert second == {"email": "ann@acme.test", "firstName": "Ann", "lastName": "Doe"}


@pytest.mark.parametrize(
    ("error", "code"),
    [
        pytest.param(
            {"field": ["input", "email"], "message": "ann@…", "code": "INVALID"},
            "shopify_invalid",
            id="an address that Shopify will not have",
        ),
        pytest.param(
            {"field": ["input", "email"], "message": "Email has been taken", "code": "TAKEN"},
            "shopify_taken",
            id="an address that is taken",
        ),
        pytest.param({"field": None, "message": "No"}, "shopify_user_error", id="no code"),
    ],
)
def test_a_customer_that_shopify_will_not_have_is_not_sent_again(
    open_shop: Server, error: dict[str, Any], code: str
) -> None:
    open_shop.replies = [customer_set(error)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(create(open_shop, STATIC))

    assert (caught.value.code, caught.value.retryable) == (code, False)
    assert "ann" not in str(caught.value)
    assert len(open_shop.received) == 1


def test_a_phone_that_stays_taken_is_asked_about_once(open_shop: Server) -> None:
    open_shop.replies = [customer_set(PHONE_TAKEN)]

    with pytest.raises(UpstreamError):
        rule.decide(create(open_shop, STATIC))

    assert len(open_shop.received) == 2


def test_tags_that_are_refused_are_not_taken_for_added(open_shop: Server) -> None:
    error = {"field": ["tags"], "message": "No more than 250 tags"}
    open_shop.replies = [TAKEN, reply(200, {"data": {"tagsAdd": {"userErrors": [error]}}})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(create(open_shop, STATIC | {"tags": ["lead"]}))

    assert (caught.value.code, caught.value.retryable) == ("shopify_user_error", False)


def test_a_throttled_call_waits_until_there_are_points_enough(open_shop: Server) -> None:
    status = {"maximumAvailable": 1000, "currentlyAvailable": 5, "restoreRate": 100}
    cost = {"requestedQueryCost": 25, "actualQueryCost": None, "throttleStatus": status}
    open_shop.replies = [errors_of("THROTTLED", cost=cost), TAKEN]

    rule.decide(create(open_shop, STATIC))

    first, second = open_shop.received
    assert 0.2 <= second.at - first.at < 0.6


def test_a_call_that_cannot_get_its_points_soon_is_made_later(open_shop: Server) -> None:
    status = {"maximumAvailable": 1000, "currentlyAvailable": 0, "restoreRate": 1}
    cost = {"requestedQueryCost": 60, "throttleStatus": status}
    open_shop.replies = [errors_of("THROTTLED", cost=cost)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(create(open_shop, STATIC))

    assert (caught.value.retryable, caught.value.retry_after) == (True, 60)
    assert len(open_shop.received) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(errors_of("THROTTLED"), id="throttled, without saying for how long"),
        pytest.param(errors_of("INTERNAL_SERVER_ERROR"), id="a mistake of Shopify's"),
        pytest.param(Reply(430), id="taken for an attack"),
        pytest.param(Reply(429), id="too many requests"),
        pytest.param(Reply(503), id="down"),
        pytest.param(Reply(reset=True), id="a broken connection"),
    ],
)
def test_a_busy_shop_is_asked_again(open_shop: Server, answer: Reply) -> None:
    open_shop.replies = [answer, TAKEN]

    rule.decide(create(open_shop, STATIC))

    assert len(open_shop.received) == 2


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        pytest.param(errors_of("ACCESS_DENIED"), "protected customer data", id="no access"),
        pytest.param(errors_of("MAX_COST_EXCEEDED"), "MAX_COST_EXCEEDED", id="too dear"),
        pytest.param(reply(200, {"errors": [{"message": "x"}]}), "without a code", id="no code"),
        pytest.param(Reply(401), "answered 401", id="a token that stays refused"),
        pytest.param(Reply(402), "answered 402", id="a store that did not pay"),
        pytest.param(Reply(403), "answered 403", id="forbidden"),
        pytest.param(Reply(404), "no such open shop", id="another store"),
        pytest.param(Reply(423), "no such open shop", id="a locked store"),
    ],
)
def test_what_an_operator_has_to_repair(open_shop: Server, answer: Reply, message: str) -> None:
    open_shop.replies = [answer]

    with pytest.raises(UpstreamError, match=message) as caught:
        rule.decide(create(open_shop, STATIC))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reply(200, b"<html>"), id="a page"),
        pytest.param(reply(200, {"data": None}), id="no data"),
        pytest.param(reply(200, {"data": {"customerSet": None}}), id="no customer"),
    ],
)
def test_an_answer_without_a_customer_does_not_count(open_shop: Server, answer: Reply) -> None:
    open_shop.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(create(open_shop, STATIC))

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", True)


# -- credentials -----------------------------------------------------------------------------------


def test_a_token_that_ended_is_replaced_once(shop: Server) -> None:
    newer = reply(200, {"access_token": "token-2", "expires_in": 86399})
    shop.replies = [TOKEN, Reply(401), newer, TAKEN]

    rule.decide(create(shop))

    tokens = [sent.headers.get("x-shopify-access-token") for sent in shop.received]
    assert tokens == [None, "token-1", None, "token-2"]


def test_a_secret_that_was_rotated_is_read_again(shop: Server) -> None:
    shop.replies = [reply(400, {"error": "invalid_client"}), TOKEN, TAKEN]
    newer = SECRETS | {"SHOPIFY_CLIENT_SECRET": "word-2"}

    rule.decide(with_rotated(create(shop), SECRETS, newer))

    forms = [dict(parse_qsl(sent.body.decode())) for sent in shop.received[:2]]
    assert [form["client_secret"] for form in forms] == ["word-1", "word-2"]


def test_a_static_token_that_was_rotated_is_read_again(open_shop: Server) -> None:
    open_shop.replies = [Reply(401), TAKEN]
    newer = SECRETS | {"SHOPIFY_ACCESS_TOKEN": "shpat_2"}

    rule.decide(with_rotated(create(open_shop, STATIC), SECRETS, newer))

    tokens = [sent.headers["x-shopify-access-token"] for sent in open_shop.received]
    assert tokens == ["shpat_1", "shpat_2"]


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("occurred_at", "answered", "warnings"),
    [
        pytest.param("2027-10-30T00:00:00Z", "2026-10", [], id="in its year"),
        pytest.param(
            "2027-11-01T00:00:00Z", "2026-10", ["shopify_api_version_old"], id="after its year"
        ),
        pytest.param(
            EVENT["occurred_at"], "2027-01", ["shopify_api_version_replaced"], id="taken away"
        ),
    ],
)
def test_a_version_of_the_api(
    open_shop: Server, occurred_at: str, answered: str, warnings: list[str]
) -> None:
    open_shop.replies = [customer_set(headers={"X-Shopify-API-Version": answered})]

    effects = rule.decide(create(open_shop, STATIC, event=EVENT | {"occurred_at": occurred_at}))

    assert effects.warnings == warnings


@pytest.mark.parametrize(
    "shop",
    ["evil.com/?", "evil.com", "", "acme.myshopify.com.evil.com", "a@b.myshopify.com", "ACME", "-"],
)
def test_a_shop_is_one_of_shopifys(shop: str) -> None:
    with pytest.raises(ConfigurationError, match="shop"):
        rule.configure({}, {"shop": shop})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"shop": "acme.myshopify.com"}, "template", id="a shop of the chain's"),
        pytest.param({"api_version": "2020-04"}, "api_version", id="a version that is gone"),
        pytest.param({"metafield": "user_id"}, "metafield", id="no namespace"),
        pytest.param({"marketing_consent": "always"}, "marketing_consent", id="no consent"),
        pytest.param({"sign_up_cutoff": "2026-13-01"}, "sign_up_cutoff", id="no such day"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {"shop": "acme.myshopify.com"})


def test_the_rule_does_not_run_without_an_address() -> None:
    assert [str(read) for read in rule.manifest.required_reads] == ["user.email!"]


def test_the_sample_event_through_lambdas_door(shop: Server) -> None:
    added = reply(200, {"data": {"tagsAdd": {"userErrors": []}}})
    shop.replies = [TOKEN, TAKEN, added]

    response = through_lambdas_door("create_customer_shopify", SAMPLE, shop, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"], "known_as": GID}
    assert [request["variables"].get("tags") for request in sent_to(shop)] == [None, ["signed-in"]]
