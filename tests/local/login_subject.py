"""A login function under test: made-up rules, real tables, a clock that moves when told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from cognito_rules.aws import Aws
from cognito_rules.dynamodb_json import from_item
from cognito_rules.executors import invoker_threads
from cognito_rules.pipeline import LoginFunction
from local.server import EmbeddedAws
from tests.cognito_events import SUB
from tests.made_up_chain import NOW, MadeUpChain


class Clock:
    """Seconds since the epoch that only move when told."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Subject(MadeUpChain):
    """A login function under test: its rules count their runs, its tables are real."""

    def __init__(self, aws: EmbeddedAws, tables: dict[str, str]) -> None:
        super().__init__(invoker_threads())
        self.dynamodb = aws.client("dynamodb")
        self.tables = tables
        self.clock = Clock()
        self.roles = {"reader": "arn:aws:iam::123456789012:role/reader"}
        self._aws = Aws()

    @property
    def runs(self) -> dict[str, int]:
        return dict(Counter(self.ran))

    @property
    def function(self) -> LoginFunction:
        return self.login_function(self._aws, self.tables, self.clock)

    def handle(self, event: Any) -> Any:
        return self.function.handle(event)["response"]

    def profile(self) -> dict[str, Any]:
        key = {"pk": {"S": f"USER#{SUB}"}}
        found = self.dynamodb.get_item(
            TableName=self.tables["profiles"], Key=key, ConsistentRead=True
        )
        return from_item(found.get("Item", {}))

    def records(self, prefix: str) -> list[dict[str, Any]]:
        items = self.dynamodb.scan(TableName=self.tables["sessions"], ConsistentRead=True)["Items"]
        return [item for item in map(from_item, items) if item["pk"].startswith(prefix + "#")]


@contextmanager
def a_subject(aws: EmbeddedAws) -> Iterator[Subject]:
    """Make the two tables, and take them away again; the environment must name the emulator."""
    dynamodb = aws.client("dynamodb")
    tables = {"profiles": f"profiles-{uuid4()}", "sessions": f"sessions-{uuid4()}"}
    for table in tables.values():
        dynamodb.create_table(
            TableName=table,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
    yield Subject(aws, tables)
    for table in tables.values():
        dynamodb.delete_table(TableName=table)


def claims(response: Any, token: str = "id") -> dict[str, Any]:
    details = response["claimsAndScopeOverrideDetails"]
    claims: dict[str, Any] = details[f"{token}TokenGeneration"]["claimsToAddOrOverride"]
    return claims
