"""Rules in functions of their own: what waiting side by side saves, what an invoke costs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from bench.logins import login_function, sign_in
from bench.loopback import Loopback
from bench.sampling import Samples, Target, ideal_waves, in_turns, per_item, ratio, spread
from cognito_rules.manifest import Manifest
from cognito_rules.runner import MAX_AT_ONCE

COUNTS = (1, 5, 10, 20, 40)
# Forty rules one after the other must fit into the 3.5 s of a trigger call, so they wait less.
SLOW_MS, SHORT_MS, CPU_MS = 200, 50, 20
LIMIT_OF_TEN = 1.3
LIMIT_CPU_MS = 2.0

_READS = [
    "user.user_id",
    "user.email",
    "user.email_verified",
    "user.app_metadata",
    "user.user_metadata.step",
    "client",
]


def _rule(number: int, *, in_order: bool) -> Manifest:
    """Return a rule that reads a person and sets a claim.

    With ``in_order`` it also declares a write of what every rule reads, so each waits for all
    before it: the planner's own strict order. Requests and answers stay the same.
    """
    writes = ["id_token.claims"] + (["user.user_metadata.step"] if in_order else [])
    return Manifest.parse(
        f"rule_{number}",
        {
            "title": "Waits",
            "summary": "Answers after a while.",
            "category": "Benchmark",
            "stage": "post_authentication",
            "on_error": "deny",
            "reads": _READS,
            "writes": writes,
        },
    )


def waiting_rules(
    rules: int, *, in_order: bool = False
) -> tuple[list[dict[str, Any]], dict[str, Manifest]]:
    """Return the entries of a chain of ``rules`` remote rules, and their manifests by name."""
    manifests = {f"rule_{n}": _rule(n, in_order=in_order) for n in range(rules)}
    return [{"rule": name} for name in manifests], manifests


def _login(rules: int, wait_ms: int, *, in_order: bool = False) -> Callable[[], None]:
    """Return a whole sign-in through a chain of ``rules`` remote rules, as work to be measured."""
    entries, manifests = waiting_rules(rules, in_order=in_order)
    function = login_function(entries, manifests, prefix=f"wait-{wait_ms}-")

    def work() -> None:
        response = sign_in(function.handle)["claimsAndScopeOverrideDetails"]
        claims = response["idTokenGeneration"]["claimsToAddOrOverride"]
        if len(claims) != rules:  # a fault would make the login quick
            raise RuntimeError(f"{len(claims)} of {rules} rules answered")

    return work


def measure_waiting(rounds: int) -> tuple[dict[str, Any], list[Target]]:
    """Compare ten slow rules with one."""
    taken = in_turns({"one": _login(1, SLOW_MS), "ten": _login(10, SLOW_MS)}, rounds=rounds)
    found = ratio(taken["ten"].walls, taken["one"].walls)
    figures = {
        "wait_ms": SLOW_MS,
        "one_ms": taken["one"].wall * 1000,
        "ten_ms": taken["ten"].wall * 1000,
        "ratio": found,
        "quartiles": spread(taken["ten"].walls, taken["one"].walls),
        "rounds": rounds,
    }
    name = f"ten remote rules that each wait {SLOW_MS} ms, to one such rule"
    return figures, [Target(name, found, LIMIT_OF_TEN)]


def measure_order(rounds: int) -> list[dict[str, Any]]:
    """Compare side by side with strict order, for each number of rules."""
    figures = []
    for rules in COUNTS:
        taken = in_turns(
            {
                "side by side": _login(rules, SHORT_MS),
                "in order": _login(rules, SHORT_MS, in_order=True),
            },
            rounds=rounds,
        )
        figures.append(_of_order(rules, taken["side by side"], taken["in order"]))
    return figures


def _of_order(rules: int, side_by_side: Samples, in_order: Samples) -> dict[str, Any]:
    return {
        "rules": rules,
        "wait_ms": SHORT_MS,
        "side_by_side_ms": side_by_side.wall * 1000,
        "in_order_ms": in_order.wall * 1000,
        "ratio": ratio(side_by_side.walls, in_order.walls),
        "ideal": ideal_waves(rules, MAX_AT_ONCE) / rules,
    }


def measure_cpu(rounds: int, loopback: Loopback) -> tuple[dict[str, Any], list[Target]]:
    """Return the CPU time that each remote rule adds to a whole sign-in, all threads together."""
    counts = (1, 10, 40)
    logins = {n: partial(_several, _login(n, CPU_MS), 2) for n in (0, *counts)}
    before = loopback.calls()["Invoke"]
    taken = in_turns({str(n): login for n, login in logins.items()}, rounds=rounds)
    invokes = loopback.calls()["Invoke"] - before
    if invokes != 2 * sum(counts) * (rounds + 1):
        raise RuntimeError(f"{invokes} invokes reached Lambda's stand-in")
    cpu_ms = {n: taken[str(n)].cpu / 2 * 1000 for n in logins}
    each = {n: per_item(cpu_ms[n], cpu_ms[0], n) for n in counts}
    figures = {
        "wait_ms": CPU_MS,
        "login_without_rules_cpu_ms": cpu_ms[0],
        "cpu_ms_per_invoke": each,
        "rounds": rounds,
    }
    name = "the chain's own CPU time per remote invoke, ten rules"
    return figures, [Target(name, each[10], LIMIT_CPU_MS, "ms")]


def _several(work: Callable[[], None], times: int) -> None:
    for _ in range(times):
        work()
