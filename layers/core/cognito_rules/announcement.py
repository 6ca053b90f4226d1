"""What is told to the after_login rules: one event, with one view for each subscribed entry."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from cognito_rules.chain import Entry
from cognito_rules.fields import Facts, project
from cognito_rules.login import parse_time

SCHEMA = 1
# DynamoDB takes 400 KB an item; the bus takes less, and announce sees to that.
_MAX_BYTES = 300 * 1024


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
    document = _document(event, subscribed, seen)
    if len(document.encode()) > _MAX_BYTES:
        # The person's own metadata is the one part without a bound.
        user = {k: v for k, v in facts.get("user", {}).items() if not k.endswith("_metadata")}
        document = _document(event, subscribed, {**seen, "user": user}, truncated=True)
    return document


def _document(event: Facts, entries: list[Entry], facts: Facts, *, truncated: bool = False) -> str:
    views: dict[str, dict[str, Any]] = {}
    for entry in entries:
        rule = entry.manifest.name
        login, unknown = project(facts, entry.manifest.reads)
        login |= {"now": event["occurred_at"], "unknown": unknown}
        request = {"version": 1, "login": login, "configuration": dict(entry.configuration)}
        view = views.setdefault(rule, {"event_id": event["id"], "rule": rule, "deliveries": []})
        view["deliveries"].append({"entry": entry.id, "request": request})
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
