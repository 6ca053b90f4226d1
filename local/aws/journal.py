"""The record of every Lambda trigger call since the start, for tests: no token and no event."""

import threading
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Call:
    """One delivery of one event to one trigger function.

    trigger : Cognito's name of the trigger, e.g. ``PostAuthentication``.
    source : ``triggerSource`` of the event.
    delivery : 1 for the first, more where the same event was delivered again.
    outcome : ``ok``, or the error code that the caller saw because of this call.
    dropped : claims and settings in the answer that AWS does not allow and we left out.
    """

    trigger: str
    source: str
    pool: str
    client: str
    user: str
    delivery: int
    outcome: str = "running"
    dropped: list[str] = field(default_factory=list)


_calls: list[Call] = []
_lock = threading.Lock()


def begin(call: Call) -> Call:
    """Add ``call``; its ``outcome`` and ``dropped`` are filled in later."""
    with _lock:
        _calls.append(call)
    return call


def calls() -> list[dict[str, Any]]:
    """Return the calls, oldest first."""
    with _lock:
        return [asdict(call) for call in _calls]


def clear() -> None:
    """Forget every call."""
    with _lock:
        _calls.clear()
