"""The vocabulary of a login: which fields exist, how rules name them, who may see what.

A login is a nested dict of JSON values, its *facts*. A field that is absent from the facts is
unknown for this login; ``[]``, ``""`` and ``{}`` are known to be empty. Rules name fields by dotted
paths (``user.email``, ``user.attributes.custom:groups``); a path may name a whole section
(``user``), and ``*`` names everything.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cognito_rules.errors import ManifestError

Path = tuple[str, ...]
Facts = dict[str, Any]

EVERYTHING: Path = ("*",)
_CONTAINERS = (dict, list, tuple)

FIELDS: Mapping[str, tuple[str, ...]] = {
    "user": (
        "user_id",
        "username",
        "email",
        "email_verified",
        "phone_number",
        "phone_number_verified",
        "name",
        "given_name",
        "family_name",
        "nickname",
        "picture",
        "created_at",
        "groups",
        "identities",
        "attributes",
        "user_metadata",
        "app_metadata",
        "enrichment",
        "known_as",
    ),
    "client": ("client_id", "name", "metadata"),
    "connection": ("name", "strategy"),
    "request": ("ip", "user_agent", "hostname", "query", "geoip", "client_metadata"),
    "transaction": (
        "id",
        "user_pool_id",
        "protocol",
        "trigger",
        "requested_scopes",
        "scopes",
        "acr_values",
        "audience",
        "redirect_uri",
        "prompt",
    ),
    "authentication": ("methods",),
    "stats": ("logins_count",),
    "authorization": ("roles", "permissions", "groups"),
    "aws": ("roles", "preferred"),
    "session": ("id",),
    "event": ("id", "type", "occurred_at", "first_login", "code"),
}

# Maps whose keys belong to the customer: a path may go one key deeper.
OPEN_MAPS: frozenset[Path] = frozenset(
    {
        ("user", "attributes"),
        ("user", "user_metadata"),
        ("user", "app_metadata"),
        ("user", "enrichment"),
        ("client", "metadata"),
        ("request", "query"),
        ("request", "geoip"),
        ("request", "client_metadata"),
    }
)

# Cognito tells these to the token trigger only; a rule that reads them is deferred to it.
TOKEN_STAGE_ONLY: tuple[Path, ...] = (
    ("user", "groups"),
    ("transaction", "requested_scopes"),
    ("transaction", "scopes"),
    ("aws",),
)

# What comes from the profiles table, or may. The memo of a decision is checked against these apart
# from the rest, since they are known later, and a committed login changes them.
PROFILE_FIELDS: tuple[Path, ...] = (
    ("user", "user_metadata"),
    ("user", "app_metadata"),
    ("user", "name"),
    ("user", "given_name"),
    ("user", "family_name"),
    ("user", "nickname"),
    ("user", "picture"),
    ("user", "created_at"),
    ("stats",),
)

# What other systems know of a person, by source: told to after_login rules only, and in no token.
ENRICHMENT: Path = ("user", "enrichment")

# These differ between two triggers of one login, or by the clock, and decide nothing by themselves.
NOT_PART_OF_THE_INPUT: tuple[Path, ...] = (("transaction", "id"), ("transaction", "trigger"))


@dataclass(frozen=True, slots=True)
class Read:
    """One field that a rule reads; ``required`` when the rule must not run without it."""

    path: Path
    required: bool = False

    @classmethod
    def parse(cls, text: str) -> Read:
        """Return the read that ``text`` names, such as ``user.email`` or ``request.ip!``.

        Raises
        ------
        ManifestError : the path names no field of a login.
        """
        required = text.endswith("!")
        path = parse_path(text.removesuffix("!"))
        if path == EVERYTHING:
            return cls(path)
        section, *rest = path
        known = section in FIELDS and (not rest or rest[0] in FIELDS[section])
        if not known or len(rest) > (2 if path[:2] in OPEN_MAPS else 1):
            raise ManifestError(f"reads: {text!r} is no field of a login")
        return cls(path, required)

    def __str__(self) -> str:
        return ".".join(self.path) + ("!" if self.required else "")


def parse_path(text: str) -> Path:
    """Split a dotted path; keys of open maps may hold colons but no dots."""
    return tuple(text.split("."))


def meets(first: Path, second: Path) -> bool:
    """Say whether one path is a prefix of the other, so that a write of one changes the other."""
    return EVERYTHING in (first, second) or all(a == b for a, b in zip(first, second, strict=False))


def lookup(facts: Mapping[str, Any], path: Path, default: Any = None) -> Any:
    """Return the value at ``path``, or ``default`` where the path leads nowhere."""
    value: Any = facts
    for key in path:
        # Facts are dicts; the abstract class costs ten times as much to ask for.
        if not isinstance(value, (dict, Mapping)) or key not in value:
            return default
        value = value[key]
    return value


def knows(facts: Mapping[str, Any], path: Path) -> bool:
    """Say whether the login knows this field; a key of a known map counts as known."""
    if path == EVERYTHING:
        return True
    if path[:2] in OPEN_MAPS:
        path = path[:2]
    missing = object()
    return lookup(facts, path, missing) is not missing


def copy_json(value: Any) -> Any:
    """Return a deep copy of a JSON value; many times faster than ``copy.deepcopy``."""
    # Texts and numbers are most of what there is, and need neither a copy nor a call.
    if isinstance(value, dict):
        return {
            key: copy_json(item) if isinstance(item, _CONTAINERS) else item
            for key, item in value.items()
        }
    if isinstance(value, (list, tuple)):
        return [copy_json(item) if isinstance(item, _CONTAINERS) else item for item in value]
    return value


def project(facts: Facts, reads: Iterable[Read]) -> tuple[Facts, list[str]]:
    """Return what a rule may see: a copy of the declared fields, and the names of unknown ones.

    An unknown field is present with value None and listed; an undeclared one is absent.
    """
    view: Facts = {}
    unknown: list[str] = []
    for read in reads:
        for path in _leaves(read.path):
            _copy_field(facts, path, view, unknown)
    return view, unknown


@cache
def _leaves(path: Path) -> tuple[Path, ...]:
    if path == EVERYTHING:
        return tuple((section, field) for section, fields in FIELDS.items() for field in fields)
    if len(path) == 1:
        return tuple((path[0], field) for field in FIELDS[path[0]])
    return (path,)


def _copy_field(facts: Facts, path: Path, view: Facts, unknown: list[str]) -> None:
    section, field = path[0], path[1]
    target = view.get(section)
    if target is None:
        target = view[section] = {}
    source = facts.get(section)
    if source is None or field not in source:
        if field not in target:
            target[field] = None
            unknown.append(f"{section}.{field}")
        return
    value = source[field]
    if len(path) == 2:
        target[field] = copy_json(value) if isinstance(value, _CONTAINERS) else value
        return
    if not isinstance(target.get(field), dict):
        target[field] = {}
    key = path[2]
    if isinstance(value, dict) and key in value:
        target[field][key] = copy_json(value[key])
