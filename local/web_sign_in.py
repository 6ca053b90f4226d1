"""Sign-ins on Cognito's pages and at its token endpoint.

https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html
https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
"""

import base64
import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

import requests

from local.browser import Browser, BrowserError
from local.tokens import AppClient, SignInRefused, Tokens


class WebSignIn(AppClient):
    """Every method returns ``Tokens`` or raises ``SignInRefused``."""

    def hosted_ui_code(
        self,
        username: str,
        password: str,
        *,
        scopes: Sequence[str] = ("openid",),
        new_password: str | None = None,
        nonce: str = "",
    ) -> Tokens:
        """Sign in on the sign-in page: authorize, form, code, token endpoint, with PKCE."""
        typed = {"username": username, "password": password, "challenge": "PASSWORD"}
        if new_password:
            typed |= {"new_password": new_password, "confirm_password": new_password}
        return self.redeem(*self.authorize(typed, scopes=scopes, nonce=nonce))

    def federated(
        self,
        provider: str,
        subject: str,
        *,
        scopes: Sequence[str] = ("openid",),
        nonce: str = "",
    ) -> Tokens:
        """Sign in at the pool's OIDC provider ``provider`` as ``subject``, then redeem the code."""
        return self.redeem(
            *self.authorize({"sub": subject}, scopes=scopes, nonce=nonce, provider=provider)
        )

    def authorize(
        self,
        typed: dict[str, str],
        *,
        scopes: Sequence[str] = ("openid",),
        nonce: str = "",
        provider: str | None = None,
    ) -> tuple[str, str]:
        """Go from the authorize endpoint to the callback; return the code and the PKCE verifier.

        ``typed`` is what the person types on the way, by field name.
        """
        verifier, state = secrets.token_urlsafe(48), secrets.token_urlsafe(16)
        digest = hashlib.sha256(verifier.encode()).digest()
        query = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.callback,
            "scope": " ".join(scopes),
            "state": state,
            "code_challenge": base64.urlsafe_b64encode(digest).decode().rstrip("="),
            "code_challenge_method": "S256",
        }
        query |= {"nonce": nonce} if nonce else {}
        query |= {"identity_provider": provider} if provider else {}
        browser = Browser(self.aws.endpoint, self.callback, typed)
        try:
            answer = browser.open(f"{self.aws.endpoint}/oauth2/authorize?{urlencode(query)}")
        except BrowserError as error:
            raise SignInRefused("page", str(error)) from error
        if answer.get("state") != state:
            raise SignInRefused("state", "the callback does not carry the state of this request")
        if "code" not in answer:
            raise SignInRefused(answer.get("error", ""), answer.get("error_description", ""))
        return answer["code"], verifier

    def redeem(self, code: str, verifier: str) -> Tokens:
        """Exchange an authorization code at the token endpoint."""
        return self._token_endpoint(
            grant_type="authorization_code",
            code=code,
            redirect_uri=self.callback,
            code_verifier=verifier,
        )

    def refresh_by_token_endpoint(self, refresh_token: str) -> Tokens:
        """Refresh at the token endpoint."""
        return self._token_endpoint(grant_type="refresh_token", refresh_token=refresh_token)

    def client_credentials(
        self, *, scopes: Sequence[str] = (), client_metadata: Mapping[str, str] | None = None
    ) -> Tokens:
        """Get a machine's token at the token endpoint; metadata goes as ``aws_client_metadata``."""
        form = {"grant_type": "client_credentials"}
        form |= {"scope": " ".join(scopes)} if scopes else {}
        if client_metadata:
            form["aws_client_metadata"] = json.dumps(dict(client_metadata))
        return self._token_endpoint(**form)

    def _token_endpoint(self, **form: str) -> Tokens:
        basic = (self.client_id, self.client_secret) if self.client_secret else None
        response = requests.post(
            f"{self.aws.endpoint}/oauth2/token",
            data={"client_id": self.client_id, **form},
            auth=basic,
            timeout=30,
        )
        answer = response.json()
        if response.status_code != 200:
            raise SignInRefused(answer["error"], answer.get("error_description", ""))
        return Tokens(
            access_token=answer["access_token"],
            id_token=answer.get("id_token"),
            refresh_token=answer.get("refresh_token"),
            expires_in=answer["expires_in"],
        )
