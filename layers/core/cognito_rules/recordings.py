"""Recordings of decided logins, for ``cognito-rules replay``: what rules saw, and what they said.

Off by default. A recording is sealed by this module with a data key of KMS before it leaves the
process: the login function may ask for data keys and cannot open one, so it can write recordings
and not read any. It is written beside the commit, on a thread, and no login fails for want of one.

Item of ``sessions``: ``recording#<event id>``, found by the index ``by_recorded``. Its ``sealed``
is the JSON that docs/replay.md describes, compressed by zlib and encrypted by AES-256-GCM with the
key of the item as additional data.

Source: AWS KMS, "GenerateDataKey"; RFC 5116 (AEAD).
"""

from __future__ import annotations

import base64
import hashlib
import json
import math
import os
import random
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from cognito_rules.aws import Aws
from cognito_rules.call import COMMIT_SECONDS, Call
from cognito_rules.chain import Chain, Entry
from cognito_rules.dynamodb import DynamoDb
from cognito_rules.dynamodb_json import to_item
from cognito_rules.errors import StoreError
from cognito_rules.fields import Facts, Read, project
from cognito_rules.planner import Run
from cognito_rules.selection import run_by_login
from cognito_rules.triggers import Kind
from cognito_rules.verdict import denial_of

SCHEMA = 1
INDEX = "by_recorded"
# A day's recordings lie under as many keys of the index: one key takes a thousand writes a second.
SHARDS = 4
MAX_BYTES = 128 * 1024
_DATA_KEY_SECONDS = 3600
_ASK_AGAIN_SECONDS = 10
_DAY = 24 * 3600


def recorded_on(at: float, shard: int) -> str:
    """Return the index key of recordings of this day (UTC)."""
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}#{shard}"


def settings_digest(entry: Entry) -> str:
    """Return a digest of the settings under which an entry answers."""
    return _digest(entry.configuration)


def seen_digest(request: Mapping[str, Any]) -> str:
    """Return a digest of what an entry sees of the login; the settings are not part of it."""
    return _digest(request["login"])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@lru_cache(maxsize=4)
def _reads_of(entries: tuple[Entry, ...]) -> tuple[Read, ...]:
    """Return what the entries read together; those that are off too, which may be on tomorrow."""
    reads = (read for entry in run_by_login(entries) for read in entry.manifest.reads)
    return tuple(dict.fromkeys(Read(read.path) for read in reads))


def recording_of(call: Call, chain: Chain) -> dict[str, Any]:
    """Return what is recorded of a decided call, as JSON values; docs/replay.md describes it."""
    assert call.outcome is not None
    run = call.outcome.run
    denial = denial_of(run)
    reads = _reads_of(chain.entries)
    return {
        "schema": SCHEMA,
        "at": call.at,
        "now": call.now,
        "is_token_stage": call.trigger.is_token_stage,
        "chain": chain.version,
        "transaction_id": call.transaction_id,
        "user_id": call.trigger.user_id,
        "client_id": call.trigger.client_id,
        "reads": [str(read) for read in reads],
        "facts": _facts(call.facts, reads),
        "answers": _answers(run, call.now),
        "denial": denial and {"entry": denial[0].id, "code": denial[1]["code"]},
    }


def _facts(facts: Facts, reads: Iterable[Read]) -> Facts:
    """Return the known fields among ``reads``, and what the selection of entries asks for."""
    seen, _ = project(facts, reads)
    known = {
        section: {name: value for name, value in fields.items() if name in facts.get(section, {})}
        for section, fields in seen.items()
    }
    connections = [
        {"connection": identity.get("connection")}
        for identity in facts.get("user", {}).get("identities", ())
    ]
    known.setdefault("user", {}).setdefault("identities", connections)
    if "connection" in facts:
        known["connection"] = facts["connection"]
    return known


def _answers(run: Run, now: str) -> dict[str, dict[str, Any]]:
    """Return the answers by entry id, in document order.

    ``seen`` is what an entry saw, where it cannot simply be run again.
    """
    answers: dict[str, dict[str, Any]] = {}
    for index, step in enumerate(run.plan.steps):
        answer = run.answers.get(index)
        if answer is None or not step.waits_for <= run.answers.keys():
            continue
        kept: dict[str, Any] = {
            "rule": step.entry.manifest.name,
            "settings": settings_digest(step.entry),
            "effects": list(answer.effects),
        }
        if not step.entry.manifest.is_pure:
            kept["seen"] = seen_digest(run.request(index, now))
        if step.is_shadow:
            kept["shadow"] = True
        if answer.fault is not None:
            kept["fault"] = answer.fault
        answers[step.entry.id] = kept
    return answers


@dataclass(frozen=True)
class DataKey:
    """A key for an hour's recordings; ``sealed`` is what KMS turns into ``plain`` again."""

    plain: bytes
    sealed: str
    until: float


class Recorder:
    """Records the logins of one execution environment.

    Parameters
    ----------
    key_id : of the KMS key; ``stack`` is the encryption context of its data keys.
    days : how long a recording is kept.
    now : seconds on a clock that only goes forward.
    """

    def __init__(
        self,
        aws: Aws,
        threads: ThreadPoolExecutor,
        *,
        sessions: str,
        key_id: str,
        stack: str,
        days: int,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._aws = aws
        self._threads = threads
        self._table = DynamoDb(aws)
        self._sessions = sessions
        self._key_id = key_id
        self._stack = stack
        self._days = days
        self._now = now
        self._data_key: DataKey | None = None
        self._ask_again_at = -math.inf

    def start(self, call: Call, chain: Chain) -> Future[None] | None:
        """Begin to record a decided login; None where there is nothing to record.

        That is a sign-in at its token stage, or one that was refused before.
        """
        kind = call.trigger.kind
        if call.outcome is None or kind not in (Kind.TOKEN, Kind.AUTHENTICATED):
            return None
        if kind is Kind.AUTHENTICATED and denial_of(call.outcome.run) is None:
            return None
        try:
            return self._threads.submit(self._record, call, chain)
        except RuntimeError as error:  # the environment is being shut down
            call.record["recording"] = type(error).__name__
            return None

    def finish(self, call: Call, recording: Future[None]) -> None:
        """Wait for a recording as long as there is time; the trace says what went wrong."""
        try:
            recording.result(call.left(COMMIT_SECONDS))
        except TimeoutError:
            call.record["recording"] = "late"
        except StoreError as error:
            call.record["recording"] = str(error)
        except Exception as error:
            call.record["recording"] = type(error).__name__

    def _record(self, call: Call, chain: Chain) -> None:
        ends = time.monotonic() + call.left(COMMIT_SECONDS)
        key = f"recording#{call.event_id}"
        recording = recording_of(call, chain)
        text = json.dumps(recording, separators=(",", ":"), default=str)
        if len(text) > MAX_BYTES:
            kept = ("schema", "at", "transaction_id", "user_id", "client_id", "denial")
            text = json.dumps({name: recording[name] for name in kept} | {"too_large": True})
        data_key = self._key(ends)
        item = {
            "pk": key,
            "recorded_on": recorded_on(call.at, random.randrange(SHARDS)),
            "recorded_at": call.at,
            "sealed": seal(text, key, data_key.plain),
            "data_key": data_key.sealed,
            "expires_at": int(call.at) + self._days * _DAY,
        }
        put = {"TableName": self._sessions, "Item": to_item(item)}
        self._table.call("PutItem", put, ends - time.monotonic())

    def _key(self, ends: float) -> DataKey:
        """Return the data key of the hour; while KMS is away, not every login waits for it."""
        held, now = self._data_key, self._now()
        if held is not None and now <= held.until:
            return held
        if now < self._ask_again_at:
            raise StoreError("KMS gave no key a moment ago")
        self._ask_again_at = now + _ASK_AGAIN_SECONDS
        self._data_key = self._new_key(ends - time.monotonic(), until=now + _DATA_KEY_SECONDS)
        self._ask_again_at = -math.inf
        return self._data_key

    def _new_key(self, timeout: float, *, until: float) -> DataKey:
        body = {
            "KeyId": self._key_id,
            "KeySpec": "AES_256",
            "EncryptionContext": {"stack": self._stack},
        }
        answer = self._aws.post(
            "kms",
            self._aws.endpoint("kms") + "/",
            json.dumps(body).encode(),
            {
                "Content-Type": "application/x-amz-json-1.1",
                "X-Amz-Target": "TrentService.GenerateDataKey",
            },
            timeout=timeout,
            repeatable=True,
        )
        if answer.status != 200:
            raise StoreError(f"KMS answered {answer.status}")
        made = json.loads(answer.data)
        return DataKey(base64.b64decode(made["Plaintext"]), made["CiphertextBlob"], until)


def seal(text: str, key: str, data_key: bytes) -> str:
    """Return ``text`` sealed for the item ``key``, as Base64."""
    # In the layer net, which the login function has only where it records.
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    nonce = os.urandom(12)
    sealed = AESGCM(data_key).encrypt(nonce, zlib.compress(text.encode()), key.encode())
    return base64.b64encode(nonce + sealed).decode()


def unseal(sealed: str, key: str, data_key: bytes) -> str:
    """Return the text that ``seal`` sealed.

    Raises
    ------
    cryptography.exceptions.InvalidTag : it was changed, or belongs to another item or key.
    """
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    data = base64.b64decode(sealed)
    return zlib.decompress(AESGCM(data_key).decrypt(data[:12], data[12:], key.encode())).decode()
