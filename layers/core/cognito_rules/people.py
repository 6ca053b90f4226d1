"""Who a person is to other systems, and whether they are new: questions of many after_login rules.

A rule declares the fields that it asks about, like any other.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from cognito_rules.errors import ConfigurationError, UpstreamError
from cognito_rules.login import Login, parse_time

# Where an import puts the id that a person had at Auth0, such as auth0|5f7c8e.
LEGACY_USER_ID = "user.app_metadata.legacy_user_id"


def person_id(login: Login, kind: str) -> str:
    """Return the id under which another system knows the person; "" when nobody knows.

    ``kind`` is ``sub``, or ``legacy_user_id`` for the id of an imported person, who would else
    begin again as a new one, and the sub of everybody else.
    """
    old = login.at(LEGACY_USER_ID) if kind == "legacy_user_id" else None
    return str(old or login.user.user_id or "")


def unknown_person(service: str) -> UpstreamError:
    """Return what ends as a dead letter: somebody has to look for the person, by hand."""
    message = "neither its own id nor the address of the person is known: delete them by hand"
    return UpstreamError(service, message, code="person_unknown")


def check_cutoff(configuration: Mapping[str, Any]) -> None:
    """Refuse a setting ``sign_up_cutoff`` that looks like a day and is none."""
    day = configuration["sign_up_cutoff"]
    try:
        date.fromisoformat(day or "2026-11-18")
    except ValueError:
        raise ConfigurationError(f"sign_up_cutoff: there is no day {day}") from None


def is_account_older(login: Login, day: str | None) -> bool:
    """Say whether the account was made before ``day`` (``2026-11-18``, UTC); without one: no.

    An account whose age nobody knows counts as older, unless the event is that of its sign-up.
    """
    if day is None or login.event.type == "SignUpConfirmed":
        return False
    created = login.user.created_at
    return not created or parse_time(created) < parse_time(f"{day}T00:00:00Z")
