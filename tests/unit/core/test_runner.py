"""A run: what a rule's answer means, who waits for whom, and what comes of faults and lateness."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from cognito_rules.chain import Chain, Entry
from cognito_rules.errors import InvalidEffectError
from cognito_rules.planner import make_plan
from cognito_rules.protocol import Effect
from cognito_rules.runner import MAX_AT_ONCE, MAX_EFFECTS, Outcome, read_answer, run_plan
from tests.unit.core.chains import ScriptedExecutor, a_chain, a_manifest, answer, denial

NOW = "2026-11-22T12:00:00.000Z"
EVERY_WRITE = [
    "deny",
    "id_token.claims",
    "access_token.claims",
    "access_token.scopes",
    "user.user_metadata",
    "aws.role",
    "aws.tags",
]
METADATA = {"effect": "set_user_metadata", "key": "color", "value": "blue"}
CLAIM = {"effect": "set_claim", "token": "id", "name": "https://x/y", "value": 1}


def an_entry(**declared: Any) -> Entry:
    manifest = a_manifest("subject", **({"writes": EVERY_WRITE} | declared))
    return a_chain(manifest).entries[0]


def run(
    chain: Chain, executor: ScriptedExecutor, facts: Any = None, deadline: float = 100.0
) -> Outcome:
    plan = make_plan(chain.entries, token_stage=True)
    return run_plan(plan, facts or {}, executor, now=NOW, deadline=deadline)


def outcomes(outcome: Outcome) -> dict[str, str]:
    return {record.entry: record.outcome for record in outcome.records}


# What an answer means -------------------------------------------------------------------------


def deep(levels: int) -> Any:
    value: Any = "x"
    for _ in range(levels):
        value = [value]
    return value


JUNK = [
    pytest.param(None, "invalid_answer", id="nothing"),
    pytest.param("ok", "invalid_answer", id="a text"),
    pytest.param([], "invalid_answer", id="a list"),
    pytest.param({}, "invalid_answer", id="no version"),
    pytest.param({"version": 2, "effects": []}, "invalid_answer", id="another version"),
    pytest.param({"version": "1", "effects": []}, "invalid_answer", id="the version as text"),
    pytest.param({"version": 1}, "invalid_answer", id="no effects"),
    pytest.param({"version": 1, "effects": {}}, "invalid_answer", id="effects that are no list"),
    pytest.param({"version": 1, "effects": None}, "invalid_answer", id="null effects"),
    pytest.param({"version": 1, "fault": "broken"}, "invalid_answer", id="a fault that is a text"),
    pytest.param({"version": 1, "fault": {}}, "invalid_answer", id="a fault without a code"),
    pytest.param({"version": 1, "fault": {"code": 7}}, "invalid_answer", id="a number as code"),
    pytest.param(
        {"version": 1, "fault": {"code": "jane@example.com"}}, "invalid_answer", id="a mail as code"
    ),
    pytest.param(
        {"version": 1, "fault": {"code": "x" * 65}}, "invalid_answer", id="a code without end"
    ),
    pytest.param(
        {"version": 1, "fault": {"code": "skipped", "message": "jane@example.com"}},
        "invalid_answer",
        id="a code that only the chain uses",
    ),
    pytest.param(
        {"version": 1, "fault": {"code": "upstream_error", "message": deep(100_000)}},
        "invalid_answer",
        id="a message without a bottom",
    ),
    pytest.param(answer(["deny"]), "unknown_effect", id="an effect that is no object"),  # type: ignore[arg-type]
    pytest.param(answer({"effect": "grant"}), "unknown_effect", id="an unknown effect"),
    pytest.param(answer({"effect": ["deny"]}), "unknown_effect", id="a list as effect"),
    pytest.param(answer({"effect": deep(100_000)}), "invalid_answer", id="an endless effect"),
    pytest.param(answer(*[CLAIM] * 1_001), "invalid_answer", id="more effects than anyone needs"),
    pytest.param(
        answer({"effect": "set_groups", "groups": ["admin"]}),
        "undeclared_effect",
        id="an undeclared effect",
    ),
    pytest.param(
        answer({"effect": "set_app_metadata", "key": "deleted", "value": False}),
        "undeclared_effect",
        id="a key that is not declared",
    ),
    pytest.param(answer({**CLAIM, "name": "sub"}), "protected_claim", id="a protected claim"),
    pytest.param(
        answer({**CLAIM, "name": "cognito:groups"}), "protected_claim", id="a claim of Cognito's"
    ),
    pytest.param(
        answer({**CLAIM, "name": "aws_tag_granted"}), "protected_claim", id="a claim of a tag"
    ),
    pytest.param(
        answer({"effect": "remove_claim", "token": "id", "name": "aws_tag_granted"}),
        "protected_claim",
        id="the removal of a tag",
    ),
    pytest.param(
        answer({"effect": "set_session_tags", "tags": {"Granted": ":administrator:"}}),
        "protected_claim",
        id="the tag that binds roles",
    ),
    pytest.param(
        answer({"effect": "set_session_tags", "tags": {"GRANTED": ":administrator:"}}),
        "protected_claim",
        id="the same in capitals",
    ),
    pytest.param(
        answer({"effect": "add_scope", "scope": "read orders"}), "invalid_scope", id="a blank"
    ),
    pytest.param(answer({**CLAIM, "extra": 1}), "invalid_effect", id="an unknown field"),
    pytest.param(answer({**METADATA, "value": deep(50)}), "invalid_effect", id="a deep value"),
    pytest.param(
        answer({**METADATA, "value": {"a": "\ud800"}}), "invalid_effect", id="half a character"
    ),
    pytest.param(answer({**CLAIM, "name": "\ud800"}), "invalid_effect", id="and as a claim's name"),
    pytest.param(
        answer({**METADATA, "value": 10**40}), "invalid_effect", id="a number of 41 digits"
    ),
    pytest.param(
        answer({**METADATA, "value": {"a": [1e-200]}}), "invalid_effect", id="a tiny number"
    ),
    pytest.param(
        answer({"effect": "set_aws_role", "role_arns": ["arn:aws:iam::123456789012:user/root"]}),
        "invalid_effect",
        id="a role that is none",
    ),
]


@pytest.mark.parametrize(("response", "code"), JUNK)
def test_an_illegal_answer_is_a_fault(response: Any, code: str) -> None:
    given = read_answer(an_entry(on_error="continue"), response)

    assert given.fault == code
    assert given.effects == ()


@pytest.mark.parametrize(("response", "code"), JUNK)
def test_an_illegal_answer_of_a_guard_refuses(response: Any, code: str) -> None:
    given = read_answer(an_entry(on_error="deny"), response)

    assert given.fault == code
    assert [effect["effect"] for effect in given.effects] == ["deny"]
    assert given.effects[0]["public_code"] == "try_again"


@pytest.mark.parametrize(
    ("code", "deny_code", "public_code"),
    [
        pytest.param("configuration_error", "rule_misconfigured", "access_denied", id="settings"),
        pytest.param("context_missing", "context_missing", "try_again", id="a missing field"),
        pytest.param("timeout", "rule_failed", "try_again", id="lateness"),
        pytest.param("upstream_error", "rule_failed", "try_again", id="anything else"),
    ],
)
def test_a_faulty_guard_refuses_with(code: str, deny_code: str, public_code: str) -> None:
    fault = {"version": 1, "fault": {"code": code, "message": "x"}}

    [effect] = read_answer(an_entry(on_error="deny"), fault).effects

    assert (effect["code"], effect["public_code"]) == (deny_code, public_code)
    assert "x" not in effect["reason"].split()


def test_one_illegal_effect_takes_the_others_with_it() -> None:
    given = read_answer(an_entry(), answer(CLAIM, {"effect": "grant"}, METADATA))

    assert given.effects == ()


@pytest.mark.parametrize(
    ("effects", "fault", "code", "reason"),
    [
        pytest.param(
            [denial("no"), {"effect": "grant"}], "unknown_effect", "no", "No.", id="before it"
        ),
        pytest.param(
            [{**CLAIM, "name": "sub"}, denial("no")], "protected_claim", "no", "No.", id="after it"
        ),
        pytest.param(
            [{**denial(), "code": "Not in group"}],
            "invalid_effect",
            "rule_failed",
            "No.",
            id="its own code is illegal",
        ),
        pytest.param(
            [{"effect": "deny"}], "invalid_effect", "rule_failed", "You cannot log in.", id="bare"
        ),
    ],
)
def test_a_refusal_stands_whatever_else_is_wrong_with_the_answer(
    effects: list[Any], fault: str, code: str, reason: str
) -> None:
    given = read_answer(an_entry(on_error="continue"), answer(*effects))

    assert given.fault == fault
    assert given.denial is not None
    assert (given.denial["code"], given.denial["reason"]) == (code, reason)
    assert len(given.effects) == 1


def test_a_refusal_that_is_not_declared_is_none() -> None:
    entry = an_entry(on_error="continue", writes=["id_token.claims"])

    given = read_answer(entry, answer(denial()))

    assert (given.fault, given.effects) == ("undeclared_effect", ())


def test_a_legal_answer_is_taken_in_its_order() -> None:
    given = read_answer(an_entry(), answer(METADATA, CLAIM))

    assert given.fault is None
    assert given.effects == (METADATA, CLAIM)


def test_as_many_effects_as_anyone_needs_are_taken() -> None:
    given = read_answer(an_entry(), answer(*[CLAIM] * MAX_EFFECTS))

    assert len(given.effects) == MAX_EFFECTS


def test_a_check_of_the_deployment_refuses_too() -> None:
    def check(entry: Entry, effects: Sequence[Effect]) -> None:
        raise InvalidEffectError("unknown_role", "not in the table")

    given = read_answer(an_entry(on_error="deny"), answer(CLAIM), check)

    assert given.fault == "unknown_role"
    assert given.denial is not None


@pytest.mark.parametrize(
    ("warnings", "kept"),
    [
        pytest.param(["retired_namespace"], ("retired_namespace",), id="a code"),
        pytest.param(["claim:https://x/y"], ("claim:https://x/y",), id="a code with a subject"),
        pytest.param(["jane@example.com", "Jane Doe"], (), id="no text of a rule's own"),
        pytest.param([7, None, ["x"]], (), id="no values"),
        pytest.param("retired", (), id="no list"),
        pytest.param({"a": 1}, (), id="an object"),
        pytest.param(["w"] * 100, ("w",) * 20, id="twenty are enough"),
        pytest.param(["x" * 101], (), id="none without end"),
    ],
)
def test_warnings_are_codes(warnings: Any, kept: tuple[str, ...]) -> None:
    given = read_answer(an_entry(), {**answer(CLAIM), "warnings": warnings})

    assert given.warnings == kept
    assert given.fault is None


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
