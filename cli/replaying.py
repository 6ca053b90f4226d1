"""Run recorded logins through another chain, here, without side effects.

The chain's own planner and runner decide; only the executor is another one: a pure rule runs, any
other is not called, and its recorded answer stands as long as rule, settings and what it sees are
those of then. A login that hangs on anything else cannot be told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from cli.recorded_logins import Recording
from cognito_rules.chain import Chain, Entry
from cognito_rules.envelope import VERSION, fault_response
from cognito_rules.fields import EVERYTHING, Facts, Path, Read, copy_json, parse_path
from cognito_rules.planner import Plan, Run, make_plan
from cognito_rules.protocol import Effect
from cognito_rules.recordings import SCHEMA, seen_digest, settings_digest
from cognito_rules.rule import Rule
from cognito_rules.runner import run_plan
from cognito_rules.selection import run_by_login, select
from cognito_rules.store import profile_writes
from cognito_rules.tokens import TokenPlan
from cognito_rules.triggers import Kind
from cognito_rules.verdict import admits_application, denial_of

# The chain document itself says these, and what the recording always holds.
_ALWAYS_KNOWN: tuple[Path, ...] = (("client",), ("connection",), ("user", "user_id"))
_NO_TIME = 1e9


@dataclass(frozen=True)
class Verdict:
    """What a login comes to: who denied it with which code, or nothing and its effects."""

    denied_by: str | None = None
    code: str | None = None
    effects: tuple[Effect, ...] = ()

    @property
    def word(self) -> str:
        """``allow`` or ``deny``."""
        return "allow" if self.code is None else "deny"


@dataclass(frozen=True)
class Replayed:
    """A recorded login, and what the other chain makes of it.

    ``now`` is None where it cannot be told; ``reason`` then says why. ``changes`` are the
    differences of an allowed login, such as ``+ scope orders/read``.
    """

    recording: Recording
    then: Verdict
    now: Verdict | None = None
    reason: str = ""
    changes: tuple[str, ...] = field(default=())

    @property
    def kind(self) -> str:
        """``same``, ``cannot tell``, ``allow → deny``, ``deny → allow`` or ``other tokens``."""
        if self.now is None:
            return "cannot tell"
        if self.now.word != self.then.word:
            return f"{self.then.word} → {self.now.word}"
        return "other tokens" if self.changes else "same"


class _Executor:
    """Answers from the recording, or by a pure rule; ``unknown`` says what it could not answer."""

    def __init__(self, recording: Recording, rules: Mapping[str, Rule]) -> None:
        self._answers: Mapping[str, Any] = recording["answers"]
        self._rules = rules
        self.unknown: dict[str, str] = {}

    def now(self) -> float:
        return 0.0

    def start(self, index: int, entry: Entry, request: dict[str, Any], timeout: float) -> Any:
        """Return the response of an entry; it is always there at once."""
        kept = self._answers.get(entry.id)
        rule = entry.manifest.name
        if kept is not None and kept["rule"] != rule:
            kept = None
        is_as_then = kept is not None and kept["settings"] == settings_digest(entry)
        if entry.manifest.is_pure:
            # A fault of then is no fault of the chain: it stands.
            if is_as_then and kept is not None and "fault" in kept:
                return _response(kept)
            own = {**request, "configuration": copy_json(request["configuration"])}
            return self._rules[rule].answer_inline(own)
        if kept is None:
            self.unknown[entry.id] = f"{rule} is not run here, and was not in the chain then"
        elif not is_as_then:
            self.unknown[entry.id] = f"{rule} is not run here, and has other settings than then"
        elif kept.get("seen") != seen_digest(request):
            self.unknown[entry.id] = (
                f"{rule} is not run here, and would see another login than then"
            )
        else:
            return _response(kept)
        return {"version": VERSION, "effects": []}

    def wait(self, until: float) -> list[tuple[int, Any]]:
        raise AssertionError("every entry is answered at once")


def _response(kept: Mapping[str, Any]) -> dict[str, Any]:
    # The effects of a fault are its refusal, with the code that it had.
    if "fault" in kept and not kept["effects"]:
        return fault_response(kept["fault"], "as recorded")
    return {"version": VERSION, "effects": kept["effects"]}


def replay(recording: Recording, chain: Chain, rules: Mapping[str, Rule]) -> Replayed:
    """Return what ``chain`` makes of a recorded login; ``rules`` are those of this checkout."""
    if recording.get("schema") != SCHEMA or recording.get("too_large"):
        why = "it was too large to record" if recording.get("too_large") else "of another version"
        return Replayed(recording, _then(recording), reason=why)
    then = _then(recording)
    if not admits_application(chain, recording["client_id"]):
        return Replayed(recording, then, Verdict(code="application_not_registered"))
    facts = _facts(recording, chain)
    selection = select(chain, Kind.TOKEN, facts, who=recording["user_id"])
    is_token_stage = recording["is_token_stage"]
    plan = make_plan(run_by_login(selection.entries), token_stage=is_token_stage)
    executor = _Executor(recording, rules)
    run = run_plan(plan, facts, executor, now=recording["now"], deadline=_NO_TIME).run
    unknown = _uncovered(plan, recording["reads"]) | executor.unknown
    denial = denial_of(run)
    reason = _doubt(run, unknown, denial and denial[0], was_allowed=then.word == "allow")
    if reason is None and denial is None and not is_token_stage:
        reason = _doubt_after(plan, selection.entries)
    if reason is not None:
        return Replayed(recording, then, reason=reason)
    if denial is not None:
        return Replayed(recording, then, Verdict(denial[0].id, denial[1]["code"]))
    effects = tuple(effect for _, answer in run.enforced() for effect in answer.effects)
    now = Verdict(effects=effects)
    changes = tuple(_changes(then, now)) if then.word == "allow" else ()
    return Replayed(recording, then, now, changes=changes)


def _then(recording: Recording) -> Verdict:
    denial = recording.get("denial")
    if denial is not None:
        return Verdict(denial["entry"], denial["code"])
    answers = recording.get("answers", {}).values()
    counting = (kept for kept in answers if not kept.get("shadow"))
    return Verdict(effects=tuple(effect for kept in counting for effect in kept["effects"]))


def _facts(recording: Recording, chain: Chain) -> Facts:
    """Return the recorded facts, with what the new document says of the application."""
    client: Facts = {"client_id": recording["client_id"]}
    application = chain.applications.get(recording["client_id"])
    if application is not None:
        client |= {"name": application.name, "metadata": dict(application.metadata)}
    facts: Facts = copy_json(recording["facts"])
    return facts | {"client": client}


def _uncovered(plan: Plan, recorded: Iterable[str]) -> dict[str, str]:
    """Return the entries that read what was not recorded, with the field."""
    known = [*_ALWAYS_KNOWN, *(parse_path(text) for text in recorded)]
    uncovered: dict[str, str] = {}
    for step in plan.steps:
        missing = next((r for r in step.entry.manifest.reads if not _covers(known, r)), None)
        if missing is not None:
            name = str(missing).removesuffix("!")
            uncovered[step.entry.id] = f"{step.entry.id} reads {name}, which was not recorded"
    return uncovered


def _covers(known: Iterable[Path], read: Read) -> bool:
    return any(path in (EVERYTHING, read.path[: len(path)]) for path in known)


def _doubt(
    run: Run, unknown: Mapping[str, str], denied_by: Entry | None, *, was_allowed: bool
) -> str | None:
    """Return why the outcome cannot be told, or None when it can.

    A refusal stands although an entry before it is unknown, when it does not hang on that one:
    both ways somebody refuses. Of a login that was refused only the decision is asked for: what
    cannot refuse, and is seen by nobody who can, leaves no doubt of it.
    """
    steps = run.plan.steps
    unsure = {index for index, step in enumerate(steps) if step.entry.id in unknown}
    counting = {i for i in range(len(steps)) if i in run.answers and not steps[i].is_shadow}
    if denied_by is not None:
        index = next(i for i, step in enumerate(steps) if step.entry is denied_by)
        doubts = unsure & ({index} | _behind(run.plan, index))
    elif was_allowed:
        doubts = unsure & counting
    else:
        guards = {i for i in counting if steps[i].entry.manifest.can_deny}
        doubts = unsure & guards.union(*(_behind(run.plan, i) for i in guards))
    return unknown[steps[min(doubts)].entry.id] if doubts else None


def _behind(plan: Plan, index: int) -> set[int]:
    """Return the steps whose effects a step sees, through others too."""
    behind = set(plan.steps[index].waits_for)
    for earlier in plan.steps[index].waits_for:
        behind |= _behind(plan, earlier)
    return behind


def _doubt_after(plan: Plan, entries: Iterable[Entry]) -> str | None:
    """Return which entry of the token stage might refuse a login that never came so far."""
    for entry in entries:
        if entry.id in plan.deferred and entry.mode == "enforce" and entry.manifest.can_deny:
            need = plan.deferred[entry.id]
            return f"refused before its tokens: what {entry.id} would say ({need}) is not known"
    return None


def _changes(then: Verdict, now: Verdict) -> Iterable[str]:
    """Yield what an allowed login would have more, less or otherwise; names and no values."""
    before, after = (_outcome(verdict.effects) for verdict in (then, now))
    for name in sorted(before.keys() | after.keys()):
        if name not in before:
            yield f"+ {name}"
        elif name not in after:
            yield f"- {name}"
        elif before[name] != after[name]:
            yield f"~ {name}"


def _outcome(effects: tuple[Effect, ...]) -> dict[str, Any]:
    """Return what effects come to: a name for each thing that tokens or the profile hold."""
    plan = TokenPlan.of_effects(effects, {})
    outcome: dict[str, Any] = {}
    for token in ("id", "access"):
        for name, value in plan.claims_within_budget(token).items():
            outcome[f"claim {name} of the {token} token"] = value
        for name in plan.removed_claims[token]:
            outcome[f"removal of {name} from the {token} token"] = True
    for scope, is_added in plan.scopes.items():
        outcome[f"scope {scope}" if is_added else f"removal of scope {scope}"] = True
    if plan.groups is not None:
        outcome["groups"] = sorted(plan.groups)
    for arn in plan.role_arns or ():
        outcome[f"role {arn.rpartition('/')[2]}"] = True
    if plan.preferred_role is not None:
        outcome["preferred role"] = plan.preferred_role
    for write in profile_writes(effects):
        outcome[f"stored {write.kind}.{write.key}"] = write.value
    return outcome
