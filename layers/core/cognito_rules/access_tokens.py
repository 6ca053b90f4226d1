"""Access tokens that a service gives for a client's own credentials, kept until they end.

They live in the memory of one execution environment and nowhere else.

Source: RFC 6749, section 4.4 (client credentials grant); RFC 7523, section 2.1 (JWT bearer grant).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from cognito_rules.errors import UpstreamError
from cognito_rules.http import Answer, Budget, Endpoint, post

JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
# Of a token's lifetime, so that it does not end on its way.
_USED = 0.9

Credentials = Callable[[bool], Mapping[str, str]]
Form = Callable[[bool], Mapping[str, str]]

_kept: dict[str, tuple[AccessToken, float]] = {}


@dataclass(frozen=True, slots=True)
class AccessToken:
    """One token; ``facts`` is the whole answer, which may say more, such as where to use it."""

    text: str
    facts: Mapping[str, Any]


def client_credentials_token(
    endpoint: Endpoint,
    credentials: Credentials,
    *,
    budget: Budget,
    lifetime_seconds: float,
    renew: bool = False,
) -> AccessToken:
    """Return a token for a client's id and secret.

    Parameters
    ----------
    credentials : returns the form's ``client_id`` and ``client_secret``; called with True to read
        rotated ones again, once, when the service refuses those that are kept.

    The others, and what is raised, are those of ``access_token``.
    """

    def form(again: bool) -> Mapping[str, str]:
        return {"grant_type": "client_credentials", **credentials(again)}

    return access_token(
        endpoint, form, budget=budget, lifetime_seconds=lifetime_seconds, renew=renew
    )


def access_token(
    endpoint: Endpoint,
    form: Form,
    *,
    budget: Budget,
    lifetime_seconds: float,
    renew: bool = False,
    kept_as: str | None = None,
) -> AccessToken:
    """Return a token of the token endpoint, a kept one while it lasts.

    Parameters
    ----------
    form : returns the fields of the request, the grant among them; called with True to read rotated
        credentials again, once, when the service refuses those that are kept.
    lifetime_seconds : how long a token is kept whose answer has no ``expires_in``.
    renew : whether to get a new one in any case, for a service that just refused the kept one.
    kept_as : tells it from another account's token of the same endpoint, whose URL it is else.

    Raises
    ------
    UpstreamError : as ``post``; ``misconfigured`` for credentials that stay refused, and
        ``upstream_protocol`` for an answer without a token.
    SecretError : ``form`` cannot read a secret.
    """
    name = endpoint.url if kept_as is None else kept_as
    kept = kept_token(name, renew=renew)
    if kept is not None:
        return kept
    given = form(renew)
    answer = _ask(endpoint, given, budget)
    if not answer.is_success and not renew:
        newer = form(True)
        if newer != given:
            answer = _ask(endpoint, newer, budget)
    if not answer.is_success:
        # 400 invalid_client or 401: either way nothing but other credentials will help.
        message = f"gave no access token: answered {answer.status}"
        raise UpstreamError(answer.service, message, status=answer.status, code="misconfigured")
    facts = answer.json()
    text = facts.get("access_token") if isinstance(facts, dict) else None
    if not isinstance(text, str) or not text:
        raise UpstreamError(
            answer.service,
            "the answer holds no access token",
            status=answer.status,
            retryable=True,
            code="upstream_protocol",
        )
    seconds = facts.get("expires_in")
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        seconds = lifetime_seconds
    return keep_token(name, AccessToken(text, facts), seconds)


def kept_token(name: str, *, renew: bool = False) -> AccessToken | None:
    """Return the token that is kept under a name, while it lasts; ``renew`` forgets it."""
    kept = _kept.pop(name, None)
    if kept is None or renew or time.monotonic() >= kept[1]:
        return None
    _kept[name] = kept
    return kept[0]


def keep_token(name: str, token: AccessToken, seconds: float) -> AccessToken:
    """Keep a token that lives for ``seconds`` from now, most of that time, and return it."""
    _kept[name] = token, time.monotonic() + seconds * _USED
    return token


def _ask(endpoint: Endpoint, form: Mapping[str, str], budget: Budget) -> Answer:
    return post(
        endpoint,
        urlencode(form).encode(),
        budget=budget,
        headers={"Content-Type": "application/x-www-form-urlencoded"},
        repeatable=True,  # a token more does no harm
    )
