"""The rules of the collection as their folders hold them: manifest, sample event, code."""

import importlib.util
import json
from copy import copy
from functools import cache
from pathlib import Path
from typing import Any, cast

from cognito_rules.manifest import Manifest
from cognito_rules.rule import Rule

FUNCTIONS = Path("functions")
RULES = sorted(path.parent.name for path in FUNCTIONS.glob("*/rule.toml"))
MANIFESTS = {name: Manifest.read(FUNCTIONS / name / "rule.toml") for name in RULES}


def event_of(name: str) -> dict[str, Any]:
    """Return the sample event of a rule."""
    event: dict[str, Any] = json.loads(Path(f"events/{name}.json").read_text())
    return event


def load(name: str) -> Rule:
    """Return a copy of the rule, so that no test sees settings that another one gave."""
    return copy(_loaded(name))


@cache
def _loaded(name: str) -> Rule:
    """Return the rule, which nobody runs: what it remembers would go into its copies."""
    path = FUNCTIONS / name / "app.py"
    spec = importlib.util.spec_from_file_location(f"contract_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return cast(Rule, module.rule)
