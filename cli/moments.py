"""Moments and periods as people write them on a command line, and as tables show them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.terminal import stop
from cognito_rules.login import parse_time

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def moment_of(option: str, text: str, *, now: datetime | None = None) -> datetime:
    """Return the moment that ``text`` means: a time ago such as ``90m``, or an RFC 3339 time.

    Ends the command with one line where it means none. A time without a zone is UTC.
    """
    ago = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    moment = now or datetime.now(UTC)
    if ago:
        return moment - timedelta(**{_UNITS[ago[2]]: int(ago[1])})
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        stop(f"{option} {text}: write a time ago (15m, 2h, 7d) or a time (2026-11-18T09:00:00Z).")
    return given if given.tzinfo else given.replace(tzinfo=UTC)


def _begin(text: str) -> datetime:
    return moment_of("--from", text)


def _end(text: str) -> datetime:
    return moment_of("--to", text)


_BEGIN = typer.Option(
    "--from",
    parser=_begin,
    metavar="TIME",
    show_default=False,
    help="Of this moment and later: a time ago (15m, 2h, 7d), or a time (UTC).",
)
_END = typer.Option(
    "--to", parser=_end, metavar="TIME", help="Of before this moment; default: now."
)
Begin = Annotated[datetime, _BEGIN]
OptionalBegin = Annotated[datetime | None, _BEGIN]
End = Annotated[datetime | None, _END]


def is_within(occurred_at: str, begin: datetime | None, end: datetime | None) -> bool:
    """Say whether an RFC 3339 time lies in a window; an unreadable one lies in no window."""
    if begin is None and end is None:
        return True
    try:
        at = parse_time(occurred_at)
    except ValueError:
        return False
    return (begin is None or at >= begin) and (end is None or at < end)


def shown(moment: datetime) -> str:
    """Return a moment in UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
