"""What is wrong with a chain document, noted with the place where it stands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cognito_rules.errors import Problem


class Place(NamedTuple):
    """A part of the document: how sentences name it, and the path that leads to it."""

    name: str
    path: tuple[str | int, ...] = ()


class Problems:
    """Collects problems, and reads the values that are alike everywhere in a document."""

    def __init__(self) -> None:
        self.found: list[Problem] = []

    def refuse(self, place: Place, reason: str, *within: str | int) -> None:
        """Note that ``place`` is refused; ``within`` leads on to the part that is the reason."""
        self.found.append(Problem(f"{place.name}: {reason}", (*place.path, *within)))

    def choice(
        self, table: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: Place
    ) -> str:
        """Return the word of a table that must be one of ``allowed``; without it, the first."""
        value = table.get(key, allowed[0])
        if value not in allowed:
            self.refuse(where, f"{key} is {value!r}, must be {' or '.join(allowed)}", key)
            return allowed[0]
        return str(value)

    def refuse_unknown(self, where: Place, table: Mapping[str, Any], known: set[str]) -> None:
        """Note each key of a table that is not one of ``known``."""
        for key in table:
            if key not in known:
                self.refuse(where, f"unknown key {key!r}", key)

    def flag(self, where: Place, table: Mapping[str, Any], key: str, default: bool) -> bool:
        """Return the truth value of a table; ``default`` where there is none, or another."""
        value = table.get(key, default)
        if not isinstance(value, bool):
            self.refuse(where, f"{key} must be true or false", key)
            return default
        return value
