"""One trigger call under way: what is known, how much time is left, what the trace will say."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from cognito_rules.chain import Entry
from cognito_rules.effect_values import PROFILE_ATTRIBUTES
from cognito_rules.fields import Facts, Read
from cognito_rules.login import format_time
from cognito_rules.planner import Plan
from cognito_rules.runner import Outcome
from cognito_rules.store import PROFILE_MAPS, Loaded, ProfileWrite
from cognito_rules.triggers import Kind, Trigger

# Cognito gives a trigger 5 s. What is left over pays for starting, answering and the network.
TOTAL_SECONDS = 4.4
READ_SECONDS = 0.4
COMMIT_SECONDS = 0.3
CHAIN_SECONDS = 3.5


@dataclass
class Call:
    """One trigger call: what is known, what was decided, what the trace will say."""

    trigger: Trigger
    facts: Facts
    entries: Sequence[Entry]
    # Why each other entry of the chain is not on, by entry id.
    skipped: Mapping[str, str]
    at: float
    # On the monotonic clock, and how many seconds before ``at``.
    started: float
    began_before: float
    deadline: float
    # Of what this call announces: its own, since a delivery is made once for each.
    event_id: str
    # Of the decision: that of the memo where one is reused.
    transaction_id: str
    loaded: Loaded = field(default_factory=Loaded)
    record: dict[str, Any] = field(default_factory=dict)
    memo_key: str | None = None
    # What both triggers of a login know alike: these entries, and what they read.
    shared: frozenset[str] = frozenset()
    reads: tuple[Read, ...] = ()
    reused: bool = False
    decided_at: float = 0.0
    plan: Plan | None = None
    outcome: Outcome | None = None
    recording: Future[None] | None = None
    # (phase, when it began on the monotonic clock); each ends where the next one begins.
    phases: list[tuple[str, float]] = field(default_factory=list)

    @property
    def now(self) -> str:
        """The time of the call as rules see it."""
        return format_time(datetime.fromtimestamp(self.at, UTC))

    def begin(self, phase: str) -> None:
        """Note for the trace that a phase of the call begins: read, chain or finish."""
        self.phases.append((phase, time.monotonic()))

    def phase_ms(self, phase: str) -> float | None:
        """Return when a phase began, in milliseconds from the start of the call."""
        for name, began in self.phases:
            if name == phase:
                return (began - self.started) * 1000
        return None

    def left(self, at_most: float, *, reserved: float = 0.0) -> float:
        """Return the seconds that a step may take, ``reserved`` ones being kept for later steps."""
        return max(0.0, min(at_most, self.deadline - reserved - time.monotonic()))

    def login_key(self, prefix: str = "login") -> str:
        """Return the key of this person's record at this client in the table of sessions."""
        trigger = self.trigger
        return f"{prefix}#{trigger.pool_id}#{trigger.user_id}#{trigger.client_id}"

    def know_profile(self) -> None:
        """Add what the profile says to the facts.

        Metadata that is no map stays unknown: empty, it would say that nothing is held against
        the person.
        """
        profile = self.loaded.profile or {}
        user = self.facts["user"]
        for kind in PROFILE_MAPS:
            held = profile.get(kind)
            if held is not None and not isinstance(held, dict):
                continue
            if kind == "profile":
                unknown = PROFILE_ATTRIBUTES - user.keys()
                user |= {key: value for key, value in (held or {}).items() if key in unknown}
            else:
                user[kind] = dict(held or {})
        # Cognito tells triggers no date: the first login that was seen is the account's, unless an
        # import knows better.
        seen = profile.get("created_at") or profile.get("first_login_at") or self.now
        if (created_at := _date(seen)) is not None:
            user["created_at"] = created_at
        # As Auth0 counts: this login is one of them.
        this_one = int(self.trigger.kind is not Kind.REFRESH)
        self.facts["stats"] = {"logins_count": self.loaded.logins_count + this_one}


def _date(value: Any) -> str | None:
    """Return a date of a profile as rules see it; None for what is none, such as milliseconds."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        return format_time(datetime.fromtimestamp(value, UTC))
    except (ValueError, OverflowError, OSError):
        return None


def changes(facts: Facts, write: ProfileWrite) -> bool:
    """Say whether a write changes what the profile held when it was read."""
    user = facts["user"]
    held = user if write.kind == "profile" else user.get(write.kind)
    if held is None:
        return True  # the profile could not be read
    if write.only_if_missing:
        return write.key not in held
    if write.value is None:
        return write.key in held
    before = held.get(write.key)
    # True equals 1 in Python, and not in JSON.
    return bool(before != write.value) or json.dumps(before) != json.dumps(write.value)
