"""Rules inside the login function: thirty of them against one trigger written by hand."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from bench import loopback
from bench.logins import PROFILES, Event, Handler, events, new_user_id, sign_in, surroundings
from bench.sampling import Samples, Target, in_turns, ratio, spread
from bench.thirty_rules import thirty_rules

LIMIT = 1.2
# As many sign-ins make one sample: a single one is too short for a noisy machine.
_BATCH = 10
# What one table call takes on AWS, roughly; the second comparison shows what follows from it.
TABLE_WAIT_MS = 4


def handlers() -> dict[str, Handler]:
    """Return the chain and the hand-written trigger, both for the AWS of the environment."""
    os.environ["PROFILES_TABLE"] = PROFILES
    from bench import hand_written  # reads the environment as a Lambda function does

    hand_written.profiles.cache_clear()
    return {"chain": thirty_rules().handle, "hand_written": hand_written.handler}


def check_agreement(both: dict[str, Handler]) -> None:
    """Let both decide the same sign-ins, allowed and refused ones.

    Raises
    ------
    RuntimeError : they disagree, so that a comparison would compare different work.
    """
    for name, change in _CASES.items():
        user_id = (loopback.FLAGGED if name == "a flagged person" else "") + new_user_id()
        answers = [_outcome(handler, user_id, change) for handler in both.values()]
        if answers[0] != answers[1]:
            raise RuntimeError(f"{name}: the chain says {answers[0]}, the trigger {answers[1]}")
        if isinstance(answers[0], str) is (name in _ADMITTED):
            raise RuntimeError(f"{name}: {answers[0]}")


def _outcome(handler: Handler, user_id: str, change: Callable[[Event], None]) -> Any:
    response: Any = None
    for event in events(user_id):
        change(event)
        try:
            response = handler(event)["response"]
        except Exception as error:  # either side's own refusal: its text is the outcome
            return str(error)
    return response


def _nothing(event: Event) -> None:
    pass


def _no_groups(event: Event) -> None:
    if "groupConfiguration" in event["request"]:
        event["request"]["groupConfiguration"]["groupsToOverride"] = []


def _not_in_directory(event: Event) -> None:
    event["request"]["userAttributes"]["custom:groups"] = '["staff"]'


def _flagged_identity(event: Event) -> None:
    identity = '[{"userId":"4711","providerName":"Acme","providerType":"OIDC"}]'
    event["request"]["userAttributes"]["identities"] = identity


def _nameless(event: Event) -> None:
    event["request"]["userAttributes"].pop("given_name", None)


def _other_scopes(event: Event) -> None:
    if "scopes" in event["request"]:
        event["request"]["scopes"] = ["aws.cognito.signin.user.admin"]


_CASES: dict[str, Callable[[Event], None]] = {
    "a person whom all admit": _nothing,
    "a flagged person": _nothing,
    "a person in no group": _no_groups,
    "a person unknown to the directory": _not_in_directory,
    "a flagged identity": _flagged_identity,
    "a person without a name": _nameless,
    "other scopes": _other_scopes,
}

_ADMITTED = ("a person whom all admit", "a person without a name", "other scopes")


def measure_inline(rounds: int, server: loopback.Loopback) -> tuple[dict[str, Any], list[Target]]:
    """Compare whole sign-ins, both triggers, warm, with the same tables."""
    both = handlers()
    check_agreement(both)
    calls = {name: _calls_of_one(handler, server) for name, handler in both.items()}
    taken = in_turns({name: _batch(handler) for name, handler in both.items()}, rounds=rounds)
    figures = _figures(taken["chain"], taken["hand_written"]) | {
        "rounds": rounds,
        "sign_ins_per_sample": _BATCH,
        "table_calls": calls,
    }
    what = "thirty pure rules inline, to a hand-written trigger"
    return figures, [
        Target(f"{what}: wall time", figures["wall_ratio"], LIMIT),
        Target(f"{what}: CPU time", figures["cpu_ratio"], LIMIT),
    ]


def measure_with_table_wait(rounds: int, server: loopback.Loopback) -> dict[str, Any]:
    """Compare the same two when each table call takes as long as on AWS."""
    before = dict(os.environ)
    surroundings(server.environment(table_wait_ms=TABLE_WAIT_MS))
    try:
        work = {name: _batch(handler) for name, handler in handlers().items()}
        taken = in_turns(work, rounds=rounds)
    finally:
        surroundings(before)
    figures = _figures(taken["chain"], taken["hand_written"])
    return figures | {"table_wait_ms": TABLE_WAIT_MS, "rounds": rounds}


def _figures(chain: Samples, hand_written: Samples) -> dict[str, Any]:
    return {
        "chain_wall_ms": chain.wall / _BATCH * 1000,
        "chain_cpu_ms": chain.cpu / _BATCH * 1000,
        "hand_written_wall_ms": hand_written.wall / _BATCH * 1000,
        "hand_written_cpu_ms": hand_written.cpu / _BATCH * 1000,
        "wall_ratio": ratio(chain.walls, hand_written.walls),
        "cpu_ratio": ratio(chain.cpus, hand_written.cpus),
        "wall_quartiles": spread(chain.walls, hand_written.walls),
        "cpu_quartiles": spread(chain.cpus, hand_written.cpus),
    }


def _batch(handler: Handler) -> Callable[[], None]:
    def work() -> None:
        for _ in range(_BATCH):
            sign_in(handler)

    return work


def _calls_of_one(handler: Handler, server: loopback.Loopback) -> dict[str, int]:
    before = server.calls()
    sign_in(handler)
    return dict(server.calls() - before)
