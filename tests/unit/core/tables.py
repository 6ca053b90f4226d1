"""DynamoDB's answers, for tests of the tables."""

from __future__ import annotations

import json
from typing import Any

from cognito_rules.dynamodb_json import to_item
from cognito_rules.store import Commit, Loaded, Store
from tests.loopback import Reply, Server, reply

SUB = "6f1c2d9e-0000-4000-8000-000000000001"
NOW = 1_795_300_000.5
PREFIX = "com.amazonaws.dynamodb.v20120810#"


def error(code: str, status: int = 400, **details: Any) -> Reply:
    """Return an error as DynamoDB answers it."""
    return reply(status, {"__type": PREFIX + code, "message": "x", **details})


def cancelled(*reasons: str | dict[str, Any]) -> Reply:
    """Return the end of a transaction, with a reason for each of its items."""
    listed = [{"Code": reason} if isinstance(reason, str) else reason for reason in reasons]
    return error("TransactionCanceledException", CancellationReasons=listed)


def loaded(
    profile: dict[str, Any] | None = None, sessions: list[dict[str, Any]] | None = None
) -> Reply:
    """Return what a read finds."""
    responses = {"profiles": [to_item(profile)] if profile else []}
    responses["sessions"] = [to_item(item) for item in sessions or []]
    return reply(200, {"Responses": responses, "UnprocessedKeys": {}})


def load(store: Store, timeout: float = 1.0) -> Loaded:
    """Read all that a login reads."""
    return store.load(SUB, memo_key="decision#1", login_key="login#1", timeout=timeout)


def a_commit(**changes: Any) -> Commit:
    """Return a login that counts, changed as told."""
    given: dict[str, Any] = {
        "user_id": SUB,
        "username": "jane",
        "login_key": "login#pool#sub#client",
        "event_id": "e-1",
        "at": NOW,
        "kinds": frozenset(),
        "writes": (),
        "counts": True,
        "announcement": '{"schema":1}',
        "memo": None,
    } | changes
    return Commit(**given)


def operations(server: Server) -> list[str]:
    """Return what was asked of the tables."""
    return [request.headers["x-amz-target"].partition(".")[2] for request in server.received]


def transaction(request: Any) -> list[dict[str, Any]]:
    """Return the writes of a TransactWriteItems request, their values as JSON."""
    return [next(iter(item.values())) for item in json.loads(request.body)["TransactItems"]]
