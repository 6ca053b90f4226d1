"""The chain document as people write it, read and checked.

The same check runs in the command line, at publication and when the login function loads the
document: a document that it refuses never decides a login.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast, get_args

from cognito_rules.chain import (
    EVERYONE,
    Application,
    Chain,
    Entry,
    Mode,
    Placement,
    RequireConsent,
    When,
    canonical,
    fingerprint,
)
from cognito_rules.consent import DEFAULT_CONSENT
from cognito_rules.errors import ChainError, ConfigurationError, Problem
from cognito_rules.manifest import Manifest

if TYPE_CHECKING:
    from cognito_rules.regions import RegionOverride
    from cognito_rules.rule import Rule

_DOCUMENT_KEYS = {
    *("unregistered_applications", "on_commit_failure", "applications", "rules"),
    "region_override",
}
_ENTRY_KEYS = {
    *("rule", "id", "when", "configuration", "mode", "rollout", "placement", "overrides"),
    *("runs_on_refresh", "runs_on_client_credentials", "runs_on_sign_up"),
    *("require_consent", "once_per_user"),
}
# A document must fit into one item of the profiles table, where the last good one is kept.
MAX_BYTES = 300_000
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_ARN = re.compile(r"(?<![A-Za-z0-9])arn:[a-z0-9-]+:[a-z0-9-]+:")


class _Place(NamedTuple):
    """A part of the document: how sentences name it, and the path that leads to it."""

    name: str
    path: tuple[str | int, ...] = ()


_DOCUMENT = _Place("the document")


class DocumentReader:
    """Reads one document and collects its problems."""

    def __init__(
        self,
        document: Mapping[str, Any],
        catalogue: Mapping[str, Manifest],
        rules: Mapping[str, Rule] | None,
        token_version: str,
        privileged: Collection[str] | None,
        required: Collection[str],
    ) -> None:
        self.document = document
        self.catalogue = catalogue
        self.rules = rules
        self.token_version = token_version
        self.privileged = privileged
        self.required = required
        self.problems: list[Problem] = []
        self.claim_owners: dict[tuple[str, str], str] = {}
        self.ids: list[Any] = []  # so far, illegal ones too
        self.regions: Mapping[str, RegionOverride] = {}

    def read(self) -> Chain:
        """Return the chain; raises ChainError with all problems."""
        if not isinstance(self.document, Mapping):
            raise ChainError([Problem("the document is no table")])
        self._refuse_unknown(_DOCUMENT, self.document, _DOCUMENT_KEYS)
        self._refuse_what_is_no_json()
        applications = self._applications(self.document.get("applications", {}))
        if "region_override" in self.document:
            self.regions = self._region_overrides(self.document["region_override"])
        tables = self.document.get("rules", [])
        if not isinstance(tables, list):
            self.problems.append(Problem("rules must be a list of [[rules]] tables", ("rules",)))
            tables = []
        entries = []
        for index, table in enumerate(tables):
            entry = self._entry(index, table, applications)
            if entry is not None:
                entries.append(entry)
        self._refuse_arns(self.document)
        self._refuse_missing(entries)
        chain = Chain(
            entries=tuple(entries),
            applications=applications,
            refuses_unregistered=self._choice(
                self.document, "unregistered_applications", ("all_rules", "refuse"), _DOCUMENT
            )
            == "refuse",
            refuses_uncommitted=self._choice(
                self.document, "on_commit_failure", ("continue", "refuse"), _DOCUMENT
            )
            == "refuse",
            document=self.document,
        )
        if self.problems:
            raise ChainError(self.problems)
        return chain

    def _refuse(self, place: _Place, reason: str, *within: str | int) -> None:
        """Note that ``place`` is refused; ``within`` leads on to the part that is the reason."""
        self.problems.append(Problem(f"{place.name}: {reason}", (*place.path, *within)))

    def _refuse_what_is_no_json(self) -> None:
        # Settings travel to rules as JSON, and their digest names the chain: TOML can say more.
        try:
            json.dumps(self.document, allow_nan=False, ensure_ascii=False).encode()
            size = len(canonical(self.document))
        except (TypeError, ValueError) as error:
            self.problems.append(Problem(f"the document holds a value that is no JSON: {error}"))
        else:
            if size > MAX_BYTES:
                self.problems.append(
                    Problem(f"the document has {size} bytes, and may have {MAX_BYTES}")
                )

    def _refuse_missing(self, entries: list[Entry]) -> None:
        """Refuse a document without the entries that template.yaml requires, enforced for all."""
        # What is malformed has no fingerprint, and is refused already.
        is_sound = not self.problems
        for required in sorted(self.required):
            entry_id, is_pinned, pinned = required.partition("=")
            found = next((entry for entry in entries if entry.id == entry_id), None)
            if found is None:
                self._refuse(_DOCUMENT, f"the entry {entry_id} is required (RequiredEntries)")
                continue
            place = _Place(f"entry {entry_id}", ("rules", found.index))
            if found.mode != "enforce" or found.rollout < 100:
                self._refuse(
                    place,
                    "is required (RequiredEntries): it must be enforced for everybody",
                    "mode" if found.mode != "enforce" else "rollout",
                )
            elif is_pinned and is_sound:
                now = fingerprint(self.document, found.index, found.manifest)
                if now != pinned:
                    self._refuse(
                        place,
                        f"is required as it was when RequiredEntries got {required}; it is {now} "
                        "now",
                    )

    def _choice(
        self, table: Mapping[str, Any], key: str, allowed: tuple[str, ...], where: _Place
    ) -> str:
        value = table.get(key, allowed[0])
        if value not in allowed:
            self._refuse(where, f"{key} is {value!r}, must be {' or '.join(allowed)}", key)
            return allowed[0]
        return str(value)

    def _refuse_unknown(self, where: _Place, table: Mapping[str, Any], known: set[str]) -> None:
        for key in table:
            if key not in known:
                self._refuse(where, f"unknown key {key!r}", key)

    def _refuse_arns(self, value: Any, *path: str | int) -> None:
        # ARNs are infrastructure: a document that can be changed at run time never names one.
        if isinstance(value, str) and _ARN.search(value):
            self._refuse(_DOCUMENT, f"an ARN ({value}) belongs into template.yaml", *path)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self._refuse_arns(key, *path, key)
                self._refuse_arns(item, *path, key)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._refuse_arns(item, *path, index)

    def _region_overrides(self, tables: Any) -> dict[str, RegionOverride]:
        from cognito_rules.regions import RegionReader  # only a chain that asks by country pays

        reader = RegionReader()
        overrides = reader.read(tables)
        for sentence, path in reader.problems:
            self._refuse(_Place("region_override", ("region_override",)), sentence, *path)
        return overrides

    def _applications(self, tables: Any) -> dict[str, Application]:
        applications: dict[str, Application] = {}
        names: set[str] = set()
        if not isinstance(tables, Mapping):
            self.problems.append(
                Problem("applications must be tables [applications.CLIENT_ID]", ("applications",))
            )
            return applications
        for client_id, table in tables.items():
            where = _Place(f"application {client_id}", ("applications", client_id))
            name = table.get("name") if isinstance(table, Mapping) else None
            if not isinstance(name, str) or name in ("", EVERYONE):
                self._refuse(where, "needs a name", "name")
                continue
            self._refuse_unknown(where, table, {"name", "metadata"})
            # `when` takes names and ids alike: neither may stand for two applications.
            if name in names or (name in tables and name != client_id):
                self._refuse(where, f"the name {name!r} is taken", "name")
            names.add(name)
            metadata = table.get("metadata", {})
            if not isinstance(metadata, Mapping) or not all(
                isinstance(value, str) for value in metadata.values()
            ):
                self._refuse(where, "metadata must be a map of texts", "metadata")
                metadata = {}
            applications[client_id] = Application(client_id, name, metadata)
        return applications

    def _entry(
        self, index: int, table: Any, applications: Mapping[str, Application]
    ) -> Entry | None:
        if not isinstance(table, Mapping):
            self._refuse(
                _Place(f"entry {index + 1}", ("rules", index)), "must be a [[rules]] table"
            )
            return None
        name = table.get("rule")
        entry_id = table.get("id", name)
        is_taken = entry_id in self.ids
        self.ids.append(entry_id)
        where = _Place(f"entry {entry_id or index + 1}", ("rules", index))
        manifest = self.catalogue.get(name) if isinstance(name, str) else None
        if manifest is None:
            self._refuse(where, f"there is no rule {name!r}", "rule")
            return None
        self._refuse_unknown(where, table, _ENTRY_KEYS)
        if manifest.is_privileged and self.privileged is not None and name not in self.privileged:
            self._refuse(
                where,
                f"{name} grants roles, groups or session tags: name it in the parameter "
                "PrivilegedRules of template.yaml",
                "rule",
            )
        if not isinstance(entry_id, str) or not _ID.fullmatch(entry_id):
            self._refuse(where, "an id is 1 to 64 of a-z, 0-9, _ and -", "id")
        elif is_taken:
            self._refuse(where, "the id stands twice", "id")
        mode = cast(Mode, self._choice(table, "mode", ("enforce", "shadow", "off"), where))
        placement = self._choice(table, "placement", ("function", "inline"), where)
        if placement == "inline" and not manifest.is_pure:
            self._refuse(where, f"{name} needs its own function, it cannot run inline", "placement")
        elif placement == "inline" and self.rules is not None and name not in self.rules:
            self._refuse(where, f"{name} is not packaged with the login function", "placement")
        if mode == "shadow" and manifest.stage == "after_login":
            self._refuse(
                where, f"in shadow, {name} would really tell other systems: enforce or off", "mode"
            )
        when = self._when(where, table.get("when"), applications)
        names_everybody = when.applications is None or EVERYONE in when.applications
        if manifest.needs_applications and names_everybody:
            self._refuse(
                where, f"{name} is never meant for all applications: name them in when", "when"
            )
        elif manifest.grants_or_restricts and when.applications is None:
            self._refuse(
                where,
                f'{name} grants or restricts: write when = {{applications = ["*"]}} '
                "or name the applications",
                "when",
            )
        configuration = self._configuration(where, manifest, table, mode)
        return Entry(
            id=str(entry_id),
            index=index,
            manifest=manifest,
            when=when,
            configuration=configuration,
            mode=mode,
            rollout=self._rollout(where, manifest, table, mode),
            placement=cast(Placement, placement),
            runs_on_refresh=self._flag(where, table, "runs_on_refresh", manifest.runs_on_refresh),
            runs_on_client_credentials=self._on_client_credentials(where, table, manifest),
            runs_on_sign_up=self._on_sign_up(where, table, manifest),
            overrides=self._flag(where, table, "overrides", False),
            require_consent=self._consent(where, table, manifest),
            # What an entry says of itself outweighs what the document says of its purpose.
            region_override=None
            if "require_consent" in table
            else self.regions.get(manifest.purpose or ""),
            once_per_user=self._once(where, table, manifest, configuration),
        )

    def _flag(self, where: _Place, table: Mapping[str, Any], key: str, default: bool) -> bool:
        value = table.get(key, default)
        if not isinstance(value, bool):
            self._refuse(where, f"{key} must be true or false", key)
            return default
        return value

    def _on_client_credentials(
        self, where: _Place, table: Mapping[str, Any], manifest: Manifest
    ) -> bool:
        key = "runs_on_client_credentials"
        runs = self._flag(where, table, key, manifest.runs_on_client_credentials)
        if runs and manifest.stage != "token":
            self._refuse(where, "a machine has no login, only token rules run for it", key)
        return runs

    def _on_sign_up(self, where: _Place, table: Mapping[str, Any], manifest: Manifest) -> bool:
        key = "runs_on_sign_up"
        runs = self._flag(where, table, key, manifest.runs_on_sign_up)
        if runs and ("deny",) not in manifest.writes:
            self._refuse(where, f"a sign-up can only be refused, {manifest.name} cannot", key)
        if not runs and manifest.stage == "sign_up":
            self._refuse(where, f"{manifest.name} runs at sign-up and nowhere else", key)
        return runs

    def _consent(
        self, where: _Place, table: Mapping[str, Any], manifest: Manifest
    ) -> RequireConsent:
        if manifest.purpose is None:
            if "require_consent" in table:
                self._refuse(where, "require_consent is for after_login rules", "require_consent")
            return "off"
        default = DEFAULT_CONSENT[manifest.purpose]
        modes = sorted(get_args(RequireConsent), key=lambda mode: mode != default)
        return cast(RequireConsent, self._choice(table, "require_consent", tuple(modes), where))

    def _once(
        self,
        where: _Place,
        table: Mapping[str, Any],
        manifest: Manifest,
        configuration: Mapping[str, Any],
    ) -> bool:
        again = manifest.once_unless is not None and configuration.get(manifest.once_unless) is True
        once = self._flag(where, table, "once_per_user", manifest.once_per_user and not again)
        if once and again:
            self._refuse(
                where,
                f"{manifest.once_unless} is for every login: leave once_per_user out",
                "once_per_user",
            )
        if once and manifest.stage != "after_login":
            self._refuse(where, "once_per_user is for after_login rules", "once_per_user")
        return once

    def _rollout(
        self, where: _Place, manifest: Manifest, table: Mapping[str, Any], mode: Mode
    ) -> int:
        value = table.get("rollout", 100)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
            self._refuse(where, "rollout is a percentage from 0 to 100", "rollout")
            return 100
        if value < 100 and manifest.is_guard and mode == "enforce":
            self._refuse(
                where, f"a guard for {value} % of users is an open door: shadow", "rollout"
            )
        return value

    def _when(self, where: _Place, table: Any, applications: Mapping[str, Application]) -> When:
        if table is None:
            return When()
        if not isinstance(table, Mapping):
            self._refuse(where, "when must be a table", "when")
            return When()
        when = _Place(f"{where.name}: when", (*where.path, "when"))
        self._refuse_unknown(when, table, {"applications", "connections"})
        selected: dict[str, tuple[str, ...] | None] = {}
        for key in ("applications", "connections"):
            names = table.get(key)
            if names is None:
                selected[key] = None
            elif isinstance(names, list) and names and all(isinstance(n, str) for n in names):
                selected[key] = tuple(names)
            else:
                self._refuse(where, f"when.{key} must be a list with names in it", "when", key)
        known = {EVERYONE, *applications, *(app.name for app in applications.values())}
        for name in selected.get("applications") or ():
            if name not in known:
                self._refuse(where, f"there is no application {name!r}", "when", "applications")
        return When(selected.get("applications"), selected.get("connections"))

    def _configuration(
        self, where: _Place, manifest: Manifest, table: Mapping[str, Any], mode: Mode
    ) -> dict[str, Any]:
        given = table.get("configuration", {})
        if not isinstance(given, Mapping):
            self._refuse(where, "configuration must be a table", "configuration")
            return {}
        settings = manifest.settings
        configuration: dict[str, Any] = {}
        claims: set[tuple[str, str]] = set()
        try:
            for name in settings.from_template & set(given):
                raise ConfigurationError(
                    f"{name} is set in template.yaml and nowhere else", (name,)
                )
            configuration = settings.of_the_chain.check(given, {})
            rule = (self.rules or {}).get(manifest.name)
            # The check of a rule with template settings needs them: it runs in its function.
            if rule is not None and not settings.from_template:
                rule.verify(configuration)
                claims = rule.written_claims(configuration)
        except ConfigurationError as error:
            self._refuse(where, str(error), "configuration", *error.path)
            return {}
        if mode == "enforce":
            self._own_claims(where, claims, table.get("overrides") is True)
        self._check_token_version(where, manifest, claims)
        return configuration

    def _own_claims(self, where: _Place, claims: set[tuple[str, str]], overrides: bool) -> None:
        for claim in sorted(claims):
            owner = self.claim_owners.get(claim)
            if owner is not None and not overrides:
                self._refuse(
                    where,
                    f"{owner} already writes the {claim[0]} token's {claim[1]}; "
                    "write overrides = true to replace it",
                    "overrides",
                )
            self.claim_owners[claim] = where.name

    def _check_token_version(
        self, where: _Place, manifest: Manifest, claims: set[tuple[str, str]]
    ) -> None:
        written = {write[0] for write in manifest.writes}
        only_access = "access_token" in written and "id_token" not in written
        if self.token_version == "V1_0" and (only_access or any(t == "access" for t, _ in claims)):
            self._refuse(
                where,
                f"{manifest.name} changes access tokens, which the feature plan Lite "
                "cannot do: use the plan Essentials",
                "rule",
            )
