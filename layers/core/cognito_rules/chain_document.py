"""The chain document as people write it, read and checked.

The same check runs in the command line, at publication and when the login function loads the
document: a document that it refuses never decides a login.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

from cognito_rules.chain import EVERYONE, Application, Chain, Entry, canonical, fingerprint
from cognito_rules.chain_entries import EntryReader
from cognito_rules.chain_problems import Place, Problems
from cognito_rules.errors import ChainError, Problem
from cognito_rules.manifest import Manifest

if TYPE_CHECKING:
    from cognito_rules.regions import RegionOverride
    from cognito_rules.rule import Rule

_DOCUMENT_KEYS = {
    *("unregistered_applications", "on_commit_failure", "applications", "rules"),
    "region_override",
}
# A document must fit into one item of the profiles table, where the last good one is kept.
MAX_BYTES = 300_000
_ARN = re.compile(r"(?<![A-Za-z0-9])arn:[a-z0-9-]+:[a-z0-9-]+:")


_DOCUMENT = Place("the document")


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
        self.problems = Problems()

    def read(self) -> Chain:
        """Return the chain; raises ChainError with all problems."""
        if not isinstance(self.document, Mapping):
            raise ChainError([Problem("the document is no table")])
        self.problems.refuse_unknown(_DOCUMENT, self.document, _DOCUMENT_KEYS)
        self._refuse_what_is_no_json()
        applications = self._applications(self.document.get("applications", {}))
        reader = EntryReader(
            self.problems,
            catalogue=self.catalogue,
            rules=self.rules,
            token_version=self.token_version,
            privileged=self.privileged,
            applications=applications,
            regions=self._regions(),
        )
        tables = self.document.get("rules", [])
        if not isinstance(tables, list):
            self.problems.found.append(
                Problem("rules must be a list of [[rules]] tables", ("rules",))
            )
            tables = []
        entries = []
        for index, table in enumerate(tables):
            entry = reader.read(index, table)
            if entry is not None:
                entries.append(entry)
        self._refuse_arns(self.document)
        self._refuse_missing(entries)
        chain = Chain(
            entries=tuple(entries),
            applications=applications,
            refuses_unregistered=self.problems.choice(
                self.document, "unregistered_applications", ("all_rules", "refuse"), _DOCUMENT
            )
            == "refuse",
            refuses_uncommitted=self.problems.choice(
                self.document, "on_commit_failure", ("continue", "refuse"), _DOCUMENT
            )
            == "refuse",
            document=self.document,
        )
        if self.problems.found:
            raise ChainError(self.problems.found)
        return chain

    def _refuse_what_is_no_json(self) -> None:
        # Settings travel to rules as JSON, and their digest names the chain: TOML can say more.
        try:
            json.dumps(self.document, allow_nan=False, ensure_ascii=False).encode()
            size = len(canonical(self.document))
        except (TypeError, ValueError) as error:
            self.problems.found.append(
                Problem(f"the document holds a value that is no JSON: {error}")
            )
        else:
            if size > MAX_BYTES:
                self.problems.found.append(
                    Problem(f"the document has {size} bytes, and may have {MAX_BYTES}")
                )

    def _refuse_missing(self, entries: list[Entry]) -> None:
        """Refuse a document without the entries that template.yaml requires, enforced for all."""
        # What is malformed has no fingerprint, and is refused already.
        is_sound = not self.problems.found
        for required in sorted(self.required):
            entry_id, is_pinned, pinned = required.partition("=")
            found = next((entry for entry in entries if entry.id == entry_id), None)
            if found is None:
                self.problems.refuse(
                    _DOCUMENT, f"the entry {entry_id} is required (RequiredEntries)"
                )
                continue
            place = Place(f"entry {entry_id}", ("rules", found.index))
            if found.mode != "enforce" or found.rollout < 100:
                self.problems.refuse(
                    place,
                    "is required (RequiredEntries): it must be enforced for everybody",
                    "mode" if found.mode != "enforce" else "rollout",
                )
            elif is_pinned and is_sound:
                now = fingerprint(self.document, found.index, found.manifest)
                if now != pinned:
                    self.problems.refuse(
                        place,
                        f"is required as it was when RequiredEntries got {required}; it is {now} "
                        "now",
                    )

    def _refuse_arns(self, value: Any, *path: str | int) -> None:
        # ARNs are infrastructure: a document that can be changed at run time never names one.
        if isinstance(value, str) and _ARN.search(value):
            self.problems.refuse(_DOCUMENT, f"an ARN ({value}) belongs into template.yaml", *path)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                self._refuse_arns(key, *path, key)
                self._refuse_arns(item, *path, key)
        elif isinstance(value, list):
            for index, item in enumerate(value):
                self._refuse_arns(item, *path, index)

    def _regions(self) -> dict[str, RegionOverride]:
        if "region_override" not in self.document:
            return {}
        from cognito_rules.regions import RegionReader  # only a chain that asks by country pays

        reader = RegionReader()
        overrides = reader.read(self.document["region_override"])
        for sentence, path in reader.problems:
            self.problems.refuse(Place("region_override", ("region_override",)), sentence, *path)
        return overrides

    def _applications(self, tables: Any) -> dict[str, Application]:
        applications: dict[str, Application] = {}
        names: set[str] = set()
        if not isinstance(tables, Mapping):
            self.problems.found.append(
                Problem("applications must be tables [applications.CLIENT_ID]", ("applications",))
            )
            return applications
        for client_id, table in tables.items():
            where = Place(f"application {client_id}", ("applications", client_id))
            name = table.get("name") if isinstance(table, Mapping) else None
            if not isinstance(name, str) or name in ("", EVERYONE):
                self.problems.refuse(where, "needs a name", "name")
                continue
            self.problems.refuse_unknown(where, table, {"name", "metadata"})
            # `when` takes names and ids alike: neither may stand for two applications.
            if name in names or (name in tables and name != client_id):
                self.problems.refuse(where, f"the name {name!r} is taken", "name")
            names.add(name)
            metadata = table.get("metadata", {})
            if not isinstance(metadata, Mapping) or not all(
                isinstance(value, str) for value in metadata.values()
            ):
                self.problems.refuse(where, "metadata must be a map of texts", "metadata")
                metadata = {}
            applications[client_id] = Application(client_id, name, metadata)
        return applications
