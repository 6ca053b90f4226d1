"""Which entries run in a trigger call, what each waits for, and what the whole decides.

The order of the document is the meaning: an entry sees the login plus the effects of entries
before it. Entries may really run in any order, because an entry waits for exactly those earlier
ones whose writes meet its reads; nobody else can change what it sees. The first denial in document
order wins, and is final once every earlier entry has answered: the same as running one by one.

This module holds no clock and no I/O: ``Run`` is told what happened and says what may start.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any

from cognito_rules.chain import Entry
from cognito_rules.envelope import request_of
from cognito_rules.fields import Facts, Read, knows, meets
from cognito_rules.protocol import Effect, after

CONTEXT_MISSING = "context_missing"


@dataclass(frozen=True)
class Answer:
    """What an entry came to: its effects, or the fault that stopped it."""

    effects: tuple[Effect, ...] = ()
    warnings: tuple[str, ...] = ()
    fault: str | None = None
    message: str = ""

    @cached_property
    def denial(self) -> Effect | None:
        """The first denial among the effects, or None."""
        return next((effect for effect in self.effects if effect["effect"] == "deny"), None)


@dataclass(frozen=True)
class Step:
    """An entry in a plan: ``waits_for`` and ``guards_before`` are indices of earlier steps."""

    entry: Entry
    waits_for: frozenset[int]
    guards_before: frozenset[int]

    @property
    def is_shadow(self) -> bool:
        """Whether the entry's effects are only looked at."""
        return self.entry.mode == "shadow"


@dataclass(frozen=True)
class Plan:
    """The steps of one trigger call, and the entries left to the token stage, with reasons.

    given : answers of an earlier trigger of this login, by entry id.
    awaited : indices of the steps that a later one waits for.
    """

    steps: tuple[Step, ...]
    deferred: Mapping[str, str] = field(default_factory=dict)
    given: Mapping[str, Answer] = field(default_factory=dict)
    awaited: frozenset[int] = frozenset()

    @cached_property
    def reads(self) -> tuple[Read, ...]:
        """What all steps together read, each field once."""
        return tuple(
            dict.fromkeys(read for step in self.steps for read in step.entry.manifest.reads)
        )


def depends(later: Entry, earlier: Entry) -> bool:
    """Say whether ``later`` can see something that ``earlier`` writes."""
    if later.manifest.is_barrier or earlier.manifest.is_barrier:
        return True
    return reads_from(later, earlier)


def reads_from(later: Entry, earlier: Entry) -> bool:
    """Say whether ``later`` reads a field that ``earlier`` writes."""
    return any(
        meets(seen, read.path)
        for seen in earlier.manifest.seen_writes
        for read in later.manifest.reads
    )


def make_plan(
    entries: Iterable[Entry],
    *,
    token_stage: bool,
    given: Mapping[str, Answer] | None = None,
) -> Plan:
    """Return the plan for ``entries`` in document order.

    Parameters
    ----------
    token_stage : False defers what needs the token stage, and whatever waits for it.
    given : answers of an earlier trigger of this login, by entry id; those entries do not run.
    """
    plan = _plan_without_answers(tuple(entries), token_stage)
    return replace(plan, given=given) if given else plan


@lru_cache(maxsize=64)
def _plan_without_answers(entries: tuple[Entry, ...], token_stage: bool) -> Plan:
    """Return the plan of these entries: the same for every login in which just they are on."""
    steps: list[Step] = []
    deferred: dict[str, str] = {}
    deferred_entries: list[Entry] = []
    for entry in entries:
        if not token_stage:
            reason = entry.manifest.token_stage_need or _deferred_with(entry, deferred_entries)
            if reason:
                deferred[entry.id] = reason
                deferred_entries.append(entry)
                continue
        waits_for = frozenset(
            index
            for index, step in enumerate(steps)
            if not step.is_shadow and depends(entry, step.entry)
        )
        guards = frozenset(
            index
            for index, step in enumerate(steps)
            if not step.is_shadow and step.entry.manifest.can_deny
        )
        steps.append(Step(entry, waits_for, guards))
    awaited = (
        step.waits_for | step.guards_before if step.entry.manifest.external else step.waits_for
        for step in steps
    )
    return Plan(tuple(steps), deferred, awaited=frozenset().union(*awaited))


def _deferred_with(entry: Entry, deferred: list[Entry]) -> str | None:
    for earlier in deferred:
        if earlier.mode == "shadow":
            continue
        if depends(entry, earlier):
            return f"waits for {earlier.id}"
        # A call that costs money waits until no earlier guard can refuse.
        if entry.manifest.external and earlier.manifest.can_deny:
            return f"waits for the guard {earlier.id}"
    return None


class Run:
    """The state of one plan while it runs.

    ``ready`` names the steps that may start, ``started`` and ``finish`` tell what happened, and
    ``is_decided`` says when nothing more can change the outcome.
    """

    def __init__(self, plan: Plan, facts: Facts) -> None:
        self.plan = plan
        self.facts = facts
        self.answers: dict[int, Answer] = {}
        self._running: set[int] = set()
        # One past the first denial in document order: nothing from there on counts.
        self._end = len(plan.steps)
        for index, step in enumerate(plan.steps):
            if step.entry.id in plan.given:
                self.finish(index, plan.given[step.entry.id])

    def ready(self) -> list[int]:
        """Return the steps that may start now, in document order; none after a denial."""
        answered = self.answers.keys()
        return [
            index
            for index, step in enumerate(self.plan.steps[: self._end])
            if index not in answered
            and index not in self._running
            and step.waits_for <= answered
            and (not step.entry.manifest.external or step.guards_before <= answered)
        ]

    def started(self, index: int) -> None:
        """Note that a step runs."""
        self._running.add(index)

    def finish(self, index: int, answer: Answer) -> None:
        """Note a step's answer; a second one, or one that comes too late, changes nothing."""
        self._running.discard(index)
        if index in self.answers:
            return
        self.answers[index] = answer
        if answer.denial is not None and not self.plan.steps[index].is_shadow:
            self._end = min(self._end, index + 1)

    def view(self, index: int) -> Facts:
        """Return the facts that this step sees: the login plus the effects it waits for."""
        waits_for = sorted(self.plan.steps[index].waits_for)
        effects = [effect for earlier in waits_for for effect in self.answers[earlier].effects]
        return after(self.facts, effects) if effects else self.facts

    def request(self, index: int, now: str) -> dict[str, Any]:
        """Return the protocol request for a step."""
        entry = self.plan.steps[index].entry
        return request_of(self.view(index), entry.manifest.reads, entry.configuration, now=now)

    def missing_context(self, index: int) -> str | None:
        """Return the required field that this login cannot know, or None."""
        needed = self.plan.steps[index].entry.manifest.required_reads
        facts = self.view(index) if needed else {}
        for read in needed:
            if not knows(facts, read.path):
                return ".".join(read.path)
        return None

    @property
    def unanswered(self) -> list[int]:
        """The steps that can still change the outcome, in document order."""
        return [
            index
            for index, step in enumerate(self.plan.steps[: self._end])
            if index not in self.answers and not step.is_shadow
        ]

    def concerns_others(self, index: int) -> bool:
        """Say whether the answer of this step lets others start, or makes them needless."""
        return index in self.plan.awaited or self.answers[index].denial is not None

    @property
    def is_decided(self) -> bool:
        """Whether every answer that counts is there."""
        return not self.unanswered

    @property
    def denial(self) -> tuple[Entry, Effect] | None:
        """The entry that refuses and its denial, once decided."""
        for entry, answer in reversed(self.enforced()):
            if answer.denial is not None:
                return entry, answer.denial
        return None

    def enforced(self) -> list[tuple[Entry, Answer]]:
        """Return entries and answers that count, in document order, up to the first denial."""
        return [
            (step.entry, self.answers[index])
            for index, step in enumerate(self.plan.steps[: self._end])
            if index in self.answers and not step.is_shadow
        ]
