"""What is known of the request behind a login, from sources that the person cannot write.

Cognito tells triggers no address. A backend that signs people in can vouch for one: it adds
``ip``, ``ts`` and ``sig`` to the client metadata of RespondToAuthChallenge. Everything else in that
metadata is the caller's word, and never becomes ``request.ip``.

The signature is HMAC-SHA256, in hex, over ``client_id|username|ip|ts`` or, where a user agent is
sent, ``client_id|username|ip|ts|SHA256(user_agent) in hex``. Client ids, addresses and times hold
no ``|``, so each text can be read in one way only. ``username`` is what Cognito calls the person
(USER_ID_FOR_SRP of a challenge), not what they typed.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cognito_rules.addresses import parse_address
from cognito_rules.errors import SecretError
from cognito_rules.fields import Facts
from cognito_rules.geoip import GeoDatabase

MAX_AGE_SECONDS = 120
MAX_AHEAD_SECONDS = 5
MAX_USER_AGENT = 512


class ContextRefusedError(Exception):
    """The metadata carry a signature that vouches for nothing; ``code`` says why."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def sign_context(
    key: str, *, client_id: str, username: str, ip: str, at: float, user_agent: str | None = None
) -> dict[str, str]:
    """Return the client metadata with which a backend vouches for a person's address.

    Parameters
    ----------
    key : the secret ``<stack>/request_context_key``.
    username : the person's name in Cognito, USER_ID_FOR_SRP of the challenge.
    at : seconds since the epoch; they are good for 120 seconds.
    """
    signed = {"ip": ip, "ts": str(int(at))}
    if user_agent is not None:
        signed["user_agent"] = user_agent
    text = _text(client_id, username, ip, signed["ts"], user_agent)
    return signed | {"sig": _signature(key, text)}


def _text(client_id: str, username: str, ip: str, ts: str, user_agent: str | None) -> str:
    parts = [client_id, username, ip, ts]
    if user_agent is not None:
        parts.append(hashlib.sha256(user_agent.encode()).hexdigest())
    return "|".join(parts)


def _signature(key: str, text: str) -> str:
    return hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest()


def verified_context(
    metadata: Mapping[str, Any], key: Callable[[], str], *, client_id: str, username: str, at: float
) -> Facts:
    """Return ``ip``, and ``user_agent`` where one is signed; ``{}`` where nothing is.

    Raises
    ------
    ContextRefusedError : ``malformed``, ``bad_signature`` or ``stale``.
    SecretError : the key cannot be read.
    """
    if "sig" not in metadata:
        return {}
    # Cognito passes texts on and nothing else.
    ip, ts, sig = (str(metadata.get(name)) for name in ("ip", "ts", "sig"))
    agent = None if metadata.get("user_agent") is None else str(metadata["user_agent"])
    address = parse_address(ip)
    if address is None or not re.fullmatch(r"[0-9]{1,12}", ts):
        raise ContextRefusedError("malformed")
    signed = _signature(key(), _text(client_id, username, ip, ts, agent))
    if not hmac.compare_digest(signed.encode(), sig.lower().encode()):
        raise ContextRefusedError("bad_signature")
    if not -MAX_AHEAD_SECONDS <= at - int(ts) <= MAX_AGE_SECONDS:
        raise ContextRefusedError("stale")
    known: Facts = {"ip": str(address)}
    return known if agent is None else known | {"user_agent": agent[:MAX_USER_AGENT]}


@dataclass(frozen=True)
class RequestContext:
    """What one execution environment knows requests by.

    key : returns the key of signed metadata, and raises SecretError.
    places : where addresses are; None without a database.
    """

    key: Callable[[], str]
    places: GeoDatabase | None = None

    def learn(
        self,
        facts: Facts,
        *,
        client_id: str,
        username: str,
        at: float,
        needs_place: Callable[[], bool],
    ) -> str | None:
        """Add to ``facts`` what is known of the request; return the code of what was refused."""
        request = facts.get("request", {})
        try:
            known = verified_context(
                request.get("client_metadata", {}),
                self.key,
                client_id=client_id,
                username=username,
                at=at,
            )
        except ContextRefusedError as error:
            return error.code
        except SecretError:
            return "key_unavailable"
        if not known:
            return None
        if self.places is not None and needs_place():
            place = self.places.of(known["ip"])
            known |= {} if place is None else {"geoip": place}
        facts["request"] = request | known
        return None
