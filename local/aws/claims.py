"""The claims of Cognito's tokens before a trigger changes them.

https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-id-token.html
https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-access-token.html
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-define-resource-servers.html
(tokens of machines)
"""

import json
from dataclasses import dataclass

from local.aws.events import JsonObject

API_SCOPE = "aws.cognito.signin.user.admin"
BOOLEANS = frozenset({"email_verified", "phone_number_verified"})


@dataclass(frozen=True)
class Issue:
    """What both tokens of one issue share.

    issuer, client_id, subject : as in the claims of these names.
    issued_at, auth_time : seconds since 1970; a refresh keeps the ``auth_time`` of the sign-in.
    lives : seconds that the ID token and the access token are valid.
    scopes : of the access token, in order.
    hosted : whether the tokens come from the token endpoint, which marks them with a version.
    """

    issuer: str
    client_id: str
    subject: str
    username: str
    issued_at: int
    auth_time: int
    lives: tuple[int, int]
    scopes: list[str]
    origin_jti: str
    event_id: str
    hosted: bool


def access_claims(issue: Issue, jti: str) -> JsonObject:
    """Return the access token's claims, without groups."""
    claims: JsonObject = {
        "sub": issue.subject,
        "iss": issue.issuer,
        "client_id": issue.client_id,
        "origin_jti": issue.origin_jti,
        "event_id": issue.event_id,
        "token_use": "access",
        "scope": " ".join(issue.scopes),
        "auth_time": issue.auth_time,
        "exp": issue.issued_at + issue.lives[1],
        "iat": issue.issued_at,
        "jti": jti,
        "username": issue.username,
    }
    return {**claims, "version": 2} if issue.hosted else claims


def id_claims(issue: Issue, jti: str, attributes: dict[str, str], nonce: str) -> JsonObject:
    """Return the ID token's claims, without groups and roles.

    ``attributes`` are the user's: strings, and strings they stay but for the two verified flags
    and ``identities``, which is a list.
    """
    claims: JsonObject = {
        "sub": issue.subject,
        "iss": issue.issuer,
        "aud": issue.client_id,
        "origin_jti": issue.origin_jti,
        "event_id": issue.event_id,
        "token_use": "id",
        "auth_time": issue.auth_time,
        "exp": issue.issued_at + issue.lives[0],
        "iat": issue.issued_at,
        "jti": jti,
        "cognito:username": issue.username,
    }
    if nonce:
        claims["nonce"] = nonce
    if "email" in attributes:
        claims["email_verified"] = False
    for name, value in attributes.items():
        if name in claims and name not in BOOLEANS:
            continue
        if name in BOOLEANS:
            claims[name] = value.lower() == "true"
        elif name == "identities":
            claims[name] = _identities(value)
        elif not name.startswith("cognito:"):
            claims[name] = value
    return claims


def machine_claims(issue: Issue, jti: str) -> JsonObject:
    """Return the claims of a client credentials token: no user, and no refresh token behind it."""
    claims = access_claims(issue, jti)
    for name in ("username", "origin_jti", "event_id"):
        del claims[name]
    return claims


def _identities(text: str) -> list[JsonObject]:
    """Return the linked identities with ``primary`` and ``dateCreated`` as strings."""
    identities: list[JsonObject] = []
    for identity in json.loads(text):
        out = dict(identity)
        if "primary" in out:
            out["primary"] = str(out["primary"]).lower()
        if out.get("dateCreated") is not None:
            out["dateCreated"] = str(out["dateCreated"])
        identities.append(out)
    return identities
