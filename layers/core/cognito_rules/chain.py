"""A chain: which rules are on, in which order, for whom, with which settings.

``chain_document`` reads and checks the document that describes it.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from cognito_rules.errors import ChainError, Problem
from cognito_rules.fields import Facts, lookup
from cognito_rules.manifest import Manifest

if TYPE_CHECKING:
    from cognito_rules.regions import RegionOverride
    from cognito_rules.rule import Rule

Mode = Literal["enforce", "shadow", "off"]
Placement = Literal["function", "inline"]
# What an after_login entry needs before it is told of a person: nothing, no refusal, a grant.
RequireConsent = Literal["off", "opt_out", "opt_in"]

EVERYONE = "*"


@dataclass(frozen=True)
class When:
    """For which logins an entry runs. None means: not written, so for all."""

    applications: tuple[str, ...] | None = None
    connections: tuple[str, ...] | None = None

    def matches(self, facts: Facts) -> bool:
        """Say whether the login is of a named application and connection; names compare exactly."""
        return self.mismatch(facts) is None

    def mismatch(self, facts: Facts) -> str | None:
        """Return why the entry is not for this login, or None when it is.

        A person with several linked identities matches when any of them does.
        """
        if self.applications is not None and EVERYONE not in self.applications:
            names = {lookup(facts, ("client", "client_id")), lookup(facts, ("client", "name"))}
            if names.isdisjoint(self.applications):
                return "another application"
        if self.connections is not None and EVERYONE not in self.connections:
            identities = lookup(facts, ("user", "identities")) or []
            names = {identity.get("connection") for identity in identities}
            names.add(lookup(facts, ("connection", "name")))
            if names.isdisjoint(self.connections):
                return "another connection"
        return None


@dataclass(frozen=True, eq=False)
class Entry:
    """One line of the chain: a rule with settings, in its place; equal to itself only."""

    id: str
    index: int
    manifest: Manifest
    when: When = field(default_factory=When)
    configuration: Mapping[str, Any] = field(default_factory=dict)
    mode: Mode = "enforce"
    rollout: int = 100
    placement: Placement = "function"
    runs_on_refresh: bool = False
    runs_on_client_credentials: bool = False
    runs_on_sign_up: bool = False
    overrides: bool = False
    require_consent: RequireConsent = "off"
    region_override: RegionOverride | None = None
    once_per_user: bool = False

    def is_rolled_out_to(self, user_id: str) -> bool:
        """Say whether this user belongs to the percentage for whom the entry runs."""
        if self.rollout >= 100:
            return True
        digest = hashlib.sha256(f"{self.id}\x00{user_id}".encode()).digest()
        return int.from_bytes(digest[:4]) % 100 < self.rollout


@dataclass(frozen=True)
class Application:
    """A registered application: an app client of the pool under a name of the customer's."""

    client_id: str
    name: str
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Chain:
    """A checked chain document."""

    entries: tuple[Entry, ...]
    applications: Mapping[str, Application]
    refuses_unregistered: bool
    refuses_uncommitted: bool
    document: Mapping[str, Any]

    @cached_property
    def version(self) -> str:
        """Digest of the document: equal for documents that mean the same."""
        return version_of(canonical(self.document))

    @classmethod
    def parse(
        cls,
        document: Mapping[str, Any],
        catalogue: Mapping[str, Manifest],
        *,
        rules: Mapping[str, Rule] | None = None,
        token_version: str = "V3_0",
        privileged: Collection[str] | None = None,
        required: Collection[str] = (),
    ) -> Chain:
        """Return the chain that ``document`` describes.

        Parameters
        ----------
        catalogue : the manifests of the deployed rules.
        rules : the rules whose code is at hand, for their own checks and the claims they write;
            when given, an inline entry must be one of them.
        token_version : of the pre token generation trigger; V1_0 cannot change access tokens.
        privileged : the rules that template.yaml lets grant roles, groups or session tags; None
            asks nobody, for tools that do not know the deployment.
        required : ids of the entries that template.yaml wants to be there, and enforced; as
            ``id=fingerprint`` they must also say what they said, see ``fingerprint``.

        Raises
        ------
        ChainError : with every problem found, each a sentence that names the entry.
        """
        from cognito_rules.chain_document import DocumentReader

        reader = DocumentReader(document, catalogue, rules, token_version, privileged, required)
        return reader.read()

    @classmethod
    def parse_toml(cls, text: str, catalogue: Mapping[str, Manifest], **options: Any) -> Chain:
        """Return the chain of a ``chain.toml``; raises ChainError, also when it is no TOML."""
        try:
            document = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise ChainError([Problem(f"chain.toml is no TOML: {error}")]) from error
        return cls.parse(document, catalogue, **options)

    @classmethod
    def parse_json(cls, text: str, catalogue: Mapping[str, Manifest], **options: Any) -> Chain:
        """Return the chain of a published document; raises ChainError, also when it is no JSON."""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ChainError([Problem("the document is no JSON")]) from error
        return cls.parse(document, catalogue, **options)


def canonical(document: Mapping[str, Any]) -> str:
    """Return the one JSON text of a document, in ASCII, as it is published."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"))


def fingerprint(document: Mapping[str, Any], index: int, manifest: Manifest | None) -> str:
    """Return 40 hex digits for all that an entry of a good document says, and for whom.

    Of what stands elsewhere in the document two things count, so that the rest may come and go: the
    applications that the entry names, or those with metadata where its rule reads that of all; and
    the ``region_override`` that holds for it. A version has fewer digits: here the same author must
    not find two entries with the same ones, to have one pinned and publish the other.

    ``manifest`` is that of the entry's rule, None where it is not known.
    """
    entry = document["rules"][index]
    said = {"entry": entry, "applications": _applications_of(document, entry, manifest)}
    regions = document.get("region_override", {})
    if manifest is not None and manifest.purpose in regions and "require_consent" not in entry:
        said["region_override"] = regions[manifest.purpose]
    return hashlib.sha256(canonical(said).encode()).hexdigest()[:40]


def _applications_of(
    document: Mapping[str, Any], entry: Mapping[str, Any], manifest: Manifest | None
) -> dict[str, Any]:
    """Return what the document says of the applications that an entry depends on."""
    applications = document.get("applications", {}).items()
    named = (entry.get("when") or {}).get("applications") or [EVERYONE]
    if EVERYONE not in named:
        return {key: told for key, told in applications if key in named or told["name"] in named}
    reads = manifest is not None and manifest.can_read("client.metadata")
    return {key: told for key, told in applications if reads and told.get("metadata")}


def version_of(text: str) -> str:
    """Return the version of a document from its canonical text."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]
