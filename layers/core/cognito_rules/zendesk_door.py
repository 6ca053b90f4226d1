"""Single sign-on to Zendesk: who is signed in at the user pool, is so at the help centre too.

Behind an HTTP API (payload format 2.0). Zendesk sends people to ``/zendesk/sso``, its remote login
URL; they go on to the pool's sign-in page, which answers at once where they are signed in, and come
back to ``/zendesk/callback``, which answers a form that posts a JSON Web Token to Zendesk. Nothing
is stored: what has to survive the way travels in a signed ``state``, and in a cookie that binds it
to the browser. Imports PyJWT, so its function has the net layer.

Source: Auth0 rules, "zendesk-sso-jwt"; Zendesk docs, "Anatomy of a JWT request"; AWS, Amazon
Cognito, "Authorize endpoint", "Token endpoint"; RFC 7636 (PKCE), RFC 9700 (OAuth 2.0 security).
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from html import escape
from typing import Any
from urllib.parse import urlencode, urlsplit

import jwt

from cognito_rules import http_api
from cognito_rules.access_token import POOL_SETTINGS, TokenRefusedError, Verifier, pool_verifier
from cognito_rules.configuration import Settings
from cognito_rules.endpoint import Endpoint
from cognito_rules.errors import ConfigurationError, RuleError, UpstreamError
from cognito_rules.http import API, post
from cognito_rules.http_api import Answer, answer
from cognito_rules.logs import log_fault, logger
from cognito_rules.secrets import function_secrets

SSO, CALLBACK = "/zendesk/sso", "/zendesk/callback"
COOKIE = "__Host-zendesk-sso"
# How long somebody may take to sign in.
STATE_SECONDS = 600
_MAX_RETURN_TO = 2000
_VERIFIER = re.compile(r"[A-Za-z0-9_-]{43}")
_BRAND = re.compile(r"[0-9]{1,20}")
_CODE = re.compile(r"[!-~]{1,2048}")
_SUBMIT = "document.forms[0].submit();"
_SUBMIT_DIGEST = base64.b64encode(hashlib.sha256(_SUBMIT.encode()).digest()).decode()

SETTINGS = Settings.parse(
    {
        **POOL_SETTINGS,
        "client_id": {"type": "string", "required": True, "pattern": r"^[\w+]{1,128}$"},
        # Where the pool's sign-in pages are, and where its answer is to come.
        "sign_in_url": {"type": "string", "required": True},
        "callback_url": {"type": "string", "required": True},
        "subdomain": {"type": "string", "required": True, "pattern": "^[a-z0-9][a-z0-9-]{0,62}$"},
        # Besides the subdomain's own host: the hosts of other brands.
        "return_to_hosts": {"type": "list[string]", "default": []},
        # The claim of the ID token that is Zendesk's external_id.
        "external_id_claim": {"type": "string", "default": "sub"},
        # Besides name and address, which Zendesk requires.
        "send": {"type": "list[string]", "choices": ["phone", "locale"], "default": []},
    }
)


class SignInRefusedError(RuleError):
    """Somebody does not get to Zendesk; ``status`` is the answer's."""

    def __init__(self, code: str, *, status: int = 403) -> None:
        super().__init__(code)
        self.code = code
        self.status = status


@dataclass(frozen=True)
class ZendeskDoor:
    """The two endpoints.

    Attributes
    ----------
    settings : see ``SETTINGS``.
    verifier : the check of the pool's ID tokens.
    read_secret : returns the secret of a name, or raises SecretError.
    clock : seconds since the epoch; only tests replace it.
    """

    settings: Mapping[str, Any]
    verifier: Verifier
    read_secret: Callable[[str], str]
    clock: Callable[[], float] = time.time

    @cached_property
    def host(self) -> str:
        """Zendesk's host of this subdomain."""
        return f"{self.settings['subdomain']}.zendesk.com"

    @cached_property
    def _hosts(self) -> list[str]:
        """Where people may be sent on to; a list of none arrives from the template as one ""."""
        return [self.host, *filter(None, self.settings["return_to_hosts"])]

    @cached_property
    def _token_endpoint(self) -> Endpoint:
        url = f"{self.settings['sign_in_url']}/oauth2/token"
        return Endpoint.parse(url, allowed_hosts=None, allow_private_network=True)

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Return the answer to a request; never raises, and signs nobody in unless all is well."""
        facts: dict[str, Any] = {}
        step = {SSO: self._begin, CALLBACK: self._finish}.get(str(event.get("rawPath")))
        if step is None:
            return answer(404, {"error": "not_found"})
        try:
            made = step(event, facts)
        except (SignInRefusedError, TokenRefusedError) as refusal:
            facts["code"] = refusal.code
            made = answer(refusal.status, {"error": refusal.code})
        except UpstreamError as error:
            facts["code"] = error.code
            made = answer(502, {"error": "try_again"})
        except (RuleError, LookupError, TypeError, ValueError) as error:
            log_fault(error)
            made = answer(500, {"error": "misconfigured"})
        logger().info("zendesk sign-in", status=made["statusCode"], **facts)
        return made

    def _begin(self, event: Mapping[str, Any], facts: dict[str, Any]) -> Answer:
        """Send the browser to the pool, which answers at once where somebody is signed in."""
        query = http_api.query(event)
        verifier = secrets.token_urlsafe(32)
        challenge = _challenge(verifier)
        state = {"challenge": challenge, "exp": int(self.clock()) + STATE_SECONDS}
        if return_to := self._return_to(query.get("return_to", "")):
            state["return_to"] = return_to
        if _BRAND.fullmatch(query.get("brand_id", "")):
            state["brand_id"] = facts["brand_id"] = query["brand_id"]
        wanted = {
            "response_type": "code",
            "client_id": self.settings["client_id"],
            "redirect_uri": self.settings["callback_url"],
            "scope": "openid email profile",
            "state": jwt.encode(state, self._state_key(), "HS256"),
            "nonce": challenge,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        where = f"{self.settings['sign_in_url']}/oauth2/authorize?{urlencode(wanted)}"
        cookie = f"{COOKIE}={verifier}; Max-Age={STATE_SECONDS}; {_COOKIE_KIND}"
        return answer(302, Location=where) | {"cookies": [cookie]}

    def _finish(self, event: Mapping[str, Any], facts: dict[str, Any]) -> Answer:
        """Redeem the code, and answer the form that carries the person to Zendesk."""
        query = http_api.query(event)
        state = self._state(query.get("state", ""))
        if "brand_id" in state:
            facts["brand_id"] = state["brand_id"]
        verifier = _cookie(event)
        # Another browser's state would sign this person in as somebody else.
        if not hmac.compare_digest(_challenge(verifier), str(state.get("challenge"))):
            raise SignInRefusedError("state_of_another_browser")
        code = query.get("code", "")
        if "error" in query or not _CODE.fullmatch(code):
            raise SignInRefusedError("sign_in_refused")
        claims = self.verifier.verify_id_token(
            self._redeem(code, verifier), nonce=state["challenge"]
        )
        facts["user_id"] = claims["sub"]
        token = self._token(claims)
        return self._form(token, str(state.get("return_to") or ""))

    def _redeem(self, code: str, verifier: str) -> str:
        form = {
            "grant_type": "authorization_code",
            "client_id": self.settings["client_id"],
            "code": code,
            "code_verifier": verifier,
            "redirect_uri": self.settings["callback_url"],
        }
        said = post(
            self._token_endpoint,
            urlencode(form).encode(),
            budget=API,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
        if said.status == 400:
            raise SignInRefusedError("code_refused")
        if not said.is_success:
            raise said.refusal()
        answered = said.json()
        token = answered.get("id_token") if isinstance(answered, dict) else None
        return token if isinstance(token, str) else ""

    def _token(self, claims: Mapping[str, Any]) -> str:
        """Return what tells Zendesk who this is."""
        email = claims.get("email")
        # By the address Zendesk finds an account that may be somebody else's.
        if not email or claims.get("email_verified") not in (True, "true"):
            raise SignInRefusedError("email_not_verified")
        external_id = claims.get(self.settings["external_id_claim"])
        if not isinstance(external_id, str) or not external_id:
            raise SignInRefusedError("external_id_missing")
        phone = claims.get("phone_number")
        is_proved = claims.get("phone_number_verified") in (True, "true")
        more = {"phone": phone if is_proved else None, "locale": claims.get("locale")}
        payload = {
            "iat": int(self.clock()),
            "jti": str(uuid.uuid4()),
            "email": email,
            "name": _name(claims) or email,
            "external_id": external_id,
            **{name: more[name] for name in self.settings["send"] if more[name]},
        }
        return jwt.encode(payload, self.read_secret("ZENDESK_SHARED_SECRET"), "HS256")

    def _form(self, token: str, return_to: str) -> Answer:
        action = f"https://{self.host}/access/jwt"
        fields = {"jwt": token} | ({"return_to": return_to} if return_to else {})
        inputs = "".join(
            f'<input type="hidden" name="{name}" value="{escape(value)}">'
            for name, value in fields.items()
        )
        page = (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Zendesk</title>'
            f'</head><body><form method="post" action="{action}">{inputs}'
            "<noscript><button>Continue to Zendesk</button></noscript></form>"
            f"<script>{_SUBMIT}</script></body></html>"
        )
        # Zendesk redirects to a brand's own host, where a browser looks at the policy again.
        hosts = " ".join(f"https://{host}" for host in self._hosts)
        policy = (
            f"default-src 'none'; script-src 'sha256-{_SUBMIT_DIGEST}'; "
            f"form-action {hosts}; frame-ancestors 'none'; base-uri 'none'"
        )
        made = answer(
            200,
            **{
                "Content-Type": "text/html; charset=utf-8",
                "Content-Security-Policy": policy,
                "Referrer-Policy": "no-referrer",
                "X-Content-Type-Options": "nosniff",
            },
        )
        return made | {"body": page, "cookies": [f"{COOKIE}=; Max-Age=0; {_COOKIE_KIND}"]}

    def _return_to(self, url: str) -> str:
        """Return where to go on at Zendesk, "" for a URL that leads elsewhere."""
        if len(url) > _MAX_RETURN_TO or not re.fullmatch(r"[!-\[\]-~]+", url):
            return ""
        try:
            parts = urlsplit(url)
            allowed = parts.scheme == "https" and parts.netloc in self._hosts
        except ValueError:
            return ""
        return url if allowed else ""

    def _state(self, text: str) -> dict[str, Any]:
        try:
            # The end is compared with this door's own clock, below.
            state = jwt.decode(
                text,
                self._state_key(),
                ["HS256"],
                options={"require": ["exp", "challenge"], "verify_exp": False},
            )
            is_over = int(state["exp"]) <= self.clock()
        except (jwt.PyJWTError, ValueError, TypeError):
            raise SignInRefusedError("state_invalid", status=400) from None
        if is_over:
            raise SignInRefusedError("state_expired", status=400)
        return dict(state)

    def _state_key(self) -> bytes:
        """Return the key of states, which says nothing about the secret that it is made from."""
        secret = self.read_secret("ZENDESK_SHARED_SECRET")
        return hmac.new(secret.encode(), b"cognito-rules state", hashlib.sha256).digest()


# This host alone, over https, unseen by scripts; Lax, since the pool sends the browser here.
_COOKIE_KIND = "Path=/; Secure; HttpOnly; SameSite=Lax"


def _challenge(verifier: str) -> str:
    digest = hashlib.sha256(verifier.encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _cookie(event: Mapping[str, Any]) -> str:
    value = http_api.cookies(event).get(COOKIE, "")
    if not _VERIFIER.fullmatch(value):
        raise SignInRefusedError("state_of_another_browser")
    return value


def _name(claims: Mapping[str, Any]) -> str:
    parts = (claims.get("given_name"), claims.get("family_name"))
    return str(claims.get("name") or " ".join(str(part) for part in parts if part))


def zendesk_door(
    settings: Mapping[str, Any],
    read_secret: Callable[[str], str],
    *,
    clock: Callable[[], float] = time.time,
) -> ZendeskDoor:
    """Return the door that ``settings`` (see ``SETTINGS``) describe; ConfigurationError if none."""
    given = SETTINGS.check(settings, {})
    Endpoint.parse(given["sign_in_url"], allowed_hosts=None, allow_private_network=True)
    verifier = pool_verifier(
        given["user_pool_id"],
        [given["client_id"]],
        url_suffix=given["url_suffix"],
        is_updated_issuer=given["issuer_type"] == "UPDATED",
    )
    return ZendeskDoor(given, verifier, read_secret, clock)


@cache
def _door() -> ZendeskDoor:
    try:
        settings = json.loads(os.environ["ZENDESK_SETTINGS"])
    except ValueError as error:
        raise ConfigurationError("ZENDESK_SETTINGS in template.yaml is no JSON") from error
    # Where the environment leads all of AWS elsewhere, to an emulator, the sign-in pages are there.
    settings["sign_in_url"] = os.environ.get("AWS_ENDPOINT_URL") or settings["sign_in_url"]
    return zendesk_door(settings, function_secrets().read)


def handler(event: Mapping[str, Any], context: Any) -> Answer:
    """Answer a request of the HTTP API."""
    return _door().handle(event)
