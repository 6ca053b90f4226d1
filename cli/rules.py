"""Commands on the rules of this checkout, run here without AWS."""

import difflib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from runpy import run_path
from typing import Annotated, Any

import typer
from rich.table import Table

from cli.terminal import PROJECT, err, out, print_json, stop, table_of
from cognito_rules.errors import ManifestError, SecretError
from cognito_rules.manifest import STAGES, Manifest
from cognito_rules.rule import Rule
from cognito_rules.testing import is_as_expected


def rule_names() -> list[str]:
    """Return the names of all rules of this checkout."""
    return sorted(path.parent.name for path in PROJECT.glob("functions/*/rule.toml"))


def manifests() -> list[Manifest]:
    """Return the manifests of this checkout; ends the command when one is wrong."""
    return [_manifest(name) for name in rule_names()]


def list_rules(
    stage: Annotated[
        str | None, typer.Option(help=f"Only rules of this stage: {', '.join(STAGES)}.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print all that the manifests say.")] = (
        False
    ),
) -> None:
    """List the rules of this checkout; a login is refused when one in red fails."""
    if stage is not None and stage not in STAGES:
        stop(f"There is no stage {stage!r}: there are {', '.join(STAGES)}.")
    chosen = [manifest for manifest in manifests() if stage in (None, manifest.stage)]
    if as_json:
        print_json({manifest.name: dict(manifest.declared) for manifest in chosen})
        return
    table = Table(box=None, pad_edge=False)
    table.add_column("rule", no_wrap=True)
    table.add_column("stage", no_wrap=True)
    table.add_column("what it does", min_width=20)
    for manifest in chosen:
        style = "red" if manifest.is_guard else "green"
        table.add_row(f"[{style}]{manifest.name}[/]", manifest.stage, manifest.title)
    out.print(table)


def _manifest(name: str) -> Manifest:
    try:
        return Manifest.read(PROJECT / "functions" / name / "rule.toml")
    except ManifestError as error:
        stop(str(error))


def try_rule(
    name: Annotated[
        str, typer.Argument(metavar="RULE", help="A folder below functions/.", show_default=False)
    ],
    event: Annotated[
        Path | None,
        typer.Option(help="A request as JSON; default: events/RULE.json.", show_default=False),
    ] = None,
    setting: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="NAME=JSON",
            help="Change a setting of the event, such as --set 'groups=[\"finance\"]'.",
        ),
    ] = None,
    secret: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=VALUE", help="A secret of the rule; no other is read."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the response as it is.")] = False,
) -> None:
    """Run a rule on an event, here, and show the effects that it causes.

    Exit code 0: it answered, and as the event expects; 1: it answered otherwise, or with a fault;
    2: it could not be run.
    """
    rule = _load(name)
    path = event or PROJECT / "events" / f"{name}.json"
    request = _read(path)
    template = request.pop("template")
    for key, value in _pairs("--set", setting or []):
        from_template = key in rule.manifest.settings.from_template
        given = template if from_template else request["configuration"]
        given[key] = _value(value)
    expected = request.pop("expect", None)
    if setting:
        expected = None  # it was written for the settings of the event
    os.environ["RULE_SETTINGS"] = json.dumps(template)
    secrets = dict(_pairs("--secret", secret or []))
    response = rule.answer(request, secret=lambda key, refresh: _secret(secrets, key))
    if as_json:
        print_json(response)
    else:
        _show(rule, response)
    if "fault" in response:
        raise typer.Exit(1)
    if expected is not None and not is_as_expected(expected, response["effects"]):
        _show_difference(expected, response["effects"])
        raise typer.Exit(1)


def _load(name: str) -> Rule:
    if name not in rule_names():
        close = difflib.get_close_matches(name, rule_names(), n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        stop(f"There is no rule {name!r} in functions/.{hint}")
    try:
        rule = run_path(str(PROJECT / "functions" / name / "app.py"))["rule"]
    except ManifestError as error:
        stop(str(error))
    assert isinstance(rule, Rule)
    return rule


def _read(path: Path) -> dict[str, Any]:
    try:
        request = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        stop(f"{path}: {error.strerror}.")
    except ValueError as error:
        stop(f"{path} is no JSON: {error}.")
    if not isinstance(request, dict):
        stop(f"{path} holds no request: it must be a JSON object.")
    for key in ("configuration", "template"):
        if not isinstance(request.setdefault(key, {}), dict):
            stop(f"{path}: {key} must be a JSON object.")
    return request


def _pairs(option: str, given: list[str]) -> Iterator[tuple[str, str]]:
    for text in given:
        name, equals, value = text.partition("=")
        if not equals:
            stop(f"{option} {text}: write {option} NAME=VALUE.")
        yield name, value


def _value(text: str) -> Any:
    """Return a setting's value: JSON, or else the text as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _secret(secrets: Mapping[str, str], name: str) -> str:
    if name not in secrets:
        raise SecretError(name, f"give it with --secret {name}=VALUE")
    return secrets[name]


def _show(rule: Rule, response: dict[str, Any]) -> None:
    out.print(f"[bold]{rule.manifest.name}[/]  {rule.manifest.summary}")
    if fault := response.get("fault"):
        out.print(f"[red]fault[/] {fault['code']}: {fault['message']}", highlight=False)
        effect = "the login is refused" if rule.manifest.is_guard else "the login goes on"
        out.print(f"on_error = {rule.manifest.on_error}: {effect}.")
        return
    if not response["effects"]:
        out.print("No effects: the login goes on as it is.")
    else:
        table = table_of("effect", "details")
        for item in response["effects"]:
            details = {key: value for key, value in item.items() if key != "effect"}
            style = "red" if item["effect"] == "deny" else "green"
            table.add_row(f"[{style}]{item['effect']}[/]", json.dumps(details, ensure_ascii=False))
        out.print(table)
    for warning in response.get("warnings", ()):
        out.print(f"[yellow]warning[/] {warning}")


def _show_difference(expected: Any, effects: Any) -> None:
    err.print("[red]The event expects other effects:[/]")
    before, after = (json.dumps(value, indent=2).splitlines() for value in (expected, effects))
    for line in difflib.unified_diff(before, after, "expected", "caused", lineterm="", n=1):
        err.print(line, highlight=False, markup=False)
