"""The trace of a trigger call: one log record, from which CloudWatch also takes metrics.

docs/traces.md describes the record. It holds ids, codes, names of effects and times, and nothing
that a person could be recognised by but the ``sub``. Metrics are in CloudWatch's embedded metric
format: those of the login stand in the record itself, those of a rule in a line of their own, since
a document has one value for each dimension.

Source: CloudWatch, "Specification: embedded metric format".
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from cognito_rules.call import Call
from cognito_rules.logs import log_fault, log_record
from cognito_rules.planner import CONTEXT_MISSING
from cognito_rules.runner import SKIPPED, Record
from cognito_rules.triggers import Kind

SCHEMA = 1
NAMESPACE = "CognitoRules"
# A document may hold as many values of one metric.
_MAX_VALUES = 100
# Kind -> the metrics that count an allowed and a refused call. A login is counted once: allowed at
# the token stage, refused wherever it is.
_COUNTED: Mapping[Kind, tuple[str, str]] = {
    Kind.AUTHENTICATED: ("Allowed", "Denied"),
    Kind.TOKEN: ("Allowed", "Denied"),
    Kind.REFRESH: ("Refreshed", "RefreshDenied"),
    Kind.MACHINE: ("MachineAllowed", "MachineDenied"),
    Kind.SIGN_UP: ("SignUpAllowed", "SignUpDenied"),
}


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")


class Tracer:
    """Writes the traces of one execution environment.

    Parameters
    ----------
    stack : the dimension ``Stack`` of all metrics; empty writes no metrics.
    of_rules : whether each rule has metrics too.
    """

    def __init__(
        self, stack: str = "", *, of_rules: bool = True, write: Callable[[str], None] = _print
    ) -> None:
        self._stack = stack
        self._of_rules = of_rules
        self._write = write
        self._is_first = True

    def write(self, call: Call) -> None:
        """Write the record of a call that ends now; no login fails for want of a trace."""
        try:
            self._write_trace(call)
        except Exception as error:
            log_fault(error)

    def _write_trace(self, call: Call) -> None:
        record = self._record(call)
        failed = "store" in record or "outcome" not in record
        if self._stack:
            counts = _counts(call, record)
            record |= {"Stack": self._stack, "Duration": record["duration_ms"], **counts}
            declared = _declared(["Stack"], ["Duration", *counts])
            record["_aws"] = {"Timestamp": record["started_at"], "CloudWatchMetrics": declared}
        log_record("login decided", record, failed=failed)
        if self._stack and self._of_rules and call.outcome is not None:
            for line in self._rule_lines(record["started_at"], call.outcome.records):
                self._write(line)

    def _record(self, call: Call) -> dict[str, Any]:
        ended = time.monotonic()
        is_cold, self._is_first = self._is_first, False
        trigger = call.trigger
        attributes = trigger.request.get("userAttributes") or {}
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "trigger": trigger.source,
            "client_id": trigger.client_id,
            # Never the user name in its place, which may be an address.
            "user_id": attributes.get("sub") if trigger.user_id else None,
            "transaction_id": call.transaction_id,
            "event_id": call.event_id,
            # The call began before its clock was read, a cold one by as long as the start took.
            "started_at": round((call.at - call.began_before) * 1000),
            "duration_ms": round((ended - call.started) * 1000, 1),
            "cold": is_cold,
            **call.record,
        }
        if call.plan is not None and call.outcome is not None:
            begun = call.phase_ms("chain") or 0.0
            records = call.outcome.records
            record |= {
                "decision": "reused" if call.reused else "taken",
                "deferred": dict(call.plan.deferred),
                "entries": [_entry(entry, begun) for entry in records],
            }
            if call.plan.given:
                record["reused"] = list(call.plan.given)
            record["skipped"] = dict(call.skipped) | _not_reached(call, records)
        else:
            record["skipped"] = dict(call.skipped)
        record["phases"] = list(_phases(call, ended))
        return record

    def _rule_lines(self, at: int, records: list[Record]) -> Iterator[str]:
        """Yield the metrics of each rule that ran, once for all its entries."""
        rules: dict[str, dict[str, Any]] = {}
        for record in records:
            # What was not waited for has no time, and what was skipped did not run.
            if record.outcome in ("running", SKIPPED):
                continue
            counted = rules.setdefault(record.rule, {"Milliseconds": []})
            if len(counted["Milliseconds"]) < _MAX_VALUES:
                counted["Milliseconds"].append(record.ms)
            for name in _counts_of(record):
                counted[name] = counted.get(name, 0) + 1
        for rule, counted in rules.items():
            # A line for each rule of each login, made of names and numbers: no encoder needs to
            # look at them again.
            of_rule = f'"Stack":"{self._stack}","Rule":"{rule}"'
            numbers = ",".join(f'"{name}":{value}' for name, value in counted.items())
            declared = _declared_by_rule(tuple(counted))
            told = f'{{"Timestamp":{at},"CloudWatchMetrics":{declared}}}'
            yield f'{{{of_rule},{numbers},"_aws":{told}}}'


def _declared(dimensions: list[str], names: Iterable[str]) -> list[dict[str, Any]]:
    """Return how CloudWatch is to read the metrics ``names`` of a line."""
    metrics = [{"Name": name, "Unit": _unit(name)} for name in names]
    return [{"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}]


@cache
def _declared_by_rule(names: tuple[str, ...]) -> str:
    return json.dumps(_declared(["Stack", "Rule"], names), separators=(",", ":"))


def _unit(name: str) -> str:
    return "Milliseconds" if name in ("Duration", "Milliseconds") else "Count"


def _counts(call: Call, record: Mapping[str, Any]) -> dict[str, int]:
    """Return what this call adds to the metrics of the stack.

    Zeros are told too: arithmetic over metrics has no value where one of them has none.
    """
    kind, outcome = call.trigger.kind, record.get("outcome")
    enforced = [r for r in call.outcome.records if not r.is_shadow] if call.outcome else []
    is_late = any(r.code == "timeout" for r in enforced) or time.monotonic() > call.deadline
    counts = {
        "RuleFaults": sum(map(_is_fault, enforced)),
        "StoreFaults": int("store" in record),
        "CallFaults": int(outcome is None),
        "Overruns": int(is_late),
    }
    is_last = outcome == "deny" or (outcome == "allow" and kind is not Kind.AUTHENTICATED)
    if is_last and kind in _COUNTED:
        allowed, denied = _COUNTED[kind]
        counts |= {allowed: int(outcome == "allow"), denied: int(outcome == "deny")}
    if is_last and kind is Kind.TOKEN:
        counts |= {"Reused": int(call.reused), "Announced": int("told" in record)}
    return counts


def _counts_of(record: Record) -> Iterator[str]:
    """Yield the metrics that one run adds one to."""
    denied = record.outcome in ("deny", "fault_deny")
    if record.is_shadow:
        if denied:
            yield "ShadowDenials"
    elif denied:
        yield "Denials"
    if record.code == "timeout":
        yield "Timeouts"
    if _is_fault(record):
        yield "Faults"


def _is_fault(record: Record) -> bool:
    """Say whether a rule failed. One whose login lacks a required field did not: it never ran."""
    return record.outcome in ("fault", "fault_deny") and record.code != CONTEXT_MISSING


def _entry(record: Record, begun: float) -> dict[str, Any]:
    """Return one entry for the log, without what does not say anything."""
    entry: dict[str, Any] = {
        "entry": record.entry,
        "rule": record.rule,
        "placement": record.placement,
        "start_ms": round(begun + record.start_ms, 2),
        "ms": record.ms,
        "outcome": record.outcome,
    }
    if record.is_shadow:
        entry["shadow"] = True
    for name in ("code", "effects", "warnings"):
        if value := getattr(record, name):
            entry[name] = value
    return entry


def _not_reached(call: Call, records: list[Record]) -> dict[str, str]:
    """Return the entries that did not start since an earlier one refused."""
    if call.plan is None:
        return {}
    started = {record.entry for record in records} | call.plan.given.keys()
    return {
        step.entry.id: "refused before" for step in call.plan.steps if step.entry.id not in started
    }


def _phases(call: Call, ended: float) -> Iterator[dict[str, Any]]:
    ends = [*(began for _, began in call.phases), ended][1:]
    for (phase, began), end in zip(call.phases, ends, strict=True):
        yield {
            "phase": phase,
            "start_ms": round((began - call.started) * 1000, 2),
            "ms": round((end - began) * 1000, 2),
        }
