"""``cognito-rules tokens``: a token before and after the chain, from a recorded trigger event."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from cli.terminal import PROJECT, err, out, print_json, stop, table_of
from cli.trial import Trial

_EVENTS = PROJECT / "events" / "cognito"
# Made anew for each token: what stands here says nothing.
_MADE_UP = frozenset({"auth_time", "event_id", "exp", "iat", "jti", "origin_jti"})

Claims = dict[str, Any]


def _event_names() -> list[str]:
    return sorted(path.stem for path in _EVENTS.glob("TokenGeneration_*.json"))


def tokens(
    event: Annotated[
        str,
        typer.Argument(
            metavar="EVENT",
            help="A TokenGeneration event: a name of events/cognito/, or a JSON file.",
            autocompletion=_event_names,
            show_default=False,
        ),
    ],
    chain: Annotated[
        Path, typer.Option(help="The chain document.", show_default="chain.toml")
    ] = PROJECT / "chain.toml",
    profile: Annotated[
        Path | None,
        typer.Option(
            help="What the profiles table knows of the person, as JSON: user_metadata, "
            "app_metadata, logins_count; default: nothing.",
            show_default=False,
        ),
    ] = None,
    stack: Annotated[
        str | None,
        typer.Option(
            help="Invoke the functions of this stack for rules that do not run here, and read the "
            "person's profile there.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print both tokens, whole.")] = False,
) -> None:
    """Show what the chain of this checkout makes of a token.

    Pure rules run here, with their code of this checkout. The others need secrets, settings of the
    template or AWS: they are named as not run, or with --stack invoked where they are deployed.
    Rules that change another system, and rules for after the login, never run. Nothing is stored or
    announced.

    Exit code 1: the chain refuses; 2: it could not be tried.
    """
    from cognito_rules.pipeline import LoginRefusedError

    trigger = _event(event)
    before = _tokens_before(trigger)
    trial = Trial.of(chain, stack, _profile(profile))
    try:
        response = trial.decide(trigger)
    except LoginRefusedError as refused:
        _refused(refused, trial, as_json)
        raise typer.Exit(1) from None
    after = _tokens_before(trigger)
    dropped = _apply(trigger, response, after)
    if as_json:
        pairs = {"id_token": (before.id, after.id), "access_token": (before.access, after.access)}
        shown = {name: {"before": was, "after": now} for name, (was, now) in pairs.items()}
        print_json(shown | {"entries": trial.entries, "not_run": trial.not_run, "dropped": dropped})
        return
    _show(before, after, dropped)
    _show_not_run(trial)


def _event(name: str) -> dict[str, Any]:
    path = _EVENTS / f"{name}.json"
    if not path.is_file():
        path = Path(name)
    try:
        event = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        stop(f"There is no event {name}: give a file, or one of {', '.join(_event_names())}.")
    except (OSError, ValueError) as error:
        stop(f"{path} is no JSON: {error}.")
    source = event.get("triggerSource") if isinstance(event, dict) else None
    if not str(source).startswith("TokenGeneration_"):
        stop(f"{path} is no event of pre token generation: its triggerSource is {source!r}.")
    for part in ("request", "response", "callerContext"):
        if not isinstance(event.get(part), dict):
            stop(f"{path} has no {part}.")
    return dict(event)


def _profile(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        profile = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        stop(f"{path} is no JSON that can be read: {error}.")
    if not isinstance(profile, dict):
        stop(f"{path} must hold a JSON object: user_metadata, app_metadata, logins_count.")
    return profile


def _tokens_before(event: Mapping[str, Any]) -> Any:
    """Return the tokens as Cognito would make them without a trigger."""
    from local.aws.claims import Issue, access_claims, id_claims, machine_claims
    from local.aws.pre_token import GroupConfiguration, Tokens, set_groups

    request = event["request"]
    attributes = request.get("userAttributes") or {}
    told = request.get("groupConfiguration") or {}
    issue = Issue(
        issuer=f"https://cognito-idp.{event.get('region')}.amazonaws.com/{event.get('userPoolId')}",
        client_id=str(event["callerContext"].get("clientId")),
        subject=str(attributes.get("sub") or event.get("userName")),
        username=str(event.get("userName")),
        issued_at=0,
        auth_time=0,
        lives=(0, 0),
        scopes=list(request.get("scopes") or []),
        origin_jti="",
        event_id="",
        hosted=True,
    )
    is_machine = event["triggerSource"] == "TokenGeneration_ClientCredentials"
    made = Tokens(
        id=None if is_machine else id_claims(issue, "", attributes, ""),
        access=machine_claims(issue, "") if is_machine else access_claims(issue, ""),
        groups=GroupConfiguration(
            list(told.get("groupsToOverride") or []),
            list(told.get("iamRolesToOverride") or []),
            told.get("preferredRole"),
        ),
    )
    set_groups(made)
    for claims in (made.id, made.access):
        for name in _MADE_UP & (claims or {}).keys():
            del claims[name]  # type: ignore[union-attr]  # None has no names
    return made


def _apply(event: Mapping[str, Any], response: Mapping[str, Any], made: Any) -> list[str]:
    """Change tokens as Cognito does by the response; return the names that it does not allow."""
    from local.aws.pre_token import GROUPS, PREFERRED, ROLES, WrongShape, apply

    # Written again from the groups that the response leaves.
    for claims in (made.id, made.access):
        for name in (GROUPS, ROLES, PREFERRED):
            (claims or {}).pop(name, None)
    version = "V1_0" if str(event.get("version")) == "1" else "V3_0"
    try:
        return apply(version, dict(response), made, event["callerContext"]["clientId"])
    except WrongShape as error:
        stop(f"Cognito would not take the response: {error}.")


def _show(before: Any, after: Any, dropped: Sequence[str]) -> None:
    table = table_of("token", "claim", "before", "after")
    for token in ("id", "access"):
        was, now = (getattr(made, token) or {} for made in (before, after))
        for name in sorted(was.keys() | now.keys()):
            if was.get(name) != now.get(name):
                cells = (_said(was, name, "red"), _said(now, name, "green"))
                table.add_row(token, escape(name), *cells)
    out.print(table if table.row_count else "The chain changes nothing in the tokens.")
    for name in dropped:
        err.print(f"[yellow]dropped[/] {name}: Cognito does not let a trigger set it.")


def _show_not_run(trial: Trial) -> None:
    for entry, reason in trial.not_run.items():
        err.print(f"[yellow]not run[/] {entry}: {reason}", highlight=False, soft_wrap=True)


def _said(claims: Claims, name: str, colour: str) -> str:
    if name not in claims:
        return "[dim]none[/]"
    value = claims[name]
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"[{colour}]{escape(text)}[/]"


def _refused(refused: Any, trial: Trial, as_json: bool) -> None:
    if as_json:
        told = {"refused": str(refused), "code": refused.code, "entry": refused.entry}
        print_json(told | {"entries": trial.entries, "not_run": trial.not_run})
        return
    by = f" (entry {refused.entry}, code {refused.code})" if refused.code else ""
    out.print(
        f"[red]No tokens:[/] {escape(str(refused))}{escape(by)}", highlight=False, soft_wrap=True
    )
    _show_not_run(trial)
