"""The entries of a chain document, read and checked one by one."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, cast, get_args

from cognito_rules.chain import EVERYONE, Application, Entry, Mode, Placement, RequireConsent, When
from cognito_rules.chain_problems import Place, Problems
from cognito_rules.consent import DEFAULT_CONSENT
from cognito_rules.errors import ConfigurationError
from cognito_rules.manifest import Manifest

if TYPE_CHECKING:
    from cognito_rules.regions import RegionOverride
    from cognito_rules.rule import Rule

_KEYS = {
    *("rule", "id", "when", "configuration", "mode", "rollout", "placement", "overrides"),
    *("runs_on_refresh", "runs_on_client_credentials", "runs_on_sign_up"),
    *("require_consent", "once_per_user"),
}
_ID = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class EntryReader:
    """Reads entries in their order; what is wrong goes to ``problems``."""

    def __init__(
        self,
        problems: Problems,
        *,
        catalogue: Mapping[str, Manifest],
        rules: Mapping[str, Rule] | None,
        token_version: str,
        privileged: Collection[str] | None,
        applications: Mapping[str, Application],
        regions: Mapping[str, RegionOverride],
    ) -> None:
        self._problems = problems
        self._catalogue = catalogue
        self._rules = rules
        self._token_version = token_version
        self._privileged = privileged
        self._applications = applications
        self._regions = regions
        self._claim_owners: dict[tuple[str, str], str] = {}
        self._ids: list[Any] = []  # so far, illegal ones too

    def read(self, index: int, table: Any) -> Entry | None:
        """Return the entry at ``index``; None where it is too wrong to be one."""
        if not isinstance(table, Mapping):
            self._problems.refuse(
                Place(f"entry {index + 1}", ("rules", index)), "must be a [[rules]] table"
            )
            return None
        name = table.get("rule")
        entry_id = table.get("id", name)
        is_taken = entry_id in self._ids
        self._ids.append(entry_id)
        where = Place(f"entry {entry_id or index + 1}", ("rules", index))
        manifest = self._catalogue.get(name) if isinstance(name, str) else None
        if manifest is None:
            self._problems.refuse(where, f"there is no rule {name!r}", "rule")
            return None
        self._problems.refuse_unknown(where, table, _KEYS)
        if manifest.is_privileged and self._privileged is not None and name not in self._privileged:
            self._problems.refuse(
                where,
                f"{name} grants roles, groups or session tags: name it in the parameter "
                "PrivilegedRules of template.yaml",
                "rule",
            )
        if not isinstance(entry_id, str) or not _ID.fullmatch(entry_id):
            self._problems.refuse(where, "an id is 1 to 64 of a-z, 0-9, _ and -", "id")
        elif is_taken:
            self._problems.refuse(where, "the id stands twice", "id")
        mode = cast(Mode, self._problems.choice(table, "mode", ("enforce", "shadow", "off"), where))
        placement = self._problems.choice(table, "placement", ("function", "inline"), where)
        if placement == "inline" and not manifest.is_pure:
            self._problems.refuse(
                where, f"{name} needs its own function, it cannot run inline", "placement"
            )
        elif placement == "inline" and self._rules is not None and name not in self._rules:
            self._problems.refuse(
                where, f"{name} is not packaged with the login function", "placement"
            )
        if mode == "shadow" and manifest.stage == "after_login":
            self._problems.refuse(
                where, f"in shadow, {name} would really tell other systems: enforce or off", "mode"
            )
        when = self._when(where, table.get("when"))
        names_everybody = when.applications is None or EVERYONE in when.applications
        if manifest.needs_applications and names_everybody:
            self._problems.refuse(
                where, f"{name} is never meant for all applications: name them in when", "when"
            )
        elif manifest.grants_or_restricts and when.applications is None:
            self._problems.refuse(
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
            runs_on_refresh=self._problems.flag(
                where, table, "runs_on_refresh", manifest.runs_on_refresh
            ),
            runs_on_client_credentials=self._on_client_credentials(where, table, manifest),
            runs_on_sign_up=self._on_sign_up(where, table, manifest),
            overrides=self._problems.flag(where, table, "overrides", False),
            require_consent=self._consent(where, table, manifest),
            # What an entry says of itself outweighs what the document says of its purpose.
            region_override=None
            if "require_consent" in table
            else self._regions.get(manifest.purpose or ""),
            once_per_user=self._once(where, table, manifest, configuration),
        )

    def _on_client_credentials(
        self, where: Place, table: Mapping[str, Any], manifest: Manifest
    ) -> bool:
        key = "runs_on_client_credentials"
        runs = self._problems.flag(where, table, key, manifest.runs_on_client_credentials)
        if runs and manifest.stage != "token":
            self._problems.refuse(where, "a machine has no login, only token rules run for it", key)
        return runs

    def _on_sign_up(self, where: Place, table: Mapping[str, Any], manifest: Manifest) -> bool:
        key = "runs_on_sign_up"
        runs = self._problems.flag(where, table, key, manifest.runs_on_sign_up)
        if runs and ("deny",) not in manifest.writes:
            self._problems.refuse(
                where, f"a sign-up can only be refused, {manifest.name} cannot", key
            )
        if not runs and manifest.stage == "sign_up":
            self._problems.refuse(where, f"{manifest.name} runs at sign-up and nowhere else", key)
        return runs

    def _consent(
        self, where: Place, table: Mapping[str, Any], manifest: Manifest
    ) -> RequireConsent:
        if manifest.purpose is None:
            if "require_consent" in table:
                self._problems.refuse(
                    where, "require_consent is for after_login rules", "require_consent"
                )
            return "off"
        default = DEFAULT_CONSENT[manifest.purpose]
        modes = sorted(get_args(RequireConsent), key=lambda mode: mode != default)
        return cast(
            RequireConsent, self._problems.choice(table, "require_consent", tuple(modes), where)
        )

    def _once(
        self,
        where: Place,
        table: Mapping[str, Any],
        manifest: Manifest,
        configuration: Mapping[str, Any],
    ) -> bool:
        again = manifest.once_unless is not None and configuration.get(manifest.once_unless) is True
        once = self._problems.flag(
            where, table, "once_per_user", manifest.once_per_user and not again
        )
        if once and again:
            self._problems.refuse(
                where,
                f"{manifest.once_unless} is for every login: leave once_per_user out",
                "once_per_user",
            )
        if once and manifest.stage != "after_login":
            self._problems.refuse(where, "once_per_user is for after_login rules", "once_per_user")
        return once

    def _rollout(
        self, where: Place, manifest: Manifest, table: Mapping[str, Any], mode: Mode
    ) -> int:
        value = table.get("rollout", 100)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 100:
            self._problems.refuse(where, "rollout is a percentage from 0 to 100", "rollout")
            return 100
        if value < 100 and manifest.is_guard and mode == "enforce":
            self._problems.refuse(
                where, f"a guard for {value} % of users is an open door: shadow", "rollout"
            )
        return value

    def _when(self, where: Place, table: Any) -> When:
        if table is None:
            return When()
        if not isinstance(table, Mapping):
            self._problems.refuse(where, "when must be a table", "when")
            return When()
        when = Place(f"{where.name}: when", (*where.path, "when"))
        self._problems.refuse_unknown(when, table, {"applications", "connections"})
        selected: dict[str, tuple[str, ...] | None] = {}
        for key in ("applications", "connections"):
            names = table.get(key)
            if names is None:
                selected[key] = None
            elif isinstance(names, list) and names and all(isinstance(n, str) for n in names):
                selected[key] = tuple(names)
            else:
                self._problems.refuse(
                    where, f"when.{key} must be a list with names in it", "when", key
                )
        known = {EVERYONE, *self._applications}
        known |= {application.name for application in self._applications.values()}
        for name in selected.get("applications") or ():
            if name not in known:
                self._problems.refuse(
                    where, f"there is no application {name!r}", "when", "applications"
                )
        return When(selected.get("applications"), selected.get("connections"))

    def _configuration(
        self, where: Place, manifest: Manifest, table: Mapping[str, Any], mode: Mode
    ) -> dict[str, Any]:
        given = table.get("configuration", {})
        if not isinstance(given, Mapping):
            self._problems.refuse(where, "configuration must be a table", "configuration")
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
            rule = (self._rules or {}).get(manifest.name)
            # The check of a rule with template settings needs them: it runs in its function.
            if rule is not None and not settings.from_template:
                rule.verify(configuration)
                claims = rule.written_claims(configuration)
        except ConfigurationError as error:
            self._problems.refuse(where, str(error), "configuration", *error.path)
            return {}
        if mode == "enforce":
            self._own_claims(where, claims, table.get("overrides") is True)
        self._check_token_version(where, manifest, claims)
        return configuration

    def _own_claims(self, where: Place, claims: set[tuple[str, str]], overrides: bool) -> None:
        for claim in sorted(claims):
            owner = self._claim_owners.get(claim)
            if owner is not None and not overrides:
                self._problems.refuse(
                    where,
                    f"{owner} already writes the {claim[0]} token's {claim[1]}; "
                    "write overrides = true to replace it",
                    "overrides",
                )
            self._claim_owners[claim] = where.name

    def _check_token_version(
        self, where: Place, manifest: Manifest, claims: set[tuple[str, str]]
    ) -> None:
        written = {write[0] for write in manifest.writes}
        only_access = "access_token" in written and "id_token" not in written
        if self._token_version == "V1_0" and (only_access or any(t == "access" for t, _ in claims)):
            self._problems.refuse(
                where,
                f"{manifest.name} changes access tokens, which the feature plan Lite "
                "cannot do: use the plan Essentials",
                "rule",
            )
