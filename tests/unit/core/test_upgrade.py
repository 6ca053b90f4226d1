"""A rule and a login function of different releases: each cell of the table in docs/upgrading.md.

The login function has one manifest of the rule in its catalogue, the rule's own function another.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.login import UNKNOWN, Login
from cognito_rules.manifest import Manifest
from cognito_rules.planner import Run, make_plan
from cognito_rules.rule import Rule
from cognito_rules.runner import read_answer
from tests.unit.core.chains import a_chain, a_manifest

PAGE = Path("docs/upgrading.md")
READ = {"reads": ["user.email"]}
WRITE = {"writes": ["deny"]}
SETTING = {"configuration": {"limit": {"type": "integer", "default": 3, "help": "A limit."}}}
REQUIRED = {"configuration": {"limit": {"type": "integer", "required": True, "help": "A limit."}}}

# Line of the page -> the manifest before and after the release.
CHANGES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "reads one field more": ({}, READ),
    "reads one field less": (READ, {}),
    "writes one effect more": ({}, WRITE),
    "writes one effect less": (WRITE, {}),
    "a setting more, with a default": ({}, SETTING),
    "a setting more, required": ({}, REQUIRED),
    "a setting less": (SETTING, {}),
}


def cells() -> dict[str, tuple[str, str]]:
    """Return line -> (new rule, old login function), (old rule, new login function)."""
    text = PAGE.read_text(encoding="utf-8")
    table = text.partition("<!-- manifests -->\n")[2].partition("<!-- /manifests -->")[0]
    rows = [
        [cell.strip().replace("`", "") for cell in line.strip("|").split("|")]
        for line in table.split("\n")
        if line
    ]
    return {row[0]: (row[1], row[2]) for row in rows[2:]}


def meet(in_catalogue: Manifest, in_function: Manifest) -> str:
    """Let the login function's request reach the rule, and say what came of it."""
    seen: dict[str, Any] = {}

    def decide(login: Login, effects: Effects) -> None:
        if READ["reads"] == [str(read) for read in in_function.reads]:
            seen["field"] = login.user.email
        seen["setting"] = login.configuration.get("limit")
        if in_function.writes:
            effects.deny("No.", code="refused")

    entry: dict[str, Any] = {"configuration": {"limit": 5}}
    required = [setting for setting in in_catalogue.settings.settings if setting.required]
    chain = a_chain(in_catalogue, **({in_catalogue.name: entry} if required else {}))
    facts = {"user": {"email": "jane@example.com"}, "client": {}}
    run = Run(make_plan(chain.entries, token_stage=True), facts)
    request = run.request(0, "2026-11-22T09:30:00.000Z")

    response = Rule(decide, in_function).answer(request)

    answer = read_answer(chain.entries[0], response)
    if answer.fault is not None:
        return f"fault: {answer.fault}"
    if seen.get("field", "jane@example.com") is UNKNOWN:
        return "unknown"
    return "its default" if seen["setting"] == 3 else "as before"


def test_the_page_has_a_line_for_each_change() -> None:
    assert list(cells()) == list(CHANGES)


@pytest.mark.parametrize("change", CHANGES)
def test_a_new_rule_under_an_old_login_function(change: str) -> None:
    before, after = (a_manifest(**declared) for declared in CHANGES[change])

    assert meet(before, after) == cells()[change][0]


@pytest.mark.parametrize("change", CHANGES)
def test_an_old_rule_under_a_new_login_function(change: str) -> None:
    before, after = (a_manifest(**declared) for declared in CHANGES[change])

    assert meet(after, before) == cells()[change][1]


@pytest.mark.parametrize("declared", [READ, WRITE, SETTING, REQUIRED], ids=str)
def test_a_rule_and_a_login_function_of_one_release(declared: dict[str, Any]) -> None:
    manifest = a_manifest(**declared)

    assert meet(manifest, manifest) in ("as before", "its default")
