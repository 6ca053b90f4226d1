"""``cognito-rules trace``: what happened in a login, as a timeline."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from cli.moments import moment_of
from cli.stack import DEFAULT_STACK, DeployedStack, StackName
from cli.terminal import err, out, print_json, stop
from cli.timeline import draw
from cli.traces import LoginTrace, TraceLog, user_id_of

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def trace(
    name: Annotated[
        str,
        typer.Argument(
            metavar="ID|USER",
            help="A transaction or event id, a user id (sub), a user name or an e-mail address.",
            show_default=False,
        ),
    ],
    since: Annotated[
        str, typer.Option(help="How far back: a time ago (15m, 2h, 7d), or a time.")
    ] = "1d",
    last: Annotated[int, typer.Option(min=1, help="How many logins of a person to draw.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the records.")] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Draw what the rules did in a login: which ran, when and how long, and why others did not.

    Exit code 0: found; 1: there is no trace of it; 2: it could not be looked up.
    """
    begin = moment_of("--since", since)
    deployed = DeployedStack(stack)
    log = TraceLog(deployed)
    wanted = name.strip().lower()
    if not _ID.fullmatch(wanted):
        user_id = user_id_of(deployed, name)
        if user_id is None:
            stop(f"There is no user {name} in the stack's user pool, and it is no id of a login.")
        wanted = user_id
    logins = log.find(wanted, since=begin)
    if not logins:
        err.print(_nothing(name, log, begin), highlight=False, markup=False, soft_wrap=True)
        raise typer.Exit(1)
    chosen = logins[-last:]
    if as_json:
        print_json([login.as_json() for login in chosen])
        return
    _show(chosen, len(logins) - len(chosen))


def _show(logins: list[LoginTrace], earlier: int) -> None:
    for number, login in enumerate(logins):
        if number:
            out.print()
        out.print(draw(login))
    if earlier:
        hint = f"{earlier} earlier logins: --last {earlier + len(logins)} draws them too."
        err.print(hint, highlight=False)


def _nothing(name: str, log: TraceLog, begin: datetime) -> str:
    days = log.days
    if days is not None and begin <= datetime.now(UTC) - timedelta(days=days):
        return f"There is no trace of {name}: traces expire after {days} days (LogRetentionDays)."
    kept = f"; traces are kept for {days} days" if days is not None else ""
    return (
        f"There is no trace of {name} since {begin:%Y-%m-%d %H:%M}Z: look further back with "
        f"--since{kept}. A new one can take some seconds to arrive."
    )
