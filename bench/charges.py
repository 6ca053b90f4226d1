"""``python -m bench.charges``: count what AWS charges for in a login; writes docs/charges.json.

Counts, not times: a sign-in goes through both triggers against ``bench.loopback``, which counts the
calls and the request units of the tables; its announcement goes through announce and deliver.
``tools/costs.py`` makes docs/costs.md of them. ``--print`` writes to standard output instead.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from logging import StreamHandler
from pathlib import Path
from typing import Any, cast

from bench import loopback
from bench.logins import PROFILES, SESSIONS, events, login_function, new_user_id, surroundings
from bench.remote import waiting_rules
from bench.thirty_rules import SETTINGS, entries, load_rule
from cognito_rules.announce import Announcer
from cognito_rules.aws import Aws
from cognito_rules.manifest import catalogue
from cognito_rules.pipeline import LoginFunction
from cognito_rules.store import Commit, Store
from cognito_rules.testing import a_context

DATA = Path(__file__).resolve().parent.parent / "docs/charges.json"

# Placement, number of rules that decide. Inline ones are taken evenly from the thirty.
CHAINS = (("inline", 0), ("inline", 10), ("inline", 30), ("function", 10), ("function", 30))
TELLING: tuple[dict[str, Any], ...] = (
    {"rule": "record_events_splunk"},
    {"rule": "record_events_segment"},
    {"rule": "track_login_mixpanel", "configuration": {"project_id": "42"}},
)
TOLD = (0, 1, 3)
DELIVERED = TELLING[0]["rule"]

Row = dict[str, Any]


class RememberingStore(Store):
    """A store that keeps the last commit, for the announcement in it."""

    last: Commit | None = None

    def commit(self, commit: Commit, *, timeout: float) -> None:
        """Write as the store does."""
        self.last = commit
        super().commit(commit, timeout=timeout)

    @property
    def announcement(self) -> str | None:
        """What the last commit announced."""
        return self.last.announcement if self.last else None


class Bus:
    """Takes the place of boto3's client of EventBridge, and keeps what is put on the bus."""

    def __init__(self) -> None:
        self.details: list[str] = []

    def put_events(self, *, Entries: Any) -> Any:
        """Take every entry."""
        self.details += [entry["Detail"] for entry in Entries]
        return {"Entries": [{} for _ in Entries]}


def measure(server: loopback.Loopback) -> Row:
    """Return the counts of every chain, and of one delivery."""
    logins = []
    detail = ""
    for placement, number in CHAINS:
        for told in TOLD:
            store = RememberingStore(Aws(), profiles=PROFILES, sessions=SESSIONS)
            function = replace(_function(placement, number, told), store=store)
            row: Row = {"placement": placement, "rules": number, "after_login": told}
            row["login"] = _counted(server, function, refresh=False)
            if store.announcement is None:
                row["refresh"] = _counted(server, function, refresh=True)
            else:
                row["announced"], detail = _announced(store.announcement)
            logins.append(row)
    return {"logins": logins, "delivery": _delivery(server, detail), "rule": _rule()}


def _function(placement: str, number: int, told: int) -> LoginFunction:
    inline = {}
    if placement == "inline":
        thirty = entries()
        deciding = [thirty[place * len(thirty) // number] for place in range(number)]
        manifests = dict(catalogue())
        inline = {name: load_rule(name) for name in SETTINGS}
    else:
        waiting, made_up = waiting_rules(number)
        deciding = [{**entry, "runs_on_refresh": True} for entry in waiting]
        manifests = {**catalogue(), **made_up}
    chain = [*deciding, *TELLING[:told]]
    return login_function(chain, manifests, inline=inline, prefix="wait-0-")


def _counted(server: loopback.Loopback, function: LoginFunction, *, refresh: bool) -> Row:
    """Return what one sign-in, or one refresh, makes of everything that is charged for."""
    authenticated, token = events(new_user_id())
    calls = [authenticated, token]
    if refresh:
        calls = [{**token, "triggerSource": "TokenGeneration_RefreshTokens"}]
    calls_before, units_before = server.calls(), server.units()
    with _log() as log:
        for event in calls:
            function.handle(event)
    made, units = server.calls() - calls_before, server.units() - units_before
    return {
        "triggers": len(calls),
        "invokes": made.pop("Invoke", 0),
        "table_calls": made.total(),
        **_units(units),
        # Durations and numbers in it differ by some characters.
        "log_bytes": round(len(log.getvalue()), -2),
    }


def _announced(announcement: str) -> tuple[Row, str]:
    """Return what announce makes of one login, and the event that it puts on the bus."""
    images = {
        "Keys": {"pk": {"S": "login#pool#event#client"}},
        "NewImage": {"announcement": {"S": announcement}},
        "SequenceNumber": "1",
    }
    bus = Bus()
    with _log() as log:
        Announcer(cast(Any, bus), "bus").handle({"Records": [{"dynamodb": images}]})
    [detail] = bus.details
    return {"event_bytes": len(detail), "log_bytes": round(len(log.getvalue()), -2)}, detail


def _delivery(server: loopback.Loopback, detail: str) -> Row:
    """Return what deliver makes of one message, in an environment that has made one before."""
    from cognito_rules.deliver import handler

    view = json.loads(detail)["views"][DELIVERED]
    counted: Row = {}
    for number in range(2):
        body = json.dumps({**view, "event_id": f"{number}"}, separators=(",", ":"))
        record = {
            "messageId": f"{number}",
            "receiptHandle": "handle",
            "body": body,
            "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1795000000000"},
            "messageAttributes": {},
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:queue",
        }
        calls_before, units_before = server.calls(), server.units()
        with _log() as log:
            answer = handler({"Records": [record]}, a_context(remaining_ms=100_000))
        if answer["batchItemFailures"]:
            raise RuntimeError(f"the delivery failed: {log.getvalue()}")
        made, units = server.calls() - calls_before, server.units() - units_before
        counted = {
            "invokes": made.pop("Invoke"),
            "table_calls": made.total(),
            **_units(units),
            "log_bytes": round(len(log.getvalue()), -2),
            "message_bytes": len(body),
        }
    return counted


def _rule() -> Row:
    """Return what the function of a rule logs in one run."""
    from functions.require_group.app import rule

    event = json.loads(Path("events/require_group.json").read_text(encoding="utf-8"))
    with _log() as log:
        rule(event, a_context())
    return {"log_bytes": round(len(log.getvalue()), -2)}


def _units(units: Counter[str]) -> Row:
    return {"read_units": units["read"], "write_units": units["write"]}


@contextlib.contextmanager
def _log() -> Iterator[io.StringIO]:
    """Keep what the product logs meanwhile, by its one logger and, metrics, on standard output."""
    from cognito_rules.logs import logger

    log = io.StringIO()
    [handler] = logger().handlers
    assert isinstance(handler, StreamHandler)
    stream = handler.setStream(log)
    try:
        with contextlib.redirect_stdout(log):
            yield log
    finally:
        handler.setStream(stream)


def main() -> None:
    """Count, and write what was counted."""
    parser = argparse.ArgumentParser(prog="python -m bench.charges", description=__doc__)
    parser.add_argument("--print", action="store_true", help="write to standard output only")
    given = parser.parse_args()
    with loopback.started() as server:
        surroundings(
            server.environment()
            | {
                "PROFILES_TABLE": PROFILES,
                "SESSIONS_TABLE": SESSIONS,
                "RULE_FUNCTION_PREFIX": "still-0-",
            }
            | {"AWS_ENDPOINT_URL_SQS": f"http://{loopback.HOST}:{server.port}"}
        )
        text = json.dumps(measure(server), indent=2) + "\n"
    if given.print:
        print(text, end="")
    else:
        DATA.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
