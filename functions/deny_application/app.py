"""Close an application to people, for a while or for good."""

from datetime import datetime
from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, lambda_rule, normalise_email


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny every login to the entry's applications, but for exempt people and outside the window.

    To close an application for good, take its identity providers and sign-in flows away instead.

    Reads:  ``login.now``; ``login.user.groups``, which the token stage alone knows;
            ``login.user.email`` and ``email_verified``, for ``exempt_users``.
    Writes: ``deny`` with code ``end_users_not_allowed``.
    Source: Auth0 docs, "Restrict access to an API" (restrict an application).
    """
    settings = login.configuration
    opens, closes = _time(settings["until"]), _time(settings["from"])
    if (closes and login.now < closes) or (opens and login.now >= opens):
        return
    if set(settings["exempt_groups"]).intersection(login.user.groups or []):
        return
    exempt = {normalise_email(address) for address in settings["exempt_users"]}
    if login.user.email_verified is True and normalise_email(login.user.email) in exempt:
        return
    effects.deny(settings["message"], code="end_users_not_allowed")


def _time(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise ConfigurationError(f"{text!r} is no time, such as 2026-12-24T18:00:00Z") from error
    if moment.tzinfo is None:
        raise ConfigurationError(f"{text!r} has no time zone: end it with Z or +01:00")
    return moment


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse malformed times, a window that ends before it begins, and addresses that are none."""
    begin, end = _time(configuration["from"]), _time(configuration["until"])
    if begin and end and begin >= end:
        raise ConfigurationError("until must be later than from")
    for address in configuration["exempt_users"]:
        if normalise_email(address) is None:
            raise ConfigurationError(f"exempt_users: {address!r} is no e-mail address")
