"""A ``chain.toml`` of this machine: read, checked, and each problem with its line."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from cli.stack import DeployedStack
from cli.terminal import PROJECT, stop
from cli.toml_lines import TomlLines
from cognito_rules.chain import Chain, canonical, version_of
from cognito_rules.chain_terms import PackagedRules, names
from cognito_rules.errors import ChainError, ManifestError
from cognito_rules.rule import Rule
from tools.catalogue import manifests

_PLACE_OF_AN_ERROR = re.compile(r" \(at line (\d+), column \d+\)$| \(at end of document\)$")


@dataclass(frozen=True)
class LineProblem:
    """Why a document is refused, and the line that is the reason."""

    line: int
    reason: str


@dataclass(frozen=True)
class ChainFile:
    """The document in a file."""

    path: Path
    text: str

    @classmethod
    def read(cls, path: Path) -> ChainFile:
        """Return the document at ``path``; ends the command when it cannot be read."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            stop(f"{path}: {error.strerror}.")
        except UnicodeDecodeError:
            stop(f"{path} is no UTF-8 text.")
        if not text.strip():
            # A chain without rules lets everybody in: not by a file that was truncated.
            stop(f"{path} is empty: write `rules = []` where no rule is to run.")
        return cls(path, text)

    @cached_property
    def document(self) -> dict[str, Any]:
        """The document; only of a file without problems."""
        return tomllib.loads(self.text)

    @property
    def canonical(self) -> str:
        """The document as it is published."""
        return canonical(self.document)

    @property
    def version(self) -> str:
        """The version by which logs and traces name the document."""
        return version_of(self.canonical)

    def problems(self, stack: DeployedStack | None) -> list[LineProblem]:
        """Return what the check refuses, by line; without a stack, of any deployment.

        The rules are those of this checkout: those that are deployed have the last word, in the
        validator.
        """
        try:
            Chain.parse_toml(self.text, _catalogue(), **_terms(stack))
        except ChainError as error:
            return self._by_line(error)
        return []

    def chain(self, rules: Mapping[str, Rule], *, token_version: str = "V3_0") -> Chain:
        """Return the chain, for any deployment; ends the command when it is refused."""
        try:
            return Chain.parse_toml(
                self.text, _catalogue(), rules=rules, token_version=token_version
            )
        except ChainError as error:
            found = (f"{self.path}:{p.line}: {p.reason}" for p in self._by_line(error))
            stop("; ".join(found))

    def _by_line(self, error: ChainError) -> list[LineProblem]:
        if isinstance(error.__cause__, tomllib.TOMLDecodeError):
            return [self._no_toml(error.__cause__)]
        lines = TomlLines(self.text)
        found = [LineProblem(lines.of(p.path), str(p)) for p in error.problems]
        return sorted(found, key=lambda problem: problem.line)

    def _no_toml(self, error: tomllib.TOMLDecodeError) -> LineProblem:
        said = str(error)
        place = _PLACE_OF_AN_ERROR.search(said)
        line = int(place[1]) if place and place[1] else max(1, len(self.text.splitlines()))
        return LineProblem(line, f"no TOML: {_PLACE_OF_AN_ERROR.sub('', said)}")


def _catalogue() -> Mapping[str, Any]:
    try:
        return {manifest.name: manifest for manifest in manifests(PROJECT)}
    except ManifestError as error:
        stop(str(error))


def _terms(stack: DeployedStack | None) -> dict[str, Any]:
    terms: dict[str, Any] = {"rules": PackagedRules(PROJECT)}
    if stack is None:
        return terms
    return terms | {
        "token_version": stack.output("PreTokenVersion", otherwise=no_chain(stack)),
        "privileged": names(stack.parameters.get("PrivilegedRules", "")),
        "required": names(stack.parameters.get("RequiredEntries", "")),
    }


def no_chain(stack: DeployedStack) -> str:
    """Return what to say when a stack has nothing to publish to."""
    return f"{stack.name} is no stack of Cognito Rules, or an old one: deploy this version first."
