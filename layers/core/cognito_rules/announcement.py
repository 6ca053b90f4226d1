"""What is told to the after_login rules: one event, with one view for each subscribed entry."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from cognito_rules.chain import Entry
from cognito_rules.envelope import request_of
from cognito_rules.fields import OPEN_MAPS, Facts
from cognito_rules.login import parse_time

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


def build_announcement(
    event_type: str,
    entries: Iterable[Entry],
    facts: Facts,
    *,
    event_id: str,
    occurred_at: str,
    first_login: bool = False,
    code: str | None = None,
) -> str | None:
    """Return the announcement as JSON text, or None when no entry wants it.

    Each view holds what its entry's manifest reads and nothing else, so that a queue receives
    nothing that another rule may see. ``code`` is the reason of a LoginDenied, for security rules.
    What is too large is left out, as unknown: nobody escapes being announced by sending much.
    """
    parse_time(occurred_at)
    subscribed = [entry for entry in entries if event_type in entry.manifest.events]
    if not subscribed:
        return None
    event: Facts = {
        "id": event_id,
        "type": event_type,
        "occurred_at": occurred_at,
        "first_login": first_login,
    }
    if code is not None:
        event["code"] = code
    seen = {**facts, "event": event}
    views = _views(event, subscribed, seen)
    document = _document(event, views)
    for less in (_without_maps, _who_and_where):
        if _fits(document, views):
            break
        views = _views(event, subscribed, less(seen))
        document = _document(event, views, truncated=True)
    return document


def _fits(document: str, views: dict[str, dict[str, Any]]) -> bool:
    if len(document) <= MAX_VIEW_BYTES:
        return True
    largest = max(len(json.dumps(view)) for view in views.values())
    return len(document) <= MAX_BYTES and largest <= MAX_VIEW_BYTES


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
    for entry in entries:
        rule = entry.manifest.name
        request = request_of(
            facts, entry.manifest.reads, entry.configuration, now=event["occurred_at"]
        )
        view = views.setdefault(rule, {"event_id": event["id"], "rule": rule, "deliveries": []})
        view["deliveries"].append({"entry": entry.id, "request": request})
    return views


def _document(event: Facts, views: dict[str, Any], *, truncated: bool = False) -> str:
    """Return the announcement as JSON in ASCII, where characters are bytes."""
    document = {
        "schema": SCHEMA,
        "id": event["id"],
        "type": event["type"],
        "occurred_at": event["occurred_at"],
        "first_login": event["first_login"],
        "rules": sorted(views),
        "views": views,
    }
    if truncated:
        document["truncated"] = True
    return json.dumps(document, separators=(",", ":"))
