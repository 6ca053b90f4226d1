"""A login function under test, with AWS as a server on loopback."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cognito_rules.aws import Aws
from cognito_rules.chain import Chain
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.effects import Effects
from cognito_rules.executors import RuleInvoker
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginFunction
from cognito_rules.rule import Rule
from cognito_rules.store import Store
from tests.cognito_events import SUB
from tests.loopback import Reply, Server, reply
from tests.unit.core.chains import a_manifest

NOW = 1_795_300_000.0
GUARD: dict[str, Any] = {"writes": ["deny"], "on_error": "deny"}
REFUSED = r"^try_again: Sign-in is unavailable right now\. Please try again\.$"

Decide = Callable[[Login, Effects], None]


def allow(login: Login, effects: Effects) -> None:
    pass


def refuse(login: Login, effects: Effects) -> None:
    effects.deny("No.", code="refused")


class Subject:
    """A login function under test; AWS is a server on loopback."""

    def __init__(self, amazon: Server, threads: ThreadPoolExecutor) -> None:
        self.amazon = amazon
        self.threads = threads
        self.runs: list[str] = []
        self.roles: dict[str, str] = {}
        self.document: dict[str, Any] = {}
        self._rules: dict[str, Rule] = {}
        self._entries: list[dict[str, Any]] = []

    def rule(
        self, name: str, decide: Decide = allow, *, entry: Any = None, **declared: Any
    ) -> None:
        """Put a rule at the end of the chain; it runs inline unless ``entry`` says otherwise."""
        manifest = a_manifest(name, **declared)

        def counted(login: Login, effects: Effects) -> None:
            self.runs.append(name)
            decide(login, effects)

        self._rules[name] = Rule(counted, manifest)
        given = {"rule": name, "when": {"applications": ["*"]}}
        given |= {} if manifest.stage == "after_login" else {"placement": "inline"}
        self._entries.append(given | (entry or {}))

    @property
    def function(self) -> LoginFunction:
        aws = Aws()
        catalogue = {name: rule.manifest for name, rule in self._rules.items()}
        return LoginFunction(
            chain=Chain.parse({"rules": self._entries, **self.document}, catalogue),
            store=Store(aws, profiles="profiles", sessions="sessions"),
            invoker=RuleInvoker(aws, "stack-rule-"),
            inline=self._rules,
            threads=self.threads,
            roles=self.roles,
            clock=lambda: NOW,
        )

    def handle(self, event: Any, **options: Any) -> Any:
        return self.function.handle(event, **options)["response"]

    def knows(self, profile: dict[str, Any] | None = None, *sessions: dict[str, Any]) -> None:
        """Let the tables hold this, and take every write."""
        profiles = [to_item({"pk": f"USER#{SUB}", **profile})] if profile is not None else []
        responses = {"profiles": profiles, "sessions": [to_item(item) for item in sessions]}
        self.amazon.replies = [reply(200, {"Responses": responses}), Reply()]

    @property
    def calls(self) -> list[str]:
        return [
            request.headers.get("x-amz-target", "Lambda.Invoke").partition(".")[2]
            for request in self.amazon.received
        ]

    def committed(self) -> dict[str, dict[str, Any]]:
        """Return the items of the last write by the part of their key before ``#``."""
        body = json.loads(self.amazon.received[-1].body)
        puts = [write["Put"]["Item"] for write in body["TransactItems"] if "Put" in write]
        return {item["pk"].partition("#")[0]: item for item in map(from_item, puts)}
