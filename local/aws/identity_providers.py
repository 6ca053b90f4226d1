"""What an identity provider says about somebody, read from its answer.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-oidc-flow.html
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-saml-idp-authentication.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-inbound-federation.html

The ID token comes from the provider's own token endpoint; its signature and the signature of a SAML
assertion are not checked here.
"""

import json
import urllib.request
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from local.aws.emulator import cognito
from local.aws.events import JsonObject

TIMEOUT_SECONDS = 10


class ProviderFailed(Exception):
    """The provider's answer lets nobody in: OAuth error code and description."""

    def __init__(self, code: str, description: str):
        super().__init__(description)
        self.code = code
        self.description = description


@dataclass(frozen=True)
class Identity:
    """Somebody at a provider.

    subject : the provider's id of the person. attributes : claims by name, every value a string.
    raw : ``request.attributes`` of the inbound federation trigger.
    """

    subject: str
    attributes: dict[str, str]
    raw: JsonObject


def read(pool: JsonObject, provider: JsonObject, sent: dict[str, str]) -> Identity:
    """Return who comes back with the parameters ``sent``; ProviderFailed when nobody does."""
    if provider["ProviderType"] == "SAML":
        return _from_saml(sent.get("SAMLResponse", ""))
    if sent.get("error"):
        raise ProviderFailed(sent["error"], sent.get("error_description", ""))
    return _from_oidc(pool, provider["ProviderDetails"], sent.get("code", ""))


def _from_saml(response: str) -> Identity:
    try:
        assertion = cognito._parse_saml_response(response)
    except Exception as problem:
        raise ProviderFailed("invalid_request", "The SAML response cannot be read.") from problem
    if not assertion.get("name_id"):
        raise ProviderFailed("invalid_request", "The SAML assertion has no NameID.")
    attributes = _strings(assertion.get("attributes") or {})
    return Identity(assertion["name_id"], attributes, {"samlResponse": attributes})


def _from_oidc(pool: JsonObject, details: JsonObject, code: str) -> Identity:
    answer = _post(
        cognito._oidc_endpoint(details, "token_url"),
        {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": cognito._oidc_callback_url(pool),
            "client_id": details.get("client_id", ""),
            "client_secret": details.get("client_secret", ""),
        },
    )
    claims = cognito._token_claims(answer.get("id_token"))
    subject = str(claims.get("sub") or "")
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    if not subject:
        raise ProviderFailed("invalid_request", "The ID token has no sub.")
    if claims.get("iss") != details.get("oidc_issuer") or details.get("client_id") not in audiences:
        raise ProviderFailed("invalid_request", "The ID token is not for this user pool.")
    about = _userinfo(details, str(answer.get("access_token") or ""))
    if about and str(about.get("sub")) != subject:
        raise ProviderFailed("invalid_request", "userInfo is about somebody else.")
    raw = {
        "tokenResponse": _strings(answer),
        "idToken": _strings(claims),
        "userInfo": _strings(about),
    }
    return Identity(subject, {**_strings(claims), **_strings(about)}, raw)


def _userinfo(details: JsonObject, access_token: str) -> JsonObject:
    address = details.get("attributes_url") or _discovered(details, "userinfo_endpoint")
    if not address or not access_token:
        return {}
    method = details.get("attributes_request_method") or "GET"
    headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
    return _fetch(urllib.request.Request(address, headers=headers, method=method))


def _discovered(details: JsonObject, name: str) -> str:
    issuer = str(details.get("oidc_issuer") or "").rstrip("/")
    document = _fetch(urllib.request.Request(f"{issuer}/.well-known/openid-configuration"))
    return str(document.get(name) or "")


def _post(address: str, form: dict[str, str]) -> JsonObject:
    if not address:
        raise ProviderFailed("invalid_request", "The provider has no token endpoint.")
    headers = {"Accept": "application/json"}
    return _fetch(urllib.request.Request(address, urlencode(form).encode(), headers, method="POST"))


def _fetch(request: urllib.request.Request) -> JsonObject:
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            answer: Any = json.load(response)
    except (OSError, ValueError) as problem:
        raise ProviderFailed(
            "invalid_request", "The identity provider cannot be reached."
        ) from problem
    if not isinstance(answer, dict):
        raise ProviderFailed("invalid_request", "The identity provider answered no JSON object.")
    return answer


def _strings(values: JsonObject) -> dict[str, str]:
    """Return the values as strings; what is not a string is written as JSON."""
    return {
        str(name): value if isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }
