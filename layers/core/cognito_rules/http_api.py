"""Requests and answers of an HTTP API (payload format 2.0), as its doors read and make them.

Source: AWS, "Create AWS Lambda proxy integrations for HTTP APIs".
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

Answer = dict[str, Any]


def answer(status: int, body: Any = None, **headers: str) -> Answer:
    """Return an answer that nobody keeps; ``body`` is sent as JSON."""
    made: Answer = {"statusCode": status, "headers": {"Cache-Control": "no-store", **headers}}
    if body is not None:
        made["headers"]["Content-Type"] = "application/json"
        made["body"] = json.dumps(body)
    return made


def header(event: Mapping[str, Any], name: str) -> str:
    """Return a header, "" without one; HTTP APIs write names in lower case."""
    return str((event.get("headers") or {}).get(name.lower()) or "")


def cookies(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the cookies; an HTTP API takes them out of the headers, an emulator may not."""
    given = event.get("cookies") or header(event, "cookie").split(";")
    pairs = (str(cookie).strip().partition("=") for cookie in given)
    return {name: value for name, _, value in pairs}


def body(event: Mapping[str, Any], *, max_bytes: int) -> bytes:
    """Return the body of a request; raises ValueError when it is larger, or no base64."""
    text = event.get("body") or ""
    raw = base64.b64decode(text) if event.get("isBase64Encoded") else text.encode()
    if len(raw) > max_bytes:
        raise ValueError("the body is too large")
    return raw


def query(event: Mapping[str, Any]) -> dict[str, str]:
    """Return the parameters of the URL; one that is there more than once is left out."""
    return _once(str(event.get("rawQueryString") or ""))


def form(event: Mapping[str, Any], *, max_bytes: int) -> dict[str, str]:
    """Return the fields of a form, like ``query``; raises ValueError as ``body``."""
    return _once(body(event, max_bytes=max_bytes).decode())


def _once(text: str) -> dict[str, str]:
    pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=50)
    names = [name for name, _ in pairs]
    return {name: value for name, value in pairs if names.count(name) == 1}
