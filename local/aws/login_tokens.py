"""Verify the tokens that identity pools and STS are given. Nothing in them is believed before.

https://docs.aws.amazon.com/cognito/latest/developerguide/
amazon-cognito-user-pools-using-tokens-verifying-a-jwt.html
https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flow.html (ID tokens only)
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_CognitoIdentityProvider.html
(ServerSideTokenCheck)

ministack takes a login token up to five minutes after its end, one that the user pool signed with
its key for access tokens, and one of a person who signed out everywhere. AWS documents no such
mercy; here a token ends at ``exp``.
"""

import base64
import json
import math
import re
import time
from collections.abc import Mapping
from typing import Any

from local.aws.emulator import cognito

Claims = dict[str, Any]

_USER_POOL_PROVIDER = re.compile(
    r"cognito-idp\.([a-z0-9-]+)\.(amazonaws\.com(?:\.cn)?)/(\1_[A-Za-z0-9]+)"
)


class TokenRefused(Exception):
    """The token is not one that the service accepts; ``str(error)`` is the service's message."""


class TokenExpired(TokenRefused):
    """The token was good until ``exp``."""


def user_pool_login(identity_pool: Mapping[str, Any], provider: str, token: Any) -> Claims:
    """Return the claims of an ID token that ``identity_pool`` accepts for ``provider``.

    ``provider`` is ``cognito-idp.<region>.amazonaws.com/<user pool id>``. TokenRefused when the
    token is no ID token of that user pool for a listed app client, is over, or its user is gone.
    """
    entries = [
        entry
        for entry in identity_pool.get("CognitoIdentityProviders") or []
        if entry.get("ProviderName") == provider
    ]
    claims = user_pool_id_token(provider, token)
    entry = next((one for one in entries if one.get("ClientId") == claims["aud"]), None)
    if entry is None:
        raise TokenRefused("Token is not from a supported provider of this identity pool.")
    if str(entry.get("ServerSideTokenCheck", "")).lower() == "true":
        _check_on_the_server(provider, claims)
    return claims


def user_pool_id_token(provider: str, token: Any) -> Claims:
    """Return the claims of an unexpired ID token that the user pool ``provider`` signed.

    ``aud`` is a string, and not yet compared with anything.
    """
    pool_id = user_pool_of(provider)
    if pool_id is None:
        raise TokenRefused("Token is not from a supported provider of this identity pool.")
    claims = signed_claims(token, f"https://{provider}", cognito._pool_signing_key(pool_id, "id"))
    if "aud" not in claims:
        raise TokenRefused("Invalid login token. Missing a required claim: aud")
    # With aud added by a pre token trigger an access token would look like an ID token otherwise.
    if claims.get("token_use") != "id" or not isinstance(claims["aud"], str):
        raise TokenRefused("Invalid login token. Not a valid OpenId Connect identity token.")
    return claims


def identity_pool_token(token: Any) -> Claims:
    """Return the claims of an unexpired token that ``GetOpenIdToken`` issued."""
    key = cognito._RSA_PRIVATE_KEY, cognito._JWKS_KEY
    return signed_claims(token, "https://cognito-identity.amazonaws.com", key)


def user_pool_of(provider: str) -> str | None:
    """Return the id of the existing user pool that ``provider`` names, or None."""
    match = _USER_POOL_PROVIDER.fullmatch(provider)
    if match is None or cognito._get_pool_unscoped(match[3]) is None:
        return None
    return match[3]


def issuer_of(token: Any) -> str:
    """Return the token's ``iss``, unverified: only good for choosing who verifies it."""
    return str(_parts(token)[1].get("iss", ""))


def signed_claims(token: Any, issuer: str, key: tuple[Any, Mapping[str, Any]]) -> Claims:
    """Return the claims of an RS256 token of ``issuer``.

    ``key`` is the issuer's private key and its JWK. TokenRefused when the token was not signed
    with it, says another issuer, or is not valid now.
    """
    header, claims, signature, signed = _parts(token)
    if claims.get("iss") != issuer:
        raise TokenRefused("Invalid login token. Issuer doesn't match providerName")
    private_key, jwk = key
    # The algorithm is ours to choose, not the token's ("none", or HMAC with the public key).
    if header.get("alg") != "RS256" or header.get("kid") != jwk["kid"] or "crit" in header:
        raise TokenRefused("Invalid login token. Couldn't verify signed token.")
    if not _is_signature(private_key, signature, signed):
        raise TokenRefused("Invalid login token. Couldn't verify signed token.")
    now = int(time.time())
    expires = _seconds(claims, "exp")
    if now >= expires:
        raise TokenExpired(f"Invalid login token. Token expired: {now} >= {int(expires)}")
    if "nbf" in claims and now < _seconds(claims, "nbf"):
        raise TokenRefused("Invalid login token. Token is not valid yet.")
    return claims


def _check_on_the_server(provider: str, claims: Claims) -> None:
    """Refuse a person whose account is gone or disabled, and a token that was revoked."""
    users = cognito._get_pool_unscoped(provider.rsplit("/", 1)[-1])["_users"]
    user = users.get(claims.get("cognito:username"))
    if user is None or not user.get("Enabled", True):
        raise TokenRefused("Invalid login token. The user does not exist or is disabled.")
    signed_out = int(user.get("_signout_at") or 0)
    if claims.get("origin_jti") in cognito._revoked_tokens or _seconds(claims, "iat") < signed_out:
        raise TokenRefused("Invalid login token. Token has been revoked.")


def _parts(token: Any) -> tuple[Claims, Claims, bytes, bytes]:
    """Return header, claims, signature and signed bytes of a compact JWT, unverified."""
    parts = token.split(".") if isinstance(token, str) else []
    try:
        header, claims, signature = (_decoded(part) for part in parts)
        objects = json.loads(header), json.loads(claims)
    except ValueError as error:
        raise TokenRefused(
            "Invalid login token. Not a valid OpenId Connect identity token."
        ) from error
    if not all(isinstance(one, dict) for one in objects):
        raise TokenRefused("Invalid login token. Not a valid OpenId Connect identity token.")
    return *objects, signature, ".".join(parts[:2]).encode()


def _decoded(part: str) -> bytes:
    # Strict: the decoder's default skips what is not base64, and so accepts an altered token.
    return base64.b64decode(part + "=" * (-len(part) % 4), altchars=b"-_", validate=True)


def _is_signature(private_key: Any, signature: bytes, signed: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding

    try:
        private_key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True


def _seconds(claims: Claims, name: str) -> float:
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise TokenRefused(f"Invalid login token. Missing a required claim: {name}")
    return float(value)
