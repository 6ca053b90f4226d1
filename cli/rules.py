"""Commands on one rule, run here without AWS."""

import difflib
import json
import os
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from cognito_rules.errors import ManifestError
from cognito_rules.rule import Rule

PROJECT = Path(__file__).resolve().parent.parent

out = Console()
err = Console(stderr=True)


def rule_names() -> list[str]:
    """Return the names of all rules of this checkout."""
    return sorted(path.parent.name for path in PROJECT.glob("functions/*/rule.toml"))


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
    as_json: Annotated[bool, typer.Option("--json", help="Print the response as it is.")] = False,
) -> None:
    """Run a rule on an event, here, and show the effects that it causes.

    Exit code 0: it answered, and as the event expects; 1: it answered otherwise, or with a fault;
    2: it could not be run.
    """
    rule = _load(name)
    path = event or PROJECT / "events" / f"{name}.json"
    request = _read(path)
    _change_settings(request, setting or [])
    expected = request.pop("expect", None)
    if setting:
        expected = None  # it was written for the settings of the event
    template = request.pop("template", None)
    if template is not None:
        os.environ["RULE_SETTINGS"] = json.dumps(template)
    response = rule.answer(request)
    if as_json:
        out.print_json(json.dumps(response))
    else:
        _show(rule, response)
    if "fault" in response:
        raise typer.Exit(1)
    if expected is not None and expected != response["effects"]:
        _show_difference(expected, response["effects"])
        raise typer.Exit(1)


def _load(name: str) -> Rule:
    if name not in rule_names():
        close = difflib.get_close_matches(name, rule_names(), n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        _stop(f"There is no rule {name!r} in functions/.{hint}")
    try:
        rule = import_module(f"functions.{name}.app").rule
    except ManifestError as error:
        _stop(str(error))
    assert isinstance(rule, Rule)
    return rule


def _read(path: Path) -> dict[str, Any]:
    try:
        request = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        _stop(f"{path}: {error.strerror}.")
    except ValueError as error:
        _stop(f"{path} is no JSON: {error}.")
    if not isinstance(request, dict):
        _stop(f"{path} holds no request: it must be a JSON object.")
    return request


def _change_settings(request: dict[str, Any], settings: list[str]) -> None:
    for given in settings:
        name, equals, text = given.partition("=")
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        if not equals:
            _stop(f"--set {given}: write NAME=JSON.")
        request.setdefault("configuration", {})[name] = value


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
        table = Table("effect", "details", box=None, pad_edge=False)
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


def _stop(message: str) -> NoReturn:
    err.print(message, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(2)
