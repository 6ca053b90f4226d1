"""What a deployment checks chain documents against: the same in ``login`` and in the validator."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cognito_rules.chain import Chain
from cognito_rules.manifest import Manifest, catalogue
from cognito_rules.rule import Rule


@dataclass(frozen=True)
class ChainTerms:
    """The terms of one deployment.

    catalogue : the manifests of the deployed rules.
    rules : the pure rules whose code is at hand.
    token_version : of the pre token generation trigger.
    privileged : the rules that may grant roles, groups or session tags.
    required : ids of the entries that must be there and enforced.
    """

    catalogue: Mapping[str, Manifest]
    rules: Mapping[str, Rule]
    token_version: str
    privileged: frozenset[str]
    required: frozenset[str]

    @classmethod
    def of_the_environment(cls, folder: Path) -> ChainTerms:
        """Return the terms that template.yaml gives, for a function that was built in ``folder``.

        Raises
        ------
        ConfigurationError : the layer holds other rules than the function was built with.
        """
        return cls(
            catalogue=catalogue(digest=_built_with(folder)),
            rules=PackagedRules(folder),
            token_version=os.environ.get("PRE_TOKEN_VERSION", "V3_0"),
            privileged=names(os.environ.get("PRIVILEGED_RULES", "")),
            required=names(os.environ.get("REQUIRED_ENTRIES", "")),
        )

    def read(self, document: str) -> Chain:
        """Return the chain of a published document (JSON), or raise ChainError."""
        return Chain.parse_json(document, self.catalogue, **self._options)

    def read_toml(self, document: str) -> Chain:
        """Return the chain of a ``chain.toml``, or raise ChainError."""
        return Chain.parse_toml(document, self.catalogue, **self._options)

    @property
    def _options(self) -> dict[str, Any]:
        return {
            "rules": self.rules,
            "token_version": self.token_version,
            "privileged": self.privileged,
            "required": self.required,
        }


def names(text: str) -> frozenset[str]:
    """Return the names in a list with commas, as CloudFormation joins one."""
    return frozenset(filter(None, map(str.strip, text.split(","))))


def _built_with(folder: Path) -> str | None:
    """Return the digest of the catalogue at the build, or None where no build has written one."""
    try:
        return (folder / "catalogue.sha256").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return None


class PackagedRules(Mapping[str, Rule]):
    """The pure rules that the build has put beside the login function, by rule name.

    Each is imported when the chain first asks for it: a cold start pays for the rules of its chain,
    not for the collection.
    """

    def __init__(self, folder: Path) -> None:
        manifests = sorted(folder.glob("functions/*/rule.toml"))
        self._names = [manifest.parent.name for manifest in manifests]

    def __getitem__(self, name: str) -> Rule:
        if name not in self._names:
            raise KeyError(name)
        rule: Rule = importlib.import_module(f"functions.{name}.app").rule
        return rule

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)
