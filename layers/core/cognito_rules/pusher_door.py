"""The endpoint that lets a signed-in person subscribe to private and presence channels of Pusher.

Behind an HTTP API (payload format 2.0), at ``POST /pusher/auth``: the page sends its access token
and the form fields ``socket_id`` and ``channel_name``. Pusher itself is not called. Imports PyJWT,
so its function has the net layer.

Source: Auth0 rules, "pusher"; Pusher docs, "Authorizing users", "Auth signatures", "Channels"
(names), "Encrypted channels".
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import os
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cognito_rules import http_api
from cognito_rules.access_token import (
    POOL_SETTINGS,
    TokenRefusedError,
    Verifier,
    bearer_token,
    pool_verifier,
)
from cognito_rules.configuration import Settings
from cognito_rules.errors import ConfigurationError, RuleError, StoreError
from cognito_rules.http_api import Answer, answer
from cognito_rules.logs import log_fault, logger
from cognito_rules.secrets import CURRENT, PREVIOUS, function_secrets
from cognito_rules.token_denylist import TokenDenylist

MAX_BODY_BYTES = 2 * 1024
_TABLE_SECONDS = 2.0
# A colon in either would let the caller shape what is signed.
_SOCKET_ID = re.compile(r"[0-9]{1,20}\.[0-9]{1,20}")
_CHANNEL = re.compile(r"[-a-zA-Z0-9_=@,.;]{1,164}")
_PATTERN = re.compile(
    r"(private|presence)-(?:[-a-zA-Z0-9_=@,.;]|\{sub\}|\{group\})*(?:\{sub\}|\{group\}|[^{}*:\s]|\*)"
)
_CLOSED = ("private-", "presence-")
_ENCRYPTED = "private-encrypted-"
_KEY_BYTES = 32

SETTINGS = Settings.parse(
    {
        **POOL_SETTINGS,
        "allowed_clients": {"type": "list[string]", "required": True, "min_items": 1},
        "token_id_claim": {"type": "string", "default": ""},
        "channels": {"type": "list[string]", "required": True},
        "presence_fields": {
            "type": "list[string]",
            "choices": ["user_id", "username", "groups"],
            "default": ["user_id"],
        },
        "key_version": {
            "type": "string",
            "choices": ["current", "previous"],
            "default": "current",
        },
    }
)

ReadSecret = Callable[[str], str]


@dataclass(frozen=True)
class Channels:
    """Who may join which channel.

    Each of ``rules`` is a pattern, with ``:`` and a group behind it for its members only. In a
    pattern ``{sub}`` stands for the person's own id, ``{group}`` for each of their groups, and
    ``*`` at the end for anything.

    Raises
    ------
    ConfigurationError : a pattern names no closed channel, or a ``*`` is for everybody.
    """

    rules: Collection[str]

    def __post_init__(self) -> None:
        for rule in self.rules:
            pattern, colon, group = rule.partition(":")
            if colon and not group:
                raise ConfigurationError(f"channels: {rule!r} names no group behind its colon")
            if not _PATTERN.fullmatch(pattern):
                raise ConfigurationError(
                    f"channels: {pattern!r} must begin with private- or presence-, and may hold "
                    "{sub}, {group} and one * at its end"
                )
            if pattern.endswith("*") and not group:
                raise ConfigurationError(f"channels: {pattern!r} needs a group: {pattern}:staff")

    def allow(self, channel: str, sub: str, groups: Collection[str]) -> bool:
        """Say whether a rule lets this person join ``channel``; without one, nobody joins."""
        return any(
            channel.startswith(name[:-1]) if name.endswith("*") else channel == name
            for name in self._names(sub, groups)
        )

    def _names(self, sub: str, groups: Collection[str]) -> Iterator[str]:
        """Yield what the patterns are for this person, a ``*`` at the end where a rule has it."""
        for rule in self.rules:
            pattern, _, needed = rule.partition(":")
            if needed and needed not in groups:
                continue
            own = pattern.replace("{sub}", sub)
            members = [own.replace("{group}", group) for group in groups]
            # A group's name may hold any sign: only the pattern's own * is one.
            for name in members if "{group}" in own else [own]:
                if pattern.endswith("*") or "*" not in name:
                    yield name


@dataclass(frozen=True)
class PusherDoor:
    """The endpoint.

    Attributes
    ----------
    read_secret : returns the secret of a name, or raises SecretError.
    presence_fields : what the members of a presence channel see of each other.
    denylist : where cancelled tokens are listed, where that is in use.
    token_id_claim : the claim that set_access_token_id writes; empty when it is not used.
    """

    verifier: Verifier
    channels: Channels
    read_secret: ReadSecret
    presence_fields: Collection[str] = ("user_id",)
    denylist: TokenDenylist | None = None
    token_id_claim: str = ""

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Return the answer to a request; never raises, and signs only when all is well."""
        facts: dict[str, Any] = {}
        try:
            made = self._authorize(event, facts)
        except TokenRefusedError as refusal:
            facts |= {"code": refusal.code, **refusal.facts}
            challenge = {"WWW-Authenticate": "Bearer"} if refusal.status == 401 else {}
            made = answer(refusal.status, {"error": "unauthorized"}, **challenge)
        except StoreError as error:
            logger().error("denylist unavailable", reason=str(error))
            made = answer(503, {"error": "try_again"})
        except (RuleError, LookupError, TypeError, ValueError) as error:
            log_fault(error)
            made = answer(500, {"error": "misconfigured"})
        logger().info("pusher channel", status=made["statusCode"], **facts)
        return made

    def _authorize(self, event: Mapping[str, Any], facts: dict[str, Any]) -> Answer:
        token = bearer_token(http_api.header(event, "authorization"))
        claims = self.verifier.verify(token)
        facts["user_id"] = claims["sub"]
        if self.denylist is not None:
            token_id = claims.get(self.token_id_claim)
            kind = self.denylist.denies(claims, token_id=token_id, timeout=_TABLE_SECONDS)
            if kind is not None:
                raise TokenRefusedError("token_denied", status=403, by=kind)
        socket_id, channel = _wanted(event)
        if not socket_id or not channel:
            return answer(400, {"error": "invalid_request"})
        groups = [group for group in claims.get("cognito:groups") or [] if isinstance(group, str)]
        if not self.channels.allow(channel, claims["sub"], groups):
            facts["code"] = "channel_not_allowed"
            return answer(403, {"error": "channel_not_allowed"})
        return answer(200, self._signed(socket_id, channel, claims, groups))

    def _signed(
        self, socket_id: str, channel: str, claims: Mapping[str, Any], groups: list[str]
    ) -> dict[str, str]:
        signed, told = f"{socket_id}:{channel}", {}
        if channel.startswith("presence-"):
            told["channel_data"] = self._member(claims, groups)
            signed += f":{told['channel_data']}"
        if channel.startswith(_ENCRYPTED):
            told["shared_secret"] = self._shared_secret(channel)
        secret = self.read_secret("PUSHER_SECRET").encode()
        signature = hmac.new(secret, signed.encode(), hashlib.sha256).hexdigest()
        return {"auth": f"{self.read_secret('PUSHER_KEY')}:{signature}", **told}

    def _member(self, claims: Mapping[str, Any], groups: list[str]) -> str:
        known = {"username": claims.get("username"), "groups": groups}
        shown = {name: known[name] for name in known if name in self.presence_fields}
        return json.dumps({"user_id": claims["sub"]} | ({"user_info": shown} if shown else {}))

    def _shared_secret(self, channel: str) -> str:
        """Return the key of one encrypted channel, which the master key is hashed into."""
        try:
            text = self.read_secret("PUSHER_ENCRYPTION_MASTER_KEY")
            master = base64.b64decode(text, validate=True)
        except binascii.Error:
            master = b""
        if len(master) != _KEY_BYTES:
            raise ConfigurationError("PUSHER_ENCRYPTION_MASTER_KEY must be 32 bytes in base64")
        return base64.b64encode(hashlib.sha256(channel.encode() + master).digest()).decode()


def _wanted(event: Mapping[str, Any]) -> tuple[str, str]:
    """Return socket id and channel of a request; "" for what is none."""
    try:
        fields = http_api.form(event, max_bytes=MAX_BODY_BYTES)
    except ValueError:
        return "", ""
    socket_id, channel = fields.get("socket_id", ""), fields.get("channel_name", "")
    is_channel = _CHANNEL.fullmatch(channel) and channel.startswith(_CLOSED)
    return (
        socket_id if _SOCKET_ID.fullmatch(socket_id) else "",
        channel if is_channel else "",
    )


def pusher_door(
    settings: Mapping[str, Any], read_secret: ReadSecret, denylist: TokenDenylist | None = None
) -> PusherDoor:
    """Return the door that ``settings`` (see ``SETTINGS``) describe; ConfigurationError if none."""
    given = SETTINGS.check(settings, {})
    verifier = pool_verifier(
        given["user_pool_id"],
        given["allowed_clients"],
        url_suffix=given["url_suffix"],
        is_updated_issuer=given["issuer_type"] == "UPDATED",
    )
    channels = Channels(given["channels"])
    return PusherDoor(
        verifier,
        channels,
        read_secret,
        given["presence_fields"],
        denylist,
        given["token_id_claim"],
    )


@cache
def _door() -> PusherDoor:
    try:
        settings = json.loads(os.environ["PUSHER_SETTINGS"])
    except ValueError as error:
        raise ConfigurationError("PUSHER_SETTINGS in template.yaml is no JSON") from error
    settings["allowed_clients"] = [c for c in os.environ["ALLOWED_CLIENTS"].split(",") if c]
    table, denylist = os.environ.get("DENYLIST_TABLE"), None
    if table:
        from cognito_rules.aws import Aws

        denylist = TokenDenylist(Aws(), table)
    version = PREVIOUS if settings.get("key_version") == "previous" else CURRENT
    return pusher_door(settings, function_secrets(version).read, denylist)


def handler(event: Mapping[str, Any], context: Any) -> Answer:
    """Answer a request of the HTTP API."""
    return _door().handle(event)
