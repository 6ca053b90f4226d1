"""The JSON schema of chain.toml, for editors: it refuses nothing that the check takes."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator

from cli.chain_file import ChainFile
from tests.contract.stack_template import MANIFESTS, PROJECT, RULES

SCHEMA = json.loads((PROJECT / "docs/chain.schema.json").read_text())
VALIDATOR = Draft7Validator(SCHEMA)
EVERYBODY = {"applications": ["*"]}
EXAMPLES = {
    f"{page.name}-{number}": text
    for page in [*sorted((PROJECT / "docs").glob("*.md")), PROJECT / "README.md"]
    for number, text in enumerate(
        re.findall(r"^```toml\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)
    )
    if "[[rules]]" in text
}


def problems(document: Any) -> list[str]:
    return [error.message for error in VALIDATOR.iter_errors(document)]


def checked(document: Any, tmp_path: Path) -> list[str]:
    """Return what the command line's check says of a document."""
    import tomlkit

    text = tomlkit.dumps(document)
    return [p.reason for p in ChainFile(tmp_path / "chain.toml", text).problems(None)]


def test_the_schema_is_one() -> None:
    Draft7Validator.check_schema(SCHEMA)


def test_the_projects_chain_names_its_schema_for_editors() -> None:
    text = (PROJECT / "chain.toml").read_text()

    assert text.startswith("#:schema ./docs/chain.schema.json\n")
    assert problems(tomllib.loads(text)) == []


@pytest.mark.parametrize("text", EXAMPLES.values(), ids=EXAMPLES)
def test_the_examples_of_the_docs_are_valid(text: str) -> None:
    assert problems(tomllib.loads(text)) == []


def test_there_are_examples() -> None:
    assert any(name.startswith("chain.md") for name in EXAMPLES)


@pytest.mark.parametrize("rule", RULES)
def test_the_settings_of_every_sample_event_are_valid(rule: str) -> None:
    configuration = json.loads((PROJECT / f"events/{rule}.json").read_text())["configuration"]
    applications = {"abc": {"name": "wiki"}} if MANIFESTS[rule].needs_applications else {}
    when = {"applications": ["wiki"]} if applications else EVERYBODY
    entry = {"rule": rule, "when": when, "configuration": configuration}

    assert problems({"applications": applications, "rules": [entry]}) == []


@pytest.mark.parametrize("rule", RULES)
def test_every_setting_is_explained_and_an_unknown_one_refused(rule: str) -> None:
    settings = MANIFESTS[rule].settings.of_the_chain.settings
    described = SCHEMA["definitions"][rule]["then"]["properties"]["configuration"]["properties"]
    offered = SCHEMA["properties"]["rules"]["items"]["properties"]["configuration"]["properties"]
    entry = {"rule": rule, "when": EVERYBODY, "configuration": {"no_such_setting": 1}}

    assert {n: s.get("description") for n, s in described.items()} == {
        s.key: s.help or None for s in settings
    }
    assert set(described) <= set(offered)
    assert any("no_such_setting" in problem for problem in problems({"rules": [entry]}))


def guard(**changes: Any) -> dict[str, Any]:
    given = {"rule": "require_group", "when": EVERYBODY, "configuration": {"groups": ["x"]}}
    return {"rules": [given | changes]}


def entry(rule: str, **changes: Any) -> dict[str, Any]:
    return {"rules": [{"rule": rule, **changes}]}


def override(purpose: str, **modes: Any) -> dict[str, Any]:
    return {"region_override": {purpose: modes}}


REFUSED = {
    "an unknown key": {"rule": []},
    "an unknown choice": {"unregistered_applications": "some"},
    "an application without a name": {"applications": {"abc": {}}},
    "an application named as all": {"applications": {"abc": {"name": "*"}}},
    "metadata that is no text": {"applications": {"abc": {"name": "x", "metadata": {"a": 1}}}},
    "rules that are no list": {"rules": {"rule": "require_group"}},
    "an entry without a rule": {"rules": [{"id": "x"}]},
    "an unknown rule": entry("no_such_rule"),
    "an unknown key of an entry": guard(modes="off"),
    "an unknown mode": guard(mode="on"),
    "a number as mode": guard(mode=1),
    "an id with a blank": guard(id="my guard"),
    "a rollout above 100": guard(mode="shadow", rollout=101),
    "a rollout that is a truth": guard(mode="shadow", rollout=True),
    "a guard for some": guard(rollout=50),
    "a text as flag": guard(runs_on_refresh="yes"),
    "a when that is a list": guard(when=["*"]),
    "a when with an unknown key": guard(when={"applications": ["*"], "groups": ["x"]}),
    "nobody": guard(when={"applications": []}),
    "a guard without applications": guard(when={"connections": ["COGNITO"]}),
    "no configuration where one is needed": {
        "rules": [{"rule": "require_group", "when": EVERYBODY}]
    },
    "a setting of a wrong type": guard(configuration={"groups": "x"}),
    "an item of a wrong type": guard(configuration={"groups": [1]}),
    "too few items": guard(configuration={"groups": []}),
    "a setting of the template": entry(
        "map_aws_role", when=EVERYBODY, configuration={"mappings": []}
    ),
    "a rule with its own function inline": entry(
        "map_aws_role", when=EVERYBODY, placement="inline"
    ),
    "an after_login rule in shadow": entry("record_events_splunk", mode="shadow"),
    "consent for a guard": guard(require_consent="opt_in"),
    "a guard once for each person": guard(once_per_user=True),
    "a guard of people for machines": guard(runs_on_client_credentials=True),
    "an enricher at sign-up": entry("oidc_scope_claims", runs_on_sign_up=True),
    "an override for no purpose": override("sales", opt_in=["EEA"], elsewhere="off"),
    "an override without elsewhere": override("analytics", opt_in=["EEA"]),
    "an override without countries": override("analytics", elsewhere="opt_in"),
    "an empty list of countries": override("analytics", opt_in=[], elsewhere="off"),
    "a country that is none": override("analytics", opt_in=["EEA", "XX"], elsewhere="off"),
    "a country as text": override("analytics", opt_in="EEA", elsewhere="off"),
    "a mode that is none": override("analytics", ask=["EEA"], elsewhere="off"),
    "another mode elsewhere": override("analytics", opt_in=["EEA"], elsewhere="ask"),
    "a rule for all applications that never is": entry(
        "deny_application", when=EVERYBODY, configuration={}
    ),
}
TAKEN = {
    "nothing": {},
    "a guard": guard(),
    "a guard in shadow for some": guard(mode="shadow", rollout=50),
    "a guard that is off": guard(mode="off", rollout=0),
    "an enricher for some": entry("oidc_scope_claims", rollout=1, placement="inline"),
    "a rule that tells others": entry("record_events_splunk", require_consent="opt_in"),
    "an override": override("analytics", opt_in=["EEA", "UK", "CH"], elsewhere="opt_out"),
    "an application": {"applications": {"abc": {"name": "x", "metadata": {"tier": "gold"}}}},
}


@pytest.mark.parametrize("document", REFUSED.values(), ids=REFUSED)
def test_schema_and_check_refuse(document: dict[str, Any], tmp_path: Path) -> None:
    assert problems(document)
    assert checked(document, tmp_path)


@pytest.mark.parametrize("document", TAKEN.values(), ids=TAKEN)
def test_schema_and_check_take(document: dict[str, Any], tmp_path: Path) -> None:
    assert problems(document) == []
    assert checked(document, tmp_path) == []
