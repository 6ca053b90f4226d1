"""Any schedule and placement of a chain decides what strict order decides."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cognito_rules.chain import Chain, Entry
from cognito_rules.fields import Facts, lookup, project
from cognito_rules.planner import Answer, make_plan
from cognito_rules.protocol import Effect, apply_effects
from cognito_rules.runner import Outcome, read_answer, run_plan
from tests.unit.core.chains import a_chain, a_manifest

NOW = "2026-11-22T12:00:00.000Z"
FACTS: Facts = {
    "user": {
        "user_id": "u1",
        "groups": ["staff"],
        "user_metadata": {"a": 1},
        "app_metadata": {},
    },
    "transaction": {"requested_scopes": ["openid"], "scopes": ["openid"]},
}
TIMEOUT = 1.0
FAR = 1_000.0


@dataclass(frozen=True)
class Behaviour:
    """What a made-up rule does: how long it takes, and what it answers to what it sees."""

    seconds: float
    kind: str  # effects | deny | fault | junk | undeclared

    def respond(self, entry: Entry, request: dict[str, Any]) -> Any:
        """Answer; every effect carries what the rule saw, so that a wrong view shows."""
        if self.kind == "fault":
            return {"version": 1, "fault": {"code": "upstream_error", "message": "x"}}
        if self.kind == "junk":
            return ["junk"]
        seen = {k: v for k, v in request["login"].items() if k not in ("now", "unknown")}
        effects: list[Effect] = []
        if self.kind == "undeclared":
            effects.append({"effect": "set_groups", "groups": ["admin"]})
        for write in entry.manifest.writes:
            mark = f"{entry.id} saw {seen}"
            match write:
                case ("user", "user_metadata" | "app_metadata" as kind, key):
                    effects.append({"effect": f"set_{kind}", "key": key, "value": mark})
                case ("access_token", "scopes"):
                    effects.append({"effect": "add_scope", "scope": f"s{hash(mark) % 997}"})
                case ("id_token", "claims"):
                    claim = {"effect": "set_claim", "token": "id", "name": "https://x/y"}
                    effects.append({**claim, "value": mark})
                case ("deny",) if self.kind == "deny":
                    denial = {"effect": "deny", "code": "refused", "public_code": "access_denied"}
                    effects.append({**denial, "reason": "No."})
        return {"version": 1, "effects": effects}


class VirtualExecutor:
    """Runs made-up rules on a clock that jumps from one event to the next."""

    def __init__(self, behaviours: dict[str, Behaviour]) -> None:
        self.clock = 0.0
        self.behaviours = behaviours
        self.pending: list[tuple[float, int, Any]] = []
        self.started: list[str] = []

    def now(self) -> float:
        return self.clock

    def start(self, index: int, entry: Entry, request: dict[str, Any], timeout: float) -> Any:
        self.started.append(entry.id)
        behaviour = self.behaviours[entry.id]
        response = behaviour.respond(entry, request)
        if entry.placement == "inline":
            return response
        heapq.heappush(self.pending, (self.clock + behaviour.seconds, index, response))
        return None

    def wait(self, until: float) -> list[tuple[int, Any]]:
        if not self.pending or self.pending[0][0] > until:
            self.clock = max(self.clock, until)
            return []
        at = self.pending[0][0]
        self.clock = max(self.clock, at)
        answered = []
        while self.pending and self.pending[0][0] <= self.clock:
            _, index, response = heapq.heappop(self.pending)
            answered.append((index, response))
        return answered


@dataclass(frozen=True)
class Verdict:
    """What a chain came to, in a form that two ways of running it can be compared by."""

    effects: tuple[tuple[str, str], ...]
    denied_by: str | None
    code: str | None
    facts: Facts
    external: tuple[str, ...]


def in_strict_order(chain: Chain, behaviours: dict[str, Behaviour]) -> Verdict:
    """Run one entry after the other, each seeing all effects before it: the meaning of a chain."""
    facts = {section: dict(fields) for section, fields in FACTS.items()}
    effects: list[tuple[str, str]] = []
    external: list[str] = []
    for entry in chain.entries:
        if entry.mode != "enforce":
            continue
        login, unknown = project(facts, entry.manifest.reads)
        request = {"login": {**login, "now": NOW, "unknown": unknown}}
        behaviour = behaviours[entry.id]
        if entry.manifest.external:
            external.append(entry.id)
        response = behaviour.respond(entry, request)
        if behaviour.seconds >= TIMEOUT and entry.placement == "function":
            response = {"version": 1, "fault": {"code": "timeout", "message": ""}}
        answer = read_answer(entry, response)
        effects += [(entry.id, repr(effect)) for effect in answer.effects]
        if answer.denial is not None:
            return Verdict(tuple(effects), entry.id, answer.denial["code"], facts, tuple(external))
        apply_effects(facts, answer.effects)
    return Verdict(tuple(effects), None, None, facts, tuple(external))


def verdict_of(outcome: Outcome, executor: VirtualExecutor, chain: Chain) -> Verdict:
    facts = {section: dict(fields) for section, fields in FACTS.items()}
    effects: list[tuple[str, str]] = []
    denial = outcome.run.denial
    for entry, answer in outcome.run.enforced():
        effects += [(entry.id, repr(effect)) for effect in answer.effects]
        if answer.denial is None:
            apply_effects(facts, answer.effects)
    called = set(executor.started)
    external = tuple(
        entry.id
        for entry in chain.entries
        if entry.manifest.external and entry.mode == "enforce" and entry.id in called
    )
    return Verdict(
        tuple(effects),
        denial[0].id if denial else None,
        denial[1]["code"] if denial else None,
        facts,
        external,
    )


READS = (
    "user.user_metadata.a",
    "user.user_metadata.b",
    "user.user_metadata",
    "user.app_metadata.a",
    "user.app_metadata",
    "transaction.scopes",
    "user.groups",
    "user",
    "*",
)
WRITES = (
    "user.user_metadata.a",
    "user.user_metadata.b",
    "user.app_metadata.a",
    "access_token.scopes",
    "id_token.claims",
    "deny",
)
KINDS = (*["effects"] * 6, "deny", "deny", "fault", "junk", "undeclared")
CHOICES = 15


class Choices:
    """Reads one rule from bytes, a choice from each; zeros choose what is simplest.

    Drawing each choice by itself takes ten times as long as running the chain.
    """

    def __init__(self, drawn: bytes) -> None:
        self._left = iter(drawn)

    def one[T](self, options: Sequence[T]) -> T:
        return options[next(self._left) % len(options)]

    def some(self, options: Sequence[str]) -> list[str]:
        """Choose up to three different ones, by four bytes."""
        left = list(options)
        number = self.one(range(4))
        return [left.pop(next(self._left) % len(left)) for _ in range(3)][:number]


def a_drawn_chain(drawn: list[bytes]) -> tuple[Chain, dict[str, Behaviour]]:
    """Return a chain of made-up rules, one for each drawn, with what each of them does."""
    manifests, changes, behaviours = [], {}, {}
    for number, choices in enumerate(map(Choices, drawn)):
        name = f"r{number}"
        external = choices.one((False, False, False, True))
        manifests.append(
            a_manifest(
                name,
                reads=choices.some(READS),
                writes=choices.some(WRITES),
                on_error=choices.one(("continue", "continue", "deny")),
                stage=choices.one(("post_authentication", "token")),
                external=external,
                timeout_ms=int(TIMEOUT * 1000),
            )
        )
        mode = choices.one(("enforce", "enforce", "enforce", "shadow"))
        placement = choices.one(("function", "inline"))
        changes[name] = {"mode": mode, "placement": "function" if external else placement}
        behaviours[name] = Behaviour(
            seconds=choices.one((0.0, 0.01, 0.2, 0.2, 0.9, 1.5)), kind=choices.one(KINDS)
        )
    return a_chain(*manifests, **changes), behaviours


RULE = st.binary(min_size=CHOICES, max_size=CHOICES)
CHAINS = st.lists(RULE, min_size=1, max_size=9).map(a_drawn_chain)


@settings(max_examples=2_000)
@given(drawn=CHAINS)
def test_any_schedule_equals_strict_order(drawn: tuple[Chain, dict[str, Behaviour]]) -> None:
    chain, behaviours = drawn
    executor = VirtualExecutor(behaviours)

    outcome = run_plan(
        make_plan(chain.entries, token_stage=True), FACTS, executor, now=NOW, deadline=FAR
    )

    assert verdict_of(outcome, executor, chain) == in_strict_order(chain, behaviours)


@settings(max_examples=1_000)
@given(drawn=CHAINS)
def test_two_triggers_decide_what_one_decides(
    drawn: tuple[Chain, dict[str, Behaviour]],
) -> None:
    chain, behaviours = drawn
    alone = in_strict_order(chain, behaviours)
    early = {section: dict(fields) for section, fields in FACTS.items()}
    del early["user"]["groups"]
    del early["transaction"]
    executor = VirtualExecutor(behaviours)

    first = run_plan(
        make_plan(chain.entries, token_stage=False), early, executor, now=NOW, deadline=FAR
    )
    if first.run.denial is not None:
        # Which of two denials the person meets may differ; that one of them is met may not.
        assert alone.denied_by is not None
        return
    given_answers = {entry.id: answer for entry, answer in first.run.enforced()}
    plan = make_plan(chain.entries, token_stage=True, given=given_answers)
    at_token_stage = VirtualExecutor(behaviours)
    second = run_plan(plan, FACTS, at_token_stage, now=NOW, deadline=FAR)

    at_token_stage.started += executor.started
    assert verdict_of(second, at_token_stage, chain) == alone


@settings(max_examples=500)
@given(drawn=CHAINS, deadline=st.floats(0.05, 2.0))
def test_a_run_ends_at_its_deadline_and_every_guard_has_its_say(
    drawn: tuple[Chain, dict[str, Behaviour]], deadline: float
) -> None:
    chain, behaviours = drawn
    executor = VirtualExecutor(behaviours)

    outcome = run_plan(
        make_plan(chain.entries, token_stage=True), FACTS, executor, now=NOW, deadline=deadline
    )

    assert executor.now() <= deadline + 1e-9
    assert outcome.run.is_decided
    if outcome.run.denial is None:
        for step, answer in zip(outcome.run.plan.steps, _answers(outcome), strict=True):
            if step.entry.manifest.is_guard and not step.is_shadow:
                assert answer is not None
                assert answer.fault is None


def _answers(outcome: Outcome) -> list[Answer | None]:
    return [outcome.run.answers.get(index) for index in range(len(outcome.run.plan.steps))]


def test_independent_rules_run_side_by_side() -> None:
    chain = a_chain(*(a_manifest(f"r{n}", writes=["id_token.claims"]) for n in range(10)))
    executor = VirtualExecutor({f"r{n}": Behaviour(0.2, "effects") for n in range(10)})

    run_plan(make_plan(chain.entries, token_stage=True), FACTS, executor, now=NOW, deadline=FAR)

    assert executor.now() == pytest.approx(0.2)


def test_at_most_sixteen_rules_run_at_once() -> None:
    chain = a_chain(*(a_manifest(f"r{n}") for n in range(17)))
    executor = VirtualExecutor({f"r{n}": Behaviour(0.2, "effects") for n in range(17)})

    run_plan(make_plan(chain.entries, token_stage=True), FACTS, executor, now=NOW, deadline=FAR)

    assert executor.now() == pytest.approx(0.4)


def test_a_reader_waits_for_the_writer_of_the_same_key_only() -> None:
    chain = a_chain(
        a_manifest("writes_a", writes=["user.user_metadata.a"]),
        a_manifest("reads_b", reads=["user.user_metadata.b"]),
        a_manifest("reads_a", reads=["user.user_metadata.a"]),
    )

    plan = make_plan(chain.entries, token_stage=True)

    assert [sorted(step.waits_for) for step in plan.steps] == [[], [], [0]]


def test_a_rule_that_reads_everything_is_a_barrier() -> None:
    chain = a_chain(a_manifest("one"), a_manifest("all", reads=["*"]), a_manifest("two"))

    plan = make_plan(chain.entries, token_stage=True)

    assert [sorted(step.waits_for) for step in plan.steps] == [[], [0], [1]]


def test_what_only_the_token_stage_knows_is_deferred_with_all_that_waits_for_it() -> None:
    chain = a_chain(
        a_manifest("needs_groups", reads=["user.groups"], writes=["user.app_metadata.a"]),
        a_manifest("waits", reads=["user.app_metadata.a"]),
        a_manifest("paid", external=True),
        a_manifest("free"),
        a_manifest("token_rule", stage="token"),
        a_manifest("grants", writes=["aws.role"]),
    )

    plan = make_plan(chain.entries, token_stage=False)

    assert [step.entry.id for step in plan.steps] == ["paid", "free"]
    assert plan.deferred == {
        "needs_groups": "user.groups",
        "waits": "waits for needs_groups",
        "token_rule": "token rule",
        "grants": "aws.role",
    }


def test_a_paid_call_is_not_made_before_an_earlier_guard_has_let_the_login_pass() -> None:
    chain = a_chain(
        a_manifest("guard", writes=["deny"], on_error="deny"), a_manifest("paid", external=True)
    )
    executor = VirtualExecutor({"guard": Behaviour(0.5, "deny"), "paid": Behaviour(0.1, "effects")})

    outcome = run_plan(
        make_plan(chain.entries, token_stage=True), FACTS, executor, now=NOW, deadline=FAR
    )

    assert executor.started == ["guard"]
    assert outcome.run.denial is not None


@pytest.mark.parametrize(
    ("on_error", "code"),
    [
        pytest.param("deny", "context_missing", id="a guard refuses"),
        pytest.param("continue", None, id="an enricher is skipped"),
    ],
)
def test_a_required_field_that_nobody_knows(on_error: str, code: str | None) -> None:
    chain = a_chain(a_manifest("needs_ip", reads=["request.ip!"], on_error=on_error))
    executor = VirtualExecutor({"needs_ip": Behaviour(0.0, "effects")})

    outcome = run_plan(
        make_plan(chain.entries, token_stage=True), FACTS, executor, now=NOW, deadline=FAR
    )

    denial = outcome.run.denial
    assert executor.started == []
    assert (denial[1]["code"] if denial else None) == code


def test_a_shadow_is_never_waited_for_and_never_seen() -> None:
    chain = a_chain(
        a_manifest("shadow", writes=["user.app_metadata.a", "deny"]),
        a_manifest("reader", reads=["user.app_metadata.a"]),
        shadow={"mode": "shadow"},
    )
    executor = VirtualExecutor({"shadow": Behaviour(0.9, "deny"), "reader": Behaviour(0.1, "x")})

    outcome = run_plan(
        make_plan(chain.entries, token_stage=True), FACTS, executor, now=NOW, deadline=FAR
    )

    assert executor.now() == pytest.approx(0.1)
    assert outcome.run.denial is None
    assert lookup(outcome.run.view(1), ("user", "app_metadata")) == {}
