"""The login function of this checkout on a recorded event; nothing is stored or announced."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cli.terminal import PROJECT


@dataclass(frozen=True)
class Trial:
    """The login function with the entries that can run, and the others with the reason.

    entries : ids of those that can; ``when`` and the kind of trigger may leave some out.
    """

    function: Any
    entries: Sequence[str]
    not_run: Mapping[str, str]

    @classmethod
    def of(cls, path: Path, stack: str | None, profile: Mapping[str, Any]) -> Trial:
        """Return the trial of a chain document; ends the command when the document is refused."""
        from cli.chain_file import ChainFile
        from cognito_rules.chain_terms import PackagedRules
        from cognito_rules.pipeline import LoginFunction

        rules = PackagedRules(PROJECT)
        chain = ChainFile.read(path).chain(rules)
        entries, not_run = [], {}
        for entry in chain.entries:
            reason = _reason_not_to_run(entry, stack)
            if entry.mode == "off" or entry.manifest.stage == "after_login":
                continue
            if reason:
                not_run[entry.id] = reason
            elif entry.manifest.is_pure:
                entries.append(replace(entry, placement="inline"))
            else:
                entries.append(entry)
        invoker, roles, store = _deployment(stack, profile)
        function = LoginFunction(
            chain=replace(chain, entries=tuple(entries)),
            store=store,
            invoker=invoker,
            inline=rules,
            threads=ThreadPoolExecutor(16),
            roles=roles,
        )
        return cls(function, [entry.id for entry in entries], not_run)

    def decide(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the event's response; raises LoginRefusedError."""
        with _silence():
            response: dict[str, Any] = self.function.handle(dict(event))["response"]
        return response


def _reason_not_to_run(entry: Any, stack: str | None) -> str | None:
    manifest = entry.manifest
    if manifest.external:
        return "it changes another system"
    if manifest.is_pure or stack is not None:
        return None
    if manifest.secrets:
        return f"it needs {', '.join(manifest.secrets)}; --stack invokes it where it is deployed"
    return "it needs settings of the template or AWS; --stack invokes it where it is deployed"


def _deployment(stack: str | None, profile: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Return the invoker, the roles that may be granted, and the store that keeps nothing."""
    from cognito_rules.store import Loaded, Store

    class Unwritten(Store):
        """Reads the profile, from ``source`` where there is one, and writes nothing."""

        def __init__(self, source: Store | None) -> None:
            self._source = source

        def load(self, user_id: str, **options: Any) -> Loaded:
            if self._source is None:
                return Loaded(profile=profile)
            found = self._source.load(
                user_id, memo_key=None, login_key=None, timeout=options["timeout"]
            )
            return Loaded(profile={**(found.profile or {}), **profile})

        def remember(self, *_: Any, **__: Any) -> None: ...

        def announce(self, *_: Any, **__: Any) -> None: ...

        def commit(self, *_: Any, **__: Any) -> None: ...

    if stack is None:
        return None, {}, Unwritten(None)
    from cli.checks.subject import Subject
    from cli.stack import DeployedStack, one_line_errors
    from cognito_rules.aws import Aws
    from cognito_rules.executors import RuleInvoker

    subject = Subject(DeployedStack(stack))
    with one_line_errors():
        tables = {name: subject.output(f"{name.title()}Table") for name in ("profiles", "sessions")}
        roles, aws = subject.roles, Aws()
    return RuleInvoker(aws, f"{stack}-rule-"), roles, Unwritten(Store(aws, **tables))


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """Keep what the login function writes into its log from the screen."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)
