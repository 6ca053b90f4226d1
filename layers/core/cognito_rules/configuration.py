"""Settings of a rule: the small type language of ``rule.toml``, and the check of given settings.

Types: ``string``, ``integer``, ``number``, ``boolean``, ``json`` (anything), ``object`` (with
``fields``), ``list[TYPE]``, ``map[string, TYPE]``. A setting may say ``default``, ``required``,
``help``, ``choices``, ``pattern``, ``minimum``, ``maximum``, ``min_items`` and ``max_items`` (of
the list or map itself), ``fields`` (of an object, or of the objects in a list or map) and
``source = "template"`` for a setting that comes from the function's stanza in template.yaml and
cannot be given at run time.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cognito_rules.errors import ConfigurationError, ManifestError
from cognito_rules.fields import copy_json

if TYPE_CHECKING:
    from fastjsonschema import JsonSchemaValueException

_MAP = re.compile(r"map\[\s*string\s*,\s*(.+)\]")
_LIST = re.compile(r"list\[\s*(.+)\]")
_SIMPLE = ("string", "integer", "number", "boolean")
# Keyword of a setting -> keyword of JSON Schema, which it becomes on the innermost value.
_ON_VALUE = {
    "choices": "enum",
    "pattern": "pattern",
    "minimum": "minimum",
    "maximum": "maximum",
}
# On the list or map that the setting is, not on one inside of it.
_ON_LIST = {"min_items": "minItems", "max_items": "maxItems"}
_ON_MAP = {"min_items": "minProperties", "max_items": "maxProperties"}
_KEYS = {"type", "default", "required", "help", "source", "fields", *_ON_VALUE, *_ON_LIST}


@dataclass(frozen=True)
class Setting:
    """One setting of a rule, as its manifest declares it."""

    name: str
    schema: Mapping[str, Any]
    default: Any = None
    required: bool = False
    help: str = ""
    type: str = "string"
    from_template: bool = False
    fields: tuple[Setting, ...] = ()

    @classmethod
    def parse(cls, name: str, declared: Any) -> Setting:
        """Return the setting that a table of ``rule.toml`` declares; or raise ManifestError."""
        if not isinstance(declared, dict) or "type" not in declared:
            raise ManifestError(f"configuration.{name} needs a type")
        unknown = sorted(set(declared) - _KEYS)
        if unknown:
            raise ManifestError(f"configuration.{name} has an unknown key {unknown[0]!r}")
        if declared.get("source", "template") != "template":
            raise ManifestError(f"configuration.{name}: source can only be 'template'")
        if ("fields" in declared) != bool(re.search(r"\bobject\b", str(declared["type"]))):
            raise ManifestError(f"configuration.{name}: an object needs fields, nothing else does")
        fields = tuple(
            cls.parse(f"{name}.{key}", value) for key, value in declared.get("fields", {}).items()
        )
        return cls(
            name=name,
            schema=_schema(name, declared["type"], declared, fields),
            default=declared.get("default"),
            required=bool(declared.get("required", False)),
            help=str(declared.get("help", "")),
            type=str(declared["type"]),
            from_template=declared.get("source") == "template",
            fields=fields,
        )

    @property
    def key(self) -> str:
        """The last part of the name, under which a value is given."""
        return self.name.rpartition(".")[2]

    def fill(self, value: Any) -> Any:
        """Return ``value`` with the defaults of its objects filled in."""
        return _fill_as(self.type, self.fields, value) if self.fields else value


def _fill_as(type_name: str, fields: tuple[Setting, ...], value: Any) -> Any:
    if match := _LIST.fullmatch(type_name):
        items = value if isinstance(value, list) else None
        inner = match[1].strip()
        return value if items is None else [_fill_as(inner, fields, item) for item in items]
    if match := _MAP.fullmatch(type_name):
        if not isinstance(value, dict):
            return value
        return {key: _fill_as(match[1].strip(), fields, item) for key, item in value.items()}
    return _fill(fields, value)


def _fill(settings: tuple[Setting, ...], given: Any) -> Any:
    if not isinstance(given, dict):
        return given
    filled = dict(given)
    for setting in settings:
        if setting.key in filled:
            filled[setting.key] = setting.fill(filled[setting.key])
        elif not setting.required:
            filled[setting.key] = setting.fill(copy_json(setting.default))
    return filled


def _schema(
    name: str, type_name: str, declared: Mapping[str, Any], fields: tuple[Setting, ...]
) -> dict[str, Any]:
    schema: dict[str, Any]
    inner = {key: value for key, value in declared.items() if key not in _ON_LIST}
    if match := _LIST.fullmatch(type_name):
        schema = {"type": "array", "items": _schema(name, match[1].strip(), inner, fields)}
        return schema | {_ON_LIST[key]: declared[key] for key in _ON_LIST if key in declared}
    if match := _MAP.fullmatch(type_name):
        values = _schema(name, match[1].strip(), inner, fields)
        schema = {"type": "object", "additionalProperties": values}
        return schema | {_ON_MAP[key]: declared[key] for key in _ON_MAP if key in declared}
    if type_name == "json":
        return {}
    if type_name == "object":
        return _object_schema(fields)
    if type_name not in _SIMPLE:
        raise ManifestError(f"configuration.{name} has an unknown type {type_name!r}")
    schema = {"type": type_name}
    return schema | {_ON_VALUE[key]: declared[key] for key in _ON_VALUE if key in declared}


def _object_schema(settings: tuple[Setting, ...]) -> dict[str, Any]:
    def value_schema(setting: Setting) -> dict[str, Any]:
        # A setting without default may stay None, which means that it is not given.
        optional = not setting.required and setting.default is None and setting.schema
        return {"anyOf": [setting.schema, {"type": "null"}]} if optional else dict(setting.schema)

    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {setting.key: value_schema(setting) for setting in settings},
        "required": [setting.key for setting in settings if setting.required],
    }


@dataclass(frozen=True)
class Settings:
    """All settings of a rule, and the check of the values given for them."""

    settings: tuple[Setting, ...] = ()
    declared: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, declared: Any) -> Settings:
        """Return the settings of the ``[configuration]`` table of a ``rule.toml``."""
        if not isinstance(declared, Mapping):
            raise ManifestError("configuration must be tables [configuration.NAME]")
        return cls(tuple(Setting.parse(name, table) for name, table in declared.items()), declared)

    @cached_property
    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the whole configuration."""
        return _object_schema(self.settings)

    @property
    def from_template(self) -> frozenset[str]:
        """Names of the settings that only template.yaml may give."""
        return frozenset(setting.name for setting in self.settings if setting.from_template)

    @cached_property
    def of_the_chain(self) -> Settings:
        """The settings that a chain document may give: all but the template's."""
        kept = tuple(setting for setting in self.settings if not setting.from_template)
        return self if kept == self.settings else Settings(kept)

    @cached_property
    def _validate(self) -> Callable[[Any], Any]:
        import fastjsonschema  # 15 ms that a rule without settings does not pay

        validate: Callable[[Any], Any] = fastjsonschema.compile(self.json_schema)
        return validate

    def check(self, given: Mapping[str, Any], template: Mapping[str, Any]) -> dict[str, Any]:
        """Return the complete configuration from what the chain and the template give.

        Raises
        ------
        ConfigurationError : unknown or missing setting, wrong type, or a setting of the template
            given at run time. The message names the setting and what it must be.
        """
        for name in given:
            if name in self.from_template:
                raise ConfigurationError(
                    f"{name} is set in template.yaml and nowhere else", (name,)
                )
        filled: dict[str, Any] = _fill(self.settings, {**given, **template})
        if not self.settings and not filled:
            return filled
        from fastjsonschema import JsonSchemaValueException

        try:
            self._validate(filled)
        except JsonSchemaValueException as error:
            raise ConfigurationError(_sentence(error), _path(error)) from error
        return filled


def _path(error: JsonSchemaValueException) -> tuple[str | int, ...]:
    """Return the keys and indexes that lead to what is wrong, an unknown key among them."""
    path: list[str | int] = [int(p) if p.isdigit() else p for p in map(str, error.path[1:])]
    if error.rule == "additionalProperties":
        known = error.definition.get("properties", {})
        path.append(min(str(name) for name in error.value if name not in known))
    return tuple(path)


def _sentence(error: JsonSchemaValueException) -> str:
    """Return which setting is wrong and what it must be."""
    where = ".".join(str(part) for part in error.path[1:])
    prefix = f"{where}." if where else ""
    if error.rule == "required":
        missing = [name for name in error.rule_definition if name not in error.value]
        return f"{prefix}{missing[0]} is missing"
    if error.rule == "additionalProperties":
        known = error.definition.get("properties", {})
        unknown = sorted(str(name) for name in error.value if name not in known)
        return f"{prefix}{unknown[0]} is no setting: there are {', '.join(known) or 'none'}"
    return str(error.message).removeprefix("data.")
