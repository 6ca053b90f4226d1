"""No guard opens a door by a wrong setting: the chain is refused, and so is a login all the same.

What holds for every guard and each of its settings: a value of another type, an unknown key and a
list or map that is empty by mistake stop the publication; a document that got past it refuses.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from cognito_rules.chain import Chain, Entry
from cognito_rules.configuration import Setting
from cognito_rules.errors import ChainError
from cognito_rules.rule import Rule
from cognito_rules.runner import MISCONFIGURED, read_answer
from cognito_rules.testing import a_context
from tests.contract.rule_folders import MANIFESTS, RULES, event_of, load

GUARDS = [
    name for name in RULES if MANIFESTS[name].is_guard and MANIFESTS[name].stage != "after_login"
]
# What an empty list of these means is that nothing is let through.
EMPTY_IS_STRICT = {
    ("customize_token_claims_and_scopes", "protected_scopes"): "replace drops every scope",
    ("validate_token_scopes", "passthrough"): "every scope needs a permission",
}
OF_ANOTHER_TYPE = {"string": 7, "integer": "7", "number": "7", "boolean": "true"}


def _settings(name: str) -> list[Setting]:
    return list(MANIFESTS[name].settings.of_the_chain.settings)


def _of_another_type(setting: Setting) -> Iterator[Any]:
    if setting.type.startswith("list["):
        yield from ("text", {"a": "b"}, 7, None, [None], [["text"]])
    elif setting.type.startswith("map["):
        yield from ("text", ["a"], 7, None)
        if setting.type != "map[string, json]":
            yield {"key": None}
    elif setting.type == "object":
        yield from ("text", ["a"], 7, None, {"no_such_key": 1})
    else:
        yield from (OF_ANOTHER_TYPE[setting.type], ["a"], {"a": "b"})


def _is_empty_by_mistake(name: str, setting: Setting) -> bool:
    is_container = setting.type.startswith(("list[", "map["))
    is_meant_to_hold = setting.required or bool(setting.default)
    return is_container and is_meant_to_hold and (name, setting.name) not in EMPTY_IS_STRICT


WRONG = [
    pytest.param(name, {setting.name: value}, id=f"{name}.{setting.name} = {json.dumps(value)}")
    for name in GUARDS
    for setting in _settings(name)
    for value in _of_another_type(setting)
]
EMPTY = [
    pytest.param(
        name,
        {setting.name: [] if setting.type.startswith("list[") else {}},
        id=f"{name}.{setting.name} is empty",
    )
    for name in GUARDS
    for setting in _settings(name)
    if _is_empty_by_mistake(name, setting)
]
UNKNOWN = [pytest.param(name, {"no_such_setting": []}, id=f"{name}, unknown") for name in GUARDS]


def _rule(name: str, monkeypatch: pytest.MonkeyPatch) -> Rule:
    monkeypatch.setenv("RULE_SETTINGS", json.dumps(event_of(name).get("template", {})))
    return load(name)


def _chain(rule: Rule, configuration: dict[str, Any]) -> Chain:
    entry = {
        "rule": rule.manifest.name,
        "when": {"applications": ["payroll"]},
        "configuration": configuration,
    }
    document = {"applications": {"4example": {"name": "payroll"}}, "rules": [entry]}
    name = rule.manifest.name
    return Chain.parse(document, {name: rule.manifest}, rules={name: rule})


def _entry(rule: Rule) -> Entry:
    return _chain(rule, event_of(rule.manifest.name)["configuration"]).entries[0]


def test_there_are_guards_with_settings_that_must_hold_something() -> None:
    assert len(GUARDS) >= 20
    assert len(EMPTY) >= 10


@pytest.mark.parametrize("name", GUARDS)
def test_the_sample_of_a_guard_can_be_published(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the refusals below would say nothing."""
    assert _entry(_rule(name, monkeypatch)).id == name


@pytest.mark.parametrize(("name", "change"), [*WRONG, *EMPTY, *UNKNOWN])
def test_a_wrong_setting_of_a_guard_stops_the_publication(
    name: str, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    [setting] = change

    with pytest.raises(ChainError) as refused:
        _chain(_rule(name, monkeypatch), {**event_of(name)["configuration"], **change})

    [problem] = refused.value.problems
    assert problem.startswith(f"entry {name}: ")
    assert setting in problem


@pytest.mark.parametrize(("name", "change"), [*WRONG, *EMPTY, *UNKNOWN])
def test_a_wrong_setting_of_a_guard_refuses_the_login(
    name: str, change: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = _rule(name, monkeypatch)
    event = event_of(name)
    event["configuration"] |= change

    response = rule(event, a_context())

    assert response["fault"]["code"] == "configuration_error"
    assert read_answer(_entry(rule), response).effects == (
        {
            "effect": "deny",
            "code": "rule_misconfigured",
            "public_code": "access_denied",
            "reason": MISCONFIGURED,
        },
    )


@pytest.mark.parametrize("name", GUARDS)
def test_a_setting_that_is_missing_is_no_gap_either(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = _rule(name, monkeypatch)
    for setting in _settings(name):
        if not setting.required:
            continue
        event = event_of(name)
        del event["configuration"][setting.name]

        response = rule(event, a_context())

        assert response["fault"]["code"] == "configuration_error"
        assert setting.name in response["fault"]["message"]
