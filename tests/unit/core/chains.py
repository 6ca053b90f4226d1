"""Chains and rules made up by tests of the planner, the runner and the pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cognito_rules.chain import Chain
from cognito_rules.manifest import Manifest


def a_manifest(name: str = "a_rule", **changes: Any) -> Manifest:
    """Return a manifest that reads and writes nothing, changed as told."""
    declared = {
        "title": name,
        "summary": "A rule of a test.",
        "category": "Test",
        "stage": "post_authentication",
        "on_error": "continue",
        "reads": [],
        "writes": [],
    }
    return Manifest.parse(name, declared | changes)


def a_chain(*manifests: Manifest, **changes: Any) -> Chain:
    """Return a chain with one entry for each manifest, for every application.

    ``changes`` are changes of single entries by rule name, and of the document by its own keys.
    """
    entries: list[Mapping[str, Any]] = []
    for manifest in manifests:
        entry = {"rule": manifest.name, "when": {"applications": ["*"]}}
        entries.append(entry | changes.pop(manifest.name, {}))
    catalogue = {manifest.name: manifest for manifest in manifests}
    return Chain.parse({"rules": entries, **changes}, catalogue)
