"""A run: who waits for whom, and what comes of faults and lateness."""

from __future__ import annotations

from typing import Any

import pytest

from cognito_rules.chain import Chain
from cognito_rules.planner import Answer, Run, make_plan
from cognito_rules.runner import MAX_AT_ONCE, Outcome, run_plan
from tests.unit.core.chains import ScriptedExecutor, a_chain, a_manifest, answer, denial

NOW = "2026-11-22T12:00:00.000Z"
METADATA = {"effect": "set_user_metadata", "key": "color", "value": "blue"}
CLAIM = {"effect": "set_claim", "token": "id", "name": "https://x/y", "value": 1}


def run(
    chain: Chain, executor: ScriptedExecutor, facts: Any = None, deadline: float = 100.0
) -> Outcome:
    plan = make_plan(chain.entries, token_stage=True)
    return run_plan(plan, facts or {}, executor, now=NOW, deadline=deadline)


def outcomes(outcome: Outcome) -> dict[str, str]:
    return {record.entry: record.outcome for record in outcome.records}


# Lateness -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("on_error", "code"),
    [
        pytest.param("deny", "rule_failed", id="refuses when it is a guard"),
        pytest.param("continue", None, id="goes without effect when it is none"),
    ],
)
def test_a_rule_that_is_late(on_error: str, code: str | None) -> None:
    chain = a_chain(
        a_manifest("late", writes=["id_token.claims"], on_error=on_error, timeout_ms=500)
    )
    executor = ScriptedExecutor(late=(0.6, answer(CLAIM)))

    outcome = run(chain, executor)

    found = outcome.run.denial
    assert (found[1]["code"] if found else None) == code
    assert executor.clock == pytest.approx(0.5)
    assert outcome.run.answers[0].fault == "timeout"


def test_what_waits_for_a_late_rule_goes_on_without_it() -> None:
    chain = a_chain(
        a_manifest("late", writes=["user.user_metadata"], timeout_ms=500),
        a_manifest("reader", reads=["user.user_metadata"]),
    )
    executor = ScriptedExecutor(late=(9.0, answer(METADATA)), reader=(0.1, answer()))

    outcome = run(chain, executor, {"user": {"user_metadata": {"color": "red"}}})

    assert executor.requests["reader"]["login"]["user"]["user_metadata"] == {"color": "red"}
    assert outcomes(outcome) == {"late": "fault", "reader": "ok"}


def test_the_deadline_cuts_every_timeout() -> None:
    chain = a_chain(a_manifest("one", timeout_ms=3_000), a_manifest("two", timeout_ms=3_000))
    executor = ScriptedExecutor()

    outcome = run(chain, executor, deadline=1.25)

    assert executor.clock == pytest.approx(1.25)
    assert executor.timeouts == {"one": 1.25, "two": 1.25}
    assert outcomes(outcome) == {"one": "fault", "two": "fault"}


@pytest.mark.parametrize("deadline", [0.0, -1.0])
def test_without_time_no_rule_is_called_and_guards_refuse(deadline: float) -> None:
    chain = a_chain(a_manifest("first"), a_manifest("guard", on_error="deny", writes=["deny"]))
    executor = ScriptedExecutor(first=(0.0, answer()), guard=(0.0, answer()))

    outcome = run(chain, executor, deadline=deadline)

    assert executor.started == []
    assert outcome.run.denial is not None
    assert outcomes(outcome) == {"first": "fault", "guard": "fault_deny"}


def test_a_guard_behind_a_slow_rule_refuses_when_no_time_is_left_for_it() -> None:
    chain = a_chain(
        a_manifest("slow", writes=["user.user_metadata"], timeout_ms=3_000),
        a_manifest("guard", reads=["user.user_metadata"], on_error="deny", writes=["deny"]),
    )
    executor = ScriptedExecutor(guard=(0.0, answer()))

    outcome = run(chain, executor, deadline=1.0)

    assert executor.started == ["slow"]
    assert outcome.run.denial is not None


def test_a_late_answer_changes_nothing() -> None:
    chain = a_chain(
        a_manifest("late", writes=["deny"], timeout_ms=100),
        a_manifest("other", timeout_ms=3_000),
    )
    executor = ScriptedExecutor(late=(0.2, answer(denial())), other=(0.5, answer()))

    outcome = run(chain, executor)

    assert executor.clock == pytest.approx(0.5)
    assert outcome.run.denial is None
    assert outcome.records[0].outcome == "fault"


def test_a_second_answer_changes_nothing() -> None:
    chain = a_chain(a_manifest("guard", writes=["deny"]))
    run_ = Run(make_plan(chain.entries, token_stage=True), {})
    run_.finish(0, Answer((denial("first"),)))

    run_.finish(0, Answer())

    assert run_.denial is not None
    assert run_.denial[1]["code"] == "first"


# Refusals -------------------------------------------------------------------------------------


def test_the_first_denial_of_the_document_wins_not_the_fastest() -> None:
    guards = (a_manifest(name, writes=["deny"]) for name in ("slow", "fast"))
    executor = ScriptedExecutor(
        slow=(0.9, answer(denial("slow_one"))), fast=(0.1, answer(denial("fast_one")))
    )

    outcome = run(a_chain(*guards), executor)

    found = outcome.run.denial
    assert found is not None
    assert (found[0].id, found[1]["code"]) == ("slow", "slow_one")


def test_nobody_waits_for_what_stands_behind_a_denial() -> None:
    chain = a_chain(a_manifest("guard", writes=["deny"]), a_manifest("slow"))
    executor = ScriptedExecutor(guard=(0.1, answer(denial())), slow=(1.4, answer()))

    outcome = run(chain, executor)

    assert executor.clock == pytest.approx(0.1)
    assert outcomes(outcome) == {"guard": "deny", "slow": "running"}


def test_effects_behind_a_denial_do_not_count() -> None:
    chain = a_chain(
        a_manifest("first", writes=["user.user_metadata"]),
        a_manifest("guard", writes=["deny"]),
        a_manifest("last", writes=["id_token.claims"]),
    )
    executor = ScriptedExecutor(
        first=(0.0, answer(METADATA)), guard=(0.5, answer(denial())), last=(0.0, answer(CLAIM))
    )

    outcome = run(chain, executor)

    assert [entry.id for entry, _ in outcome.run.enforced()] == ["first", "guard"]


# Places ---------------------------------------------------------------------------------------


def test_shadows_never_hold_the_place_of_a_rule_that_counts() -> None:
    shadows = [a_manifest(f"shadow{n}", timeout_ms=3_000) for n in range(MAX_AT_ONCE)]
    chain = a_chain(
        a_manifest("first", writes=["user.user_metadata"]),
        *shadows,
        *(a_manifest(f"second{n}", reads=["user.user_metadata"]) for n in range(4)),
        **{shadow.name: {"mode": "shadow"} for shadow in shadows},
    )
    executor = ScriptedExecutor(
        first=(0.1, answer()), **{f"second{n}": (0.2, answer()) for n in range(4)}
    )

    run(chain, executor)

    assert executor.clock == pytest.approx(0.3)
    assert [name for name in executor.started if name.startswith("second")]


def test_a_shadow_that_waits_for_the_token_stage_keeps_nobody_waiting() -> None:
    chain = a_chain(
        a_manifest("shadow", reads=["user.groups"], writes=["user.user_metadata", "deny"]),
        a_manifest("reader", reads=["user.user_metadata"]),
        a_manifest("paid", external=True),
        shadow={"mode": "shadow"},
    )

    plan = make_plan(chain.entries, token_stage=False)

    assert [step.entry.id for step in plan.steps] == ["reader", "paid"]
    assert list(plan.deferred) == ["shadow"]


def test_shadows_take_free_places_only() -> None:
    shadows = [a_manifest(f"shadow{n}") for n in range(2 * MAX_AT_ONCE)]
    chain = a_chain(
        *shadows, a_manifest("real"), **{shadow.name: {"mode": "shadow"} for shadow in shadows}
    )
    executor = ScriptedExecutor(real=(0.1, answer()))

    run(chain, executor)

    assert executor.started[0] == "real"
    assert executor.most_at_once == MAX_AT_ONCE


def test_inline_rules_need_no_place() -> None:
    remote = [a_manifest(f"remote{n}") for n in range(MAX_AT_ONCE)]
    chain = a_chain(*remote, a_manifest("pure"), pure={"placement": "inline"})
    script = {manifest.name: (0.1, answer()) for manifest in remote}
    executor = ScriptedExecutor(pure=(0.0, answer()), **script)

    run(chain, executor)

    assert executor.started[-1] == "pure"
    assert executor.clock == pytest.approx(0.1)


# The trace ------------------------------------------------------------------------------------


def test_the_trace_says_how_each_entry_went() -> None:
    chain = a_chain(
        a_manifest("guard", writes=["deny"]),
        a_manifest("needs", reads=["request.ip!"]),
        a_manifest("broken"),
        a_manifest("pure", writes=["id_token.claims"]),
        pure={"placement": "inline"},
        guard={"mode": "shadow"},
    )
    executor = ScriptedExecutor(
        guard=(0.05, answer(denial())),
        broken=(0.2, {"version": 1, "fault": {"code": "secret_error", "message": "m"}}),
        pure=(0.01, answer(CLAIM, warnings=["retired_namespace"])),
    )

    records = {record.entry: record for record in run(chain, executor).records}

    assert (records["guard"].outcome, records["guard"].code) == ("deny", "refused")
    assert (records["needs"].outcome, records["needs"].code) == ("skipped", "request.ip is unknown")
    assert (records["broken"].outcome, records["broken"].code) == ("fault", "secret_error")
    assert (records["broken"].start_ms, records["broken"].ms) == (0, 200)
    assert (records["pure"].outcome, records["pure"].placement) == ("ok", "inline")
    assert records["pure"].effects == ["set_claim"]
    assert records["pure"].warnings == ["retired_namespace"]


def test_requests_carry_what_the_manifest_reads_and_the_time() -> None:
    chain = a_chain(
        a_manifest("reader", reads=["user.email", "request.ip"], configuration={}),
        a_manifest("blind"),
    )
    executor = ScriptedExecutor(reader=(0.0, answer()), blind=(0.0, answer()))

    run(chain, executor, {"user": {"email": "jane@example.com", "groups": ["staff"]}})

    assert executor.requests["reader"] == {
        "version": 1,
        "login": {
            "user": {"email": "jane@example.com"},
            "request": {"ip": None},
            "now": NOW,
            "unknown": ["request.ip"],
        },
        "configuration": {},
    }
    assert executor.requests["blind"]["login"] == {"now": NOW, "unknown": []}
