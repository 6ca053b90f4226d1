"""What changes from one chain document to another, entry by entry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from typing import Any, Literal

Kind = Literal["added", "removed", "changed", "moved"]


@dataclass(frozen=True)
class Change:
    """One entry, application or key of the document that is not as before.

    ``values`` holds (before, after) by key, None where there is no such key.
    """

    kind: Kind
    what: str
    values: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return the change for another program."""
        values = {key: {"before": old, "after": new} for key, (old, new) in self.values.items()}
        return {"kind": self.kind, "what": self.what, "values": values}


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """Return what changes between two documents that were checked."""
    plain = ("applications", "rules")
    found = list(
        _changed_tables(
            "the document",
            {"the document": {k: v for k, v in before.items() if k not in plain}},
            {"the document": {k: v for k, v in after.items() if k not in plain}},
        )
    )
    found += _changed_tables(
        "application", before.get("applications", {}), after.get("applications", {})
    )
    entries = [_entries(before), _entries(after)]
    found += _changed_tables("entry", *entries)
    found += [Change("moved", f"entry {name}") for name in _moved(*map(list, entries))]
    return found


def _entries(document: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    return {entry.get("id", entry["rule"]): entry for entry in document.get("rules", [])}


def _changed_tables(
    what: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> Iterator[Change]:
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = _flat(before.get(name, {})), _flat(after.get(name, {}))
        values = {
            key: (old.get(key), new.get(key))
            for key in [*old, *(key for key in new if key not in old)]
            # True equals 1 in Python, and not in a document.
            if (type(old.get(key)), old.get(key)) != (type(new.get(key)), new.get(key))
        }
        title = what if what == name else f"{what} {name}"
        if name not in before:
            yield Change("added", title, values)
        elif name not in after:
            yield Change("removed", title)
        elif values:
            yield Change("changed", title, values)


def _flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return the values of a table by dotted key."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and value:
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def _moved(before: list[str], after: list[str]) -> list[str]:
    """Return the entries of both that stand elsewhere, as few as explain the new order."""
    old = [name for name in before if name in after]
    new = [name for name in after if name in before]
    stay = {
        name
        for match in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
        for name in old[match.a : match.a + match.size]
    }
    return [name for name in new if name not in stay]
