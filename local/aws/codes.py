"""Authorization codes: good once, for five minutes, and only with what the request began with.

https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html
https://docs.aws.amazon.com/cognito/latest/developerguide/using-pkce-in-authorization-code.html
"""

import base64
import hashlib
import hmac
import secrets
import threading
import time
from dataclasses import dataclass

from local.aws.pre_token import Tokens
from local.aws.tokens import Grant

LIFE_SECONDS = 300.0


@dataclass(frozen=True)
class Code:
    """What a code stands for.

    grant : the sign-in. redirect_uri, challenge : of the authorize request; an empty challenge
    where it had no PKCE. tokens : the claims, when they were decided at the sign-in already.
    """

    grant: Grant
    redirect_uri: str
    challenge: str
    expires: float
    tokens: Tokens | None = None


_codes: dict[str, Code] = {}
_lock = threading.Lock()


def new(grant: Grant, redirect_uri: str, challenge: str, tokens: Tokens | None) -> str:
    """Return a new code."""
    code, now = secrets.token_urlsafe(32), time.monotonic()
    with _lock:
        for old in [name for name, entry in _codes.items() if entry.expires < now]:
            del _codes[old]
        _codes[code] = Code(grant, redirect_uri, challenge, now + LIFE_SECONDS, tokens)
    return code


def find(code: str) -> Code | None:
    """Return what the code stands for, and leave it good."""
    with _lock:
        entry = _codes.get(code)
    return entry if entry is not None and entry.expires >= time.monotonic() else None


def redeem(code: str) -> bool:
    """Use the code up; False when it is used up already."""
    with _lock:
        return _codes.pop(code, None) is not None


def proven(entry: Code, verifier: str) -> bool:
    """Whether ``verifier`` is the one whose SHA-256 the authorize request carried."""
    if not entry.challenge:
        return True
    digest = hashlib.sha256(verifier.encode()).digest()
    computed = base64.urlsafe_b64encode(digest).decode().rstrip("=")
    return hmac.compare_digest(computed, entry.challenge)
