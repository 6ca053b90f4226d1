"""What a sign-in gives, or why it gives nothing.

``SignInRefused.code`` is the API's error code; at the token endpoint and on the callback the
``error`` parameter; ``page`` for a text on the sign-in page; ``challenge`` when a further challenge
was asked, whose name is the message.
"""

import base64
import json
from dataclasses import dataclass
from typing import Any

from cli.sign_in import SignInRefused
from local.server import EmbeddedAws

__all__ = ["CALLBACK", "AppClient", "SignInRefused", "Tokens", "claims_of"]

CALLBACK = "http://localhost:3000/callback"


@dataclass(frozen=True)
class Tokens:
    """The tokens of one sign-in; what was not issued is None."""

    access_token: str
    id_token: str | None
    refresh_token: str | None
    expires_in: int

    @property
    def access_claims(self) -> dict[str, Any]:
        """Claims of the access token, read without a check of the signature."""
        return claims_of(self.access_token)

    @property
    def id_claims(self) -> dict[str, Any]:
        """Claims of the ID token, read without a check; ValueError when there is none."""
        if self.id_token is None:
            raise ValueError("there is no ID token: the scope openid was not granted")
        return claims_of(self.id_token)


@dataclass(frozen=True)
class AppClient:
    """One app client.

    Parameters
    ----------
    aws : the running emulator.
    pool_id, client_id, client_secret : of the app client; the secret only if it has one.
    callback : a redirect URI that the app client allows; nothing has to listen there.
    """

    aws: EmbeddedAws
    pool_id: str
    client_id: str
    client_secret: str | None = None
    callback: str = CALLBACK


def claims_of(token: str) -> dict[str, Any]:
    """Return the claims of a JWT without checking it."""
    payload = token.split(".")[1]
    claims: dict[str, Any] = json.loads(
        base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    )
    return claims
