"""All rules of access and tokens in one chain: against ten of them, and in functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.access_rules import access_entries
from bench.logins import login_function, sign_in
from bench.sampling import Target, in_turns, ratio, spread
from bench.thirty_rules import load_rule
from cognito_rules.call import CHAIN_SECONDS
from cognito_rules.manifest import catalogue

FEW = 10
LIMIT = 1.5
WAIT_MS = 100
_BATCH = 10


def measure_access(rounds: int) -> tuple[dict[str, Any], list[Target]]:
    """Compare all pure rules with ten of them, and let all rules be remote."""
    entries = access_entries("payroll", ["jane@example.com"])
    pure = [entry for entry in entries if entry["placement"] == "inline"]
    # Spread over the chain, guards and token rules alike.
    few = [pure[number * len(pure) // FEW] for number in range(FEW)]
    taken = in_turns({"few": _inline(few), "all": _inline(pure)}, rounds=rounds)
    found = ratio(taken["all"].walls, taken["few"].walls)
    remote = in_turns({"remote": _remote(len(entries))}, rounds=5)["remote"]
    share = remote.wall / CHAIN_SECONDS
    figures = {
        "rules": len(entries),
        "pure": len(pure),
        "few": FEW,
        "few_ms": taken["few"].wall / _BATCH * 1000,
        "all_ms": taken["all"].wall / _BATCH * 1000,
        "ratio": found,
        "quartiles": spread(taken["all"].walls, taken["few"].walls),
        "rounds": rounds,
        "wait_ms": WAIT_MS,
        "remote_ms": remote.wall * 1000,
        "share_of_budget": share,
    }
    return figures, [
        Target(f"{len(pure)} pure rules of access and tokens, to {FEW} of them", found, LIMIT),
        Target(
            f"{len(entries)} of these rules, each {WAIT_MS} ms in a function: a sign-in, "
            "to the time that one trigger has for rules",
            share,
            1.0,
        ),
    ]


def _inline(entries: list[dict[str, Any]]) -> Callable[[], None]:
    rules = {entry["rule"]: load_rule(entry["rule"]) for entry in entries}
    function = login_function(entries, catalogue(), inline=rules)

    def work() -> None:
        for _ in range(_BATCH):
            sign_in(function.handle)

    return work


def _remote(wanted: int) -> Callable[[], None]:
    entries = access_entries("payroll", ["jane@example.com"], placement="function")
    if len(entries) != wanted:
        raise RuntimeError("the two chains are not of the same rules")
    function = login_function(entries, catalogue(), prefix=f"still-{WAIT_MS}-")

    def work() -> None:
        sign_in(function.handle)

    return work
