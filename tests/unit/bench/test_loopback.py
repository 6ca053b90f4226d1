"""What the stand-in for DynamoDB remembers: enough for two triggers to share a decision."""

from __future__ import annotations

from typing import Any

import pytest

from bench.loopback import Tables, item_bytes

MEMO = {"pk": {"S": "decision#1"}, "answers": {"S": "{}"}}
LARGE = {"pk": {"S": "decision#2"}, "answers": {"S": "x" * 2100}}


def batch_get(*keys: str) -> dict[str, Any]:
    wanted = {"Keys": [{"pk": {"S": key}} for key in keys], "ConsistentRead": True}
    return {"RequestItems": {"sessions": wanted}}


@pytest.mark.parametrize(
    ("operation", "request_"),
    [
        pytest.param("PutItem", {"TableName": "sessions", "Item": MEMO}, id="alone"),
        pytest.param(
            "TransactWriteItems",
            {
                "TransactItems": [
                    {"Update": {"TableName": "profiles", "Key": {"pk": {"S": "USER#jane"}}}},
                    {"Put": {"TableName": "sessions", "Item": MEMO}},
                ]
            },
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


@pytest.mark.parametrize(
    ("operation", "request_", "units"),
    [
        pytest.param(
            "GetItem",
            {"TableName": "t", "Key": {"pk": {"S": "none"}}},
            {"read": 1},
            id="nothing is there",
        ),
        pytest.param("BatchGetItem", batch_get("a", "b"), {"read": 2}, id="each key for itself"),
        pytest.param("PutItem", {"TableName": "t", "Item": MEMO}, {"write": 1}, id="up to 1 KB"),
        pytest.param(
            "PutItem", {"TableName": "t", "Item": LARGE}, {"write": 3}, id="each KB begun"
        ),
        pytest.param(
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "t", "Item": LARGE}}]},
            {"write": 6},
            id="twice in a transaction",
        ),
        pytest.param(
            "UpdateItem",
            {"TableName": "t", "Key": {"pk": {"S": "USER#jane"}}},
            {"write": 1},
            id="an update",
        ),
    ],
)
def test_what_the_tables_charge(
    operation: str, request_: dict[str, Any], units: dict[str, int]
) -> None:
    tables = Tables()

    tables.answer(operation, request_)

    assert +tables.units == units


@pytest.mark.parametrize(
    ("item", "size"),
    [
        pytest.param({"pk": {"S": "jané"}}, 2 + 5, id="a text in UTF-8"),
        pytest.param({"n": {"N": "1795000000.5"}}, 1 + 7, id="a number"),
        pytest.param({"b": {"BOOL": True}}, 2, id="a boolean"),
        pytest.param({"m": {"M": {"k": {"S": "v"}}}}, 1 + 3 + 2 + 1, id="a map"),
        pytest.param({"l": {"L": [{"S": "v"}, {"NULL": True}]}}, 1 + 3 + 2 + 2, id="a list"),
    ],
)
def test_how_large_an_item_is(item: dict[str, Any], size: int) -> None:
    assert item_bytes(item) == size


def test_an_unknown_operation_is_refused() -> None:
    with pytest.raises(ValueError, match="Scan"):
        Tables().answer("Scan", {})
