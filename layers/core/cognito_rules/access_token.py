"""What makes a token of a user pool good, checked offline.

Imported by functions that have the net layer, since it imports PyJWT.

Source: AWS, Amazon Cognito, "Verifying JSON web tokens", "Understanding the access token"; RFC 8725
(JSON Web Token Best Current Practices).
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import jwt

from cognito_rules.errors import RuleError, UpstreamError
from cognito_rules.signing_keys import ALGORITHM, SigningKeys

# API Gateway takes 10,240 bytes of headers.
MAX_TOKEN_LENGTH = 10 * 1024
# The settings of a door that say whose tokens it takes; ``pool_verifier`` is made from them.
POOL_SETTINGS: dict[str, dict[str, Any]] = {
    "user_pool_id": {
        "type": "string",
        "required": True,
        "pattern": "^[a-z0-9-]+_[0-9A-Za-z]+$",
    },
    "url_suffix": {"type": "string", "default": "amazonaws.com"},
    "issuer_type": {
        "type": "string",
        "choices": ["ORIGINAL", "UPDATED"],
        "default": "ORIGINAL",
    },
}
_COMPACT = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_KEY_ID = re.compile(r"[!-~]{1,128}")


class TokenRefusedError(RuleError):
    """A token is not taken. ``status`` is 401 when another one may be, 403 when not.

    ``facts`` are for the log, and only of a token whose signature is good.
    """

    def __init__(self, code: str, *, status: int = 401, **facts: str) -> None:
        super().__init__(code)
        self.code = code
        self.status = status
        self.facts = facts


@dataclass(frozen=True)
class Verifier:
    """The check of one user pool's tokens.

    Attributes
    ----------
    issuer : the one ``iss`` that is taken; which one, the pool's settings say and no token.
    allowed_clients : the app clients whose tokens are taken; never empty.
    audience : what ``aud`` must hold; None ignores it, since most access tokens have none.
    leeway : seconds that two clocks may differ.
    """

    keys: SigningKeys
    issuer: str
    allowed_clients: Collection[str]
    audience: str | None = None
    leeway: int = 5

    def verify(self, token: str) -> dict[str, Any]:
        """Return the claims of a good access token.

        Raises
        ------
        TokenRefusedError : it is none; the code says why.
        """
        claims = self._claims(token, use="access", client="client_id")
        if self.audience is not None and self.audience not in _audiences(claims.get("aud")):
            raise TokenRefusedError("audience_mismatch")
        return claims

    def verify_id_token(self, token: str, *, nonce: str) -> dict[str, Any]:
        """Return the claims of a good ID token that was asked for with ``nonce``; as ``verify``."""
        claims = self._claims(token, use="id", client="aud")
        if claims.get("nonce") != nonce:
            raise TokenRefusedError("nonce_mismatch")
        return claims

    def _claims(self, token: str, *, use: str, client: str) -> dict[str, Any]:
        claims = self._signed_claims(token)
        if claims.get("iss") != self.issuer:
            told = str(claims.get("iss"))[:256]
            raise TokenRefusedError("issuer_mismatch", expected=self.issuer, found=told)
        if claims.get("token_use") != use:
            raise TokenRefusedError("wrong_token_use")
        if claims.get(client) not in self.allowed_clients:
            raise TokenRefusedError("client_not_allowed")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise TokenRefusedError("malformed_token")
        return claims

    def _signed_claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_LENGTH or not _COMPACT.fullmatch(token):
            raise TokenRefusedError("malformed_token")
        key = self._key(token)
        try:
            return jwt.decode(
                token,
                key,
                # Whatever the header says: never "none", never the public key as a shared secret.
                algorithms=[ALGORITHM],
                leeway=self.leeway,
                options={"require": ["exp", "iat"], "verify_aud": False},
            )
        except jwt.ExpiredSignatureError:
            raise TokenRefusedError("token_expired") from None
        except jwt.ImmatureSignatureError:
            raise TokenRefusedError("token_not_yet_valid") from None
        except jwt.InvalidSignatureError:
            raise TokenRefusedError("invalid_signature") from None
        except (jwt.PyJWTError, ArithmeticError, ValueError, RecursionError):
            raise TokenRefusedError("malformed_token") from None

    def _key(self, token: str) -> jwt.PyJWK:
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.InvalidTokenError, ValueError, RecursionError):
            raise TokenRefusedError("malformed_token") from None
        if header.get("alg") != ALGORITHM:
            raise TokenRefusedError("wrong_algorithm")
        kid = header.get("kid")
        if not isinstance(kid, str) or not _KEY_ID.fullmatch(kid):
            raise TokenRefusedError("malformed_token")
        try:
            key = self.keys.find(kid)
        except UpstreamError:
            # Not the caller's doing: another token would fare no better.
            raise TokenRefusedError("keys_unavailable", status=403) from None
        if key is None:
            raise TokenRefusedError("unknown_key")
        return key


def pool_verifier(
    pool_id: str,
    allowed_clients: Collection[str],
    *,
    url_suffix: str = "amazonaws.com",
    is_updated_issuer: bool = False,
    audience: str | None = None,
    leeway: int = 5,
) -> Verifier:
    """Return the check of a pool's tokens, by the keys that it publishes.

    url_suffix : of AWS's host names in the partition; is_updated_issuer : whether the pool has the
    issuer type ``UPDATED``; the others as in ``Verifier``.
    """
    region = pool_id.partition("_")[0]
    prefix = "issuer-" if is_updated_issuer else ""
    issuer = f"https://{prefix}cognito-idp.{region}.{url_suffix}/{pool_id}"
    # Where the environment leads all of AWS elsewhere, to an emulator, the keys are there too.
    elsewhere = os.environ.get("AWS_ENDPOINT_URL")
    base = f"{elsewhere.rstrip('/')}/{pool_id}" if elsewhere else issuer
    keys = SigningKeys(f"{base}/.well-known/jwks.json")
    return Verifier(keys, issuer, frozenset(allowed_clients), audience=audience, leeway=leeway)


def bearer_token(authorization: str) -> str:
    """Return the token in an Authorization header; raises TokenRefusedError without one."""
    scheme, _, token = authorization.strip().partition(" ")
    if not token:
        raise TokenRefusedError("token_missing")
    if scheme.lower() != "bearer":
        raise TokenRefusedError("malformed_token")
    return token.strip()


def _audiences(given: Any) -> list[Any]:
    return given if isinstance(given, list) else [given]
