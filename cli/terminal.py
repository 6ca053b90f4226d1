"""What all commands share: where they print, and how they end on wrong input."""

import json
from pathlib import Path
from typing import Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

PROJECT = Path(__file__).resolve().parent.parent

out = Console()
err = Console(stderr=True)


def table_of(*headings: str) -> Table:
    """Return an empty table whose cells are folded, never cut, where the terminal is narrow."""
    made = Table(box=None, pad_edge=False)
    for heading in headings:
        made.add_column(heading, overflow="fold")
    return made


def print_json(value: Any) -> None:
    """Print a JSON value for another program: plain when standard output is no terminal."""
    out.print_json(json.dumps(value))


def stop(message: str) -> NoReturn:
    """Say on standard error, in one line, what is wrong and what to do; end with exit code 2."""
    err.print(message, highlight=False, markup=False, soft_wrap=True)
    raise typer.Exit(2)
