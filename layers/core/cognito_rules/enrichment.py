"""What rules that ask another system about a person have in common: when, how often, what is kept.

What such a rule keeps is little: a few named texts and numbers, never an answer as it came.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cognito_rules.effects import Effects
from cognito_rules.login import Login
from cognito_rules.paid_calls import count_paid_call

MAX_TEXT = 100
_DAY = 24 * 3600
# A source that failed is not asked about the same person again, and paid again, before.
_COOL_DOWN = _DAY


def may_ask(login: Login, effects: Effects, source: str) -> bool:
    """Say whether the source may be asked now, and count the call that follows.

    Not while an answer about the person is kept, ``none`` and ``failed`` included, and not beyond
    the setting ``max_calls_per_day``.

    Raises
    ------
    StoreError : the calls cannot be counted.
    """
    if login.at(f"user.enrichment.{source}"):
        return False
    if count_paid_call(source, login.now, login.configuration["max_calls_per_day"]) is False:
        effects.warn("skipped_budget")
        return False
    return True


def keep_found(
    settings: Mapping[str, Any], effects: Effects, source: str, answer: Mapping[str, Any]
) -> None:
    """Keep the fields of an answer that the setting ``fields`` names; without any: ``none``.

    They are kept for the setting ``ttl_days``.
    """
    facts = {name: _short(answer.get(name)) for name in settings["fields"] if name != "status"}
    known = {name: value for name, value in facts.items() if value is not None}
    status = "found" if known else "none"
    effects.set_enrichment(source, status, facts=known, expires_in=settings["ttl_days"] * _DAY)


def keep_failed(effects: Effects, source: str) -> None:
    """Keep for a day that the source could not say, so that it is not asked again at once."""
    effects.set_enrichment(source, "failed", expires_in=_COOL_DOWN)


def keep_pending(effects: Effects, source: str) -> None:
    """Keep that the source will call back, and for a day that it is not asked again."""
    effects.set_enrichment(source, "pending", expires_in=_COOL_DOWN)


def _short(value: Any) -> str | int | float | None:
    if isinstance(value, str):
        return " ".join(value.split())[:MAX_TEXT] or None
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return value
    return None
