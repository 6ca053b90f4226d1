"""``cognito-rules replay``: which recorded logins another chain would decide otherwise."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from cli.moments import End, OptionalBegin, shown
from cli.stack import DEFAULT_STACK, DeployedStack, StackName
from cli.terminal import PROJECT, err, out, print_json, stop, table_of

if TYPE_CHECKING:
    from cli.recorded_logins import Recording
    from cli.replaying import Replayed
    from cognito_rules.chain import Chain
    from cognito_rules.rule import Rule

# Worst first.
_KINDS = ("allow → deny", "deny → allow", "other tokens", "cannot tell", "same")
_STYLES = {"allow → deny": "red", "deny → allow": "red", "other tokens": "yellow"}
_DIFFERENT = frozenset({"allow → deny", "deny → allow", "other tokens"})


def replay_logins(
    chain: Annotated[
        Path, typer.Option(help="The chain document to try.", show_default=False)
    ] = PROJECT / "chain.toml",
    begin: OptionalBegin = None,
    end: End = None,
    examples: Annotated[int, typer.Option(min=0, help="How many people to name of each kind.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print every login.")] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Run recorded logins through another chain, here, and say which it decides otherwise.

    Without --from, those of the last day. No rule is called but pure ones, and nothing is written.
    Exit code 0: none is decided otherwise; 1: some are; 2: it could not be tried.
    """
    from cli.chain_file import ChainFile
    from cognito_rules.chain_terms import PackagedRules

    deployed = DeployedStack(stack)
    until = end or datetime.now(UTC)
    since = begin or until - timedelta(days=1)
    if since >= until:
        stop(f"--from {shown(since)} is not before --to {shown(until)}.")
    rules = PackagedRules(PROJECT)
    version = deployed.outputs.get("PreTokenVersion", "V3_0")
    changed = ChainFile.read(chain).chain(rules, token_version=version)
    found = list(_replayed(deployed, changed, rules, since, until))
    if as_json:
        print_json([_as_json(login) for login in found])
    elif not found:
        out.print(f"No login was recorded from {shown(since)} to {shown(until)}.")
    else:
        _show(found, examples)
    if any(login.kind in _DIFFERENT for login in found):
        raise typer.Exit(1)


def _replayed(
    stack: DeployedStack,
    chain: Chain,
    rules: Mapping[str, Rule],
    since: datetime,
    until: datetime,
) -> Iterator[Replayed]:
    from cli.recorded_logins import recorded_logins
    from cli.replaying import replay

    columns = (SpinnerColumn(), TextColumn("{task.completed} logins"))
    hidden = not err.is_terminal
    with Progress(*columns, console=err, transient=True, disable=hidden) as progress:
        task = progress.add_task("", total=None)
        for recording in _one_for_each_login(recorded_logins(stack, since, until)):
            yield replay(recording, chain, rules)
            progress.advance(task)


def _one_for_each_login(recordings: Iterable[Recording]) -> list[Recording]:
    """Return the last recording of each login: Cognito may call a trigger again."""
    latest: dict[tuple[str, str], Recording] = {}
    for recording in sorted(recordings, key=lambda recording: float(recording["at"])):
        latest[recording["transaction_id"], recording["client_id"]] = recording
    return list(latest.values())


def _show(found: list[Replayed], examples: int) -> None:
    counts = Counter(login.kind for login in found)
    table = table_of("logins", "decided")
    table.columns[0].justify = "right"
    for kind in _KINDS:
        if counts[kind]:
            style = _STYLES.get(kind, "")
            table.add_row(str(counts[kind]), f"[{style}]{kind}[/]" if style else kind)
    out.print(table)
    for kind in _KINDS[:-1]:
        _show_kind(kind, [login for login in found if login.kind == kind], examples)


def _show_kind(kind: str, logins: list[Replayed], examples: int) -> None:
    if not logins:
        return
    table = table_of("logins", "what", "such as")
    table.columns[2].no_wrap = True  # to be copied
    table.title, table.title_justify = kind, "left"
    table.columns[0].justify = "right"
    whats = Counter(what for login in logins for what in _whats(login))
    for what, count in whats.most_common():
        people = dict.fromkeys(str(o.recording["user_id"]) for o in logins if what in _whats(o))
        table.add_row(str(count), what, "\n".join(list(people)[:examples]))
    out.print()
    out.print(table)


def _whats(login: Replayed) -> tuple[str, ...]:
    """Return what is to be said of a login that is not decided as it was."""
    if login.now is None:
        return (login.reason,)
    if login.kind == "other tokens":
        return login.changes
    refused = login.now if login.now.word == "deny" else login.then
    return (f"{refused.denied_by or 'the chain'}: {refused.code}",)


def _as_json(login: Replayed) -> dict[str, Any]:
    recording = login.recording
    shown: dict[str, Any] = {
        "at": datetime.fromtimestamp(recording["at"], UTC).isoformat(),
        "transaction_id": recording["transaction_id"],
        "user_id": recording["user_id"],
        "client_id": recording["client_id"],
        "kind": login.kind.replace(" → ", "_to_").replace(" ", "_"),
    }
    for name, verdict in (("then", login.then), ("now", login.now)):
        if verdict is not None:
            denial = {"entry": verdict.denied_by, "code": verdict.code} if verdict.code else {}
            shown[name] = {"decision": verdict.word, **denial}
    if login.reason:
        shown["reason"] = login.reason
    if login.changes:
        shown["changes"] = list(login.changes)
    return shown
