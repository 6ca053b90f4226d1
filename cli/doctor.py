"""``cognito-rules doctor``: what is wrong with a deployed stack and its user pool."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Annotated

import typer
from rich.markup import escape

from cli.checks import CHECKS, ORDER, Finding, title
from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import out, print_json, stop, table_of

_PAGE = "docs/doctor.md"
_COLOURS = {"ok": "green", "warning": "yellow", "error": "red"}
# In this order, from the door inwards.
MODULES = ("triggers", "applications", "aws_roles", "operations")


def doctor(
    stack: StackName = DEFAULT_STACK,
    only: Annotated[
        list[str] | None,
        typer.Option("--check", metavar="NAME", help="Only this check; may be repeated."),
    ] = None,
    peak: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Logins at the same moment, for the check concurrency; default: from CloudWatch.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a deployed stack: ways past the rules, wiring, AWS roles, quotas, what can be lost.

    It reads only. docs/doctor.md says of each check why it matters. Exit code 1: there are errors;
    warnings alone are 0.
    """
    from cli.checks.subject import Subject

    for module in MODULES:
        import_module(f"cli.checks.{module}")
    for name in only or ():
        if name not in CHECKS:
            stop(f"There is no check {name}: there are {', '.join(CHECKS)}.")
    subject = Subject(DeployedStack(stack), peak)
    with one_line_errors():
        subject.output("LoginFunctionAlias")  # or it is no stack of ours
        found = {name: list(_run(name, subject)) for name in only or CHECKS}
    if as_json:
        print_json([_as_json(name, finding) for name in found for finding in found[name]])
    else:
        _show(found)
    if any(finding.level == "error" for findings in found.values() for finding in findings):
        raise typer.Exit(1)


def _run(name: str, subject: object) -> Iterator[Finding]:
    from botocore.exceptions import ClientError
    from requests import RequestException

    found = False
    try:
        for finding in CHECKS[name](subject):
            found = True
            yield finding
    except ClientError as error:
        said = error.response.get("Error", {})
        yield Finding(
            "warning",
            f"Not checked: {error.operation_name}: {said.get('Code')}: {said.get('Message')}",
            "Run it with credentials that may call this.",
        )
    except RequestException as error:
        yield Finding(
            "warning",
            f"Not checked: the deployed code cannot be downloaded ({type(error).__name__})",
            "Run it where Amazon S3 can be reached.",
        )
    else:
        if not found:
            yield Finding("ok", title(CHECKS[name]))


def _as_json(name: str, finding: Finding) -> dict[str, str]:
    return {
        "check": name,
        "level": finding.level,
        "what": finding.what,
        "do": finding.do,
        "page": f"{_PAGE}#{name}",
    }


def _show(found: dict[str, list[Finding]]) -> None:
    rows = [(finding, name) for name, findings in found.items() for finding in findings]
    rows.sort(key=lambda row: ORDER.index(row[0].level))
    well = table_of("", "check", "what")
    for finding, name in rows:
        level = f"[{_COLOURS[finding.level]}]{finding.level}[/]"
        if finding.level == "ok":
            well.add_row(level, name, escape(finding.what))
            continue
        # Not in a table: what is to be done is often a command, to be copied as it stands.
        for line in (f"{level}  [bold]{name}[/]", f"  {escape(finding.what)}"):
            out.print(line, highlight=False, soft_wrap=True)
        out.print(f"  → {finding.do}", highlight=False, markup=False, soft_wrap=True)
    if well.row_count:
        out.print(well)
    levels = [finding.level for finding, _ in rows]
    out.print(
        f"{levels.count('error')} errors, {levels.count('warning')} warnings. {_PAGE} explains "
        "each check.",
        highlight=False,
    )
