"""A login function under test: made-up rules, real tables, a clock that moves when told."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from uuid import uuid4

from cognito_rules.aws import Aws
from cognito_rules.chain import Chain
from cognito_rules.dynamodb_json import from_item
from cognito_rules.effects import Effects
from cognito_rules.executors import RuleInvoker, invoker_threads
from cognito_rules.login import Login
from cognito_rules.manifest import Manifest
from cognito_rules.pipeline import LoginFunction
from cognito_rules.rule import Rule
from cognito_rules.store import Store
from local.server import EmbeddedAws
from tests.cognito_events import SUB

Decide = Callable[[Login, Effects], None]

GUARD: dict[str, Any] = {"writes": ["deny"], "on_error": "deny"}


class Clock:
    """Seconds since the epoch that only move when told."""

    def __init__(self) -> None:
        self.now = 1_795_300_000.0

    def __call__(self) -> float:
        return self.now


class Subject:
    """A login function under test: its rules count their runs, its tables are real."""

    def __init__(self, aws: EmbeddedAws, tables: dict[str, str]) -> None:
        self.dynamodb = aws.client("dynamodb")
        self.tables = tables
        self.clock = Clock()
        self.runs: dict[str, int] = {}
        self._rules: dict[str, Rule] = {}
        self._entries: list[dict[str, Any]] = []
        self._aws = Aws()
        self._threads = invoker_threads()
        self.document: dict[str, Any] = {}
        self.roles = {"reader": "arn:aws:iam::123456789012:role/reader"}

    def rule(self, name: str, decide: Decide, *, entry: Any = None, **declared: Any) -> None:
        """Put a rule at the end of the chain."""
        manifest = Manifest.parse(
            name,
            {
                "title": name,
                "summary": "",
                "category": "Test",
                "stage": "post_authentication",
                "on_error": "continue",
                "reads": [],
                "writes": [],
            }
            | declared,
        )

        def counted(login: Login, effects: Effects) -> None:
            self.runs[name] = self.runs.get(name, 0) + 1
            decide(login, effects)

        self._rules[name] = Rule(counted, manifest)
        given = {"rule": name, "when": {"applications": ["*"]}}
        given |= {} if manifest.stage == "after_login" else {"placement": "inline"}
        self._entries.append(given | (entry or {}))

    def change(self, name: str, **entry: Any) -> None:
        """Change the chain's entry of a rule."""
        for given in self._entries:
            if given["rule"] == name:
                given |= entry

    @property
    def function(self) -> LoginFunction:
        catalogue = {name: rule.manifest for name, rule in self._rules.items()}
        store = Store(self._aws, **self.tables)
        return LoginFunction(
            chain=Chain.parse({"rules": self._entries, **self.document}, catalogue),
            store=store,
            invoker=RuleInvoker(self._aws, "none-"),
            inline=self._rules,
            threads=self._threads,
            roles=self.roles,
            clock=self.clock,
        )

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


def refuse(login: Login, effects: Effects) -> None:
    effects.deny("No.", code="refused")


def allow(login: Login, effects: Effects) -> None:
    pass


def claims(response: Any, token: str = "id") -> dict[str, Any]:
    details = response["claimsAndScopeOverrideDetails"]
    claims: dict[str, Any] = details[f"{token}TokenGeneration"]["claimsToAddOrOverride"]
    return claims
