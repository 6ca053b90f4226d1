"""Sign-in through an identity provider: its answer, the profile, and the triggers in AWS's order.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
(first sign-in: inbound federation, pre sign-up, post confirmation, pre token generation;
later: inbound federation, pre authentication, post authentication, pre token generation)
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-inbound-federation.html
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-specifying-attribute-mapping.html

A trigger's refusal goes to the application's callback as ``error=invalid_request`` with the text in
``error_description``.
"""

import time
import uuid
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from local.aws import authentication, identity_providers, invoke, managed_login, refusals, sign_up
from local.aws import tokens as token_stage
from local.aws.emulator import Response, cognito, wrap
from local.aws.events import JsonObject, event
from local.aws.identity_providers import ProviderFailed
from local.aws.refusals import TriggerRefused

MAX_VALUE = 2048


def _authorize(original: Any, query: JsonObject) -> Response:
    """The way to the provider: remember the request's PKCE challenge, which ministack forgets."""
    challenge = cognito._qp(query, "code_challenge")
    client = cognito._find_pool_by_client_id(cognito._qp(query, "client_id"))[2]
    redirect_uri = cognito._qp(query, "redirect_uri")
    if client is not None and redirect_uri in client.get("CallbackURLs", []):
        method = cognito._qp(query, "code_challenge_method")
        wrong: Response | None = cognito._pkce_error_redirect(
            redirect_uri, challenge, method, cognito._qp(query, "state")
        )
        if wrong is not None:
            return wrong
    response: Response = original(query)
    sent = dict(parse_qsl(urlsplit(response[1].get("Location", "")).query))
    relay = cognito._auth_codes.get(sent.get("state") or sent.get("RelayState"))
    if relay is not None:
        relay["code_challenge"] = challenge
    return response


def _oidc_callback(original: Any, method: str, body: bytes, query: JsonObject) -> Response:
    sent = {name: cognito._qp(query, name) for name in query}
    if method == "POST":
        sent |= dict(parse_qsl(body.decode("utf-8", errors="replace")))
    return _come_back(sent.get("state", ""), "OIDC", sent)


def _saml_callback(original: Any, body: bytes, query: JsonObject) -> Response:
    sent = dict(parse_qsl(body.decode("utf-8", errors="replace"), keep_blank_values=True))
    return _come_back(sent.get("RelayState", ""), "SAML", sent)


def _come_back(state: str, kind: str, sent: dict[str, str]) -> Response:
    """Somebody comes back from a provider: the only way on is to the application."""
    relay = cognito._auth_codes.pop(state, None)
    if relay is None or relay.get("type") != "relay":
        unknown: Response = cognito._oauth2_error("invalid_request", "The state is unknown or old.")
        return unknown
    pool = cognito._get_pool_unscoped(relay["pool_id"])
    provider = pool["_identity_providers"].get(relay["provider_name"]) if pool else None
    try:
        if provider is None or provider.get("ProviderType") != kind:
            raise ProviderFailed("invalid_request", "The identity provider is unknown.")
        who = identity_providers.read(pool, provider, sent)
        return _sign_in(pool, provider, who, relay)
    except TriggerRefused as refusal:
        failure = ("invalid_request", refusal.message)
    except ProviderFailed as failed:
        failure = (failed.code, failed.description)
    return managed_login.redirect(
        relay["redirect_uri"],
        {"error": failure[0], "error_description": failure[1], "state": relay.get("state", "")},
    )


def _sign_in(
    pool: JsonObject, provider: JsonObject, who: identity_providers.Identity, relay: JsonObject
) -> Response:
    client_id = relay["client_id"]
    username = f"{provider['ProviderName']}_{who.subject}"
    raw = _inbound(pool, provider, client_id, username, who)
    attributes = _mapped(provider, raw)
    linked = cognito._linked_username_for_federation(
        pool, provider["ProviderName"], who.subject, attributes
    )
    user = pool["_users"].get(linked or username)
    first = user is None
    if user is None:
        user = _new_profile(pool, provider, client_id, username, attributes, who.subject)
        sign_up.confirmed(pool, "PostConfirmation_ConfirmSignUp", client_id, user, {})
    else:
        cognito._merge_federated_attrs(user, attributes, time.time())
        if not user.get("Enabled", True):
            raise ProviderFailed("invalid_request", "User is disabled.")
        authentication.before(pool, client_id, user["Username"], user, {})
    client = pool["_clients"][client_id]
    grant = token_stage.Grant(
        pool=pool,
        client_id=client_id,
        user=user,
        source=token_stage.HOSTED,
        scope=cognito._granted_scopes(client, relay.get("scope")),
        nonce=relay.get("nonce", ""),
    )
    return managed_login.back_with_code(
        grant,
        relay["redirect_uri"],
        relay.get("code_challenge", ""),
        relay.get("state", ""),
        calls_post_authentication=not first,
    )


def _inbound(
    pool: JsonObject,
    provider: JsonObject,
    client_id: str,
    username: str,
    who: identity_providers.Identity,
) -> dict[str, str]:
    """Return the provider's attributes as the inbound federation trigger leaves them.

    What it names is kept and the rest is dropped; an empty answer changes nothing.
    """
    answer = invoke.call(
        "InboundFederation",
        pool,
        event(
            "InboundFederation_ExternalProvider",
            version="1",
            pool_id=pool["Id"],
            client_id=client_id,
            username=username,
            request={
                "providerName": provider["ProviderName"],
                "providerType": provider["ProviderType"],
                "attributes": who.raw,
            },
            response={"userAttributesToMap": {}},
        ),
    )
    kept = answer[0].get("userAttributesToMap") if answer else None
    if kept is None or kept == {}:
        return who.attributes
    if not isinstance(kept, dict) or any(isinstance(v, (dict, list)) for v in kept.values()):
        raise refusals.unusable("InboundFederation", "userAttributesToMap is not a map of strings")
    return {str(name): str(value) for name, value in kept.items()}


def _mapped(provider: JsonObject, raw: dict[str, str]) -> dict[str, str]:
    """Return the pool's attributes: only what the provider's mapping names."""
    mapping = provider.get("AttributeMapping") or {}
    attributes = {
        ours: raw[theirs]
        for ours, theirs in mapping.items()
        if theirs in raw and ours not in ("username", "sub")
    }
    for name, value in attributes.items():
        if len(value) > MAX_VALUE:
            raise ProviderFailed("invalid_request", f"The value of {name} is too long.")
    return attributes


def _new_profile(
    pool: JsonObject,
    provider: JsonObject,
    client_id: str,
    username: str,
    attributes: dict[str, str],
    subject: str,
) -> JsonObject:
    """Create the profile of somebody's first sign-in, after pre sign-up agreed."""
    source = "PreSignUp_ExternalProvider"
    answer = sign_up.before(pool, source, client_id, username, dict(attributes), {}, {})
    linked = cognito._linked_username_for_federation(
        pool, provider["ProviderName"], subject, attributes
    )
    if linked:
        # Pre sign-up linked the identity to a profile that exists.
        existing: JsonObject = pool["_users"][linked]
        cognito._merge_federated_attrs(existing, attributes, time.time())
        return existing
    for asked, attribute in (("autoVerifyEmail", "email"), ("autoVerifyPhone", "phone_number")):
        if answer[asked] and attribute in attributes:
            attributes[f"{attribute}_verified"] = "true"
    now = time.time()
    user: JsonObject = {
        "Username": username,
        "Attributes": cognito._dict_to_attr_list({**attributes, "sub": str(uuid.uuid4())}),
        "UserCreateDate": now,
        "UserLastModifiedDate": now,
        "Enabled": True,
        "UserStatus": "EXTERNAL_PROVIDER",
        "MFAOptions": [],
        "_password": "",
        "_groups": [],
        "_tokens": [],
    }
    pool["_users"][username] = user
    pool["EstimatedNumberOfUsers"] = len(pool["_users"])
    cognito._start_federated_profile(pool, pool["Id"], user, provider["ProviderName"], subject)
    return user


def install() -> None:
    """Put our callbacks in the place of ministack's."""
    wrap(cognito, "_oauth2_authorize_federation", _authorize)
    wrap(cognito, "_oauth2_idp_response", _oidc_callback)
    wrap(cognito, "_saml2_idp_response", _saml_callback)
