"""The memo that one trigger leaves for the next trigger of the same login.

It is a memo, not a ticket: it is found under a digest of everything that decided, so equal inputs
find the equal decision as often as they ask, for a minute, and different inputs find nothing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from cognito_rules.fields import (
    EVERYTHING,
    FIELDS,
    NOT_PART_OF_THE_INPUT,
    PROFILE_FIELDS,
    TOKEN_STAGE_ONLY,
    Facts,
    Path,
    Read,
    knows,
    lookup,
    meets,
)
from cognito_rules.planner import Answer

MAX_AGE_SECONDS = 60
# DynamoDB takes 400 KB an item.
MAX_MEMO_BYTES = 300 * 1024
# Part of the key: a memo that another version of this module wrote is not found.
_FORMAT = "1"
_NOWHERE = object()
_KEEP_SECONDS = 300


@lru_cache(maxsize=64)
def _paths(reads: tuple[Read, ...]) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    """Return the fields below ``reads`` that both triggers of a login know alike.

    First those that come with the trigger's event, then those of the profile.
    """
    fields: set[Path] = set()
    for read in reads:
        if len(read.path) > 1:
            fields.add(read.path)
            continue
        sections = FIELDS if read.path == EVERYTHING else {read.path[0]: FIELDS[read.path[0]]}
        fields |= {(section, name) for section, names in sections.items() for name in names}
    left_out = (*NOT_PART_OF_THE_INPUT, *TOKEN_STAGE_ONLY)
    known = sorted(path for path in fields if not _is_one_of(path, left_out))
    return (
        tuple(path for path in known if not _is_one_of(path, PROFILE_FIELDS)),
        tuple(path for path in known if _is_one_of(path, PROFILE_FIELDS)),
    )


def _is_one_of(path: Path, fields: Iterable[Path]) -> bool:
    return any(meets(path, field) for field in fields)


def _digest(facts: Facts, paths: Iterable[Path]) -> str:
    values: list[list[Any]] = []
    for path in paths:
        value = lookup(facts, path, _NOWHERE)
        # Three parts, not two: what is not there equals no value, whatever a person's data hold.
        known = [path, value] if value is not _NOWHERE else [path, None, knows(facts, path)]
        values.append(known)
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def memo_key(*who: str, reads: tuple[Read, ...], facts: Facts) -> str:
    """Return the key of the memo.

    ``who`` says who logs in where under which chain; ``reads`` of ``facts`` are the inputs.
    """
    inputs = _digest(facts, _paths(reads)[0])
    return "decision#" + hashlib.sha256("\x00".join((_FORMAT, *who, inputs)).encode()).hexdigest()


def profile_digest(reads: tuple[Read, ...], facts: Facts) -> str:
    """Return the digest of what the decision took from the profile."""
    return _digest(facts, _paths(reads)[1])


def to_memo(
    key: str,
    answers: Mapping[str, Answer],
    *,
    transaction_id: str,
    profiles: Iterable[str],
    at: float,
) -> dict[str, Any] | None:
    """Return the item that remembers an allowed decision, or None when none can hold it.

    ``profiles`` are digests of the profile for which it holds: the one that it was taken from,
    and, after the commit, the one that the login itself left behind.
    """
    entries = {
        entry: {
            "effects": list(answer.effects),
            "warnings": list(answer.warnings),
            "fault": answer.fault,
            "message": answer.message,
        }
        for entry, answer in answers.items()
    }
    # As text: the effects are ours alone to read, and hold numbers that DynamoDB would round.
    text = json.dumps(entries, separators=(",", ":"))
    if len(text) > MAX_MEMO_BYTES:
        return None
    return {
        "pk": key,
        "transaction_id": transaction_id,
        "profiles": list(profiles),
        "decided_at": at,
        "answers": text,
        "expires_at": int(at) + _KEEP_SECONDS,
    }


def from_memo(memo: Mapping[str, Any]) -> dict[str, Answer]:
    """Return the remembered answers by entry id."""
    return {
        entry: Answer(
            tuple(kept["effects"]), tuple(kept["warnings"]), kept["fault"], kept["message"]
        )
        for entry, kept in json.loads(memo["answers"]).items()
    }


def is_recent(memo: Mapping[str, Any], now: float) -> bool:
    """Say whether a memo is young enough to be of this login."""
    return 0 <= now - float(memo["decided_at"]) <= MAX_AGE_SECONDS


def fits(memo: Mapping[str, Any] | None, profile: str, now: float) -> bool:
    """Say whether a memo may be used: young enough, and of an equal profile."""
    return memo is not None and profile in memo["profiles"] and is_recent(memo, now)
