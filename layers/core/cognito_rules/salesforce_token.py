"""Access to a Salesforce org: its hosts, and a token by either of two grants.

Source: Salesforce Help, "OAuth 2.0 Client Credentials Flow for Server-to-Server Integration" and
"OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration".
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from cognito_rules.access_tokens import JWT_BEARER, access_token, client_credentials_token
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.errors import ConfigurationError
from cognito_rules.http import AFTER_LOGIN, Endpoint
from cognito_rules.kms_signature import sign_assertion
from cognito_rules.login import Login

TOKEN = AFTER_LOGIN.within(2.5)

# Salesforce does not say how long a token lives: the org's session settings do.
TOKEN_SECONDS = 15 * 60.0
# Of the five minutes that Salesforce grants an assertion; clocks differ.
ASSERTION_SECONDS = 180
# Parts of a My Domain whose users sign in at test.salesforce.com.
_OF_TESTS = (".sandbox", ".scratch")


def org_endpoint(settings: Mapping[str, Any], path: str) -> Endpoint:
    """Return the endpoint at ``path`` of the org that ``my_domain`` names, or of its stand-in."""
    host = f"{settings['my_domain']}.my.salesforce.com"
    return vendor_endpoint(host, path, stand_in=settings["stand_in"])


def check_authorization(settings: Mapping[str, Any]) -> None:
    """Refuse an address that is none, and assertions that nobody signs."""
    org_endpoint(settings, "/")
    if settings["auth_mode"] == "jwt_bearer" and not settings["signing_key"]:
        raise ConfigurationError(
            "auth_mode jwt_bearer needs a KMS key: deploy with SalesforceSigningKeyArn"
        )


def authorization(login: Login, refresh: bool) -> dict[str, str]:
    """Return the header for a call; ``refresh`` gets a new token, with rotated secrets.

    Raises
    ------
    UpstreamError, SecretError : as ``access_token``, and as ``sign_assertion``.
    """
    settings = login.configuration
    endpoint = org_endpoint(settings, "/services/oauth2/token")
    if settings["auth_mode"] == "jwt_bearer":
        token = access_token(
            endpoint,
            _Assertions(login),
            budget=TOKEN,
            lifetime_seconds=TOKEN_SECONDS,
            renew=refresh,
            # An entry of the same chain may be somebody else, by the client's secret.
            kept_as=f"jwt_bearer {endpoint.url}",
        )
    else:
        token = client_credentials_token(
            endpoint,
            lambda again: {
                "client_id": login.secret("SALESFORCE_CLIENT_ID", refresh=again),
                "client_secret": login.secret("SALESFORCE_CLIENT_SECRET", refresh=again),
            },
            budget=TOKEN,
            lifetime_seconds=TOKEN_SECONDS,
            renew=refresh,
        )
    return {"Authorization": f"Bearer {token.text}"}


class _Assertions:
    """The form of one token request; the same twice unless the secrets were rotated."""

    def __init__(self, login: Login) -> None:
        self._login = login
        self._expires_at = int(time.time()) + ASSERTION_SECONDS

    def __call__(self, again: bool) -> dict[str, str]:
        settings = self._login.configuration
        host = "test" if settings["my_domain"].endswith(_OF_TESTS) else "login"
        claims = {
            "iss": self._login.secret("SALESFORCE_CLIENT_ID", refresh=again),
            "sub": self._login.secret("SALESFORCE_USERNAME", refresh=again),
            "aud": f"https://{host}.salesforce.com",
            "exp": self._expires_at,
        }
        assertion = sign_assertion(settings["signing_key"], claims)
        return {"grant_type": JWT_BEARER, "assertion": assertion}
