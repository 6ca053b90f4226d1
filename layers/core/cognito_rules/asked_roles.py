"""What rules share that ask another system for a person's roles.

The settings of such a rule: ``namespace``, ``claim``, ``targets``, ``role_pattern``, ``max_roles``,
``cache_seconds`` and ``on_failure``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from cognito_rules.claims import claim_name
from cognito_rules.effects import Effects
from cognito_rules.errors import ConfigurationError, SecretError, UpstreamError
from cognito_rules.kept_answers import keep_answer, kept_answer
from cognito_rules.login import Login


def add_roles(
    login: Login, effects: Effects, key: str, asked: str, ask: Callable[[], list[str]]
) -> None:
    """Show the roles in the tokens and to later rules; a kept answer spares the question.

    Parameters
    ----------
    key : of app_metadata, where the answer is kept.
    asked : see ``kept_answers.question``.
    ask : returns the roles as the system names them, or raises UpstreamError or SecretError.
    """
    settings = login.configuration
    roles = kept_answer(login, key, asked, seconds=settings["cache_seconds"])
    if not isinstance(roles, list):
        try:
            found = ask()
        except (UpstreamError, SecretError) as error:
            _fail(effects, settings, error.code)
            return
        roles = _good(settings, effects, found)
        if settings["cache_seconds"]:
            keep_answer(login, effects, key, asked, roles)
    for token, name in role_claims(settings):
        effects.set_claim(token, name, roles)
    effects.set_authorization(
        roles=sorted({*roles, *(login.authorization.roles or [])}),
        permissions=login.authorization.permissions or [],
        groups=login.authorization.groups or [],
    )


def _good(settings: Mapping[str, Any], effects: Effects, found: list[str]) -> list[str]:
    """Return what may be a role, in the order in which it came, each once."""
    pattern = re.compile(settings["role_pattern"])
    roles = [role for role in dict.fromkeys(found) if pattern.fullmatch(role)]
    if len(roles) > settings["max_roles"]:
        # An operator's alarm counts this warning.
        effects.warn("roles_truncated")
    return roles[: settings["max_roles"]]


def _fail(effects: Effects, settings: Mapping[str, Any], code: str) -> None:
    # An operator's alarm counts this warning; which fault it was is in the rule's log.
    effects.warn(f"roles_unavailable:{code}")
    if settings["on_failure"] == "deny":
        effects.deny(
            "Sign-in is unavailable right now. Please try again.",
            code="roles_unavailable",
            public_code="try_again",
        )


def check_roles(configuration: Mapping[str, Any]) -> None:
    """Refuse a protected claim, and a pattern that is none."""
    role_claims(configuration)
    try:
        re.compile(configuration["role_pattern"])
    except re.error:
        raise ConfigurationError("role_pattern is no regular expression") from None


def role_claims(configuration: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the ``(token, claim)`` pairs that a configuration writes."""
    name = claim_name(configuration["namespace"], configuration["claim"])
    return [(token, name) for token in configuration["targets"]]
