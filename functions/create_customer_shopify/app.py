"""Make each person a customer of a Shopify store once, for the shop to follow up."""

import re
from datetime import datetime
from typing import Any

from cognito_rules import Effects, Login, UpstreamError, lambda_rule
from cognito_rules.access_tokens import client_credentials_token
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.http import AFTER_LOGIN, Answer, Budget, Endpoint, code_of, encode, post
from cognito_rules.people import check_cutoff, is_account_older, unknown_person

# The calls of one delivery have to fit into the rule's time; the first one gets the token too.
TOKEN = AFTER_LOGIN.within(2.5)
FIRST = AFTER_LOGIN.within(6.0)
NEXT = AFTER_LOGIN.within(2.5)

DAY = 24 * 3600.0
E164 = re.compile(r"\+[1-9][0-9]{6,14}")

# Lists such as tags and addresses would replace those of the customer: they are never sent with it.
CUSTOMER_SET = (
    "mutation($input: CustomerSetInput!, $identifier: CustomerSetIdentifiers) {"
    " customerSet(input: $input, identifier: $identifier)"
    " { customer { id } userErrors { field message code } } }"
)
TAGS_ADD = "tagsAdd(id: $id, tags: $tags) { userErrors { field message } }"
METAFIELDS_SET = "metafieldsSet(metafields: $metafields) { userErrors { field message code } }"
CUSTOMER_FIND = (
    "query($identifier: CustomerIdentifierInput!) {"
    " customerByIdentifier(identifier: $identifier) { id } }"
)
CUSTOMER_ERASE = (
    "mutation($id: ID!) { customerRequestDataErasure(customerId: $id)"
    " { customerId userErrors { field message code } } }"
)
CONSENT_UPDATE = (
    "customerEmailMarketingConsentUpdate(input: $consent) { userErrors { field message code } }"
)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Create the customer with this address, or give the one that is there the person's name.

    Once for each person, for ever, is promised by the delivery; every call can be repeated.

    Reads:  ``login.user`` (user_id, email, which is verified or unknown, given_name, family_name,
            phone_number, created_at, user_metadata.consent), ``login.event``.
    Writes: nothing.
    Source: Auth0 rules, "shopify-lead-from-login"; Shopify docs, "customerSet", "tagsAdd",
            "metafieldsSet", "customerEmailMarketingConsentUpdate", "Using the client credentials
            grant", "API limits".
    """
    settings = login.configuration
    if is_account_older(login, settings["sign_up_cutoff"]):
        effects.warn("account_older_than_cutoff")
        return
    if _is_old(settings["api_version"], login.event.occurred_at):
        effects.warn("shopify_api_version_old")
    customer = _customer(login)
    answer, body = _call(login, CUSTOMER_SET, customer, budget=FIRST)
    errors = _user_errors(body, "customerSet")
    if _is_phone_taken(errors):
        customer["input"].pop("phone", None)
        answer, body = _call(login, CUSTOMER_SET, customer, budget=NEXT)
        errors = _user_errors(body, "customerSet")
    if (
        answer.headers.get("X-Shopify-API-Version", settings["api_version"])
        != (settings["api_version"])
    ):
        effects.warn("shopify_api_version_replaced")
    _refuse_for(answer, errors)
    customer_id = _customer_id(answer, body)
    effects.remember_as(customer_id)
    _complete(login, customer_id)


@rule.forget
def forget(login: Login, effects: Effects) -> None:
    """Request the erasure of the customer's data, which Shopify carries out when it may.

    The app needs the scope write_customer_data_erasure. Known by the id that Shopify gave, or by
    the address.

    Reads:  ``login.user`` (known_as, email, which is verified or unknown).
    Source: Shopify docs, "customerRequestDataErasure", "customerByIdentifier".
    """
    customer_id = login.user.known_as
    if not customer_id:
        if not login.user.email:
            raise unknown_person(login.configuration["shop"])
        identifier = {"identifier": {"emailAddress": login.user.email}}
        _, body = _call(login, CUSTOMER_FIND, identifier, budget=FIRST)
        customer_id = ((body.get("data") or {}).get("customerByIdentifier") or {}).get("id")
    if not customer_id:
        return
    answer, body = _call(login, CUSTOMER_ERASE, {"id": customer_id}, budget=NEXT)
    errors = _user_errors(body, "customerRequestDataErasure")
    _refuse_for(answer, [error for error in errors if error.get("code") != "DOES_NOT_EXIST"])


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a day that is none; the pattern of ``shop`` leaves no room for another host."""
    check_cutoff(configuration)
    _endpoint(configuration)


def _endpoint(settings: dict[str, Any], path: str | None = None) -> Endpoint:
    path = path or f"/admin/api/{settings['api_version']}/graphql.json"
    return vendor_endpoint(settings["shop"], path, stand_in=settings["stand_in"])


def _is_old(version: str, occurred_at: str) -> bool:
    """Say whether an API version is from more than twelve months before."""
    year, month = map(int, version.split("-"))
    at = datetime.fromisoformat(occurred_at)
    return (at.year - year) * 12 + at.month - month > 12


def _customer(login: Login) -> dict[str, Any]:
    user = login.user
    phone = user.phone_number or ""
    known = {
        "email": user.email,
        "firstName": user.given_name,
        "lastName": user.family_name,
        "phone": phone if E164.fullmatch(phone) else None,
    }
    return {
        "identifier": {"email": user.email},
        "input": {name: value for name, value in known.items() if value},
    }


def _complete(login: Login, customer_id: str) -> None:
    """Add what customerSet cannot: tags beside those there are, the user id, the consent."""
    parts = {}
    settings = login.configuration
    if settings["tags"]:
        parts["tags"] = ("[String!]!", TAGS_ADD, settings["tags"])
    if settings["metafield"]:
        namespace, key = settings["metafield"].rsplit(".", 1)
        metafield = {
            "ownerId": customer_id,
            "namespace": namespace,
            "key": key,
            "type": "single_line_text_field",
            "value": login.user.user_id,
        }
        parts["metafields"] = ("[MetafieldsSetInput!]!", METAFIELDS_SET, [metafield])
    if consent := _consent(login):
        value = {"customerId": customer_id, "emailMarketingConsent": consent}
        kind = "CustomerEmailMarketingConsentUpdateInput!"
        parts["consent"] = (kind, CONSENT_UPDATE, value)
    if not parts:
        return
    variables = {name: value for name, (_, _, value) in parts.items()}
    declared = [f"${name}: {kind}" for name, (kind, _, _) in parts.items()]
    if "tags" in parts:  # the one that names the customer by a variable of its own
        declared, variables = ["$id: ID!", *declared], {"id": customer_id, **variables}
    fields = " ".join(text for _, text, _ in parts.values())
    query = f"mutation({', '.join(declared)}) {{ {fields} }}"
    answer, body = _call(login, query, variables, budget=NEXT)
    for _, text, _ in parts.values():
        _refuse_for(answer, _user_errors(body, text.partition("(")[0]))


def _consent(login: Login) -> dict[str, Any] | None:
    """Return what the person said about marketing, when it was yes and the shop is to know."""
    if login.configuration["marketing_consent"] == "none":
        return None
    said = login.at("user.user_metadata.consent.marketing", {})
    if not isinstance(said, dict):
        said = {"granted": said}
    if said.get("granted") is not True:
        return None
    return {
        "marketingState": "SUBSCRIBED",
        "marketingOptInLevel": "SINGLE_OPT_IN",
        "consentUpdatedAt": said.get("at") or login.event.occurred_at,
    }


def _call(
    login: Login, query: str, variables: dict[str, Any], *, budget: Budget
) -> tuple[Answer, dict[str, Any]]:
    """Return the answer to a GraphQL request, and its body."""

    def credentials(refresh: bool) -> dict[str, str]:
        return {
            "client_id": login.secret("SHOPIFY_CLIENT_ID", refresh=refresh),
            "client_secret": login.secret("SHOPIFY_CLIENT_SECRET", refresh=refresh),
        }

    def authorize(refresh: bool) -> dict[str, str]:
        if login.configuration["auth_mode"] == "static_token":
            text = login.secret("SHOPIFY_ACCESS_TOKEN", refresh=refresh)
        else:
            text = client_credentials_token(
                _endpoint(login.configuration, "/admin/oauth/access_token"),
                credentials,
                budget=TOKEN,
                lifetime_seconds=DAY,
                renew=refresh,
            ).text
        return {"X-Shopify-Access-Token": text}

    answer = post(
        _endpoint(login.configuration),
        encode({"query": query, "variables": variables}),
        budget=budget,
        authorize=authorize,
        repeatable=True,
        busy=_asked_to_wait,
        about={"login_id": login.event.id or None},
    )
    if answer.status in (404, 423):
        message = f"Shopify has no such open shop: answered {answer.status}"
        raise UpstreamError(answer.service, message, status=answer.status, code="misconfigured")
    if not answer.is_success:
        raise answer.refusal()
    body = answer.fields()
    if codes := _codes(body):
        hint = "grant the app write_customers and access to protected customer data"
        message = f"Shopify answered {', '.join(codes)}" + (
            f": {hint}" if "ACCESS_DENIED" in codes else ""
        )
        raise UpstreamError(answer.service, message, status=answer.status, code="misconfigured")
    return answer, body


def _asked_to_wait(answer: Answer) -> float | None:
    """Return the seconds until Shopify has points enough again; its 200 is no success then."""
    if answer.status == 430:
        return 2.0
    if answer.status != 200:
        return None
    body = answer.fields()
    codes = _codes(body)
    if "INTERNAL_SERVER_ERROR" in codes:
        return 1.0
    if "THROTTLED" not in codes:
        return None
    try:
        cost = body["extensions"]["cost"]
        status = cost["throttleStatus"]
        missing = cost["requestedQueryCost"] - status["currentlyAvailable"]
        return max(0.0, float(missing / status["restoreRate"]))
    except (LookupError, TypeError, ZeroDivisionError):
        return 1.0


def _codes(body: dict[str, Any]) -> list[str]:
    """Return the codes of errors that concern the whole request."""
    found = []
    for error in body.get("errors") or ():
        details = error.get("extensions") if isinstance(error, dict) else None
        found.append(str((details or {}).get("code") or "an error without a code"))
    return found


def _user_errors(body: dict[str, Any], field: str) -> list[dict[str, Any]]:
    payload = (body.get("data") or {}).get(field) or {}
    return payload.get("userErrors") or []


def _is_phone_taken(errors: list[dict[str, Any]]) -> bool:
    return any(
        error.get("code") == "TAKEN" and "phone" in (error.get("field") or ()) for error in errors
    )


def _refuse_for(answer: Answer, errors: list[dict[str, Any]]) -> None:
    if not errors:
        return
    code = str(errors[0].get("code") or "user_error")
    raise UpstreamError(
        answer.service,
        f"Shopify refused the customer: {code}",
        status=answer.status,
        code="shopify_" + code_of(code),
    )


def _customer_id(answer: Answer, body: dict[str, Any]) -> str:
    payload = (body.get("data") or {}).get("customerSet") or {}
    found = (payload.get("customer") or {}).get("id")
    if not isinstance(found, str):
        raise UpstreamError(
            answer.service,
            "the answer names no customer",
            status=answer.status,
            retryable=True,
            code="upstream_protocol",
        )
    return found
