"""The one client for calls to services outside AWS: time limits, retries, redaction, error words.

A rule names its endpoint, the budget of its stage and how the call is authorized; all else is the
same for every rule. One log line tells of each attempt, without query, body or header values.

urllib3's ``Retry`` waits whatever the server asks for and knows no end of the whole call, so the
loop is here; reading ``Retry-After`` is left to it.
"""

from __future__ import annotations

import json
import os
import random
import re
import time
from base64 import b64encode
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cognito_rules.endpoint import Endpoint
from cognito_rules.errors import UpstreamError, UpstreamTimeoutError

if TYPE_CHECKING:
    from cognito_rules.client_certificate import ClientCertificate

__all__ = [
    "AFTER_LOGIN",
    "API",
    "IN_LOGIN",
    "Answer",
    "Budget",
    "Endpoint",
    "basic_credentials",
    "code_of",
    "encode",
    "post",
    "post_json",
    "send",
]

MAX_ANSWER_BYTES = 256 * 1024
MAX_WAIT = 300.0
MAX_RETRY_AFTER = 12 * 3600

_COME_BACK_LATER = frozenset({408, 425, 429, 500, 502, 503, 504})
_OURS_TO_REPAIR = frozenset({401, 402, 403})
# The last net under send lists: a key with such a name is left out of every JSON body.
_PRIVATE_KEY = re.compile(r"token|secret|password|assertion|cookie", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Budget:
    """How long a call may take, and how often it is tried; all times in seconds.

    Attributes
    ----------
    seconds : the whole call with its pauses.
    connect, read : the connection with its handshake, and each wait for data.
    tries : attempts at most.
    base, cap : a pause before attempt n+1 is random in 0 to min(cap, base * 2**n).
    least : an attempt after the first needs this much time, or is not made.
    connect_only : whether only an attempt that did not connect is followed by another.
    """

    seconds: float
    connect: float
    read: float
    tries: int
    base: float
    cap: float
    least: float
    connect_only: bool = False

    def within(self, seconds: float) -> Budget:
        """Return this budget cut down to ``seconds``, such as what a deadline leaves."""
        return replace(self, seconds=min(self.seconds, seconds))


IN_LOGIN = Budget(1.5, 0.5, 1.0, tries=2, base=0.2, cap=0.8, least=0.7, connect_only=True)
AFTER_LOGIN = Budget(8.0, 2.0, 6.0, tries=3, base=0.5, cap=8.0, least=1.0)
API = Budget(10.0, 2.0, 6.0, tries=2, base=0.5, cap=8.0, least=1.0)

Authorize = Callable[[bool], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service answered; ``headers`` ignore case, ``body`` is decompressed."""

    service: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_success(self) -> bool:
        """Whether the status is 2xx."""
        return 200 <= self.status < 300

    def json(self) -> Any:
        """Return the body as JSON; raises UpstreamError ``upstream_protocol`` when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            # Without the cause, which carries the body.
            raise UpstreamError(
                self.service,
                "the answer is no JSON",
                status=self.status,
                retryable=True,
                code="upstream_protocol",
            ) from None

    def fields(self) -> dict[str, Any]:
        """Return the body as a JSON object; empty when it is none, as of a refusal by a proxy."""
        try:
            found = self.json()
        except UpstreamError:
            return {}
        return found if isinstance(found, dict) else {}

    def refusal(self) -> UpstreamError:
        """Return the error that a status other than 2xx means.

        ``misconfigured`` for what an operator repairs (a credential, a plan, a redirect), else
        ``http_<status>``: the service will not have this request, however often it is sent.
        """
        ours = self.status in _OURS_TO_REPAIR or 300 <= self.status < 400
        return UpstreamError(
            self.service,
            f"answered {self.status}",
            status=self.status,
            code="misconfigured" if ours else f"http_{self.status}",
        )


Busy = Callable[[Answer], float | None]


def post_json(endpoint: Endpoint, value: Any, *, budget: Budget = IN_LOGIN, **options: Any) -> Any:
    """Send ``value`` as JSON and return the JSON of a 2xx answer; options as for ``post``.

    Keys that name a token, secret, password, assertion or cookie are left out at every depth.

    Raises
    ------
    UpstreamError : as ``post``, and for every status but 2xx and for a body that is no JSON.
    """
    answer = post(endpoint, encode(value), budget=budget, **options)
    if not answer.is_success:
        raise answer.refusal()
    return answer.json()


def basic_credentials(user: str, password: str) -> dict[str, str]:
    """Return the header of HTTP's Basic scheme (RFC 7617), with both texts as UTF-8."""
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def encode(value: Any) -> bytes:
    """Return ``value`` as compact JSON without the keys that must not leave."""
    return json.dumps(_without_private_keys(value), separators=(",", ":")).encode()


def code_of(word: str) -> str:
    """Return a service's own word as a code: ``validation_error`` of ``VALIDATION-ERROR``."""
    return re.sub(r"[^a-z0-9]+", "_", word.lower()).strip("_")[:50]


def _without_private_keys(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {
            key: _without_private_keys(item)
            for key, item in value.items()
            if not _PRIVATE_KEY.search(str(key))
        }
    if isinstance(value, (list, tuple)):
        return [_without_private_keys(item) for item in value]
    return value


def post(endpoint: Endpoint, body: bytes, **options: Any) -> Answer:
    """Send ``body`` by POST; options and errors as for ``send``."""
    return send("POST", endpoint, body, **options)


def send(
    method: str,
    endpoint: Endpoint,
    body: bytes,
    *,
    budget: Budget = IN_LOGIN,
    headers: Mapping[str, str] | None = None,
    authorize: Authorize | None = None,
    refresh_on: Collection[int] = (401,),
    repeatable: bool = False,
    ca_bundle: str | None = None,
    client_certificate: ClientCertificate | None = None,
    max_bytes: int = MAX_ANSWER_BYTES,
    about: Mapping[str, str | None] | None = None,
    busy: Busy | None = None,
) -> Answer:
    """Send ``body`` and return the answer, unless the service says to come back later.

    Parameters
    ----------
    headers : headers over ``Content-Type: application/json``.
    authorize : returns the headers with the credential; called with True to read a rotated secret
        again, once, after an answer whose status is in ``refresh_on``.
    repeatable : whether the same request may be sent again although it may have been received:
        the service drops duplicates, or the rule accepts them.
    client_certificate : shown to a service that asks for one (mutual TLS).
    about : facts for the log line, such as ``login_id``; no personal data.
    busy : says of an answer how many seconds the service asks to wait, in words of its own (a body,
        another header); None when it does not. An answer of any status that asks so is tried again.
        ``Retry-After`` counts before it.

    Raises
    ------
    UpstreamTimeoutError : it is unknown whether the request was received; retryable when it is
        ``repeatable``.
    UpstreamError : no connection, or 408, 425, 429, 5xx (retryable, with ``retry_after`` in seconds
        where the service asks for it); a redirect or an endpoint that is ``misconfigured``.
    SecretError : ``authorize`` cannot read its secret.
    """
    ends = time.monotonic() + budget.seconds
    credential = authorize(False) if authorize else {}
    refreshed = False
    attempt = 1
    while True:
        sent = {"Content-Type": "application/json", **(headers or {}), **credential}
        outcome = _attempt(
            _Call(method, endpoint, body, sent, ca_bundle, client_certificate, max_bytes, busy),
            budget,
            ends,
            attempt,
            about or {},
        )
        if isinstance(outcome, Answer):
            if authorize is None or refreshed or outcome.status not in refresh_on:
                return outcome
            newer, refreshed = authorize(True), True
            if newer == credential:
                return outcome
            credential = newer
            _log("auth_refreshed", endpoint, about or {})
            continue
        if isinstance(outcome, UpstreamTimeoutError):
            outcome.retryable = repeatable
        pause = _pause(outcome, budget, attempt)
        if not _may_repeat(outcome, budget, attempt, left=ends - time.monotonic() - pause):
            raise outcome
        time.sleep(pause)
        attempt += 1


@dataclass(frozen=True, slots=True)
class _Call:
    method: str
    endpoint: Endpoint
    body: bytes
    headers: Mapping[str, str]
    ca_bundle: str | None
    client_certificate: ClientCertificate | None
    max_bytes: int
    busy: Busy | None


def _attempt(
    call: _Call, budget: Budget, ends: float, attempt: int, about: Mapping[str, str | None]
) -> Answer | UpstreamError:
    service = call.endpoint.host
    started = time.monotonic()
    left = ends - started
    if left <= 0:
        return UpstreamError(service, "no time was left for the call", retryable=True)
    from cognito_rules.transport import exchange

    outcome: Answer | UpstreamError
    try:
        status, headers, body = exchange(
            call.method,
            call.endpoint,
            call.body,
            call.headers,
            connect=min(budget.connect, left),
            read=min(budget.read, left),
            ends=ends,
            ca_bundle=call.ca_bundle,
            client_certificate=call.client_certificate,
            max_bytes=call.max_bytes,
        )
        outcome = _judge(Answer(service, status, headers, body), call.busy)
    except UpstreamError as error:
        outcome = error
    duration_ms = round((time.monotonic() - started) * 1000, 1)
    facts: dict[str, Any] = {"attempt": attempt, "duration_ms": duration_ms}
    if isinstance(outcome, Answer):
        facts |= {"status": outcome.status, "bytes_in": len(outcome.body)}
    else:
        facts |= {"status": outcome.status, "code": outcome.code}
    _log("upstream call", call.endpoint, about, **facts)
    return outcome


def _judge(answer: Answer, busy: Busy | None) -> Answer | UpstreamError:
    """Return the error of an answer that no rule can use, else the answer."""
    asked = busy(answer) if busy else None
    if answer.status in _COME_BACK_LATER or asked is not None:
        in_header = _retry_after(answer.headers.get("Retry-After"))
        return UpstreamError(
            answer.service,
            f"answered {answer.status}",
            status=answer.status,
            retryable=True,
            retry_after=asked if in_header is None else in_header,
            code="upstream_unavailable",
        )
    return answer.refusal() if 300 <= answer.status < 400 else answer


def _retry_after(text: str | None) -> float | None:
    """Return the seconds that a Retry-After header asks for; None when it is unreadable."""
    if text is None:
        return None
    from urllib3.exceptions import InvalidHeader
    from urllib3.util import Retry

    try:
        return float(Retry(retry_after_max=MAX_RETRY_AFTER).parse_retry_after(text))
    except (InvalidHeader, ValueError, OverflowError):
        return None


def _pause(error: UpstreamError, budget: Budget, attempt: int) -> float:
    if error.retry_after is not None:
        return error.retry_after * random.uniform(1.0, 1.1)
    return random.uniform(0.0, min(budget.cap, budget.base * 2 ** (attempt - 1)))


def _may_repeat(error: UpstreamError, budget: Budget, attempt: int, *, left: float) -> bool:
    if not error.retryable or attempt >= budget.tries or left < budget.least:
        return False
    if (error.retry_after or 0) > MAX_WAIT:
        return False
    connected = error.status is not None or isinstance(error, UpstreamTimeoutError)
    return not (budget.connect_only and connected)


def _log(message: str, endpoint: Endpoint, about: Mapping[str, Any], **facts: Any) -> None:
    from cognito_rules.logs import logger

    function = os.environ.get("AWS_LAMBDA_FUNCTION_NAME")
    facts = {"upstream": endpoint.host, "function": function, **about, **facts}
    write = logger().warning if "code" in facts else logger().info
    write(message, **facts)
