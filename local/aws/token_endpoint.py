"""The token endpoint: codes, refresh tokens and client credentials.

https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-define-resource-servers.html
https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-refresh-token.html

AWS does not say which OAuth error a refusing pre token generation trigger becomes: here it is
``invalid_grant`` with the trigger's text in ``error_description``.
"""

import hmac
import json
import time
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

from local.aws import codes, tokens
from local.aws.emulator import Response, cognito, error, wrap
from local.aws.events import JsonObject
from local.aws.refusals import TriggerRefused

Form = dict[str, str]


class GrantRefused(Exception):
    """The request gets no tokens: OAuth error code, and a text for the developer."""

    def __init__(self, code: str, description: str):
        super().__init__(description)
        self.code = code
        self.description = description


def _token(
    original: Any, data: Any, query: Any, raw_body: bytes = b"", headers: Any = None
) -> Response:
    form = dict(parse_qsl(raw_body.decode("utf-8", errors="replace"), keep_blank_values=True))
    client_id, secret = cognito._authenticate_client(headers or {}, form)
    grants = {
        "authorization_code": _redeem_code,
        "refresh_token": _refresh,
        "client_credentials": _client_credentials,
    }
    try:
        if form.get("grant_type") not in grants:
            raise GrantRefused("unsupported_grant_type", "Unsupported grant type.")
        pool, client = _client(client_id, secret)
        return _json(200, grants[form["grant_type"]](form, pool, client))
    except TriggerRefused as refusal:
        return _json(400, {"error": "invalid_grant", "error_description": refusal.message})
    except GrantRefused as refused:
        body = {"error": refused.code, "error_description": refused.description}
        return _json(400, body)


def _client(client_id: str, secret: str) -> tuple[JsonObject, JsonObject]:
    """Return the pool and the app client; one with a secret has to prove it."""
    _, pool, client = cognito._find_pool_by_client_id(client_id)
    if client is None:
        raise GrantRefused("invalid_client", "The client is unknown.")
    expected = client.get("ClientSecret") or ""
    if expected and not hmac.compare_digest(expected.encode(), (secret or "").encode()):
        raise GrantRefused("invalid_client", "Invalid client credentials.")
    return pool, client


def _redeem_code(form: Form, pool: JsonObject, client: JsonObject) -> JsonObject:
    code = form.get("code", "")
    entry = codes.find(code)
    if entry is None:
        raise GrantRefused("invalid_grant", "Invalid or expired authorization code.")
    if entry.grant.client_id != client["ClientId"]:
        raise GrantRefused("invalid_grant", "The code belongs to another client.")
    if entry.redirect_uri != form.get("redirect_uri", ""):
        raise GrantRefused("invalid_grant", "redirect_uri is not that of the request.")
    if not codes.proven(entry, form.get("code_verifier", "")):
        raise GrantRefused("invalid_grant", "code_verifier does not fit the code_challenge.")
    # Used up before a trigger runs: a refused sign-in leaves no code to try again with.
    if not codes.redeem(code):
        raise GrantRefused("invalid_grant", "Invalid or expired authorization code.")
    user = pool["_users"].get(entry.grant.user["Username"])
    if user is None or not user.get("Enabled", True):
        raise GrantRefused("invalid_grant", "The user is disabled or was deleted.")
    grant = replace(entry.grant, user=user)
    decided = entry.tokens or tokens.decide(grant)
    return _answer(grant, tokens.signed(grant, decided))


def _refresh(form: Form, pool: JsonObject, client: JsonObject) -> JsonObject:
    refresh_token = form.get("refresh_token", "")
    user, refused = cognito._refresh_auth_user(pool, pool["Id"], client["ClientId"], refresh_token)
    if refused:
        raise GrantRefused("invalid_grant", json.loads(refused[2])["message"])
    grant = tokens.refresh_of(
        tokens.Grant(pool, client["ClientId"], user, tokens.REFRESH),
        cognito._token_claims(refresh_token),
        action="",
    )
    return _answer(grant, tokens.issue(grant))


def _client_credentials(form: Form, pool: JsonObject, client: JsonObject) -> JsonObject:
    if not client.get("ClientSecret"):
        raise GrantRefused("invalid_client", "Client credentials need a client with a secret.")
    refused = cognito._client_credentials_scope_error(pool, client, form.get("scope"))
    if refused:
        raise GrantRefused(json.loads(refused[2])["error"], "The scopes cannot be granted.")
    scope = cognito._granted_scopes(client, form.get("scope"), "client_credentials") or ""
    metadata = _metadata(form.get("aws_client_metadata", ""))
    return {
        "access_token": tokens.machine_token(pool, client["ClientId"], scope, metadata),
        "token_type": "Bearer",
        "expires_in": cognito._token_validity(pool["Id"], client["ClientId"], "access"),
    }


def _metadata(text: str) -> dict[str, str]:
    try:
        values = json.loads(text) if text else {}
    except ValueError as problem:
        raise GrantRefused("invalid_request", "aws_client_metadata is not JSON.") from problem
    if not isinstance(values, dict):
        raise GrantRefused("invalid_request", "aws_client_metadata is not a JSON object.")
    return {str(name): str(value) for name, value in values.items()}


def _answer(grant: tokens.Grant, result: JsonObject) -> JsonObject:
    answer: JsonObject = {
        "access_token": result["AccessToken"],
        "token_type": result["TokenType"],
        "expires_in": result["ExpiresIn"],
    }
    if cognito._id_token_granted(grant.scope):
        answer["id_token"] = result["IdToken"]
    if "RefreshToken" in result:
        answer["refresh_token"] = result["RefreshToken"]
    return answer


def _json(status: int, body: JsonObject) -> Response:
    return status, {"Content-Type": "application/json"}, json.dumps(body).encode()


def _refresh_user(original: Any, pool: Any, pool_id: str, client_id: str, token: str) -> Any:
    """Every way to refresh: an expired refresh token is refused as well."""
    user, refused = original(pool, pool_id, client_id, token)
    if not refused and cognito._token_claims(token)["exp"] <= time.time():
        return None, error("NotAuthorizedException", "Refresh Token has expired")
    return user, refused


def install() -> None:
    """Put our endpoint in the place of ministack's."""
    wrap(cognito, "_oauth2_token", _token)
    wrap(cognito, "_refresh_auth_user", _refresh_user)
