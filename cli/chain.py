"""``cognito-rules chain``: the document that decides logins, from a file to the running stack."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from cli.chain_changes import Change, changes
from cli.chain_file import ChainFile, LineProblem
from cli.publication import Deployment, Publication, PublicationRefused
from cli.stack import DEFAULT_STACK, DeployedStack, StackName
from cli.terminal import err, out, print_json, stop, table_of
from cognito_rules.chain import fingerprint, version_of
from cognito_rules.manifest import catalogue

chain = typer.Typer(help="Check, publish and roll back the chain document.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(help="The chain document.", show_default=True)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_CHAIN = Path("chain.toml")
_MARKS = {
    "added": "[green]+[/]",
    "removed": "[red]-[/]",
    "changed": "[yellow]~[/]",
    "moved": "[yellow]^[/]",
}


@chain.command()
def show(
    as_json: AsJson = False,
    fingerprints: Annotated[
        bool,
        typer.Option(
            "--fingerprints", help="Print id=fingerprint of each entry, for RequiredEntries."
        ),
    ] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Show what is live: which entries, for whom, and since when.

    Exit code 1: nothing was published yet, so the packaged chain.toml decides.
    """
    publication = Publication(DeployedStack(stack))
    live = publication.live()
    if live is None:
        _nothing_published(as_json)
    text = publication.document(live.version)
    document = _document(text)
    if as_json:
        print_json({**_facts(live, text), "document": document})
        return
    if fingerprints:
        rules = catalogue()
        for index, entry in enumerate(document.get("rules", [])):
            pin = fingerprint(document, index, rules.get(entry["rule"]))
            print(f"{entry.get('id', entry['rule'])}={pin}")
        return
    since = live.started_at.strftime("%Y-%m-%d %H:%M:%S %Z") if live.started_at else ""
    out.print(
        f"[bold]{version_of(text)}[/]  version {live.version}, deployment {live.number}, "
        f"{_state(live)}, since {since}",
        highlight=False,
    )
    table = table_of("entry", "rule", "mode", "for", "placement")
    for entry in document.get("rules", []):
        table.add_row(
            entry.get("id", entry["rule"]),
            entry["rule"],
            _mode(entry),
            _for_whom(entry),
            entry.get("placement", "function"),
        )
    out.print(table)


@chain.command()
def check(
    file: File = _CHAIN,
    offline: Annotated[
        bool,
        typer.Option(
            "--offline", help="Ask no stack which rules are privileged and entries required."
        ),
    ] = False,
    as_json: AsJson = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Check a chain document as publication does, and say line and reason of each problem.

    Exit code 0: it is good; 1: it is refused; 2: it could not be checked.
    """
    found = ChainFile.read(file)
    problems = found.problems(None if offline else DeployedStack(stack))
    if as_json:
        version = None if problems else found.version
        print_json({"chain": version, "problems": [vars(problem) for problem in problems]})
    elif not problems:
        entries = found.document.get("rules", [])
        out.print(f"{file} is good: {len(entries)} entries, {found.version}.", highlight=False)
    else:
        _show_problems(file, problems)
    if problems:
        raise typer.Exit(1)


@chain.command()
def diff(file: File = _CHAIN, as_json: AsJson = False, stack: StackName = DEFAULT_STACK) -> None:
    """Show what publishing a chain document would change, entry by entry.

    Exit code 0: nothing; 1: something, or the document is refused; 2: it could not be compared.
    """
    deployed = DeployedStack(stack)
    found = _checked(file, deployed, as_json)
    publication = Publication(deployed)
    live = publication.live()
    before = _document(publication.document(live.version)) if live else {}
    changed = changes(before, found.document)
    if as_json:
        print_json([change.as_json() for change in changed])
    else:
        _show_changes(changed, live)
    if changed:
        raise typer.Exit(1)


@chain.command()
def publish(
    file: File = _CHAIN,
    emergency: Annotated[
        bool,
        typer.Option(
            "--emergency",
            help="Do not bake: no alarm takes it back, also none that sounds already.",
        ),
    ] = False,
    wait: Annotated[
        bool, typer.Option("--wait/--no-wait", help="Wait until it is published for good.")
    ] = True,
    as_json: AsJson = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Publish a chain document: checked, live within a minute, watched by alarms while it bakes.

    Exit code 0: published, or live already; 1: refused, or taken back by an alarm: what was live is
    live; 2: it could not be published, and nothing was changed.
    """
    deployed = DeployedStack(stack)
    found = _checked(file, deployed, as_json)
    publication = Publication(deployed)
    deployments = publication.deployments()
    _refuse_beside(deployments)
    live = publication.live()
    before = publication.document(live.version) if live else None
    if live is not None and before is not None and version_of(before) == found.version:
        if as_json:
            print_json({**_facts(live, before), "published": False})
        else:
            out.print(f"{found.version} is live already: nothing to publish.", highlight=False)
        return
    if not as_json:
        _show_changes(changes(_document(before or "{}"), found.document), live)
    latest = deployments[0].number if deployments else 0
    _finish(
        lambda: publication.publish(found.canonical, latest=latest, emergency=emergency),
        publication,
        text=found.canonical,
        wait=wait,
        as_json=as_json,
    )


@chain.command()
def rollback(
    to: Annotated[
        int | None,
        typer.Option(
            "--to", metavar="VERSION", min=1, help="Not the previous one, but this version."
        ),
    ] = None,
    as_json: AsJson = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Go back to the chain that was live before; one that still bakes is stopped.

    No alarm watches a rollback. Exit code 0: the earlier chain is live; 1: it is refused; 2:
    nothing was changed.
    """
    publication = Publication(DeployedStack(stack))
    deployments = publication.deployments()
    baking = next((d for d in deployments if d.is_in_progress), None)
    if baking is not None and to is None:
        publication.take_back(baking)
        live = publication.live()
        if as_json:
            print_json({"stopped": baking.number, "live": live and live.version})
        elif live is None:
            out.print(f"Deployment {baking.number} is stopped; nothing was published before it.")
        else:
            out.print(f"Deployment {baking.number} is stopped: version {live.version} is live.")
        return
    _refuse_beside(deployments)
    live = publication.live()
    version = publication.earlier_version() if to is None else to
    if live is None or version is None:
        stop("Nothing was live before: publish an older chain.toml with --emergency.")
    if version == live.version:
        stop(f"Version {version} is live.")
    text = publication.document(version)
    if not as_json:
        _show_changes(changes(_document(publication.document(live.version)), _document(text)), live)
    _finish(
        lambda: publication.deploy(version, latest=deployments[0].number, emergency=True),
        publication,
        text=text,
        wait=True,
        as_json=as_json,
    )


def _checked(file: Path, stack: DeployedStack, as_json: bool) -> ChainFile:
    """Return the document of a file, or end the command with its problems."""
    found = ChainFile.read(file)
    problems = found.problems(stack)
    if not problems:
        return found
    if as_json:
        print_json({"chain": None, "problems": [vars(problem) for problem in problems]})
    else:
        _show_problems(file, problems)
    raise typer.Exit(1)


def _refuse_beside(deployments: list[Deployment]) -> None:
    """End the command while a publication is in progress."""
    for deployment in deployments:
        if deployment.is_in_progress:
            stop(
                f"Deployment {deployment.number} is {deployment.state.lower()}: nothing was "
                "changed. Wait for its end, or take it back with `cognito-rules chain rollback`."
            )


def _finish(begin: Any, publication: Publication, *, text: str, wait: bool, as_json: bool) -> None:
    """Begin a deployment, see it through, and say how it ended."""
    try:
        deployment: Deployment = begin()
        if wait:
            deployment = _watched(publication, deployment)
    except PublicationRefused as refused:
        if as_json:
            print_json({"published": False, "reasons": refused.reasons})
        else:
            for reason in refused.reasons:
                err.print(f"[red]refused[/] {reason}", highlight=False, soft_wrap=True)
            err.print("What was live is live.")
        raise typer.Exit(1) from refused
    except KeyboardInterrupt:
        err.print("\nThe publication goes on: look with `cognito-rules chain show`.")
        raise typer.Exit(130) from None
    if as_json:
        print_json({**_facts(deployment, text), "published": True})
        return
    out.print(
        f"Published {version_of(text)} as version {deployment.version}, deployment "
        f"{deployment.number}, {_state(deployment)}: logins follow within a minute.",
        highlight=False,
        soft_wrap=True,
    )


def _watched(publication: Publication, deployment: Deployment) -> Deployment:
    """Return the deployment when it has ended, with a bar for the time that it bakes."""
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=err, transient=True) as progress:
        task = progress.add_task("publishing", total=max(1, deployment.bake_minutes * 60))

        def tell(seconds: float, state: str) -> None:
            progress.update(task, completed=seconds, description=state.lower())

        return publication.wait(deployment, tell)


def _nothing_published(as_json: bool) -> NoReturn:
    if as_json:
        print_json(None)
    else:
        out.print("Nothing is published: the chain.toml that was deployed decides.")
    raise typer.Exit(1)


def _facts(deployment: Deployment, text: str) -> dict[str, Any]:
    started = deployment.started_at
    return {
        "chain": version_of(text),
        "version": deployment.version,
        "deployment": deployment.number,
        "state": deployment.state,
        "started_at": started.isoformat() if started else None,
    }


def _document(text: str) -> dict[str, Any]:
    try:
        document = json.loads(text)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        stop("What is published is no chain document: somebody put it there by other means.")
    return document


def _state(deployment: Deployment) -> str:
    words = {"BAKING": "[yellow]baking[/]", "COMPLETE": "[green]complete[/]"}
    return words.get(deployment.state, deployment.state.lower())


def _mode(entry: dict[str, Any]) -> str:
    mode = entry.get("mode", "enforce")
    style = {"enforce": "green", "shadow": "yellow"}.get(mode, "dim")
    rollout = entry.get("rollout", 100)
    return f"[{style}]{mode}[/]" + (f" {rollout} %" if rollout < 100 else "")


def _for_whom(entry: dict[str, Any]) -> str:
    when = entry.get("when", {})
    named = [*when.get("applications", []), *when.get("connections", [])]
    return ", ".join(name for name in named if name != "*") or "everybody"


def _show_problems(file: Path, problems: Iterable[LineProblem]) -> None:
    for problem in problems:
        err.print(
            f"{file}:{problem.line}: {problem.reason}",
            highlight=False,
            markup=False,
            soft_wrap=True,
        )


def _show_changes(changed: list[Change], live: Deployment | None) -> None:
    if live is None:
        out.print("Nothing is published yet: no alarm could go back to an earlier chain.")
    if not changed:
        out.print("Nothing changes.")
        return
    table = table_of("", "what", "key", "before", "after")
    for change in changed:
        title = change.what
        rows = change.values.items() or [("", (None, None))]
        for number, (key, values) in enumerate(rows):
            mark = _MARKS[change.kind] if number == 0 else ""
            table.add_row(mark, title if number == 0 else "", key, *map(_cell, values))
    out.print(table)


def _cell(value: Any) -> str:
    return "" if value is None else json.dumps(value, ensure_ascii=False).replace("[", "\\[")
