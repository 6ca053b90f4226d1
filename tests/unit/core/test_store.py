"""What the login path writes, over a real connection to a server that answers like DynamoDB."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_rules.dynamodb import ConditionFailedError
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.errors import StoreError
from cognito_rules.store import ProfileWrite, Store, profile_writes
from tests.loopback import Reply, Server
from tests.moments import ends_soon
from tests.unit.core.tables import NOW, SUB, a_commit, cancelled, error, operations, transaction

# Writing: failures ----------------------------------------------------------------------------


def test_a_login_that_another_one_overtook_writes_the_rest(store: Store, amazon: Server) -> None:
    write = ProfileWrite("user_metadata", "color", "blue")
    amazon.replies = [cancelled("ConditionalCheckFailed", "None"), Reply()]

    store.commit(a_commit(writes=(write,)), timeout=1.0)

    again = transaction(amazon.received[1])
    assert [item["TableName"] for item in again] == ["profiles"]
    assert "logins_count" not in again[0]["ExpressionAttributeNames"].values()


def test_without_anything_else_to_write_it_ends_there(store: Store, amazon: Server) -> None:
    amazon.replies = [cancelled("ConditionalCheckFailed", "None"), Reply()]

    store.commit(a_commit(), timeout=1.0)

    assert len(amazon.received) == 1


@pytest.mark.parametrize(
    ("item", "exists"),
    [
        pytest.param(
            {"pk": "x", "app_metadata": {}},
            {"user_metadata": False, "app_metadata": True, "profile": False},
            id="one map",
        ),
        pytest.param(
            {"pk": "x", "user_metadata": {}, "app_metadata": {}, "profile": {}},
            {"user_metadata": True, "app_metadata": True, "profile": True},
            id="all maps",
        ),
        pytest.param(
            {"pk": "x"},
            {"user_metadata": False, "app_metadata": False, "profile": False},
            id="none",
        ),
        pytest.param(
            None, {"user_metadata": True, "app_metadata": True, "profile": True}, id="not told"
        ),
    ],
)
def test_a_profile_that_appeared_meanwhile_is_taken_as_it_is(
    store: Store, amazon: Server, item: dict[str, Any] | None, exists: dict[str, bool]
) -> None:
    reason: dict[str, Any] = {"Code": "ConditionalCheckFailed"}
    if item is not None:
        reason["Item"] = to_item(item)
    amazon.replies = [cancelled("None", reason), Reply()]

    store.commit(a_commit(), timeout=1.0)

    login, profile = transaction(amazon.received[1])
    assert login["TableName"] == "sessions"
    names = profile["ExpressionAttributeNames"]
    conditions = profile["ConditionExpression"]
    required = {
        name: f"attribute_exists({alias})" in conditions
        for alias, name in names.items()
        if f"exists({alias})" in conditions
    }
    assert required == exists


def test_the_table_is_asked_to_tell_the_profile_that_was_in_the_way(
    store: Store, amazon: Server
) -> None:
    store.commit(a_commit(), timeout=1.0)

    _, profile = transaction(amazon.received[0])
    assert profile["ReturnValuesOnConditionCheckFailure"] == "ALL_OLD"


@pytest.mark.parametrize(
    "reasons",
    [
        pytest.param(["TransactionConflict", "None"], id="a conflict"),
        pytest.param(["None", "ThrottlingError"], id="throttled"),
        pytest.param(["ProvisionedThroughputExceeded", "None"], id="a hot key"),
    ],
)
def test_a_transaction_that_lost_a_race_is_repeated_unchanged(
    store: Store, amazon: Server, reasons: list[str]
) -> None:
    amazon.replies = [cancelled(*reasons), Reply()]

    store.commit(a_commit(), timeout=1.0)

    assert [request.body for request in amazon.received] == [amazon.received[0].body] * 2


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(cancelled("None", "ValidationError"), id="an illegal item"),
        pytest.param(cancelled("ItemCollectionSizeLimitExceeded"), id="a full collection"),
        pytest.param(cancelled(), id="no reason"),
        pytest.param(error("TransactionCanceledException"), id="no list of reasons"),
        pytest.param(error("ValidationException"), id="an item that is too large"),
        pytest.param(error("ResourceNotFoundException"), id="no such table"),
    ],
)
def test_a_transaction_that_cannot_succeed_is_given_up(
    store: Store, amazon: Server, answer: Reply
) -> None:
    amazon.replies = [answer]

    with pytest.raises(StoreError):
        store.commit(a_commit(), timeout=1.0)

    assert len(amazon.received) == 1


def test_a_condition_that_never_holds_ends_in_time(store: Store, amazon: Server) -> None:
    amazon.replies = [cancelled("None", "ConditionalCheckFailed")]

    with ends_soon(), pytest.raises(StoreError):
        store.commit(a_commit(), timeout=0.2)


@pytest.mark.parametrize("value", [float("nan"), 10**40, 1e-200, {1, 2}])
def test_what_a_table_cannot_keep_is_an_error_of_the_store(
    store: Store, amazon: Server, value: Any
) -> None:
    write = ProfileWrite("user_metadata", "x", value)

    with pytest.raises(StoreError, match="cannot be stored"):
        store.commit(a_commit(writes=(write,)), timeout=1.0)

    assert amazon.received == []


def test_an_announcement_that_was_made_just_now_is_made_once(store: Store, amazon: Server) -> None:
    amazon.replies = [error("ConditionalCheckFailedException")]

    store.announce("denied#1", "{}", at=NOW, timeout=1.0)

    assert len(amazon.received) == 1


def test_an_announcement_that_cannot_be_made_is_an_error(store: Store, amazon: Server) -> None:
    amazon.replies = [error("ResourceNotFoundException")]

    with pytest.raises(StoreError) as failed:
        store.announce("denied#1", "{}", at=NOW, timeout=1.0)

    assert not isinstance(failed.value, ConditionFailedError)


# Writing --------------------------------------------------------------------------------------


def test_a_login_takes_effect_in_one_write(store: Store, amazon: Server) -> None:
    memo = {"pk": "decision#1", "answers": "{}"}
    write = ProfileWrite("app_metadata", "score", 0.5)

    store.commit(a_commit(writes=(write,), memo=memo), timeout=1.0)

    assert operations(amazon) == ["TransactWriteItems"]
    login, profile, remembered = transaction(amazon.received[0])
    assert from_item(login["Item"]) == {
        "pk": "login#pool#sub#client",
        "committed_at": NOW,
        "expires_at": int(NOW) + 24 * 3600,
        "event_id": "e-1",
        "announcement": '{"schema":1}',
    }
    assert login["ConditionExpression"] == "attribute_not_exists(pk) OR committed_at <= :before"
    assert from_item(login["ExpressionAttributeValues"]) == {":before": NOW - 15}
    assert profile["Key"] == {"pk": {"S": f"USER#{SUB}"}}
    assert from_item(remembered["Item"]) == memo


def test_the_first_login_makes_the_maps(store: Store, amazon: Server) -> None:
    write = ProfileWrite("user_metadata", "color", "blue")

    store.commit(a_commit(writes=(write,)), timeout=1.0)

    update = transaction(amazon.received[0])[1]
    aliases = {
        **update["ExpressionAttributeNames"],
        **from_item(update["ExpressionAttributeValues"]),
    }
    expression = update["UpdateExpression"]
    for alias in sorted(aliases, key=len, reverse=True):
        expression = expression.replace(alias, str(aliases[alias]))
    assert expression == (
        f"SET updated_at = {NOW}, username = jane, last_login_at = {NOW}, "
        f"first_login_at = if_not_exists(first_login_at, {NOW}), "
        "user_metadata = {'color': 'blue'}, app_metadata = {}, profile = {} ADD logins_count 1"
    )


def test_a_later_login_writes_key_by_key(store: Store, amazon: Server) -> None:
    writes = (
        ProfileWrite("user_metadata", "a.b", [1]),
        ProfileWrite("user_metadata", "gone", None),
        ProfileWrite("app_metadata", "default", "x", only_if_missing=True),
    )
    kinds = frozenset({"user_metadata", "app_metadata", "profile"})

    store.commit(a_commit(writes=writes, kinds=kinds, counts=False), timeout=1.0)

    [update] = transaction(amazon.received[0])
    names = update["ExpressionAttributeNames"]
    # A key is never part of the expression itself, whatever characters it holds.
    assert "a.b" in names.values()
    assert "a.b" not in update["UpdateExpression"]
    assert "REMOVE" in update["UpdateExpression"]
    assert "if_not_exists" in update["UpdateExpression"]
    assert "ADD" not in update["UpdateExpression"]


def test_nothing_to_write_is_no_call(store: Store, amazon: Server) -> None:
    store.commit(a_commit(counts=False), timeout=1.0)

    assert amazon.received == []


def test_a_login_that_nobody_wants_to_hear_of_is_recorded_all_the_same(
    store: Store, amazon: Server
) -> None:
    store.commit(a_commit(announcement=None), timeout=1.0)

    item = from_item(transaction(amazon.received[0])[0]["Item"])
    assert "announcement" not in item
    assert item["committed_at"] == NOW


def test_a_memo_is_put_without_condition(store: Store, amazon: Server) -> None:
    store.remember({"pk": "decision#1", "answers": "{}"}, timeout=1.0)

    assert operations(amazon) == ["PutItem"]
    assert "ConditionExpression" not in json.loads(amazon.received[0].body)


def test_an_announcement_is_a_record_that_may_not_be_repeated_for_a_while(
    store: Store, amazon: Server
) -> None:
    store.announce("denied#1", '{"type":"LoginDenied"}', at=NOW, timeout=1.0)

    put = json.loads(amazon.received[0].body)
    assert put["ConditionExpression"] == "attribute_not_exists(pk) OR committed_at <= :before"
    assert from_item(put["Item"])["announcement"] == '{"type":"LoginDenied"}'


# From effects to writes -----------------------------------------------------------------------


def user(key: str, value: Any, **options: Any) -> dict[str, Any]:
    return {"effect": "set_user_metadata", "key": key, "value": value, **options}


@pytest.mark.parametrize(
    ("effects", "writes"),
    [
        pytest.param([], [], id="nothing"),
        pytest.param([{"effect": "set_claim"}], [], id="other effects"),
        pytest.param([user("a", 1), user("a", 2)], [("a", 2, False)], id="the last one wins"),
        pytest.param([user("a", 1), user("a", None)], [("a", None, False)], id="a removal too"),
        pytest.param(
            [user("a", 1, only_if_missing=True)], [("a", 1, True)], id="a default for the table"
        ),
        pytest.param(
            [user("a", 1), user("a", 2, only_if_missing=True)],
            [("a", 1, False)],
            id="a default behind a value",
        ),
        pytest.param(
            [user("a", 1, only_if_missing=True), user("a", 2, only_if_missing=True)],
            [("a", 1, True)],
            id="the first default wins",
        ),
        pytest.param(
            [user("a", 1, only_if_missing=True), user("a", 2)],
            [("a", 2, False)],
            id="a value behind a default",
        ),
        pytest.param(
            [user("a", None), user("a", 2, only_if_missing=True)],
            [("a", 2, False)],
            id="a default behind a removal is a value",
        ),
        pytest.param(
            [user("a", 1), user("b", 2)], [("a", 1, False), ("b", 2, False)], id="two keys"
        ),
    ],
)
def test_what_is_stored_of(effects: list[Any], writes: list[tuple[str, Any, bool]]) -> None:
    assert profile_writes(effects) == [
        ProfileWrite("user_metadata", key, value, only) for key, value, only in writes
    ]


def test_profile_attributes_are_stored_apart_from_metadata() -> None:
    effects: list[dict[str, Any]] = [
        {"effect": "set_profile", "attribute": "picture", "value": "https://x/p.png"},
        {"effect": "set_app_metadata", "key": "picture", "value": 1},
        {"effect": "set_user_metadata", "key": "picture", "value": 2},
    ]

    assert {(write.kind, write.value) for write in profile_writes(effects)} == {
        ("profile", "https://x/p.png"),
        ("app_metadata", 1),
        ("user_metadata", 2),
    }
