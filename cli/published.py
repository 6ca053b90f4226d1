"""What an archived event says of its login, for a rule that had no view in it.

An event holds one view for each rule that was told of it then. What all of them were told together
was published; the rest of the login is in no event and unknown for ever.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from cognito_rules.announcement import SCHEMA
from cognito_rules.chain import Entry
from cognito_rules.consent import facts_for, obstacle, required_consent
from cognito_rules.envelope import request_of
from cognito_rules.fields import EVERYTHING, OPEN_MAPS, Facts, Path, lookup
from cognito_rules.manifest import Manifest
from cognito_rules.planner import CONTEXT_MISSING

# Why an entry is not told of an event.
NOT_FOR_IT = "not_for_it"
# Rules for these were told an address only when it was proven.
_KNOWS_A_PROVEN_ADDRESS = frozenset({"marketing", "enrichment"})


@dataclass(frozen=True)
class Published:
    """What an event published.

    ``facts`` are the fields of all views, ``maps`` the open maps that were published whole, and
    ``keys`` the keys of others.
    """

    detail: Mapping[str, Any]
    facts: Facts
    maps: frozenset[Path]
    keys: frozenset[Path]

    @classmethod
    def by(cls, detail: Mapping[str, Any], rules: Mapping[str, Manifest]) -> Published:
        """Return what the event with this ``detail`` published; ``rules`` say who read what.

        Raises
        ------
        ValueError : it is no event of this schema.
        """
        if detail.get("schema") != SCHEMA or not isinstance(detail.get("views"), dict):
            raise ValueError(f"the event is not of schema {SCHEMA}")
        facts: Facts = {}
        maps: set[Path] = set()
        keys: set[Path] = set()
        for name, view in detail["views"].items():
            for delivery in view["deliveries"]:
                _learn(facts, delivery["request"]["login"])
            if name not in rules:
                continue
            for read in rules[name].reads:
                maps |= {path for path in OPEN_MAPS if _covers(read.path, path)}
                keys |= {read.path} if read.path[:2] in OPEN_MAPS else set()
            if rules[name].purpose in _KNOWS_A_PROVEN_ADDRESS and _tells_address(view):
                facts["user"]["email_verified"] = True
        keys |= {(*path, key) for path in OPEN_MAPS for key in lookup(facts, path) or ()}
        facts["event"] = facts.get("event", {}) | {
            name: detail[name] for name in ("id", "type", "occurred_at", "first_login")
        }
        return cls(detail, facts, frozenset(maps), frozenset(keys))

    @property
    def user_id(self) -> str | None:
        """The person, where any rule was told who it was, or deliver had to know."""
        told = [view.get("person") for view in self.detail["views"].values()]
        found = (lookup(self.facts, ("user", "user_id")), *told)
        return next((user_id for user_id in found if isinstance(user_id, str)), None)

    def obstacle(self, entry: Entry, person: Facts) -> str | None:
        """Return why ``entry`` must not be told of the event, or None.

        ``person`` is what the profile says now: consent is that of today. A Global Privacy
        Control signal is known only when it was published; else who may refuse must have agreed.
        """
        if self.detail["type"] not in entry.manifest.events or not entry.when.matches(self.facts):
            return NOT_FOR_IT
        if entry.rollout < 100 and not (self.user_id and entry.is_rolled_out_to(self.user_id)):
            return NOT_FOR_IT
        required = required_consent(entry, self.facts)
        if required == "opt_out" and ("request", "client_metadata") not in self.maps:
            required = "opt_in"
        today = {
            kind: lookup(person, ("user", kind)) or {} for kind in ("user_metadata", "app_metadata")
        }
        asked = self.facts | {"user": self.facts.get("user", {}) | today}
        optional = replace(
            entry,
            manifest=replace(entry.manifest, reads=()),
            require_consent=required,
            region_override=None,
        )
        if self.user_id is None and (entry.once_per_user or entry.manifest.enriches):
            return CONTEXT_MISSING
        return obstacle(optional, asked) or obstacle(
            replace(entry, require_consent="off", region_override=None, once_per_user=False),
            self._facts_of(entry),
        )

    def delivery(self, entry: Entry) -> dict[str, Any]:
        """Return what ``entry`` is told: what it was told then, or of what was published.

        What others found of the person is told to nobody: consent to that was not read again.
        """
        told = self.detail["views"].get(entry.manifest.name, {"deliveries": ()})
        of_others = () if entry.manifest.enriches else ("sources", "waits_for")
        for delivery in told["deliveries"]:
            if delivery["entry"] == entry.id:
                return {key: value for key, value in delivery.items() if key not in of_others}
        facts = self._facts_of(entry)
        request = request_of(
            facts_for(entry, facts),
            entry.manifest.reads,
            entry.configuration,
            now=self.detail["occurred_at"],
        )
        request["login"]["unknown"] += [
            ".".join(path) for path in _keys_of(entry) if self._lacks(path, facts)
        ]
        once = {"once": True} if entry.once_per_user else {}
        return {"entry": entry.id, "request": request, **once}

    def view(self, rule: str, deliveries: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the message for the rule's queue."""
        detail = self.detail
        facts = {key: detail[key] for key in ("schema", "type", "occurred_at")}
        if "truncated" in detail:
            facts["truncated"] = detail["truncated"]
        view = facts | {"event_id": detail["id"], "rule": rule, "deliveries": deliveries}
        return view if self.user_id is None else view | {"person": self.user_id}

    def _facts_of(self, entry: Entry) -> Facts:
        """Return the facts without the maps of which nothing that the entry reads is known."""
        facts = {section: dict(fields) for section, fields in self.facts.items()}
        for path in OPEN_MAPS - self.maps:
            section, field = path
            reads_all = any(_covers(read.path, path) for read in entry.manifest.reads)
            knows_some = any(key[:2] == path and key in self.keys for key in _keys_of(entry))
            if reads_all or not knows_some:
                facts.get(section, {}).pop(field, None)
        return facts

    def _lacks(self, path: Path, facts: Facts) -> bool:
        """Say whether a key is unknown although others of its map are known."""
        known = path[1] in facts.get(path[0], {})
        return known and path[:2] not in self.maps and path not in self.keys


def _learn(facts: Facts, login: Mapping[str, Any]) -> None:
    """Add what one view tells of the login."""
    unknown = login.get("unknown", ())
    for section, fields in login.items():
        if section in ("now", "unknown"):
            continue
        known = facts.setdefault(section, {})
        for field, value in fields.items():
            if f"{section}.{field}" in unknown:
                continue
            merges = (section, field) in OPEN_MAPS and isinstance(value, dict)
            known[field] = known.get(field, {}) | value if merges else value


def _tells_address(view: Mapping[str, Any]) -> bool:
    logins = (delivery["request"]["login"] for delivery in view["deliveries"])
    return any(lookup(login, ("user", "email")) for login in logins)


def _covers(read: Path, path: Path) -> bool:
    """Say whether a read names the whole of ``path``, alone or with more."""
    return read == EVERYTHING or path[: len(read)] == read


def _keys_of(entry: Entry) -> list[Path]:
    return [
        read.path
        for read in entry.manifest.reads
        if read.path[:2] in OPEN_MAPS and len(read.path) == 3
    ]
