"""The calls of a day are counted in one place, whoever makes them."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from cognito_rules.aws import Aws
from cognito_rules.dynamodb_json import from_item
from cognito_rules.errors import StoreError
from cognito_rules.paid_calls import PaidCalls
from local.server import EmbeddedAws

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


@pytest.fixture
def calls(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> PaidCalls:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    table = f"paid-{uuid4().hex[:8]}"
    aws.client("dynamodb").create_table(
        TableName=table,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
    )
    return PaidCalls(Aws(), table)


def test_the_call_after_the_last_is_not_made(calls: PaidCalls) -> None:
    assert [calls.spend("vendor", NOON, 3) for _ in range(5)] == [True, True, True, False, False]


def test_a_day_and_a_vendor_have_counts_of_their_own(calls: PaidCalls) -> None:
    assert calls.spend("vendor", NOON, 1)
    assert calls.spend("another", NOON, 1)
    assert calls.spend("vendor", NOON + timedelta(days=1), 1)
    assert not calls.spend("vendor", NOON, 1)


def test_calls_at_once_are_counted_each(calls: PaidCalls) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: calls.spend("vendor", NOON, 10), range(25)))

    assert made.count(True) == 10


def test_without_any_call_nothing_is_paid(calls: PaidCalls) -> None:
    assert not calls.spend("vendor", NOON, 0)


def test_a_count_forgets_itself_and_holds_nobody(aws: EmbeddedAws, calls: PaidCalls) -> None:
    calls.spend("vendor", NOON, 3)

    [item] = aws.client("dynamodb").scan(TableName=calls._table)["Items"]
    assert from_item(item) == {
        "pk": "CALLS#vendor#2026-11-22",
        "calls": 1,
        "expires_at": int((NOON + timedelta(days=3)).timestamp()),
    }


def test_what_cannot_be_counted_is_not_made(calls: PaidCalls) -> None:
    calls._table = "no-such-table"

    with pytest.raises(StoreError):
        calls.spend("vendor", NOON, 3)
