"""A login as a rule sees it: frozen, holding the declared fields only."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

from cognito_rules.errors import SecretError, UndeclaredReadError
from cognito_rules.fields import FIELDS, Facts, Read, parse_path, project


class Unknown:
    """The value of a field that this login cannot know: falsy, and equal to nothing else."""

    _instance: Unknown | None = None

    def __new__(cls) -> Unknown:
        if cls._instance is None:
            cls._instance = super().__new__(cls)
        return cls._instance

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "UNKNOWN"


UNKNOWN: Final = Unknown()


class Section:
    """One part of a login, such as ``login.user``; attributes are its fields."""

    __slots__ = ("_name", "_values")

    def __init__(self, name: str, values: Mapping[str, Any]) -> None:
        object.__setattr__(self, "_name", name)
        object.__setattr__(self, "_values", values)

    def __getattr__(self, field: str) -> Any:
        try:
            value = self._values[field]
        except KeyError:
            raise UndeclaredReadError(
                f"the rule reads {self._name}.{field}, which its rule.toml does not list in reads"
            ) from None
        return UNKNOWN if value is None else value

    def __setattr__(self, field: str, value: Any) -> None:
        raise AttributeError("a login cannot be changed: use effects")

    def __repr__(self) -> str:
        return f"<{self._name}: {', '.join(self._values)}>"


def _no_secret(name: str, refresh: bool) -> str:
    raise SecretError(name, f"the secret {name} is not declared in rule.toml")


class Login:
    """What a rule decides on.

    Attributes
    ----------
    user, client, connection, request, transaction, authentication, stats, authorization, aws,
    session, event : sections; docs/protocol.md lists their fields. A declared field that this
        login cannot know is ``UNKNOWN`` (falsy); a field that is not declared raises.
    configuration : dict, the entry's settings, checked and with defaults filled in.
    now : datetime in UTC, the only clock a rule may use.
    unknown : frozenset of dotted paths that are declared and unknown.
    """

    __slots__ = ("_secret", "_sections", "configuration", "facts", "now", "unknown")

    def __init__(
        self,
        facts: Facts,
        *,
        configuration: Mapping[str, Any] | None = None,
        now: datetime | None = None,
        unknown: frozenset[str] = frozenset(),
        secret: Callable[[str, bool], str] = _no_secret,
    ) -> None:
        self.facts = facts
        self.configuration: dict[str, Any] = dict(configuration or {})
        self.now = now or datetime.now(UTC)
        self.unknown = unknown
        self._sections: dict[str, Section] = {}
        self._secret = secret

    def __getattr__(self, name: str) -> Section:
        if name not in FIELDS:
            raise AttributeError(f"a login has no section {name!r}")
        section = self._sections.get(name)
        if section is None:
            section = self._sections[name] = Section(name, self.facts.get(name, {}))
        return section

    def secret(self, name: str, *, refresh: bool = False) -> str:
        """Return the secret ``name`` (declared in rule.toml); fetched on first use, cached.

        ``refresh`` reads it again, at most once a minute: for a service that just refused it.

        Raises
        ------
        SecretError : not declared, or it cannot be read.
        """
        return self._secret(name, refresh)

    def at(self, path: str, default: Any = UNKNOWN) -> Any:
        """Return the value at a dotted path that comes from a setting, such as
        ``user.user_metadata.color``, or ``default`` where it leads nowhere or is not declared.
        """
        value: Any = self.facts
        for key in parse_path(path):
            if not isinstance(value, Mapping) or value.get(key) is None:
                return default
            value = value[key]
        return value

    def value_of(self, setting: Any) -> Any:
        """Return what a setting stands for.

        ``$user.user_metadata.color`` stands for the value at that path (``UNKNOWN`` where it leads
        nowhere), ``$$x`` for the text ``$x``, and anything else for itself.
        """
        if not isinstance(setting, str) or not setting.startswith("$"):
            return setting
        return setting[1:] if setting.startswith("$$") else self.at(setting[1:])

    def seen_by(self, reads: tuple[Read, ...], **changes: Any) -> Login:
        """Return this login cut down to ``reads``, as the chain would send it to a rule."""
        view, unknown = project(self.facts, reads)
        settings = {
            "configuration": self.configuration,
            "now": self.now,
            "secret": self._secret,
            **changes,
        }
        return Login(view, unknown=frozenset(unknown), **settings)


@lru_cache(maxsize=8)
def parse_time(text: str) -> datetime:
    """Return an RFC 3339 time as an aware datetime; raises ValueError when it is none."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"the time {text!r} has no offset")
    return moment.astimezone(UTC)


def format_time(moment: datetime) -> str:
    """Return ``moment`` as RFC 3339 in UTC with milliseconds, ``2026-11-22T09:30:00.000Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
