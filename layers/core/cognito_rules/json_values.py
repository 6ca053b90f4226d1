"""What a JSON value of an effect may be, so that tokens and tables can carry it.

Source: AWS, DynamoDB "Supported data types and naming rules" (numbers of up to 38 digits and of
magnitude 1E-130 to 9.99E+125) and "Service, account, and table quotas" (32 levels).
"""

from __future__ import annotations

import json
from typing import Any

MAX_LEVELS = 20
_LARGEST_INTEGER = 10**38
_LEAST_NUMBER, _LARGEST_NUMBER = 1e-130, 1e126


def is_text(value: Any) -> bool:
    """Say whether ``value`` is a text with something in it; JSON can also hold half characters."""
    if not isinstance(value, str) or not value:
        return False
    return value.isascii() or not any("\ud800" <= character <= "\udfff" for character in value)


def problem_of(value: Any) -> str | None:
    """Return why ``value`` is no JSON value that can be passed on, or None."""
    if isinstance(value, (bool, int)) or (isinstance(value, str) and value.isascii()):
        return None  # what most claims are
    if type(value) is list and all(type(item) is str and item.isascii() for item in value):
        return None  # groups, roles and the like
    if not _has_levels(value, MAX_LEVELS):
        return f"must not be nested in more than {MAX_LEVELS} levels"
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError):
        return "must be a JSON value"
    return None


def _has_levels(value: Any, at_most: int) -> bool:
    if isinstance(value, dict):
        value = value.values()
    elif not isinstance(value, (list, tuple)):
        return True
    return at_most > 0 and all(_has_levels(item, at_most - 1) for item in value)


def can_be_stored(value: Any) -> bool:
    """Say whether DynamoDB keeps every number in a JSON value as it is."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        return all(can_be_stored(item) for item in value)
    if isinstance(value, float):
        return value == 0 or _LEAST_NUMBER <= abs(value) < _LARGEST_NUMBER
    return not isinstance(value, int) or abs(value) < _LARGEST_INTEGER
