"""Which entries of a chain are on for a login, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cognito_rules.chain import Chain, Entry
from cognito_rules.fields import Facts
from cognito_rules.triggers import Kind

_RUN_BY_LOGIN = frozenset({"sign_up", "post_authentication", "token"})


@dataclass(frozen=True, slots=True)
class Selection:
    """The entries that are on, in document order, and why each other one is not, by entry id."""

    entries: tuple[Entry, ...]
    skipped: dict[str, str]


def run_by_login(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries that the login function runs itself; the others are told afterwards."""
    return tuple(entry for entry in entries if entry.manifest.stage in _RUN_BY_LOGIN)


def select(chain: Chain, kind: Kind, facts: Facts, *, who: str) -> Selection:
    """Return which entries are on for a login of this ``kind``.

    ``who`` is the user id, or a machine's client id: a rollout goes by it.
    """
    entries: list[Entry] = []
    skipped: dict[str, str] = {}
    for entry in chain.entries:
        reason = _obstacle(entry, kind, facts, who)
        if reason is None:
            entries.append(entry)
        else:
            skipped[entry.id] = reason
    return Selection(tuple(entries), skipped)


def _obstacle(entry: Entry, kind: Kind, facts: Facts, who: str) -> str | None:
    if entry.mode == "off":
        return "off"
    mismatch = entry.when.mismatch(facts)
    if mismatch is not None:
        return mismatch
    if kind is Kind.SIGN_UP:
        return None if entry.runs_on_sign_up else "not at sign-up"
    if entry.manifest.stage == "sign_up":
        return "only at sign-up"
    if kind is Kind.MACHINE and not entry.runs_on_client_credentials:
        return "not for machines"
    if kind is Kind.REFRESH and not entry.runs_on_refresh:
        return "not on refresh"
    return None if entry.is_rolled_out_to(who) else f"not among the {entry.rollout} %"
