"""What every message of protocol version 1 has in common: its version, a request, a fault."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from cognito_rules.fields import Facts, Read, project

VERSION = 1


def request_of(
    facts: Facts, reads: Iterable[Read], configuration: Mapping[str, Any], *, now: str
) -> dict[str, Any]:
    """Return the request of a rule: what it reads of ``facts``, its settings, and the time."""
    login, unknown = project(facts, reads)
    login |= {"now": now, "unknown": unknown}
    return {"version": VERSION, "login": login, "configuration": configuration}


def fault_response(
    code: str, message: str, *, retryable: bool = False, retry_after: float | None = None
) -> dict[str, Any]:
    """Return a response that holds a fault; ``retry_after`` is in seconds."""
    fault: dict[str, Any] = {"code": code, "message": message, "retryable": retryable}
    if retryable and retry_after is not None:
        fault["retry_after"] = retry_after
    return {"version": VERSION, "fault": fault}
