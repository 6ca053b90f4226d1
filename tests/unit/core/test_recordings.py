"""What leaves the login function when it records: one sealed item, and nothing to read in it."""

from __future__ import annotations

import base64
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from cognito_rules.aws import Aws
from cognito_rules.call import Call
from cognito_rules.chain import Chain
from cognito_rules.dynamodb_json import from_item
from cognito_rules.pipeline import LoginRefusedError
from cognito_rules.recordings import Recorder, unseal
from tests.cognito_events import SUB, post_authentication, pre_token
from tests.loopback import Reply, Server, reply
from tests.made_up_chain import GUARD, NOW, refuse
from tests.unit.core.login_subject import Subject

KEY = bytes(range(32))
MADE = reply(200, {"Plaintext": base64.b64encode(KEY).decode(), "CiphertextBlob": "c2VhbGVk"})


class Calls(Recorder):
    """Keeps the calls that a recorder would be given."""

    def __init__(self) -> None:
        self.kept: list[Call] = []

    def start(self, call: Call, chain: Chain) -> Future[None] | None:
        self.kept.append(call)
        return None


def a_recorder(
    aws: Aws, threads: ThreadPoolExecutor, now: Callable[[], float] = time.monotonic
) -> Recorder:
    return Recorder(
        aws, threads, sessions="sessions", key_id="key/1", stack="stack", days=7, now=now
    )


@pytest.fixture
def recorder(aws: Aws) -> Iterator[Recorder]:
    with ThreadPoolExecutor(2) as threads:
        yield a_recorder(aws, threads)


def call_of(subject: Subject, event: Any) -> Call:
    """Return a decided call; what AWS hears from now on is the recording."""
    calls = Calls()
    subject.recorder = calls
    with contextlib.suppress(LoginRefusedError):
        subject.handle(event)
    subject.amazon.received.clear()
    return calls.kept[-1]


def record(recorder: Recorder, subject: Subject, call: Call) -> None:
    recording = recorder.start(call, subject.chain)
    assert recording is not None
    recorder.finish(call, recording)


def item_of(amazon: Server) -> dict[str, Any]:
    """Return the item of the last write."""
    return from_item(amazon.received[-1].json()["Item"])


def test_a_recording_is_sealed_under_a_key_of_kms(
    recorder: Recorder, subject: Subject, amazon: Server
) -> None:
    subject.rule("guard", reads=["user.email"], **GUARD)
    call = call_of(subject, pre_token())
    amazon.replies = [MADE, Reply()]

    record(recorder, subject, call)

    asked, written = amazon.received
    assert asked.headers["x-amz-target"] == "TrentService.GenerateDataKey"
    assert asked.json() == {
        "KeyId": "key/1",
        "KeySpec": "AES_256",
        "EncryptionContext": {"stack": "stack"},
    }
    item = item_of(amazon)
    assert item["pk"] == f"recording#{call.event_id}"
    assert item["recorded_on"].startswith("2026-11-")
    assert (item["recorded_at"], item["data_key"]) == (NOW, "c2VhbGVk")
    assert item["expires_at"] == int(NOW) + 7 * 24 * 3600
    recording = json.loads(unseal(item["sealed"], item["pk"], KEY))
    assert recording["facts"]["user"]["email"] == "jane@example.com"
    for readable in (b"jane", SUB.encode(), b"guard"):
        assert readable not in written.body
    assert "recording" not in call.record


def test_a_data_key_is_good_for_more_than_one_login(
    recorder: Recorder, subject: Subject, amazon: Server
) -> None:
    calls = [call_of(subject, pre_token()) for _ in range(2)]
    amazon.replies = [MADE, Reply()]

    for call in calls:
        record(recorder, subject, call)

    targets = [request.headers["x-amz-target"].partition(".")[2] for request in amazon.received]
    assert targets == ["GenerateDataKey", "PutItem", "PutItem"]


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        pytest.param([Reply(400)], "KMS answered 400", id="no key"),
        pytest.param([MADE, reply(400, {"__type": "x#Denied"})], "PutItem: Denied", id="no write"),
        pytest.param([Reply(delay=1.0)], "UpstreamTimeoutError", id="too slow"),
    ],
)
def test_what_goes_wrong_is_said_by_the_trace_and_by_nothing_else(
    recorder: Recorder, subject: Subject, amazon: Server, replies: list[Reply], said: str
) -> None:
    call = call_of(subject, pre_token())
    amazon.replies = replies

    record(recorder, subject, call)

    assert call.record["recording"] in (said, "late")


def test_while_kms_is_away_not_every_login_waits_for_it(
    aws: Aws, subject: Subject, amazon: Server
) -> None:
    moments = iter([0.0, 9.0, 10.0])
    calls = [call_of(subject, pre_token()) for _ in range(3)]
    amazon.replies = [Reply(500), MADE, Reply()]

    with ThreadPoolExecutor(2) as threads:
        recorder = a_recorder(aws, threads, lambda: next(moments))
        for call in calls:
            record(recorder, subject, call)

    targets = [request.headers["x-amz-target"].partition(".")[2] for request in amazon.received]
    assert targets == ["GenerateDataKey", "GenerateDataKey", "PutItem"]
    assert [call.record.get("recording") for call in calls] == [
        "KMS answered 500",
        "KMS gave no key a moment ago",
        None,
    ]


def test_of_what_is_too_large_only_the_ids_are_recorded(
    recorder: Recorder, subject: Subject, amazon: Server
) -> None:
    subject.rule("guard", reads=["request.client_metadata"], **GUARD)
    call = call_of(subject, pre_token(metadata={"much": "jane@example.com" * 10_000}))
    amazon.replies = [MADE, Reply()]

    record(recorder, subject, call)

    item = item_of(amazon)
    recording = json.loads(unseal(item["sealed"], item["pk"], KEY))
    assert recording["too_large"] is True
    assert recording["user_id"] == SUB
    assert "facts" not in recording


@pytest.mark.parametrize(
    ("event", "denies", "is_recorded"),
    [
        pytest.param(post_authentication(), False, False, id="the tokens are still to come"),
        pytest.param(post_authentication(), True, True, id="refused before the tokens"),
        pytest.param(pre_token(), True, True, id="refused at the tokens"),
        pytest.param(pre_token("TokenGeneration_RefreshTokens"), True, False, id="a refresh"),
    ],
)
def test_a_login_is_recorded_once_it_is_decided(
    recorder: Recorder,
    subject: Subject,
    amazon: Server,
    event: Any,
    denies: bool,
    is_recorded: bool,
) -> None:
    if denies:
        subject.rule("guard", refuse, **GUARD)
    call = call_of(subject, event)
    amazon.replies = [MADE, Reply()]

    recording = recorder.start(call, subject.chain)

    assert (recording is not None) is is_recorded
