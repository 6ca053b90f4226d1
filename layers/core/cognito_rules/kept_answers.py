"""What another system said of a person, kept in ``app_metadata`` and good for a while.

An answer belongs to its question: other settings, or another address of the person, ask anew.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import Any

from cognito_rules.effects import Effects
from cognito_rules.login import UNKNOWN, Login, format_time, parse_time

# Asked by the trigger, which is no part of a decision's input: a protocol that one trigger of a
# login knows and the other does not would have the login decided twice.
_REFRESH = "TokenGeneration_RefreshTokens"


def question(*parts: Any) -> str:
    """Return a digest of what is asked, which says nothing about the person."""
    return sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def kept_answer(login: Login, key: str, asked: str, *, seconds: float | None) -> Any:
    """Return the answer to ``asked`` that ``app_metadata[key]`` holds, or UNKNOWN.

    seconds : how old it may be; None for any age.
    """
    kept = login.at(f"user.app_metadata.{key}", None)
    if not isinstance(kept, dict) or kept.get("question") != asked or "answer" not in kept:
        return UNKNOWN
    try:
        age = (login.now - parse_time(kept.get("at", ""))).total_seconds()
    except (TypeError, ValueError):
        return UNKNOWN
    # One from the future is of a clock that went wrong, and would never end.
    return kept["answer"] if seconds is None or 0 <= age < seconds else UNKNOWN


def keep_answer(login: Login, effects: Effects, key: str, asked: str, answer: Any) -> None:
    """Keep an answer from now on."""
    kept = {"question": asked, "at": format_time(login.now), "answer": answer}
    effects.set_app_metadata(key, kept)


def is_refresh(login: Login) -> bool:
    """Say whether tokens are refreshed; GetTokensFromRefreshToken looks like a login."""
    return bool(login.transaction.trigger == _REFRESH)
