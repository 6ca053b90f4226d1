"""Logins that are recorded without a seal, and replayed."""

from __future__ import annotations

import contextlib
import json
from concurrent.futures import Future
from typing import Any

from cli.replaying import Replayed, replay
from cognito_rules.call import Call
from cognito_rules.chain import Chain
from cognito_rules.pipeline import LoginRefusedError
from cognito_rules.recordings import Recorder, recording_of
from tests.cognito_events import pre_token
from tests.unit.core.login_subject import Subject


class PlainRecordings(Recorder):
    """Keeps what would be sealed."""

    def __init__(self) -> None:
        self.kept: list[dict[str, Any]] = []

    def start(self, call: Call, chain: Chain) -> Future[None] | None:
        self.kept.append(json.loads(json.dumps(recording_of(call, chain))))
        return None


def record(subject: Subject, event: Any = None) -> dict[str, Any]:
    """Return the recording of a login through the chain as it is now."""
    assert isinstance(subject.recorder, PlainRecordings)
    with contextlib.suppress(LoginRefusedError):
        subject.handle(event or pre_token(groups=["staff"]))
    return subject.recorder.kept[-1]


def again(subject: Subject, recording: dict[str, Any]) -> Replayed:
    """Replay through the chain as it is now; nothing may be called for it."""
    before = len(subject.amazon.received)
    result = replay(recording, subject.chain, subject.rules)
    assert len(subject.amazon.received) == before
    return result
