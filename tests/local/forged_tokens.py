"""Tokens that nobody issued: made from a real one, with a real or another key."""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

ANOTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def header_of(token: str) -> dict[str, Any]:
    """Return the header of a compact JWT."""
    return _object(token.split(".")[0])


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a compact JWT, unverified."""
    return _object(token.split(".")[1])


def altered(token: str, **claims: Any) -> str:
    """Return the token with some claims changed and its signature left as it was."""
    header, _, signature = token.split(".")
    return f"{header}.{_encoded(claims_of(token) | claims)}.{signature}"


def signed_by(key: rsa.RSAPrivateKey, token: str, **claims: Any) -> str:
    """Return the token with some claims changed (None removes one), signed anew with ``key``."""
    changed = claims_of(token) | claims
    kept = {name: value for name, value in changed.items() if value is not None}
    signed = f"{token.split('.')[0]}.{_encoded(kept)}"
    signature = key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
    return f"{signed}.{_base64(signature)}"


def unsigned(token: str, **claims: Any) -> str:
    """Return the token with the algorithm ``none``."""
    header = header_of(token) | {"alg": "none"}
    return f"{_encoded(header)}.{_encoded(claims_of(token) | claims)}."


def signed_with_public_key(key: rsa.RSAPublicKey, token: str, **claims: Any) -> str:
    """Return the token as HS256 over the public key's PEM, the classic confusion of algorithms."""
    pem = key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = header_of(token) | {"alg": "HS256"}
    signed = f"{_encoded(header)}.{_encoded(claims_of(token) | claims)}"
    return f"{signed}.{_base64(hmac.new(pem, signed.encode(), hashlib.sha256).digest())}"


def user_pool_key(state: Path, user_pool_id: str, use: str = "id") -> rsa.RSAPrivateKey:
    """Read a user pool's signing key out of the emulator's state: AWS never shows it."""
    return _key(state / "cognito-pool-keys" / f"{user_pool_id}-{use}.pem")


def identity_pool_key(state: Path) -> rsa.RSAPrivateKey:
    """Read the key of the identity pools' own tokens."""
    return _key(state / "cognito-rsa-key.pem")


def _key(path: Path) -> rsa.RSAPrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    assert isinstance(key, rsa.RSAPrivateKey)
    return key


def _object(part: str) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return value


def _encoded(value: Mapping[str, Any]) -> str:
    return _base64(json.dumps(value).encode())


def _base64(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
