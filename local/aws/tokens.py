"""Issue tokens at the end of a sign-in or refresh: the triggers first, each once, then both tokens.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-post-authentication.html
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
(which operation calls which trigger, with which source)
"""

import time
import uuid
from dataclasses import dataclass, field, replace
from typing import Any

from local.aws import authentication, calls, claims, groups, invoke, pre_token, refusals
from local.aws.emulator import cognito, wrap
from local.aws.events import JsonObject, event, user_attributes
from local.aws.settings import CURRENT

SIGN_IN = "TokenGeneration_Authentication"
NEW_PASSWORD = "TokenGeneration_NewPasswordChallenge"
HOSTED = "TokenGeneration_HostedAuth"
REFRESH = "TokenGeneration_RefreshTokens"
MACHINE = "TokenGeneration_ClientCredentials"


@dataclass(frozen=True)
class Grant:
    """Tokens that are about to be issued to a user.

    pool, user : ministack's records. source : the token trigger's ``triggerSource``.
    scope : granted at the authorize endpoint, space separated; None for a sign-in by API.
    metadata : client metadata for the triggers at the end of the sign-in.
    origin_jti, auth_time : of the sign-in that is refreshed; new ones when empty.
    fresh : False for a refresh, which calls pre token generation only.
    authenticated : True when post authentication was called before, or must not be called.
    """

    pool: JsonObject
    client_id: str
    user: JsonObject
    source: str
    scope: str | None = None
    nonce: str = ""
    metadata: dict[str, str] = field(default_factory=dict)
    origin_jti: str = field(default_factory=lambda: str(uuid.uuid4()))
    auth_time: int = field(default_factory=lambda: int(time.time()))
    fresh: bool = True
    authenticated: bool = False


def issue(grant: Grant) -> JsonObject:
    """Return the ``AuthenticationResult`` of a grant; TriggerRefused when a trigger says no."""
    return signed(grant, decide(grant))


def decide(grant: Grant) -> pre_token.Tokens:
    """Call the triggers and return the claims of both tokens; nothing is issued yet."""
    if CURRENT.trigger_order == "pre_token_first":
        tokens = _pre_token(grant)
        post_authentication(grant)
    else:
        post_authentication(grant)
        tokens = _pre_token(grant)
    return tokens


def signed(grant: Grant, tokens: pre_token.Tokens) -> JsonObject:
    """Return the ``AuthenticationResult``, with a refresh token unless this is a refresh."""
    pool_id = grant.pool["Id"]
    result: JsonObject = {
        "AccessToken": cognito._signed_jwt(tokens.access, pool_id, "access"),
        "IdToken": cognito._signed_jwt(tokens.id, pool_id, "id"),
        "TokenType": "Bearer",
        "ExpiresIn": cognito._token_validity(pool_id, grant.client_id, "access"),
    }
    if grant.fresh:
        # What revokes all tokens of a sign-in knows them by this id.
        grant.user.setdefault("_origin_jtis", []).append(grant.origin_jti)
        result["RefreshToken"] = _refresh_token(grant)
    return result


def machine_token(pool: JsonObject, client_id: str, scope: str, metadata: dict[str, str]) -> str:
    """Return a client credentials grant's access token; only version three of the trigger runs."""
    now = int(time.time())
    issue_of = _issue_of(pool, client_id, client_id, "", scope, now)
    tokens = pre_token.Tokens(id=None, access=claims.machine_claims(issue_of, str(uuid.uuid4())))
    if _version(pool) == "V3_0":
        _apply_trigger(pool, client_id, "ClientCredentials", MACHINE, {}, tokens, scope, metadata)
    token: str = cognito._signed_jwt(tokens.access, pool["Id"], "access")
    return token


def post_authentication(grant: Grant) -> None:
    """Call the post authentication trigger, unless this grant or a setting leaves it out."""
    if not grant.fresh or grant.authenticated or not CURRENT.post_authentication_fires:
        return
    if grant.source == NEW_PASSWORD and not CURRENT.post_authentication_fires_after_new_password:
        return
    authentication.after(grant.pool, grant.client_id, grant.user, grant.metadata)


def _pre_token(grant: Grant) -> pre_token.Tokens:
    attributes = user_attributes(grant.user)
    scope = claims.API_SCOPE if grant.scope is None else grant.scope
    subject = str(attributes.get("sub") or grant.user["Username"])
    issue_of = replace(
        _issue_of(
            grant.pool, grant.client_id, subject, grant.user["Username"], scope, grant.auth_time
        ),
        origin_jti=grant.origin_jti,
        hosted=grant.scope is not None,
    )
    tokens = pre_token.Tokens(
        id=claims.id_claims(issue_of, str(uuid.uuid4()), attributes, grant.nonce),
        access=claims.access_claims(issue_of, str(uuid.uuid4())),
        groups=groups.of_user(grant.pool, grant.user),
    )
    _apply_trigger(
        grant.pool,
        grant.client_id,
        grant.user["Username"],
        grant.source,
        attributes,
        tokens,
        scope,
        grant.metadata,
    )
    return tokens


def _apply_trigger(
    pool: JsonObject,
    client_id: str,
    username: str,
    source: str,
    attributes: dict[str, str],
    tokens: pre_token.Tokens,
    scope: str,
    metadata: dict[str, str],
) -> None:
    version = _version(pool)
    scopes = cognito._aws_scope_order(scope.split(), presized=False)
    answer = None
    if CURRENT.pre_token_fires:
        answer = invoke.call(
            "PreTokenGeneration",
            pool,
            event(
                source,
                version=version[1],
                pool_id=pool["Id"],
                client_id=client_id,
                username=username,
                request=pre_token.request(version, attributes, tokens.groups, scopes, metadata),
                response=pre_token.empty_response(version),
            ),
        )
    if answer is None:
        pre_token.set_groups(tokens)
        return
    response, entry = answer
    try:
        entry.dropped = pre_token.apply(version, response, tokens, client_id)
    except pre_token.WrongShape as shape:
        refusal = refusals.unusable("PreTokenGeneration", str(shape))
        entry.outcome = refusal.code
        raise refusal from shape


def _version(pool: JsonObject) -> str:
    configured = (pool.get("LambdaConfig") or {}).get("PreTokenGenerationConfig") or {}
    return str(configured.get("LambdaVersion") or "V1_0")


def _issue_of(
    pool: JsonObject, client_id: str, subject: str, username: str, scope: str, auth_time: int
) -> claims.Issue:
    pool_id = pool["Id"]
    return claims.Issue(
        issuer=f"https://cognito-idp.{pool_id.split('_')[0]}.amazonaws.com/{pool_id}",
        client_id=client_id,
        subject=subject,
        username=username,
        issued_at=int(time.time()),
        auth_time=auth_time,
        lives=(
            cognito._token_validity(pool_id, client_id, "id"),
            cognito._token_validity(pool_id, client_id, "access"),
        ),
        scopes=cognito._aws_scope_order(scope.split()),
        origin_jti="",
        event_id=str(uuid.uuid4()),
        hosted=True,
    )


def _refresh_token(grant: Grant) -> str:
    """Return the refresh token: opaque on AWS, here a JWT that ministack's checks can read."""
    now = int(time.time())
    body: JsonObject = {
        "sub": user_attributes(grant.user).get("sub", grant.user["Username"]),
        "iss": f"https://cognito-idp.{grant.pool['Id'].split('_')[0]}.amazonaws.com/{grant.pool['Id']}",
        "token_use": "refresh",
        "iat": now,
        "exp": now + cognito._token_validity(grant.pool["Id"], grant.client_id, "refresh"),
        "jti": str(uuid.uuid4()),
        "client_id": grant.client_id,
        "origin_jti": grant.origin_jti,
        "auth_time": grant.auth_time,
    }
    if grant.scope is not None:
        body["scope"] = grant.scope
    token: str = cognito._signed_jwt(body, grant.pool["Id"], "access")
    return token


def _from_api(
    original: Any,
    pool_id: str,
    client_id: str,
    user: JsonObject,
    nonce: str = "",
    trigger_source: str = SIGN_IN,
    client_metadata: Any = None,
    origin_jti: str = "",
    scope: str | None = None,
) -> JsonObject:
    """Stand where ministack builds the result of an API sign-in or refresh."""
    call = calls.current()
    grant = Grant(
        pool=cognito._user_pools.get(pool_id),
        client_id=client_id,
        user=user,
        source=trigger_source,
        scope=scope,
        nonce=nonce,
        metadata=call.token_metadata,
        fresh=trigger_source != REFRESH,
    )
    if not grant.fresh:
        refreshed = call.data.get("RefreshToken") or call.data["AuthParameters"]["REFRESH_TOKEN"]
        return issue(refresh_of(grant, cognito._token_claims(refreshed), call.action))
    return issue(grant)


def refresh_of(grant: Grant, refreshed: JsonObject, action: str) -> Grant:
    """Return ``grant`` as a refresh of the sign-in that the refresh token's claims describe.

    AWS lists GetTokensFromRefreshToken with the source of a sign-in, the other ways with their own.
    """
    return replace(
        grant,
        source=SIGN_IN if action == "GetTokensFromRefreshToken" else REFRESH,
        scope=refreshed.get("scope"),
        origin_jti=refreshed["origin_jti"],
        auth_time=refreshed["auth_time"],
        fresh=False,
    )


def install() -> None:
    """Issue every token of an API call here."""
    wrap(cognito, "_build_auth_result", _from_api)
