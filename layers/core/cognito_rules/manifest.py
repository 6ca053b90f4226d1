"""``rule.toml``: what a rule is, when it runs, what it may read, write and reach."""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path as FilePath
from typing import Any, Literal, cast, get_args

from cognito_rules.configuration import Settings
from cognito_rules.errors import ConfigurationError, ManifestError
from cognito_rules.fields import (
    ENRICHMENT,
    EVERYTHING,
    FIELDS,
    TOKEN_STAGE_ONLY,
    Path,
    Read,
    meets,
    parse_path,
)
from cognito_rules.protocol import WRITABLE, seen_as

Stage = Literal["sign_up", "challenge", "post_authentication", "token", "after_login"]
OnError = Literal["deny", "continue"]

STAGES: tuple[str, ...] = get_args(Stage)
# Why a rule tells another system of a login, for what the person consented to (consent.py).
Purpose = Literal["security", "analytics", "marketing", "enrichment", "operations"]
PURPOSES: tuple[str, ...] = get_args(Purpose)
# How long the system that a rule calls knows an event again, and drops a second copy of it.
DropsDuplicates = Literal["never", "for_a_day", "always"]
EVENT_TYPES = ("LoginCompleted", "SignUpConfirmed", "LoginDenied")
# What a rule hears of when it can ask its system to forget a person, beside ``events``.
USER_DELETED = "UserDeleted"
MAX_TIMEOUT_MS = {"after_login": 20_000}
DEFAULT_TIMEOUT_MS = {"after_login": 8_000}

_REQUIRED = ("title", "summary", "category", "stage", "on_error", "reads", "writes")
_OPTIONAL = (
    "seed",
    "timeout_ms",
    "secrets",
    "aws",
    "external",
    "purpose",
    "once_per_user",
    "once_unless",
    "imported_markers",
    "drops_duplicates",
    "forget_reads",
    "events",
    "runs_on_refresh",
    "runs_on_client_credentials",
    "runs_on_sign_up",
    "needs_applications",
    "configuration",
)


@dataclass(frozen=True)
class Manifest:
    """One rule's manifest. ``declared`` is the table as written, for the catalogue."""

    name: str
    title: str
    summary: str
    category: str
    stage: Stage
    on_error: OnError
    reads: tuple[Read, ...]
    writes: tuple[Path, ...]
    seed: str = ""
    timeout_ms: int = 1500
    secrets: tuple[str, ...] = ()
    aws: tuple[str, ...] = ()
    external: bool = False
    purpose: Purpose | None = None
    once_per_user: bool = False
    once_unless: str | None = None
    imported_markers: tuple[Path, ...] = ()
    drops_duplicates: DropsDuplicates = "never"
    forget_reads: tuple[Read, ...] = ()
    events: tuple[str, ...] = ()
    runs_on_refresh: bool = False
    runs_on_client_credentials: bool = False
    runs_on_sign_up: bool = False
    needs_applications: bool = False
    settings: Settings = field(default_factory=Settings)
    declared: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def parse(cls, name: str, declared: Mapping[str, Any]) -> Manifest:
        """Return the manifest of rule ``name`` from the table of its ``rule.toml``.

        Raises
        ------
        ManifestError : a key is missing, unknown or wrong; the message names it.
        """
        try:
            return cls._parse(name, declared)
        except ManifestError as error:
            raise ManifestError(f"{name}/rule.toml: {error}") from error

    @classmethod
    def _parse(cls, name: str, declared: Mapping[str, Any]) -> Manifest:
        for key in declared:
            if key not in (*_REQUIRED, *_OPTIONAL):
                raise ManifestError(f"unknown key {key!r}")
        for key in _REQUIRED:
            if key not in declared:
                raise ManifestError(f"the key {key!r} is missing")
        stage = _one_of("stage", declared["stage"], STAGES)
        on_error = _one_of("on_error", declared["on_error"], get_args(OnError))
        writes = tuple(_parse_write(text) for text in _texts("writes", declared["writes"]))
        at_sign_up = _flag("runs_on_sign_up", declared.get("runs_on_sign_up", stage == "sign_up"))
        if at_sign_up and ("deny",) not in writes:
            raise ManifestError("a sign-up can only be refused: a rule for it writes deny")
        if stage == "after_login" and (on_error != "continue" or ("deny",) in writes):
            raise ManifestError("an after_login rule cannot refuse a login: on_error = 'continue'")
        runs_again = stage == "token" or (stage == "post_authentication" and ("deny",) in writes)
        default_events = ("LoginCompleted",) if stage == "after_login" else ()
        events = _texts("events", declared.get("events", default_events))
        for event in events:
            _one_of("events", event, EVENT_TYPES)
        purpose = _purpose(stage, declared.get("purpose"), events)
        once_per_user = _flag("once_per_user", declared.get("once_per_user", False))
        if once_per_user and stage != "after_login":
            raise ManifestError("once_per_user is for after_login rules")
        reads = tuple(Read.parse(text) for text in _texts("reads", declared["reads"]))
        _check_enrichment(stage, reads, writes)
        if "drops_duplicates" in declared and stage != "after_login":
            raise ManifestError("drops_duplicates is for after_login rules")
        drops_duplicates = _one_of(
            "drops_duplicates", declared.get("drops_duplicates", "never"), get_args(DropsDuplicates)
        )
        settings = Settings.parse(declared.get("configuration", {}))
        return cls(
            name=name,
            title=str(declared["title"]),
            summary=str(declared["summary"]),
            category=str(declared["category"]),
            stage=cast(Stage, stage),
            on_error=cast(OnError, on_error),
            reads=reads,
            writes=writes,
            seed=str(declared.get("seed", "")),
            timeout_ms=_timeout(stage, declared.get("timeout_ms")),
            secrets=_texts("secrets", declared.get("secrets", ())),
            aws=_texts("aws", declared.get("aws", ())),
            external=_flag("external", declared.get("external", False)),
            purpose=purpose,
            once_per_user=once_per_user,
            once_unless=_once_unless(once_per_user, settings, declared.get("once_unless")),
            imported_markers=_markers(stage, declared.get("imported_markers", ())),
            drops_duplicates=cast(DropsDuplicates, drops_duplicates),
            forget_reads=_forget_reads(stage, declared.get("forget_reads", ())),
            events=events,
            runs_on_refresh=_flag("runs_on_refresh", declared.get("runs_on_refresh", runs_again)),
            runs_on_client_credentials=_flag(
                "runs_on_client_credentials", declared.get("runs_on_client_credentials", False)
            ),
            runs_on_sign_up=at_sign_up,
            needs_applications=_flag(
                "needs_applications", declared.get("needs_applications", False)
            ),
            settings=settings,
            declared=declared,
        )

    @classmethod
    def read(cls, path: FilePath, *, name: str | None = None) -> Manifest:
        """Return the manifest in the file ``path``; without ``name`` the folder is the name."""
        try:
            declared = tomllib.loads(path.read_text(encoding="utf-8"))
        except FileNotFoundError as error:
            raise ManifestError(f"{path} does not exist") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise ManifestError(f"{path} is no TOML: {error}") from error
        return cls.parse(name or path.parent.name, declared)

    @property
    def is_pure(self) -> bool:
        """Whether the rule needs no secret, network, AWS call or privilege, so may run inline."""
        return not (self.secrets or self.aws or self.external or self.settings.from_template) and (
            self.stage != "after_login"
        )

    def can_read(self, path: str) -> bool:
        """Say whether ``path``, such as ``user.user_metadata.color``, lies in the declared reads.

        A whole section is no value: the path has two parts at least.
        """
        parts = parse_path(path)
        known = len(parts) > 1 and all(parts) and parts[1] in FIELDS.get(parts[0], ())
        return known and any(
            read.path in (EVERYTHING, parts[: len(read.path)]) for read in self.reads
        )

    @property
    def forgets(self) -> bool:
        """Whether the rule can ask its system to forget a person."""
        return bool(self.forget_reads)

    def hears_of(self, event_type: str) -> bool:
        """Say whether such an event may come to the rule."""
        return event_type in self.events or (self.forgets and event_type == USER_DELETED)

    def reads_of(self, event_type: Any) -> tuple[Read, ...]:
        """Return what the rule reads of an event of this type."""
        return self.forget_reads if event_type == USER_DELETED else self.reads

    @property
    def is_guard(self) -> bool:
        """Whether a fault of this rule refuses the login."""
        return self.on_error == "deny"

    @cached_property
    def can_deny(self) -> bool:
        """Whether this rule can end a login, by an effect or by a fault."""
        return self.is_guard or any(
            write[0] in ("deny", "mfa", "redirect") for write in self.writes
        )

    @cached_property
    def is_barrier(self) -> bool:
        """Whether the rule reads everything, so that nothing runs beside it."""
        return any(read.path == EVERYTHING for read in self.reads)

    @cached_property
    def required_reads(self) -> tuple[Read, ...]:
        """The fields without which the rule must not run."""
        return tuple(read for read in self.reads if read.required)

    @cached_property
    def seen_writes(self) -> tuple[Path, ...]:
        """The fields at which later rules see what this rule writes."""
        return tuple(seen for seen in map(seen_as, self.writes) if seen is not None)

    @cached_property
    def enriches(self) -> frozenset[str]:
        """The sources as which the rule answers with what another system knows of the person."""
        return frozenset(write[2] for write in self.writes if write[:2] == ENRICHMENT)

    @cached_property
    def sources(self) -> frozenset[str]:
        """The sources of whose answers about the person the rule reads."""
        return frozenset(read.path[2] for read in self.reads if read.path[:2] == ENRICHMENT)

    @cached_property
    def token_stage_need(self) -> str | None:
        """What only the token stage can tell this rule, or None."""
        if self.stage == "token":
            return "token rule"
        if ("aws", "role") in self.writes:
            # Which roles may be granted hangs on those that the person's groups carry.
            return "aws.role"
        for read in self.reads:
            if any(meets(read.path, path) for path in TOKEN_STAGE_ONLY):
                return str(read)
        return None

    @property
    def is_privileged(self) -> bool:
        """Whether the rule can grant AWS roles, groups or session tags."""
        return any(write[0] == "aws" or write == ("user", "groups") for write in self.writes)

    @property
    def grants_or_restricts(self) -> bool:
        """Whether publishing it for every application must be written out as ``["*"]``."""
        rights = {("deny",), ("access_token", "scopes"), ("user", "groups"), ("authorization",)}
        return any(write in rights or write[0] in ("aws", "mfa") for write in self.writes)


def _one_of(key: str, value: Any, allowed: tuple[str, ...]) -> str:
    if value not in allowed:
        raise ManifestError(f"{key} is {value!r}, must be one of {', '.join(allowed)}")
    return str(value)


def _flag(key: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ManifestError(f"{key} must be true or false")
    return value


def _texts(key: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(item, str) for item in value):
        raise ManifestError(f"{key} must be a list of texts")
    return tuple(value)


def _purpose(stage: str, value: Any, events: tuple[str, ...]) -> Purpose | None:
    if stage != "after_login":
        if value is not None:
            raise ManifestError("purpose is for after_login rules")
        return None
    purpose = cast(Purpose, _one_of("purpose", value, PURPOSES))
    if "LoginDenied" in events and purpose != "security":
        raise ManifestError("events: only security rules hear of LoginDenied")
    return purpose


def _once_unless(once_per_user: bool, settings: Settings, name: Any) -> str | None:
    """Return the name of the setting that, when true, makes a rule run at every login."""
    flags = [setting.name for setting in settings.settings if setting.type == "boolean"]
    if name is not None and (not once_per_user or name not in flags):
        raise ManifestError("once_unless is a boolean setting of a rule that is once_per_user")
    return cast(str | None, name)


def _forget_reads(stage: str, value: Any) -> tuple[Read, ...]:
    texts = _texts("forget_reads", value)
    if not texts:
        return ()
    if stage != "after_login":
        raise ManifestError("forget_reads is for after_login rules")
    # Every forget handler has to know which event it is called for.
    return (
        *map(Read.parse, ("event.id", "event.type", "event.occurred_at")),
        *map(Read.parse, texts),
    )


def _markers(stage: str, value: Any) -> tuple[Path, ...]:
    markers = tuple(parse_path(text) for text in _texts("imported_markers", value))
    for marker in markers:
        known = marker[:2] == ("user", "app_metadata") and len(marker) == 3 and all(marker)
        if not known or stage != "after_login":
            raise ManifestError(
                "imported_markers are keys of user.app_metadata, for after_login rules"
            )
    return markers


def _check_enrichment(stage: str, reads: tuple[Read, ...], writes: tuple[Path, ...]) -> None:
    """Refuse enrichment before the login ends, other writes after it, and unnamed sources."""
    enriching = [write for write in writes if write[:2] == ENRICHMENT]
    paths = [*(read.path for read in reads if read.path[:2] == ENRICHMENT), *enriching]
    if stage == "after_login" and len(enriching) < len(writes):
        raise ManifestError("writes: an after_login rule can write user.enrichment.SOURCE only")
    if paths and stage != "after_login":
        raise ManifestError("user.enrichment is for after_login rules: it is in no token")
    if any(len(path) != 3 for path in paths):
        raise ManifestError("user.enrichment: name the source, as in user.enrichment.fullcontact")


def _timeout(stage: str, value: Any) -> int:
    if value is None:
        return DEFAULT_TIMEOUT_MS.get(stage, 1500)
    longest = MAX_TIMEOUT_MS.get(stage, 3000)
    if isinstance(value, bool) or not isinstance(value, int) or not 50 <= value <= longest:
        raise ManifestError(f"timeout_ms must be a number from 50 to {longest}")
    return value


def _parse_write(text: str) -> Path:
    path = parse_path(text)
    has_keys = path[:2] in (("user", "user_metadata"), ("user", "app_metadata"), ENRICHMENT)
    written = path[:2] if has_keys and len(path) == 3 else path
    if written not in WRITABLE or not all(path):
        raise ManifestError(f"writes: {text!r} can be written by no effect")
    return path


@cache
def catalogue(*, digest: str | None = None) -> Mapping[str, Manifest]:
    """Return every manifest of the deployed collection by rule name.

    The file is made from the rule folders by ``make docs``; a contract test keeps it fresh.

    Raises
    ------
    ConfigurationError : the file is not the one with this SHA-256 ``digest``, in hex, that the
        caller was built with.
    """
    text = FilePath(__file__).with_name("catalogue.json").read_bytes()
    if digest is not None and hashlib.sha256(text).hexdigest() != digest:
        raise ConfigurationError(
            "the layer's catalogue of rules is not the one that this function was built with: "
            "deploy both together, with `sam build && sam deploy`"
        )
    return {name: Manifest.parse(name, table) for name, table in json.loads(text).items()}
