"""The paths under ``/_local/`` that AWS does not have: settings, outages, the record of calls."""

import json
import os
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from local.aws import faults, journal, settings

Application = Callable[[dict[str, Any], Any, Any], Coroutine[Any, Any, None]]


def beside(application: Application) -> Application:
    """Return ``application`` with our own paths in front of it."""

    async def with_local_paths(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/_local/"):
            await application(scope, receive, send)
            return
        status, body = answer(scope["method"], scope["path"], await _body(receive))
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(body).encode()})

    return with_local_paths


def answer(method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
    """Answer one request: HTTP status and JSON body."""
    match method, path:
        case "GET", "/_local/health":
            return 200, {"process": os.getpid()}
        case "GET", "/_local/cognito":
            return 200, settings.change({})
        case "PUT", "/_local/cognito":
            return _changed(settings.change, body)
        case "GET", "/_local/faults":
            return 200, {**faults.current()}
        case "PUT", "/_local/faults":
            return _changed(faults.change, body)
        case "GET", "/_local/cognito/triggers":
            return 200, {"calls": journal.calls()}
        case "DELETE", "/_local/cognito/triggers":
            journal.clear()
            return 200, {}
    return 404, {"message": f"there is no {method} {path} here"}


def _changed(
    change: Callable[[dict[str, Any]], Mapping[str, Any]], body: bytes
) -> tuple[int, dict[str, Any]]:
    try:
        values = json.loads(body)
        if not isinstance(values, dict):
            raise ValueError("the body is a JSON object of settings")
        return 200, {**change(values)}
    except ValueError as error:
        return 400, {"message": str(error)}


async def _body(receive: Any) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)
