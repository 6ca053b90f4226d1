"""Access tokens as a user pool signs them, and the keys that it publishes."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

POOL = "eu-west-1_Example01"
ISSUER = f"https://cognito-idp.eu-west-1.amazonaws.com/{POOL}"
CLIENT = "1example23456789clientid00"
SUB = "6f1c2d9e-0000-4000-8000-000000000001"
KEYS_PATH = f"/{POOL}/.well-known/jwks.json"


@cache
def private_key(kid: str) -> rsa.RSAPrivateKey:
    """Return a key of this name, always the same one in a test run."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@cache
def private_pem(kid: str) -> str:
    """Return that key as a key file holds it."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return private_key(kid).private_bytes(encoding, form, serialization.NoEncryption()).decode()


def published(*kids: str) -> dict[str, Any]:
    """Return what a pool answers that signs with these keys."""
    return {"keys": [_published(kid) for kid in kids]}


def _published(kid: str) -> dict[str, Any]:
    key: dict[str, Any] = json.loads(RSAAlgorithm.to_jwk(private_key(kid).public_key()))
    return {"kty": key["kty"], "n": key["n"], "e": key["e"], "kid": kid, "alg": "RS256"} | {
        "use": "sig"
    }


@dataclass(frozen=True)
class AccessToken:
    """An access token to be; ``claims`` go over those that every one has, None takes one out."""

    claims: dict[str, Any] = field(default_factory=dict)
    kid: str = "first"

    @property
    def text(self) -> str:
        """The signed token."""
        now = int(time.time())
        usual = {
            "sub": SUB,
            "iss": ISSUER,
            "client_id": CLIENT,
            "origin_jti": "origin-1",
            "event_id": "event-1",
            "token_use": "access",
            "scope": "openid orders/read",
            "auth_time": now - 60,
            "iat": now - 60,
            "exp": now + 3540,
            "jti": "jti-1",
            "username": "jane",
        }
        claims = {name: value for name, value in (usual | self.claims).items() if value is not None}
        return jwt.encode(claims, private_key(self.kid), "RS256", {"kid": self.kid})


def token(**claims: Any) -> str:
    """Return a signed access token with these claims."""
    return AccessToken(claims).text
