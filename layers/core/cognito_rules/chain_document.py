"""The chain document as people write it, read and checked.

The same check runs in the command line, at publication and when the login function loads the
document: a document that it refuses never decides a login.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast

from cognito_rules.chain import EVERYONE, Application, Chain, Entry, Mode, Placement, When
from cognito_rules.errors import ChainError, ConfigurationError
from cognito_rules.manifest import Manifest

if TYPE_CHECKING:
    from cognito_rules.rule import Rule

_DOCUMENT_KEYS = {"unregistered_applications", "on_commit_failure", "applications", "rules"}
_ENTRY_KEYS = {
    "rule",
    "id",
    "when",
    "configuration",
    "mode",
    "rollout",
    "placement",
    "runs_on_refresh",
    "runs_on_client_credentials",
    "overrides",
}
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ARN = re.compile(r"(?<![A-Za-z0-9])arn:[a-z0-9-]+:[a-z0-9-]+:")


class DocumentReader:
    """Reads one document and collects its problems."""

    def __init__(
        self,
        document: Mapping[str, Any],
        catalogue: Mapping[str, Manifest],
        rules: Mapping[str, Rule] | None,
        token_version: str,
        privileged: Collection[str] | None,
    ) -> None:
        self.document = document
        self.catalogue = catalogue
        self.rules = rules
        self.token_version = token_version
        self.privileged = privileged
        self.problems: list[str] = []
        self.claim_owners: dict[tuple[str, str], str] = {}

    def read(self) -> Chain:
        """Return the chain; raises ChainError with all problems."""
        if not isinstance(self.document, Mapping):
            raise ChainError(["the document is no table"])
        self._refuse_unknown("the document", self.document, _DOCUMENT_KEYS)
        self._refuse_what_is_no_json()
        applications = self._applications(self.document.get("applications", {}))
        tables = self.document.get("rules", [])
        if not isinstance(tables, list):
            self.problems.append("rules must be a list of [[rules]] tables")
            tables = []
        entries = []
        for index, table in enumerate(tables):
            entry = self._entry(index, table, applications)
            if entry is not None:
                entries.append(entry)
        self._refuse_arns("the document", self.document)
        chain = Chain(
            entries=tuple(entries),
            applications=applications,
            refuses_unregistered=self._choice(
                self.document, "unregistered_applications", ("all_rules", "refuse"), "the document"
            )
            == "refuse",
            refuses_uncommitted=self._choice(
                self.document, "on_commit_failure", ("continue", "refuse"), "the document"
            )
            == "refuse",
            document=self.document,
        )
        if self.problems:
            raise ChainError(self.problems)
        return chain

    def _refuse_what_is_no_json(self) -> None:
        # Settings travel to rules as JSON, and their digest names the chain: TOML can say more.
        try:
            json.dumps(self.document, allow_nan=False, ensure_ascii=False).encode()
        except (TypeError, ValueError) as error:
            self.problems.append(f"the document holds a value that is no JSON: {error}")

    def _choice(
        self, table: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: str
    ) -> str:
        value = table.get(key, allowed[0])
        if value not in allowed:
            self.problems.append(f"{where}: {key} is {value!r}, must be {' or '.join(allowed)}")
            return allowed[0]
        return str(value)

    def _refuse_unknown(self, where: str, table: Mapping[str, Any], known: set[str]) -> None:
        for key in table:
            if key not in known:
                self.problems.append(f"{where}: unknown key {key!r}")

    def _refuse_arns(self, where: str, value: Any) -> None:
        # ARNs are infrastructure: a document that can be changed at run time never names one.
        if isinstance(value, str) and _ARN.search(value):
            self.problems.append(f"{where}: an ARN ({value}) belongs into template.yaml")
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self._refuse_arns(where, key)
                self._refuse_arns(where, item)
        elif isinstance(value, list):
            for item in value:
                self._refuse_arns(where, item)

    def _applications(self, tables: Any) -> dict[str, Application]:
        applications: dict[str, Application] = {}
        names: set[str] = set()
        if not isinstance(tables, Mapping):
            self.problems.append("applications must be tables [applications.CLIENT_ID]")
            return applications
        for client_id, table in tables.items():
            where = f"application {client_id}"
            name = table.get("name") if isinstance(table, Mapping) else None
            if not isinstance(name, str) or name in ("", EVERYONE):
                self.problems.append(f"{where}: needs a name")
                continue
            self._refuse_unknown(where, table, {"name", "metadata"})
            # `when` takes names and ids alike: neither may stand for two applications.
            if name in names or (name in tables and name != client_id):
                self.problems.append(f"{where}: the name {name!r} is taken")
            names.add(name)
            metadata = table.get("metadata", {})
            if not isinstance(metadata, Mapping) or not all(
                isinstance(value, str) for value in metadata.values()
            ):
                self.problems.append(f"{where}: metadata must be a map of texts")
                metadata = {}
            applications[client_id] = Application(client_id, name, metadata)
        return applications

    def _entry(
        self, index: int, table: Any, applications: Mapping[str, Application]
    ) -> Entry | None:
        if not isinstance(table, Mapping):
            self.problems.append(f"entry {index + 1}: must be a [[rules]] table")
            return None
        name = table.get("rule")
        entry_id = table.get("id", name)
        where = f"entry {entry_id or index + 1}"
        manifest = self.catalogue.get(name) if isinstance(name, str) else None
        if manifest is None:
            self.problems.append(f"{where}: there is no rule {name!r}")
            return None
        self._refuse_unknown(where, table, _ENTRY_KEYS)
        if manifest.is_privileged and self.privileged is not None and name not in self.privileged:
            self.problems.append(
                f"{where}: {name} grants roles, groups or session tags: name it in the parameter "
                "PrivilegedRules of template.yaml"
            )
        if not isinstance(entry_id, str) or not _ID.fullmatch(entry_id):
            self.problems.append(f"{where}: an id is 1 to 64 of a-z, 0-9, _ and -")
        elif any(entry_id == other.get("id", other.get("rule")) for other in self._before(index)):
            self.problems.append(f"{where}: the id stands twice")
        mode = cast(Mode, self._choice(table, "mode", ("enforce", "shadow", "off"), where))
        placement = self._choice(table, "placement", ("function", "inline"), where)
        if placement == "inline" and not manifest.is_pure:
            self.problems.append(f"{where}: {name} needs its own function, it cannot run inline")
        elif placement == "inline" and self.rules is not None and name not in self.rules:
            self.problems.append(f"{where}: {name} is not packaged with the login function")
        if mode == "shadow" and manifest.stage == "after_login":
            self.problems.append(
                f"{where}: in shadow, {name} would really tell other systems: enforce or off"
            )
        when = self._when(where, table.get("when"), applications)
        if manifest.grants_or_restricts and when.applications is None:
            self.problems.append(
                f'{where}: {name} grants or restricts: write when = {{applications = ["*"]}} '
                "or name the applications"
            )
        return Entry(
            id=str(entry_id),
            index=index,
            manifest=manifest,
            when=when,
            configuration=self._configuration(where, manifest, table, mode),
            mode=mode,
            rollout=self._rollout(where, manifest, table, mode),
            placement=cast(Placement, placement),
            runs_on_refresh=self._flag(where, table, "runs_on_refresh", manifest.runs_on_refresh),
            runs_on_client_credentials=self._on_client_credentials(where, table, manifest),
            overrides=self._flag(where, table, "overrides", False),
        )

    def _before(self, index: int) -> list[Mapping[str, Any]]:
        tables = self.document["rules"][:index]
        return [table for table in tables if isinstance(table, Mapping)]

    def _flag(self, where: str, table: Mapping[str, Any], key: str, default: bool) -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            self.problems.append(f"{where}: {key} must be true or false")
            return default
        return value

    def _on_client_credentials(
        self, where: str, table: Mapping[str, Any], manifest: Manifest
    ) -> bool:
        key = "runs_on_client_credentials"
        runs = self._flag(where, table, key, manifest.runs_on_client_credentials)
        if runs and manifest.stage != "token":
            self.problems.append(f"{where}: a machine has no login, only token rules run for it")
        return runs

    def _rollout(self, where: str, manifest: Manifest, table: Mapping[str, Any], mode: Mode) -> int:
        value = table.get("rollout", 100)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
            self.problems.append(f"{where}: rollout is a percentage from 0 to 100")
            return 100
        if value < 100 and manifest.is_guard and mode == "enforce":
            self.problems.append(f"{where}: a guard for {value} % of users is an open door: shadow")
        return value

    def _when(self, where: str, table: Any, applications: Mapping[str, Application]) -> When:
        if table is None:
            return When()
        if not isinstance(table, Mapping):
            self.problems.append(f"{where}: when must be a table")
            return When()
        self._refuse_unknown(f"{where}: when", table, {"applications", "connections"})
        selected: dict[str, tuple[str, ...] | None] = {}
        for key in ("applications", "connections"):
            names = table.get(key)
            if names is None:
                selected[key] = None
            elif isinstance(names, list) and names and all(isinstance(n, str) for n in names):
                selected[key] = tuple(names)
            else:
                self.problems.append(f"{where}: when.{key} must be a list with names in it")
        known = {EVERYONE, *applications, *(app.name for app in applications.values())}
        for name in selected.get("applications") or ():
            if name not in known:
                self.problems.append(f"{where}: there is no application {name!r}")
        return When(selected.get("applications"), selected.get("connections"))

    def _configuration(
        self, where: str, manifest: Manifest, table: Mapping[str, Any], mode: Mode
    ) -> dict[str, Any]:
        given = table.get("configuration", {})
        if not isinstance(given, Mapping):
            self.problems.append(f"{where}: configuration must be a table")
            return {}
        settings = manifest.settings
        configuration: dict[str, Any] = {}
        claims: set[tuple[str, str]] = set()
        try:
            for name in settings.from_template & set(given):
                raise ConfigurationError(f"{name} is set in template.yaml and nowhere else")
            configuration = settings.of_the_chain.check(given, {})
            rule = (self.rules or {}).get(manifest.name)
            # The check of a rule with template settings needs them: it runs in its function.
            if rule is not None and not settings.from_template:
                rule.verify(configuration)
                claims = rule.written_claims(configuration)
        except ConfigurationError as error:
            self.problems.append(f"{where}: {error}")
            return {}
        if mode == "enforce":
            self._own_claims(where, claims, table.get("overrides") is True)
        self._check_token_version(where, manifest, claims)
        return configuration

    def _own_claims(self, where: str, claims: set[tuple[str, str]], overrides: bool) -> None:
        for claim in sorted(claims):
            owner = self.claim_owners.get(claim)
            if owner is not None and not overrides:
                self.problems.append(
                    f"{where}: {owner} already writes the {claim[0]} token's {claim[1]}; "
                    "write overrides = true to replace it"
                )
            self.claim_owners[claim] = where

    def _check_token_version(
        self, where: str, manifest: Manifest, claims: set[tuple[str, str]]
    ) -> None:
        written = {write[0] for write in manifest.writes}
        only_access = "access_token" in written and "id_token" not in written
        if self.token_version == "V1_0" and (only_access or any(t == "access" for t, _ in claims)):
            self.problems.append(
                f"{where}: {manifest.name} changes access tokens, which the feature plan Lite "
                "cannot do: use the plan Essentials"
            )
