"""What ``cognito-rules doctor`` looks at: one small function for each thing that can be wrong.

A check yields what it finds; nothing found is well. docs/doctor.md has a section for each, under
its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

Level = Literal["ok", "warning", "error"]
# error: people get past the rules or cannot get in, or AWS roles go to the wrong people.
ORDER: tuple[Level, ...] = ("error", "warning", "ok")


@dataclass(frozen=True)
class Finding:
    """One thing that a check found.

    what : the state, with the name of the thing.
    do : what to do about it, as an instruction; "" where all is well.
    """

    level: Level
    what: str
    do: str = ""


def error(what: str, do: str) -> Finding:
    """Return what locks people out, lets them past the rules, or gives them others' roles."""
    return Finding("error", what, do)


def warning(what: str, do: str) -> Finding:
    """Return what is weaker than it could be, or will be missed one day."""
    return Finding("warning", what, do)


Check = Callable[[Any], Iterator[Finding]]
CHECKS: dict[str, Check] = {}


def check(function: Check) -> Check:
    """Register a check under its function's name."""
    CHECKS[function.__name__] = function
    return function


def title(function: Check) -> str:
    """Return what a check makes sure of: the first line of its docstring."""
    return (function.__doc__ or "").strip().splitlines()[0].removesuffix(".")
