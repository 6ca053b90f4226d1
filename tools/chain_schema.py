"""The JSON schema of ``chain.toml``, for editors: keys, rules, and the settings of each.

It says what the shape of a document can say. What needs the whole document, such as an id that
stands twice, or the rule's own code, is left to ``cognito-rules chain check``.

The entry's schema has no ``allOf``, and the settings of all rules stand in one place beside the
exact ones: where taplo, which editors use for TOML, looks for what it completes.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

from cognito_rules.chain import EVERYONE, Mode, Placement, RequireConsent
from cognito_rules.configuration import Setting
from cognito_rules.manifest import PURPOSES, Manifest
from cognito_rules.regions import COUNTRIES, ELSEWHERE, GROUPS, MODES
from tools.catalogue import manifests

SCHEMA = Path("docs/chain.schema.json")
JsonObject = dict[str, Any]

_NAMES: JsonObject = {"type": "array", "items": {"type": "string"}, "minItems": 1}


def schema(root: Path) -> str:
    """Return the text of the schema for the checkout at ``root``."""
    rules = manifests(root)
    document: JsonObject = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$comment": "Written by `make docs` from functions/*/rule.toml: change those.",
        "title": "The chain document of Cognito Rules",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "unregistered_applications": {
                "description": "What an application gets that is not listed: every entry for "
                '["*"], or no login at all.',
                "enum": ["all_rules", "refuse"],
                "default": "all_rules",
            },
            "on_commit_failure": {
                "description": "What to do when the tables cannot record a login that the rules "
                "allow.",
                "enum": ["continue", "refuse"],
                "default": "continue",
            },
            "applications": {
                "description": "App clients by id, with a name to use in `when`.",
                "type": "object",
                "additionalProperties": _application(),
            },
            "region_override": {
                "description": "What after_login rules need of a person, by purpose and by the "
                "country of the login.",
                "type": "object",
                "propertyNames": {"enum": list(PURPOSES)},
                "additionalProperties": _region_override(),
            },
            "rules": {
                "description": "The entries: one sees the login plus the effects of those before.",
                "type": "array",
                "items": _entry(rules),
            },
        },
        "definitions": {
            "countries": {
                "type": "array",
                "items": {"enum": [*GROUPS, *sorted(COUNTRIES)]},
                "minItems": 1,
            },
            **_definitions(rules),
        },
    }
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def _application() -> JsonObject:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["name"],
        "properties": {
            "name": {"type": "string", "minLength": 1, "not": {"const": EVERYONE}},
            "metadata": {
                "description": "Rules read it as client.metadata.",
                "type": "object",
                "additionalProperties": {"type": "string"},
            },
        },
    }


def _region_override() -> JsonObject:
    countries = {"$ref": "#/definitions/countries"}
    return {
        "type": "object",
        "additionalProperties": False,
        "required": [ELSEWHERE],
        "minProperties": 2,
        "properties": {
            **dict.fromkeys(MODES, countries),
            ELSEWHERE: {
                "description": "For all other countries; where the country is unknown, the "
                "strictest of the modes holds.",
                "enum": list(MODES),
            },
        },
    }


def _entry(rules: list[Manifest]) -> JsonObject:
    return {
        "type": "object",
        "additionalProperties": False,
        "required": ["rule"],
        "properties": {
            "rule": {
                "description": "A rule: a folder below functions/.",
                "enum": [rule.name for rule in rules],
                "x-taplo": {"docs": {"enumValues": [rule.summary for rule in rules]}},
            },
            "id": {
                "description": "Names the entry in logs and traces; needed where a rule stands "
                "twice. Default: the rule's name.",
                "type": "string",
                "pattern": "^[a-z0-9][a-z0-9_-]{0,63}$",
            },
            "when": {
                "description": "For which logins it runs; without it, for all.",
                "type": "object",
                "additionalProperties": False,
                "properties": {
                    "applications": {
                        **_NAMES,
                        "description": 'Names or app client ids; ["*"] for all.',
                    },
                    "connections": {
                        **_NAMES,
                        "description": "Identity providers; COGNITO for local accounts.",
                    },
                },
            },
            "configuration": {
                "description": "The settings of the rule.",
                "type": "object",
                "properties": _all_settings(rules),
            },
            "mode": {
                "description": "In shadow it runs, and its effects are only traced.",
                "enum": list(get_args(Mode)),
                "default": "enforce",
            },
            "rollout": {
                "description": "Percent of users; a guard below 100 only in shadow.",
                "type": "integer",
                "minimum": 0,
                "maximum": 100,
                "default": 100,
            },
            "placement": {
                "description": "In a function of its own, or inside the login function.",
                "enum": list(get_args(Placement)),
                "default": "function",
            },
            "require_consent": {
                "description": "What an after_login rule needs of the person.",
                "enum": list(get_args(RequireConsent)),
            },
            "once_per_user": _flag("Whether an after_login rule is told of each person once only."),
            "runs_on_refresh": _flag("Whether it runs when tokens are refreshed."),
            "runs_on_client_credentials": _flag("Whether a token rule runs for machines."),
            "runs_on_sign_up": _flag("Whether a guard runs before an account exists, too."),
            "overrides": {
                **_flag("Whether it may write a claim that an entry before it writes."),
                "default": False,
            },
        },
        "if": True,
        "then": {"$ref": f"#/definitions/{rules[0].name}"},
    }


def _definitions(rules: list[Manifest]) -> JsonObject:
    """Return what holds for each rule's entries, each pointing on to the next rule."""
    definitions: JsonObject = {}
    for rule, after in zip(rules, [*rules[1:], None], strict=True):
        definitions[rule.name] = {
            "if": {"properties": {"rule": {"const": rule.name}}},
            "then": _of_rule(rule),
        }
        if after is not None:
            definitions[rule.name]["else"] = {"$ref": f"#/definitions/{after.name}"}
    return definitions


def _flag(description: str) -> JsonObject:
    return {"description": description, "type": "boolean"}


def _all_settings(rules: Iterable[Manifest]) -> JsonObject:
    """Return every setting of any rule, with what it means for which."""
    settings: dict[str, list[str]] = {}
    for rule in rules:
        for setting in rule.settings.of_the_chain.settings:
            settings.setdefault(setting.name, []).append(f"{rule.name}: {setting.help}")
    return {name: {"description": "\n\n".join(said)} for name, said in sorted(settings.items())}


def _of_rule(rule: Manifest) -> JsonObject:
    """Return what holds for entries of one rule, beside what holds for all."""
    properties: JsonObject = {"configuration": _settings(rule)}
    required = []
    if any(setting.required for setting in rule.settings.of_the_chain.settings):
        required.append("configuration")
    if rule.grants_or_restricts or rule.needs_applications:
        required.append("when")
        when: JsonObject = {"required": ["applications"]}
        if rule.needs_applications:
            everyone = {"contains": {"const": EVERYONE}}
            when["properties"] = {"applications": {"not": everyone}}
        properties["when"] = when
    if not rule.is_pure:
        properties["placement"] = {"const": "function"}
    if rule.stage == "after_login":
        properties["mode"] = {"enum": ["enforce", "off"]}
    else:
        properties |= {"require_consent": False, "once_per_user": {"const": False}}
    if rule.stage != "token":
        properties["runs_on_client_credentials"] = {"const": False}
    if rule.stage == "sign_up":
        properties["runs_on_sign_up"] = {"const": True}
    elif ("deny",) not in rule.writes:
        properties["runs_on_sign_up"] = {"const": False}
    of_rule: JsonObject = {"properties": properties, "required": required}
    if rule.is_guard:
        quiet = {"properties": {"mode": {"enum": ["shadow", "off"]}}, "required": ["mode"]}
        of_rule["anyOf"] = [quiet, {"properties": {"rollout": {"const": 100}}}]
    return of_rule


def _settings(rule: Manifest) -> JsonObject:
    chosen = rule.settings.of_the_chain
    return {
        **chosen.json_schema,
        "properties": {s.key: _setting(s) for s in chosen.settings},
    }


def _setting(setting: Setting) -> JsonObject:
    """Return the schema of a setting with its help, and that of its fields."""
    described = copy.deepcopy(dict(setting.schema))
    inner = described
    while "items" in inner or isinstance(inner.get("additionalProperties"), dict):
        inner = inner.get("items") or inner["additionalProperties"]
    if setting.fields:
        inner["properties"] = {field.key: _setting(field) for field in setting.fields}
    if setting.help:
        described["description"] = setting.help
    if not setting.required and setting.default is not None:
        described["default"] = setting.default
    return described
