"""Run a plan: start what may start, wait, apply time limits, resolve faults by ``on_error``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from cognito_rules.chain import Entry
from cognito_rules.effect_values import is_code
from cognito_rules.envelope import VERSION
from cognito_rules.errors import RuleError
from cognito_rules.planner import CONTEXT_MISSING, Answer, Plan, Run
from cognito_rules.protocol import Effect, check_effect, clean_denial

MAX_AT_ONCE = 16
MAX_EFFECTS = 1_000
MAX_WARNINGS = 20
SKIPPED = "skipped"
UNAVAILABLE = "Sign-in is unavailable right now. Please try again."
MISCONFIGURED = "Sign-in is unavailable, please contact support."

# What a rule answers as a warning is logged: it cannot hold a sentence or an address.
_WARNING = re.compile(r"[A-Za-z0-9_.:/-]{1,100}")

Request = dict[str, Any]


class Executor(Protocol):
    """Starts rules and tells their responses; the only clock of a run."""

    def now(self) -> float:
        """Return seconds on a clock that only goes forward."""

    def start(self, index: int, entry: Entry, request: Request, timeout: float) -> Any | None:
        """Start a rule; return its response when it is already there, else None."""

    def wait(self, until: float) -> list[tuple[int, Any]]:
        """Return (index, response) of rules that answered, waiting no longer than ``until``."""


@dataclass
class Record:
    """How one entry went, for the trace; times in milliseconds from the start of the run."""

    entry: str
    rule: str
    start_ms: float
    ms: float = 0.0
    placement: str = "function"
    is_shadow: bool = False
    outcome: str = "running"
    code: str | None = None
    effects: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """A run that is decided, and how each of its entries went."""

    run: Run
    records: list[Record]


def run_plan(
    plan: Plan,
    facts: Mapping[str, Any],
    executor: Executor,
    *,
    now: str,
    deadline: float,
    check_answer: Any = None,
) -> Outcome:
    """Run ``plan`` until it is decided or ``deadline`` (on the executor's clock) is over.

    An entry that has no answer at its own timeout or at the deadline gets its ``on_error``; shadow
    entries are started and never waited for. ``check_answer(entry, effects)`` may refuse effects
    that only the deployment can judge, such as roles outside the template's table.
    """
    run = Run(plan, dict(facts))
    return _Runner(run, executor, now, deadline, check_answer).loop()


class _Runner:
    def __init__(
        self, run: Run, executor: Executor, now: str, deadline: float, check_answer: Any
    ) -> None:
        self.run = run
        self.executor = executor
        self.now = now
        self.begin = executor.now()
        self.deadline = deadline
        self.check_answer = check_answer
        self.expires: dict[int, float] = {}
        self.records: dict[int, Record] = {}
        # Remote rules first: they work while inline ones use this thread. Shadows last.
        self.ranks = [
            (step.is_shadow, step.entry.placement == "inline", index)
            for index, step in enumerate(run.plan.steps)
        ]

    def loop(self) -> Outcome:
        while True:
            self._start_ready()
            if self.run.is_decided:
                break
            until = min([self.deadline, *self._waited_for()])
            for index, response in self.executor.wait(until):
                self._finish(index, response)
            self._expire()
        return Outcome(self.run, [self.records[index] for index in sorted(self.records)])

    def _waited_for(self) -> list[float]:
        return [at for index, at in self.expires.items() if not self._step(index).is_shadow]

    def _step(self, index: int) -> Any:
        return self.run.plan.steps[index]

    def _start_ready(self) -> None:
        progressed = True
        while progressed:
            progressed = False
            for index in sorted(self.run.ready(), key=self.ranks.__getitem__):
                _, is_inline, _ = self.ranks[index]
                if not is_inline and not self._has_place(index):
                    continue
                if self._start(index):
                    progressed = True
                    if self.run.concerns_others(index):
                        break

    def _has_place(self, index: int) -> bool:
        """Say whether a step may start now; what shadows hold is free for rules that count."""
        if len(self.expires) < MAX_AT_ONCE:
            return True
        shadows = sum(self._step(other).is_shadow for other in self.expires)
        return not self._step(index).is_shadow and len(self.expires) - shadows < MAX_AT_ONCE

    def _start(self, index: int) -> bool:
        """Start a step; return whether it is already answered."""
        step = self._step(index)
        entry = step.entry
        moment = self.executor.now()
        self.records[index] = Record(
            entry.id,
            entry.manifest.name,
            start_ms=self._ms(moment),
            placement=entry.placement,
            is_shadow=step.is_shadow,
        )
        self.run.started(index)
        missing = self.run.missing_context(index)
        if missing is not None:
            self._settle(index, self._without_context(entry, missing))
            return True
        timeout = min(entry.manifest.timeout_ms / 1000, self.deadline - moment)
        if timeout <= 0:
            self._settle(index, _fault(entry, "timeout", "no time was left"))
            return True
        self.expires[index] = moment + timeout
        response = self.executor.start(index, entry, self.run.request(index, self.now), timeout)
        if response is None:
            return False
        self._finish(index, response)
        return True

    def _without_context(self, entry: Entry, missing: str) -> Answer:
        if entry.manifest.is_guard:
            return _fault(entry, CONTEXT_MISSING, f"{missing} is unknown")
        return Answer(fault=SKIPPED, message=f"{missing} is unknown")

    def _finish(self, index: int, response: Any) -> None:
        if self.expires.pop(index, None) is None:
            return  # too late: its time was over
        entry = self._step(index).entry
        self._settle(index, read_answer(entry, response, self.check_answer))

    def _settle(self, index: int, answer: Answer) -> None:
        self.run.finish(index, answer)
        record = self.records[index]
        record.ms = round(self._ms(self.executor.now()) - record.start_ms, 2)
        record.effects = [effect["effect"] for effect in answer.effects]
        record.warnings = list(answer.warnings)
        record.code = answer.fault
        record.outcome = "fault" if answer.fault else "ok"
        if answer.fault == SKIPPED:
            record.outcome, record.code = "skipped", answer.message
        if answer.denial is not None:
            record.outcome = "deny" if not answer.fault else "fault_deny"
            record.code = answer.fault or answer.denial["code"]

    def _expire(self) -> None:
        moment = self.executor.now()
        for index, at in list(self.expires.items()):
            if moment >= min(at, self.deadline):
                del self.expires[index]
                self._settle(index, _fault(self._step(index).entry, "timeout", "no answer in time"))

    def _ms(self, moment: float) -> float:
        return round((moment - self.begin) * 1000, 2)


def read_answer(entry: Entry, response: Any, check_answer: Any = None) -> Answer:
    """Return what a rule's response means; everything that is not a legal answer is a fault."""
    try:
        return _read_answer(entry, response, check_answer)
    except RecursionError:
        return _fault(entry, "invalid_answer", "the answer is nested without end")


def _read_answer(entry: Entry, response: Any, check_answer: Any) -> Answer:
    if not isinstance(response, dict) or response.get("version") != VERSION:
        return _fault(entry, "invalid_answer", "no response of protocol version 1")
    fault = response.get("fault")
    if fault is not None:
        code = fault.get("code") if isinstance(fault, dict) else None
        if not is_code(code) or code == SKIPPED:
            return _fault(entry, "invalid_answer", "a fault without a code")
        return _fault(entry, str(code), str(fault.get("message", ""))[:256])
    effects = response.get("effects")
    if not isinstance(effects, list) or len(effects) > MAX_EFFECTS:
        return _fault(entry, "invalid_answer", f"no list of at most {MAX_EFFECTS} effects")
    try:
        checked = tuple(check_effect(effect, entry.manifest.writes) for effect in effects)
        if check_answer is not None:
            check_answer(entry, checked)
    except RuleError as error:
        return _fault(entry, error.code, str(error), _refusal(entry, effects))
    warnings = response.get("warnings")
    warnings = warnings[:MAX_WARNINGS] if isinstance(warnings, list) else ()
    return Answer(
        checked,
        tuple(code for code in warnings if isinstance(code, str) and _WARNING.fullmatch(code)),
    )


def _refusal(entry: Entry, effects: list[Any]) -> Effect | None:
    """Return the refusal in an answer that is illegal otherwise: nobody gets in by its mistake."""
    if ("deny",) not in entry.manifest.writes:
        return None
    for effect in effects:
        if isinstance(effect, dict) and effect.get("effect") == "deny":
            code = effect.get("code")
            named = {"code": code if is_code(code) else "rule_failed"}
            told = {key: effect.get(key) for key in ("public_code", "reason")}
            return clean_denial({"effect": "deny", **named, **told})
    return None


def _fault(entry: Entry, code: str, message: str, refusal: Effect | None = None) -> Answer:
    """Return the answer of an entry that failed: nothing, or a denial for a guard."""
    if refusal is not None:
        return Answer((refusal,), fault=code, message=message)
    effects: tuple[Effect, ...] = ()
    if entry.manifest.is_guard:
        misconfigured = code == "configuration_error"
        named = {"configuration_error": "rule_misconfigured", CONTEXT_MISSING: CONTEXT_MISSING}
        effects = (
            {
                "effect": "deny",
                "code": named.get(code, "rule_failed"),
                "public_code": "access_denied" if misconfigured else "try_again",
                "reason": MISCONFIGURED if misconfigured else UNAVAILABLE,
            },
        )
    return Answer(effects, fault=code, message=message)
