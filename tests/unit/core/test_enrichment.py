"""When a source is asked about a person: not twice, not beyond a day's calls."""

from collections.abc import Iterator

import pytest

from cognito_rules import paid_calls
from cognito_rules.aws import function_aws
from cognito_rules.effects import Effects
from cognito_rules.enrichment import may_ask
from cognito_rules.errors import StoreError
from cognito_rules.testing import a_login
from tests.loopback import Server, reply, serving
from tests.unit.core.tables import error, operations

SETTINGS = {"max_calls_per_day": 100}


@pytest.fixture
def dynamodb(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with serving() as server:
        server.replies = [reply(200, {})]
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        monkeypatch.setenv("PROFILES_TABLE", "profiles")
        for made in (paid_calls._calls, function_aws):
            made.cache_clear()
        yield server
    for made in (paid_calls._calls, function_aws):
        made.cache_clear()


def test_a_call_is_counted_before_it_is_made(dynamodb: Server) -> None:
    effects = Effects()

    assert may_ask(a_login(configuration=SETTINGS), effects, "vendor")

    assert operations(dynamodb) == ["UpdateItem"]
    sent = dynamodb.received[0].json()
    assert sent["Key"] == {"pk": {"S": "CALLS#vendor#2026-11-18"}}
    assert sent["ExpressionAttributeValues"][":most"] == {"N": "100"}


def test_beyond_the_days_calls_nobody_is_asked(dynamodb: Server) -> None:
    dynamodb.replies = [error("ConditionalCheckFailedException")]
    effects = Effects()

    assert not may_ask(a_login(configuration=SETTINGS), effects, "vendor")

    assert effects.warnings == ["skipped_budget"]


def test_a_call_that_cannot_be_counted_is_not_made(dynamodb: Server) -> None:
    dynamodb.replies = [error("AccessDeniedException")]

    with pytest.raises(StoreError) as caught:
        may_ask(a_login(configuration=SETTINGS), Effects(), "vendor")

    assert caught.value.retryable


def test_an_answer_that_is_kept_costs_nothing(dynamodb: Server) -> None:
    known = a_login(configuration=SETTINGS, user={"enrichment": {"vendor": {"status": "failed"}}})

    assert not may_ask(known, Effects(), "vendor")

    assert dynamodb.received == []


def test_on_a_laptop_nothing_is_counted() -> None:
    paid_calls._calls.cache_clear()

    assert may_ask(a_login(configuration=SETTINGS), Effects(), "vendor")
