"""What a decided call leaves behind: its memo, its announcements, and all that takes effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cognito_rules import decision
from cognito_rules.announcement import build_announcement
from cognito_rules.call import Call, changes
from cognito_rules.fields import Facts
from cognito_rules.password_changes import LAST_PASSWORD_RESET
from cognito_rules.planner import Answer, Run
from cognito_rules.protocol import after
from cognito_rules.store import (
    COUNT_ONCE_SECONDS,
    PROFILE_EFFECTS,
    Commit,
    ProfileWrite,
    profile_writes,
)
from cognito_rules.triggers import Kind


def announcement_of(call: Call, event_type: str, facts: Facts, **details: Any) -> str | None:
    """Return what the after_login rules are told of this call, or None when none is to be."""
    announcement = build_announcement(
        event_type,
        [entry for entry in call.entries if entry.manifest.stage == "after_login"],
        facts,
        event_id=call.event_id,
        occurred_at=call.now,
        done=call.loaded.done,
        **details,
    )
    if announcement.told:
        call.record["told"] = list(announcement.told)
    if announcement.not_told:
        call.record["not_told"] = dict(announcement.not_told)
    return announcement.text


def memo_of(
    call: Call, run: Run, states: Sequence[Facts] | None = None
) -> Mapping[str, Any] | None:
    """Return the memo of an allowed decision, good for the profile in each of ``states``."""
    if call.memo_key is None:
        return None
    shared: dict[str, Answer] = {
        entry.id: answer for entry, answer in run.enforced() if entry.id in call.shared
    }
    return decision.to_memo(
        call.memo_key,
        shared,
        transaction_id=call.transaction_id,
        profiles=[decision.profile_digest(call.reads, state) for state in states or [call.facts]],
        at=call.decided_at,
    )


def commit_of(call: Call, run: Run) -> Commit:
    """Return what takes effect with the tokens: metadata, count, announcement, memo."""
    trigger, loaded = call.trigger, call.loaded
    last = loaded.last_login_at
    counts = trigger.kind is Kind.TOKEN and (last is None or call.at - last >= COUNT_ONCE_SECONDS)
    effects = [effect for _, answer in run.enforced() for effect in answer.effects]
    writes = tuple(write for write in profile_writes(effects) if changes(call.facts, write))
    announcement = None
    if counts:
        first_login = loaded.profile is not None and loaded.logins_count == 0
        announcement = announcement_of(
            call, "LoginCompleted", after(call.facts, effects), first_login=first_login
        )
    memo = None
    if trigger.kind is Kind.TOKEN and (counts or writes or not call.reused):
        stored = [effect for effect in effects if effect["effect"] in PROFILE_EFFECTS]
        left_behind = after(call.facts, stored)
        left_behind["stats"] = {"logins_count": loaded.logins_count + 1 + int(counts)}
        memo = memo_of(call, run, [call.facts, left_behind])
    return Commit(
        user_id=trigger.user_id,
        username=trigger.username,
        login_key=call.login_key(),
        event_id=call.event_id,
        at=call.at,
        kinds=frozenset(loaded.profile or ()),
        writes=writes,
        counts=counts,
        announcement=announcement,
        memo=memo,
    )


def password_reset_of(call: Call) -> Commit:
    """Return what is stored when a forgotten password was replaced."""
    return Commit(
        user_id=call.trigger.user_id,
        username=call.trigger.username,
        login_key=call.login_key(),
        event_id=call.event_id,
        at=call.at,
        kinds=frozenset(),
        writes=(ProfileWrite("app_metadata", LAST_PASSWORD_RESET, call.now),),
        counts=False,
        announcement=None,
        memo=None,
    )
