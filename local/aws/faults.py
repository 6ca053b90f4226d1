"""Outages of AWS services: what functions are answered while a test has one of them down.

A fault has the name by which requests of a service are signed (``dynamodb``, ``appconfig``,
``secretsmanager``, ``events``, ``sqs``, ``lambda``), or that of functions, with ``*`` for what
differs: ``lambda:cognito-rules-rule-*``. It meets the calls that functions make, and those that
Cognito makes of functions. The account's root key is spared: with it a test looks at what happened.

The errors: https://docs.aws.amazon.com/general/latest/gr/api-retries.html and the common errors of
each service's API reference.
"""

import asyncio
import json
import re
from collections.abc import Callable, Coroutine
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args
from urllib.parse import unquote

Mode = Literal["unavailable", "slow", "throttled", "denied"]
Application = Callable[[dict[str, Any], Any, Any], Coroutine[Any, Any, None]]

SERVICES = ("appconfig", "dynamodb", "events", "lambda", "secretsmanager", "sqs")
# Longer than anything on the login path waits for one call.
SLOW_SECONDS = 4.0

# Mode -> status and error code where the service says nothing else.
_ANSWERS: dict[str, tuple[int, str]] = {
    "unavailable": (503, "ServiceUnavailable"),
    "throttled": (400, "ThrottlingException"),
    "denied": (400, "AccessDeniedException"),
}
_OWN_ANSWERS: dict[tuple[str, str], tuple[int, str]] = {
    ("appconfig", "throttled"): (429, "ThrottlingException"),
    ("appconfig", "denied"): (403, "AccessDeniedException"),
    ("dynamodb", "unavailable"): (500, "InternalServerError"),
    ("lambda", "unavailable"): (503, "ServiceException"),
    ("lambda", "throttled"): (429, "TooManyRequestsException"),
    ("lambda", "denied"): (403, "AccessDeniedException"),
}
_SIGNED_FOR = re.compile(r"Credential=[^/\s]+/\d{8}/[^/\s]+/([a-z0-9-]+)/aws4_request")
_INVOKE = re.compile(r"/2015-03-31/functions/([^/]+)/invocations")
_FUNCTION_ARN = re.compile(r"arn:[^:]+:lambda:[^:]*:[^:]*:function:([^:]+)")

_current: dict[str, Mode] = {}


def current() -> dict[str, Mode]:
    """Return the faults that are on: name -> mode."""
    return dict(_current)


def change(faults: dict[str, Any]) -> dict[str, Mode]:
    """Let exactly these faults be on, all or none of them, and return them.

    Raises ValueError for a service that no fault is made for, or an unknown mode.
    """
    for name, mode in faults.items():
        service, colon, function = name.partition(":")
        if service not in SERVICES or (colon and (service != "lambda" or not function)):
            raise ValueError(
                f"no fault {name!r}: there are {', '.join(SERVICES)}, lambda:<function>"
            )
        if mode not in get_args(Mode):
            raise ValueError(f"{name} is one of {', '.join(get_args(Mode))}, not {mode!r}")
    _current.clear()
    _current.update(faults)
    return current()


def mode_of(service: str, function: str | None = None) -> Mode | None:
    """Return how a call of ``service`` fails now, or None; ``function`` is the one it invokes."""
    for name, mode in _current.items():
        faulty, _, pattern = name.partition(":")
        if faulty == service and (not pattern or fnmatchcase(function or "", pattern)):
            return mode
    return None


def before(application: Application) -> Application:
    """Return ``application`` with the faults in front of it."""

    async def with_faults(scope: dict[str, Any], receive: Any, send: Any) -> None:
        service = _service_of(scope) if _current and scope["type"] == "http" else None
        mode = mode_of(service, _function_of(scope["path"])) if service else None
        if service is None or mode is None:
            await application(scope, receive, send)
        elif mode == "slow":
            await asyncio.sleep(SLOW_SECONDS)
            await application(scope, receive, send)
        else:
            await _refuse(send, *_OWN_ANSWERS.get((service, mode), _ANSWERS[mode]))

    return with_faults


def _service_of(scope: dict[str, Any]) -> str | None:
    """Return what a role's request is signed for; None for the root key, which has no session."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    if b"x-amz-security-token" not in headers:
        return None
    signed = _SIGNED_FOR.search(headers.get(b"authorization", b"").decode("latin-1"))
    return signed[1] if signed else None


def _function_of(path: str) -> str | None:
    invoked = _INVOKE.fullmatch(path)
    if invoked is None:
        return None
    named = unquote(invoked[1])
    arn = _FUNCTION_ARN.match(named)
    return arn[1] if arn else named.partition(":")[0]


async def _refuse(send: Any, status: int, code: str) -> None:
    body = {"__type": code, "Type": code, "message": "A test has this service down."}
    headers = [
        (b"content-type", b"application/x-amz-json-1.1"),
        (b"x-amzn-errortype", code.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": json.dumps(body).encode()})
