"""An OpenID provider on loopback, for federated sign-ins: the library oidc-provider-mock.

It has an authorize page with a form (field ``sub``), a token endpoint, discovery and real RS256
signatures. It accepts every client.
"""

import contextlib
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import requests
from oidc_provider_mock import run_server_in_thread

CLIENT_ID = "cognito-user-pool"
CLIENT_SECRET = "not-a-secret"  # the provider takes any


@dataclass(frozen=True)
class OidcProvider:
    """A running provider."""

    issuer: str

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator["OidcProvider"]:
        """Serve on a free port of this machine until the context ends."""
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        with run_server_in_thread() as server:
            yield cls(issuer=f"http://localhost:{server.server_port}")

    def set_person(self, subject: str, claims: Mapping[str, Any]) -> None:
        """Define what the provider says about ``subject``: ``email``, ``name``, own claims."""
        response = requests.put(f"{self.issuer}/users/{subject}", json=dict(claims), timeout=10)
        response.raise_for_status()

    @property
    def details(self) -> dict[str, str]:
        """``ProviderDetails`` for CreateIdentityProvider with ProviderType OIDC."""
        return {
            "client_id": CLIENT_ID,
            "client_secret": CLIENT_SECRET,
            "attributes_request_method": "GET",
            "oidc_issuer": self.issuer,
            "authorize_scopes": "openid email profile",
        }
