"""Open an application on working days, and in working hours, only."""

import re
from datetime import date, timedelta
from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, lambda_rule, time_zone

_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_HOURS = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-(?:([01]\d|2[0-3]):([0-5]\d)|(24):(00))", re.ASCII)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login outside of the allowed days and hours, in the configured time zone.

    Tokens that are out already live on until they expire; with ``runs_on_refresh`` (the default)
    they are not renewed.

    Reads:  ``login.now``; ``login.user.groups`` for ``exempt_groups``. Only the token stage knows
            groups, so the rule decides there.
    Writes: ``deny`` with code ``outside_allowed_days`` or ``outside_allowed_hours``.
    Source: Auth0 rules, "access-on-weekdays-only-for-an-app".
    """
    settings = login.configuration
    if set(settings["exempt_groups"]).intersection(login.user.groups or []):
        return
    local = login.now.astimezone(time_zone(settings["timezone"]))
    minute, day = local.hour * 60 + local.minute, local.date()
    opens, closes = _window(settings["hours"])
    # A window that crosses midnight belongs to the day on which it opens.
    if closes < opens and minute < closes:
        day -= timedelta(days=1)
    if _DAYS[day.weekday()] not in settings["days"] or day.isoformat() in settings["holidays"]:
        effects.deny(settings["message"], code="outside_allowed_days")
        return
    inside = opens <= minute < closes if opens < closes else minute >= opens or minute < closes
    if not inside:
        effects.deny(settings["message"], code="outside_allowed_hours")


def _window(hours: str | None) -> tuple[int, int]:
    """Return when the window opens and closes, in minutes of the day; the whole day for None."""
    if hours is None:
        return 0, 24 * 60
    match = _HOURS.fullmatch(hours)
    if match is None:
        raise ConfigurationError(f"hours is {hours!r}, must be like 08:00-18:00")
    from_hour, from_minute, to_hour, to_minute = (int(part) for part in match.groups() if part)
    opens, closes = from_hour * 60 + from_minute, to_hour * 60 + to_minute
    if opens == closes:
        raise ConfigurationError(f"hours is {hours!r}, a window without any time in it")
    return opens, closes


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse an unknown zone, a malformed window and dates that do not exist."""
    time_zone(configuration["timezone"])
    _window(configuration["hours"])
    for holiday in configuration["holidays"]:
        try:
            normal = date.fromisoformat(holiday).isoformat()
        except ValueError as error:
            raise ConfigurationError(f"holidays: {holiday!r} is no date") from error
        if normal != holiday:
            raise ConfigurationError(f"holidays: write {holiday!r} as {normal}")
