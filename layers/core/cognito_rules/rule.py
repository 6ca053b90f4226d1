"""``@lambda_rule``: everything around a rule's one function, so that no rule repeats it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from functools import cached_property
from pathlib import Path as FilePath
from typing import Any

from cognito_rules.effects import Effects
from cognito_rules.envelope import VERSION, fault_response
from cognito_rules.errors import ConfigurationError, RuleError
from cognito_rules.login import Login, parse_time
from cognito_rules.manifest import USER_DELETED, Manifest

Decide = Callable[[Login, Effects], None]
Check = Callable[[dict[str, Any]], None]
SecretReader = Callable[[str, bool], str]
Claims = Callable[[dict[str, Any]], Iterable[tuple[str, str]]]


class Rule:
    """A rule: Lambda's handler, and the doors of tests (``decide``) and tools (``manifest``)."""

    def __init__(self, decide: Decide, manifest: Manifest) -> None:
        self._decide = decide
        self._check: Check | None = None
        self._claims: Claims | None = None
        self._forget: Decide | None = None
        self.manifest = manifest
        self.__doc__ = decide.__doc__

    def check(self, check: Check) -> Check:
        """Register a check of what a setting's type cannot say; it raises ConfigurationError.

        It runs when a chain is published and whenever the rule runs.
        """
        self._check = check
        return check

    def forget(self, forget: Decide) -> Decide:
        """Register what asks the rule's system to forget a person, for whom it runs instead.

        It sees the fields of ``forget_reads``. A person whom the system does not know is forgotten.
        """
        self._forget = forget
        return forget

    @property
    def forgets(self) -> bool:
        """Whether there is a function that asks the rule's system to forget a person."""
        return self._forget is not None

    def claims(self, claims: Claims) -> Claims:
        """Register which ``(token, claim)`` pairs a configuration writes, for the chain's check."""
        self._claims = claims
        return claims

    def written_claims(self, configuration: dict[str, Any]) -> set[tuple[str, str]]:
        """Return the ``(token, claim)`` pairs that this configuration writes, as far as known."""
        return set(self._claims(configuration)) if self._claims else set()

    @cached_property
    def template_settings(self) -> dict[str, Any]:
        """The settings from the function's stanza in template.yaml (variable RULE_SETTINGS)."""
        if not self.manifest.settings.from_template:
            return {}
        try:
            settings = json.loads(os.environ.get("RULE_SETTINGS", "{}"))
        except ValueError as error:
            raise ConfigurationError("RULE_SETTINGS in template.yaml is no JSON") from error
        if not isinstance(settings, dict) or set(settings) - self.manifest.settings.from_template:
            raise ConfigurationError("RULE_SETTINGS in template.yaml holds an unknown setting")
        return settings

    def configure(
        self, given: Mapping[str, Any], template: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return the complete, checked configuration; raises ConfigurationError."""
        settings = self.template_settings if template is None else template
        configuration = self.manifest.settings.check(given, settings)
        self.verify(configuration)
        return configuration

    def verify(self, configuration: dict[str, Any]) -> None:
        """Run the rule's own check of a complete configuration; raises ConfigurationError."""
        if self._check is not None:
            self._check(configuration)

    def decide(self, login: Login) -> Effects:
        """Return the effects for ``login``, cut down to what the manifest declares.

        Raises
        ------
        RuleError : a bad setting, an undeclared read or effect, an upstream failure.
        """
        split = self.manifest.settings.from_template
        given = {k: v for k, v in login.configuration.items() if k not in split}
        template = {k: v for k, v in login.configuration.items() if k in split}
        configuration = self.configure(given, template or None)
        reads = self.manifest.reads_of(_event_type(login.facts))
        return self.run(login.seen_by(reads, configuration=configuration))

    def run(self, login: Login) -> Effects:
        """Return the effects for a login that is already projected and configured."""
        effects = Effects(self.manifest.writes)
        if self._forget is not None and _event_type(login.facts) == USER_DELETED:
            self._forget(login, effects)
        else:
            self._decide(login, effects)
        return effects

    def answer(self, request: Any, *, secret: SecretReader | None = None) -> dict[str, Any]:
        """Return the protocol's response to a protocol request; never raises.

        ``secret(name, refresh)`` takes the place of Secrets Manager, for tools.
        """
        return self._respond(lambda: self._login(request, secret or self._secret))

    def answer_inline(self, request: dict[str, Any]) -> dict[str, Any]:
        """Return the response to the chain's own request, inside the login function.

        The chain has projected the login and completed the configuration, so neither is done twice.
        """
        return self._respond(
            lambda: Login(
                request["login"],
                configuration=request["configuration"],
                now=parse_time(request["login"]["now"]),
                unknown=frozenset(request["login"]["unknown"]),
            )
        )

    def _respond(self, login: Callable[[], Login]) -> dict[str, Any]:
        try:
            effects = self.run(login())
        except RuleError as error:
            return fault_response(
                error.code,
                str(error),
                retryable=error.retryable,
                retry_after=getattr(error, "retry_after", None),
            )
        except Exception as error:  # a rule's own bug: the chain applies on_error
            return fault_response("rule_error", f"{type(error).__name__} in {self.manifest.name}")
        response: dict[str, Any] = {"version": VERSION, "effects": effects.items}
        if effects.warnings:
            response["warnings"] = effects.warnings
        if effects.known_as:
            response["known_as"] = effects.known_as
        return response

    def _login(self, request: Any, secret: SecretReader) -> Login:
        if not isinstance(request, dict) or request.get("version") != VERSION:
            raise ConfigurationError("the event is no request of protocol version 1")
        facts = request.get("login")
        if not isinstance(facts, dict):
            raise ConfigurationError("the event has no login")
        facts = {
            section: {k: v for k, v in fields.items() if v is not None}
            for section, fields in facts.items()
            if isinstance(fields, dict)
        }
        now = request["login"].get("now")
        configuration = request.get("configuration") or {}
        if not isinstance(configuration, dict):
            raise ConfigurationError("the event's configuration is no JSON object")
        login = Login(
            facts,
            configuration=self.configure(configuration),
            now=_time(now) if now is not None else None,
            secret=secret,
        )
        event_type = _event_type(facts)
        if event_type == USER_DELETED and self._forget is None:
            raise ConfigurationError(f"{self.manifest.name} cannot forget anybody")
        return login.seen_by(self.manifest.reads_of(event_type))

    def _secret(self, name: str, refresh: bool) -> str:
        from cognito_rules.secrets import read_secret

        return read_secret(name, declared=self.manifest.secrets, refresh=refresh)

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Lambda's door: answer the request and write the one log line of this run."""
        started = time.perf_counter()
        response = self.answer(event)
        from cognito_rules.logs import log_run

        duration_ms = round((time.perf_counter() - started) * 1000, 1)
        log_run(self.manifest, event, response, duration_ms)
        return response


def _event_type(facts: Mapping[str, Any]) -> Any:
    return facts["event"].get("type") if "event" in facts else None


def _time(text: Any) -> datetime:
    try:
        return parse_time(text)
    except (TypeError, ValueError) as error:
        raise ConfigurationError("the event's login.now is no RFC 3339 time") from error


def lambda_rule(decide: Decide) -> Rule:
    """Turn ``decide(login, effects)`` into a rule, using the ``rule.toml`` beside its module.

    Raises
    ------
    ManifestError : the manifest is missing or wrong; the function does not start.
    """
    source = FilePath(decide.__code__.co_filename)
    return Rule(decide, Manifest.read(source.with_name("rule.toml"), name=_deployed_name()))


def _deployed_name() -> str | None:
    """Return the rule's name in its own function, ``<stack>-rule-<rule>``.

    Lambda unpacks every function into one and the same folder, so the folder does not tell.
    """
    _, marker, name = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "").rpartition("-rule-")
    return name if marker else None
