"""AssumeRoleWithWebIdentity: the token is verified before the trust policy is asked.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html (tags in the token)
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_providers_create_oidc.html

Tokens of two issuers can be verified here: identity pools, and user pools for which IAM has an
OpenID Connect provider. ministack takes any token, signed or not.
"""

import json
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs
from xml.sax.saxutils import escape

from local.aws import login_tokens, object_keys, policy_variables, web_identity
from local.aws.emulator import Response, wrap
from local.aws.identity_pools import TAGS_CLAIM
from local.aws.login_tokens import Claims, TokenExpired, TokenRefused
from local.aws.web_identity import IDENTITY_POOLS, WebIdentity, roles, sts

ACTION = "AssumeRoleWithWebIdentity"
SHORTEST_SECONDS, DEFAULT_SECONDS = 900, 3600

_SESSION_NAME = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


class Refused(Exception):
    """The call fails with HTTP ``status``, ``code`` and ``message``."""

    def __init__(self, status: int, code: str, message: str):
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


async def handle(
    original: Any,
    method: str,
    path: str,
    headers: Mapping[str, str],
    body: bytes,
    query_params: Mapping[str, Any],
) -> Response:
    """Answer AssumeRoleWithWebIdentity; every other action is ministack's."""
    parameters, use_json = _parameters(method, headers, body, query_params)
    if sts._p(parameters, "Action") != ACTION:
        response: Response = await original(method, path, headers, body, query_params)
        return response
    try:
        return _answer(*assume(parameters), use_json=use_json)
    except Refused as refused:
        if use_json:
            answer: Response = sts.error_response_json(
                refused.code, refused.message, refused.status
            )
            return answer
        answer = sts._error(refused.status, refused.code, escape(refused.message), ns="sts")
        return answer


def assume(parameters: Mapping[str, Any]) -> tuple[web_identity.RoleSession, WebIdentity, str]:
    """Open the session that the request asks for: the session, whose it is, and its name."""
    role_arn = sts._p(parameters, "RoleArn")
    session_name = sts._p(parameters, "RoleSessionName")
    token = sts._p(parameters, "WebIdentityToken")
    if not _SESSION_NAME.fullmatch(session_name):
        raise _invalid("RoleSessionName is 2 to 64 of the characters A-Z a-z 0-9 _+=,.@-")
    if not role_arn or not token:
        raise _invalid("RoleArn and WebIdentityToken are required")
    seconds = _seconds(sts._p(parameters, "DurationSeconds"))
    _, problem = sts._assumed_role_arn(role_arn, session_name)
    if problem:
        raise _invalid(f"Invalid RoleArn: {role_arn}")
    identity = identify(token, account_id=role_arn.split(":")[4])
    unusable = web_identity.unusable_tags(identity.tags)
    if unusable:
        raise Refused(400, "InvalidIdentityToken", unusable)
    if web_identity.denied_action(role_arn, identity, session_name):
        # STS names neither the action nor the reason, nor whether the role exists.
        raise Refused(403, "AccessDenied", f"Not authorized to perform sts:{ACTION}")
    if seconds > int(web_identity.role_of(role_arn)["MaxSessionDuration"]):  # type: ignore[index]
        raise _invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    policies, problem = sts._session_policies(parameters, role_arn.split(":")[4])
    if problem:
        code = re.search(rb"<Code>(\w+)</Code>", problem[2])
        assert code is not None
        raise Refused(problem[0], code[1].decode(), "The session policies are not valid.")
    fields = {"SessionPolicies": policies} if any(policies.values()) else {}
    session = web_identity.open_session(role_arn, session_name, identity, seconds, **fields)
    return session, identity, session_name


def identify(token: str, *, account_id: str) -> WebIdentity:
    """Verify the token and return whom it names. Refused for one that nobody we know signed.

    ``account_id`` is the role's account: an OpenID Connect provider counts in its own account only.
    """
    try:
        issuer = login_tokens.issuer_of(token)
        host = issuer.removeprefix("https://")
        if host == IDENTITY_POOLS:
            claims = login_tokens.identity_pool_token(token)
            return _identity(host, host, claims)
        provider_arn, provider = _openid_connect_provider(host, account_id)
        if login_tokens.user_pool_of(host) is None:
            raise Refused(
                400,
                "InvalidIdentityToken",
                "Couldn't retrieve verification key from your identity provider, please reference "
                "AssumeRoleWithWebIdentity documentation for requirements",
            )
        claims = login_tokens.user_pool_id_token(host, token)
    except TokenExpired as expired:
        raise Refused(400, "ExpiredTokenException", str(expired)) from expired
    except TokenRefused as refused:
        raise Refused(400, "InvalidIdentityToken", str(refused)) from refused
    if claims["aud"] not in provider["ClientIDList"]:
        raise Refused(400, "InvalidIdentityToken", "Incorrect token audience")
    return _identity(provider_arn, host, claims)


def _identity(provider: str, host: str, claims: Claims) -> WebIdentity:
    return WebIdentity(
        provider=provider,
        host=host,
        subject=str(claims.get("sub", "")),
        audience=str(claims.get("aud", "")),
        amr=tuple(str(method) for method in claims.get("amr") or ()),
        tags=_tags(claims),
    )


def _tags(claims: Claims) -> dict[str, str]:
    """Return the session tags of the token: each key with a list of exactly one value."""
    block = claims.get(TAGS_CLAIM)
    given = block.get("principal_tags") if isinstance(block, dict) else None
    if block is not None and not isinstance(given, dict):
        raise Refused(400, "InvalidIdentityToken", f"{TAGS_CLAIM} has no principal_tags")
    tags = {}
    for key, values in (given or {}).items():
        listed = values if isinstance(values, list) else [values]
        if len(listed) != 1 or not isinstance(listed[0], str):
            raise Refused(400, "InvalidIdentityToken", f"the session tag {key} has not one value")
        tags[key] = listed[0]
    return tags


def _openid_connect_provider(host: str, account_id: str) -> tuple[str, Mapping[str, Any]]:
    arn = f"arn:aws:iam::{account_id}:oidc-provider/{host}"
    provider = roles._oidc_providers.get_scoped(account_id, None, arn)
    if provider is None:
        raise Refused(
            400,
            "InvalidIdentityToken",
            f"No OpenIDConnect provider found in your account for https://{host}",
        )
    return arn, provider


def _seconds(text: str) -> int:
    if not text:
        return DEFAULT_SECONDS
    if not text.isascii() or not text.isdigit() or int(text) < SHORTEST_SECONDS:
        raise _invalid(f"DurationSeconds is a number of at least {SHORTEST_SECONDS}")
    return int(text)


def _invalid(message: str) -> Refused:
    return Refused(400, "ValidationError", message)


def _parameters(
    method: str, headers: Mapping[str, str], body: bytes, query_params: Mapping[str, Any]
) -> tuple[dict[str, Any], bool]:
    """Return the request's parameters, each a list of values, and whether it is in JSON."""
    parameters: dict[str, Any] = dict(query_params)
    use_json = "amz-json" in headers.get("content-type", "")
    if use_json:
        parameters["Action"] = [headers.get("x-amz-target", "").rpartition(".")[2]]
        try:
            members = json.loads(body or b"{}")
        except ValueError:
            members = {}
        if isinstance(members, dict):
            for name, value in members.items():
                parameters[name] = value if isinstance(value, list) else [str(value)]
    elif method == "POST":
        parameters.update(parse_qs(body.decode("utf-8", errors="replace")))
    return parameters, use_json


def _answer(
    session: web_identity.RoleSession, identity: WebIdentity, session_name: str, *, use_json: bool
) -> Response:
    credentials: dict[str, Any] = {
        "AccessKeyId": session.access_key_id,
        "SecretAccessKey": session.secret_access_key,
        "SessionToken": session.session_token,
        "Expiration": session.expires_at,
    }
    result: dict[str, Any] = {
        "Credentials": credentials,
        "AssumedRoleUser": {
            "AssumedRoleId": f"{session.role_id}:{session_name}",
            "Arn": session.arn,
        },
        "SubjectFromWebIdentityToken": identity.subject,
        "Audience": identity.audience,
        "Provider": identity.provider,
    }
    if use_json:
        response: Response = sts.json_response(result)
        return response
    credentials["Expiration"] = _timestamp(session.expires_at)
    response = sts._xml(200, f"{ACTION}Response", _xml({f"{ACTION}Result": result}), ns="sts")
    return response


def _timestamp(seconds: int) -> str:
    return str(sts.time.strftime("%Y-%m-%dT%H:%M:%SZ", sts.time.gmtime(seconds)))


def _xml(value: Any) -> str:
    if not isinstance(value, dict):
        return escape(str(value))
    return "".join(f"<{name}>{_xml(member)}</{name}>" for name, member in value.items())


def install() -> None:
    """Complete AssumeRoleWithWebIdentity, and what a session with tags may do."""
    policy_variables.install()
    object_keys.install()
    web_identity.install()
    wrap(sts, "handle_request", handle)
