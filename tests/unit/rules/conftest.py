"""Every case of a rule's table runs through its Lambda handler: JSON in, JSON out.

A test says ``rule.decide(login)``; here the login becomes the event that the chain would send, and
what the handler answers and the login function makes of it, the effects that the test looks at. So
the same tables show that parsing, defaults, faults and the JSON of both ways are as they are when
deployed.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cognito_rules import ConfigurationError, Effects, Login
from cognito_rules.chain import Entry
from cognito_rules.login import format_time
from cognito_rules.rule import Rule
from cognito_rules.runner import read_answer
from cognito_rules.testing import a_context

_SCHEMAS = Path("layers/core/cognito_rules/schemas")
_RESPONSE = Draft202012Validator(json.loads((_SCHEMAS / "response.json").read_text()))


class _Observed(Rule):
    """A rule that remembers what its handler made a fault of, and has the secrets of the test."""

    def __init__(self, rule: Rule, login: Login) -> None:
        vars(self).update(vars(rule))
        vars(self).pop("template_settings", None)  # given by each login of a test
        self._given = login
        self.is_checked = False
        self.raised: Exception | None = None

    def _login(self, request: Any, secret: Any) -> Login:
        login = self._observe(super()._login, request, secret)
        self.is_checked = True
        return login

    def run(self, login: Login) -> Effects:
        return self._observe(super().run, login)

    def _observe[**P, T](self, work: Callable[P, T], *args: P.args, **options: P.kwargs) -> T:
        try:
            return work(*args, **options)
        except Exception as error:
            self.raised = error
            raise

    def _secret(self, name: str, refresh: bool) -> str:
        return self._given.secret(name, refresh=refresh)


def _event(rule: Rule, login: Login) -> dict[str, Any]:
    """Return the event of a login; a setting of the template comes another way."""
    template = rule.manifest.settings.from_template
    settings = {k: v for k, v in login.configuration.items() if k not in template}
    facts = {**login.facts, "now": format_time(login.now)}
    return {"version": 1, "login": facts, "configuration": settings}


@pytest.fixture(autouse=True)
def the_handler_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ``rule.decide`` ask the rule's handler, and raise what became a fault there."""

    def decide(rule: Rule, login: Login) -> Effects:
        given = login.configuration
        template = {k: v for k, v in given.items() if k in rule.manifest.settings.from_template}
        handler = _Observed(rule, login)
        with monkeypatch.context() as environment:
            if template:
                environment.setenv("RULE_SETTINGS", json.dumps(template))
            event = json.loads(json.dumps(_event(rule, login)))
            response = json.loads(json.dumps(handler(event, a_context())))
        assert [error.message for error in _RESPONSE.iter_errors(response)] == []
        answer = read_answer(Entry(rule.manifest.name, 0, rule.manifest), response)
        if "fault" in response:
            assert answer.fault == response["fault"]["code"], response
            assert handler.raised is not None
            # Publication runs the rule's check and not the rule: there a wrong setting has to stop.
            assert not (handler.is_checked and isinstance(handler.raised, ConfigurationError))
            raise handler.raised
        assert answer.fault is None, answer.message
        assert list(answer.warnings) == response.get("warnings", [])
        effects = Effects(rule.manifest.writes)
        effects.items, effects.warnings = list(answer.effects), list(answer.warnings)
        effects.known_as = response.get("known_as")
        return effects

    monkeypatch.setattr(Rule, "decide", decide)
