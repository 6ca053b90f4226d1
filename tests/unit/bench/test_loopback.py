"""What the stand-in for DynamoDB remembers: enough for two triggers to share a decision."""

from __future__ import annotations

from typing import Any

import pytest

from bench.loopback import Tables

MEMO = {"pk": {"S": "decision#1"}, "answers": {"S": "{}"}}


def batch_get(*keys: str) -> dict[str, Any]:
    wanted = {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": True}
    return {"RequestItems": {"sessions": wanted}}


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        pytest.param("PutItem", {"TableName": "sessions", "Item": MEMO}, id="alone"),
        pytest.param(
            "TransactWriteItems",
            {"TransactItems": [{"Update": {}}, {"Put": {"TableName": "sessions", "Item": MEMO}}]},
            id="in a transaction",
        ),
    ],
)
def test_what_was_put_is_found(operation: str, request_: dict[str, Any]) -> None:
    tables = Tables()

    tables.answer(operation, request_)
    found = tables.answer("BatchGetItem", batch_get("decision#1", "decision#2"))

    assert found == {"Responses": {"sessions": [MEMO]}, "UnprocessedKeys": {}}


def test_everybody_has_a_profile_and_some_are_flagged() -> None:
    tables = Tables()
    keys = [{"pk": {"S": f"USER#{name}"}} for name in ("jane", "flagged-joe")]

    items = [tables.answer("GetItem", {"TableName": "p", "Key": key})["Item"] for key in keys]

    deleted = [item["app_metadata"]["M"]["deleted"]["BOOL"] for item in items]
    assert deleted == [False, True]


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="Scan"):
        Tables().answer("Scan", {})
