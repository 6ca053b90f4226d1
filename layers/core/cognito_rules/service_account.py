"""Access tokens for a Google service account: a JWT that its own key signs, exchanged once.

Imported by functions that have the net layer, since it imports PyJWT.

Source: Google, "Using OAuth 2.0 for Server to Server Applications"; RFC 7523, section 2.1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jwt

from cognito_rules.access_tokens import JWT_BEARER, access_token
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.errors import UpstreamError
from cognito_rules.http import Budget

HOST = "oauth2.googleapis.com"
LIFETIME_SECONDS = 3600
# Who the assertion is for, which stays Google wherever the request is sent on a laptop.
_AUDIENCE = f"https://{HOST}/token"


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """What a key file says of a service account.

    Attributes
    ----------
    email : its ``client_email``.
    private_key : its ``private_key``, in PEM.
    key_id : its ``private_key_id``.
    """

    email: str
    private_key: str
    key_id: str

    def assertion(self, scopes: list[str], *, now: float) -> str:
        """Return a signed request for a token, good for an hour from ``now`` (epoch seconds).

        Raises
        ------
        UpstreamError : ``misconfigured``: the key is none.
        """
        claims = {
            "iss": self.email,
            "aud": _AUDIENCE,
            "scope": " ".join(scopes),
            "iat": int(now),
            "exp": int(now) + LIFETIME_SECONDS,
        }
        try:
            return jwt.encode(claims, self.private_key, "RS256", {"kid": self.key_id})
        except (ValueError, TypeError, jwt.PyJWTError):
            # Without the cause, which could carry the key.
            message = "the service account's private key is no PEM key: take it from its key file"
            raise UpstreamError(HOST, message, code="misconfigured") from None


def service_account_token(
    read_account: Callable[[bool], ServiceAccount],
    scopes: list[str],
    *,
    stand_in: str | None,
    budget: Budget,
    renew: bool = False,
) -> str:
    """Return an access token for ``scopes``, a kept one while it lasts.

    Parameters
    ----------
    read_account : returns the account; called with True to read a rotated key again.
    stand_in : see ``vendor_endpoint``.
    renew : whether to get a new one in any case, for a service that just refused the kept one.

    Raises
    ------
    UpstreamError, SecretError : as ``access_token``; ``misconfigured`` for a key that is none.
    """

    def form(again: bool) -> Mapping[str, str]:
        assertion = read_account(again).assertion(scopes, now=time.time())
        return {"grant_type": JWT_BEARER, "assertion": assertion}

    endpoint = vendor_endpoint(HOST, "/token", stand_in=stand_in)
    return access_token(
        endpoint, form, budget=budget, lifetime_seconds=LIFETIME_SECONDS, renew=renew
    ).text
