"""The page docs/command-line.md, from the commands' own help: ``make docs`` writes it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from tools.catalogue import ROOT

PAGE = Path("docs/command-line.md")
PROGRAM = "cognito-rules"

_TEMPLATE = Path(__file__).with_name("command-line.md.template")


def page() -> str:
    """Return the text of docs/command-line.md."""
    found = commands()
    table = ["| command | what it does |", "|---|---|"]
    for name, command in found.items():
        short = name.removeprefix(f"{PROGRAM} ")
        table.append(f"| [`{short}`](#{name.replace(' ', '-')}) | {_first(command)} |")
    sections = ["\n".join(_section(name, command)) for name, command in found.items()]
    text = _TEMPLATE.read_text(encoding="utf-8")
    for mark, written in {"@commands@": table, "@sections@": sections}.items():
        text = text.replace(mark, ("\n\n" if mark == "@sections@" else "\n").join(written))
    return text


def commands() -> dict[str, Any]:
    """Return every command by its whole name, such as ``cognito-rules denylist add``."""
    from cli.main import app  # which itself imports the tools

    return dict(_commands(get_command(app), PROGRAM))


def _commands(group: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{path} {name}")
        elif not command.hidden:
            yield f"{path} {name}", command


def _paragraphs(command: Any) -> list[str]:
    text = inspect.cleandoc(command.help or "")
    return [" ".join(paragraph.split()) for paragraph in text.split("\n\n")]


def _first(command: Any) -> str:
    return _cell(_paragraphs(command)[0])


def _section(name: str, command: Any) -> Iterator[str]:
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    options = [parameter for parameter in shown if parameter.param_type_name == "option"]
    arguments = [parameter for parameter in shown if parameter.param_type_name == "argument"]
    usage = [name, *map(_argument, arguments), *(["[OPTIONS]"] if options else [])]
    yield f"## {name}"
    yield ""
    for paragraph in _paragraphs(command):
        yield paragraph
        yield ""
    yield f"`{' '.join(usage)}`"
    if not shown:
        return
    yield ""
    yield "| | | default |"
    yield "|---|---|---|"
    for parameter in [*arguments, *options]:
        names = _argument(parameter) if parameter in arguments else _option(parameter)
        yield f"| `{names}` | {_cell(parameter.help or '')} | {_default(parameter)} |"


def _argument(parameter: Any) -> str:
    name = parameter.metavar or parameter.name.upper()
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _option(parameter: Any) -> str:
    return ", ".join([*parameter.opts, *parameter.secondary_opts])


def _default(parameter: Any) -> str:
    if isinstance(parameter.show_default, str):
        return f"`{parameter.show_default}`"
    if not parameter.show_default or isinstance(parameter.default, bool):
        return ""
    default = parameter.default
    if isinstance(default, Path) and default.is_relative_to(ROOT):
        default = default.relative_to(ROOT)
    return f"`{default}`" if default not in (None, "") else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "\\<")
