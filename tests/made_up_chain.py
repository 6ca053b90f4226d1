"""A login function whose rules a test makes up; where its tables are is up to the test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cognito_rules.aws import Aws
from cognito_rules.chain import Chain
from cognito_rules.effects import Effects
from cognito_rules.executors import RuleInvoker
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginFunction
from cognito_rules.recordings import Recorder
from cognito_rules.request_context import RequestContext
from cognito_rules.rule import Rule
from cognito_rules.store import Store
from cognito_rules.trace import Tracer
from tests.unit.core.chains import a_manifest

Decide = Callable[[Login, Effects], None]

NOW = 1_795_300_000.0
GUARD: dict[str, Any] = {"writes": ["deny"], "on_error": "deny"}


def allow(login: Login, effects: Effects) -> None:
    pass


def refuse(login: Login, effects: Effects) -> None:
    effects.deny("No.", code="refused")


class MadeUpChain:
    """A chain that grows rule by rule; ``ran`` names the rules that ran, in order."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self.ran: list[str] = []
        self.roles: dict[str, str] = {}
        self.document: dict[str, Any] = {}
        self.context: RequestContext | None = None
        self.tracer = Tracer()
        self.recorder: Recorder | None = None
        self._threads = threads
        self._rules: dict[str, Rule] = {}
        self._entries: list[dict[str, Any]] = []

    @property
    def rules(self) -> Mapping[str, Rule]:
        """The rules, by name."""
        return self._rules

    @property
    def chain(self) -> Chain:
        """The chain as it is now."""
        catalogue = {name: rule.manifest for name, rule in self._rules.items()}
        return Chain.parse({"rules": self._entries, **self.document}, catalogue)

    def rule(
        self, name: str, decide: Decide = allow, *, entry: Any = None, **declared: Any
    ) -> None:
        """Put a rule at the end of the chain; it runs inline unless ``entry`` says otherwise."""
        manifest = a_manifest(name, **declared)

        def counted(login: Login, effects: Effects) -> None:
            self.ran.append(name)
            decide(login, effects)

        self._rules[name] = Rule(counted, manifest)
        given = {"rule": name, "when": {"applications": ["*"]}}
        given |= {} if manifest.stage == "after_login" else {"placement": "inline"}
        self._entries.append(given | (entry or {}))

    def again(self, name: str, **entry: Any) -> None:
        """Put another entry of a rule at the end of the chain."""
        [first] = [given for given in self._entries if given["rule"] == name]
        self._entries.append(first | entry)

    def reorder(self, *names: str) -> None:
        """Put the chain's entries into the order of these rules."""
        self._entries.sort(key=lambda given: names.index(given["rule"]))

    def change(self, name: str, **entry: Any) -> None:
        """Change the chain's entry of a rule."""
        for given in self._entries:
            if given["rule"] == name:
                given |= entry

    def login_function(
        self,
        aws: Aws,
        tables: Mapping[str, str],
        clock: Callable[[], float],
        prefix: str = "stack-rule-",
    ) -> LoginFunction:
        """Return the login function of the chain as it is now."""
        return LoginFunction(
            chain=self.chain,
            store=Store(aws, **tables),
            invoker=RuleInvoker(aws, prefix),
            inline=self._rules,
            threads=self._threads,
            context=self.context,
            roles=self.roles,
            clock=clock,
            tracer=self.tracer,
            recorder=self.recorder,
        )
