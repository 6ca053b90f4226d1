"""What is told to the after_login rules: one event, with one view for each subscribed entry."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cognito_rules.chain import Entry
from cognito_rules.consent import facts_for, obstacle
from cognito_rules.envelope import request_of
from cognito_rules.fields import OPEN_MAPS, Facts, lookup
from cognito_rules.login import parse_time
from cognito_rules.planner import reads_from

SCHEMA = 1
# DynamoDB takes 400 KB an item, and the bus 256 KB of one rule's view.
MAX_BYTES = 300 * 1024
MAX_VIEW_BYTES = 200 * 1024
# What is told even of a person whose data fit nowhere.
_WHO_AND_WHERE = {
    "user": ("user_id",),
    "client": ("client_id", "name"),
    "transaction": ("id", "user_pool_id", "protocol", "trigger"),
    "stats": ("logins_count",),
    "event": ("id", "type", "occurred_at", "first_login", "code"),
}


@dataclass(frozen=True, slots=True)
class Announcement:
    """What is told of one login, as JSON text; None when no entry is told of it.

    ``told`` names the entries that are; ``not_told`` says by entry id why an entry is not, though
    it hears of such events.
    """

    text: str | None
    told: tuple[str, ...]
    not_told: Mapping[str, str]


def build_announcement(
    event_type: str,
    entries: Iterable[Entry],
    facts: Facts,
    *,
    event_id: str,
    occurred_at: str,
    first_login: bool = False,
    code: str | None = None,
    done: Collection[str] = (),
) -> Announcement:
    """Return the announcement for the entries that hear of such events and may be told.

    Each view holds what its entry's manifest reads and nothing else, so that a queue receives
    nothing that another rule may see. An entry that reads what earlier ones write waits for them in
    its own queue, and one whose answer nobody would read is not told: it may cost money. ``code``
    is the reason of a LoginDenied, for security rules; ``done`` are entries that run once for each
    person and did.
    What is too large is left out, as unknown: nobody escapes being announced by sending much.
    """
    parse_time(occurred_at)
    event: Facts = {
        "id": event_id,
        "type": event_type,
        "occurred_at": occurred_at,
        "first_login": first_login,
    }
    if code is not None:
        event["code"] = code
    seen = {**facts, "event": event}
    subscribed = [entry for entry in entries if event_type in entry.manifest.events]
    obstacles = {
        entry.id: "done_before" if entry.id in done else obstacle(entry, seen)
        for entry in subscribed
    }
    not_told = {entry: reason for entry, reason in obstacles.items() if reason is not None}
    told = _needed([entry for entry in subscribed if entry.id not in not_told], not_told)
    text = _fitting_document(event, told, seen) if told else None
    return Announcement(text, tuple(entry.id for entry in told), not_told)


def _needed(told: list[Entry], not_told: dict[str, str]) -> list[Entry]:
    needed: list[Entry] = []
    for entry in reversed(told):
        if entry.manifest.seen_writes and not any(reads_from(later, entry) for later in needed):
            not_told[entry.id] = "not_needed"
        else:
            needed.insert(0, entry)
    return needed


def _fitting_document(event: Facts, subscribed: list[Entry], seen: Facts) -> str:
    views = _views(event, subscribed, seen)
    text = document(event, views)
    for less in (_without_maps, _who_and_where):
        if _fits(text, views):
            break
        views = _views(event, subscribed, less(seen))
        text = document(event, views, truncated=True)
    return text


def _fits(text: str, views: dict[str, dict[str, Any]]) -> bool:
    if len(text) <= MAX_VIEW_BYTES:
        return True
    largest = max(len(json.dumps(view)) for view in views.values())
    return len(text) <= MAX_BYTES and largest <= MAX_VIEW_BYTES


def _without_maps(facts: Facts) -> Facts:
    """Leave out the maps that a customer, a person or a caller may fill without a bound."""
    return {
        section: {
            field: value for field, value in fields.items() if (section, field) not in OPEN_MAPS
        }
        for section, fields in facts.items()
    }


def _who_and_where(facts: Facts) -> Facts:
    return {
        section: {field: value for field, value in facts.get(section, {}).items() if field in kept}
        for section, kept in _WHO_AND_WHERE.items()
    }


def _views(event: Facts, entries: list[Entry], facts: Facts) -> dict[str, dict[str, Any]]:
    views: dict[str, dict[str, Any]] = {}
    for index, entry in enumerate(entries):
        rule = entry.manifest.name
        request = request_of(
            facts_for(entry, facts),
            entry.manifest.reads,
            entry.configuration,
            now=event["occurred_at"],
        )
        view = views.setdefault(rule, {"event_id": event["id"], "rule": rule, "deliveries": []})
        about = _about(entry, entries[:index], entries[index + 1 :])
        if about or entry.manifest.enriches or entry.manifest.forgets:
            # For what is kept of the person, and to tell of nobody who was deleted since, which no
            # rule needs to be told.
            view["person"] = lookup(facts, ("user", "user_id"))
        view["deliveries"].append({"entry": entry.id, "request": request, **about})
    return views


def _about(entry: Entry, before: list[Entry], after: list[Entry]) -> dict[str, Any]:
    """Return what deliver has to know of an entry among those that are told; see ``View``.

    What is kept of the person from a source is for this entry when the one that asks the source is
    told as well: else the person may not agree to it any more.
    """
    waits_for = [earlier for earlier in before if reads_from(entry, earlier)]
    needed_by = [later for later in after if reads_from(later, entry)]
    asked = entry.manifest.enriches.union(*(earlier.manifest.enriches for earlier in waits_for))
    about = {
        "once": entry.once_per_user,
        "waits_for": [earlier.id for earlier in waits_for],
        "needed_by": [later.id for later in needed_by if later.once_per_user],
        "sources": sorted(entry.manifest.sources & asked),
    }
    if not all(later.once_per_user for later in needed_by):
        del about["needed_by"]
    return {key: value for key, value in about.items() if value}


def document(event: Facts, views: dict[str, Any], *, truncated: bool = False) -> str:
    """Return the announcement as JSON in ASCII, where characters are bytes."""
    whole = {
        "schema": SCHEMA,
        "id": event["id"],
        "type": event["type"],
        "occurred_at": event["occurred_at"],
        "first_login": event["first_login"],
        "rules": sorted(views),
        "views": views,
    }
    if truncated:
        whole["truncated"] = True
    return json.dumps(whole, separators=(",", ":"))
