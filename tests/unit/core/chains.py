"""Chains and rules made up by tests of the planner, the runner and the pipeline."""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from typing import Any

from cognito_rules.chain import Chain, Entry
from cognito_rules.manifest import Manifest


def a_manifest(name: str = "a_rule", **changes: Any) -> Manifest:
    """Return a manifest that reads and writes nothing, changed as told."""
    declared: dict[str, Any] = {
        "title": name,
        "summary": "A rule of a test.",
        "category": "Test",
        "stage": "post_authentication",
        "on_error": "continue",
        "reads": [],
        "writes": [],
    }
    if changes.get("stage") == "after_login":
        declared["purpose"] = "security"
    return Manifest.parse(name, declared | changes)


def a_chain(*manifests: Manifest, **changes: Any) -> Chain:
    """Return a chain with one entry for each manifest, for every application.

    ``changes`` are changes of single entries by rule name, and of the document by its own keys.
    """
    entries: list[Mapping[str, Any]] = []
    for manifest in manifests:
        entry = {"rule": manifest.name, "when": {"applications": ["*"]}}
        entries.append(entry | changes.pop(manifest.name, {}))
    catalogue = {manifest.name: manifest for manifest in manifests}
    return Chain.parse({"rules": entries, **changes}, catalogue)


def answer(*effects: dict[str, Any], warnings: list[str] | None = None) -> dict[str, Any]:
    """Return a rule's response with these effects."""
    return {"version": 1, "effects": list(effects)} | ({"warnings": warnings} if warnings else {})


def denial(code: str = "refused") -> dict[str, Any]:
    """Return an effect that refuses the login."""
    return {"effect": "deny", "code": code, "public_code": "access_denied", "reason": "No."}


class ScriptedExecutor:
    """Answers what a test says, after the seconds that it says, on a clock of its own.

    ``script`` holds (seconds, response) by entry id; an entry without a line never answers.
    """

    def __init__(self, **script: tuple[float, Any]) -> None:
        self.script = script
        self.clock = 0.0
        self.started: list[str] = []
        self.requests: dict[str, Any] = {}
        self.timeouts: dict[str, float] = {}
        self.most_at_once = 0
        self._pending: list[tuple[float, int, Any]] = []

    def now(self) -> float:
        """Return the seconds on this clock."""
        return self.clock

    def start(self, index: int, entry: Entry, request: dict[str, Any], timeout: float) -> Any:
        """Note what was asked; an inline rule answers at once."""
        self.started.append(entry.id)
        self.requests[entry.id] = request
        self.timeouts[entry.id] = timeout
        seconds, response = self.script.get(entry.id, (float("inf"), None))
        if entry.placement == "inline":
            self.clock += seconds
            return response
        heapq.heappush(self._pending, (self.clock + seconds, index, response))
        self.most_at_once = max(self.most_at_once, len(self._pending))
        return None

    def wait(self, until: float) -> list[tuple[int, Any]]:
        """Go to the next answer, or to ``until`` when there is none before it."""
        self.clock = max(self.clock, min([until, *(at for at, _, _ in self._pending)]))
        answered = []
        while self._pending and self._pending[0][0] <= self.clock:
            _, index, response = heapq.heappop(self._pending)
            answered.append((index, response))
        return answered
