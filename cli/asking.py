"""Ask the person at the terminal, also where standard input and output belong to a program."""

from __future__ import annotations

import getpass
import sys
import warnings
from pathlib import Path

from cli.terminal import stop

_TERMINAL = Path("/dev/tty")


class Person:
    """The person at the terminal, for passwords and codes; without one, the command ends.

    ``instead`` says what to do where there is no terminal.
    """

    def __init__(self, instead: str) -> None:
        self._instead = instead

    def secret(self, text: str) -> str:
        """Return what the person types unseen."""
        try:
            with warnings.catch_warnings():
                # Without a terminal it would read standard input, and show it.
                warnings.simplefilter("error", getpass.GetPassWarning)
                given = getpass.getpass(f"{text}: ")
        except (EOFError, OSError, getpass.GetPassWarning):
            stop(self._instead)
        return given or stop(f"{text}: nothing was typed.")

    def text(self, text: str) -> str:
        """Return what the person types."""
        try:
            with _TERMINAL.open("r") as answers, _TERMINAL.open("w") as questions:
                questions.write(f"{text}: ")
                questions.flush()
                given = answers.readline().strip()
        except OSError:
            stop(self._instead)
        return given or stop(f"{text}: nothing was typed.")


def password(person: Person, *, from_stdin: bool) -> str:
    """Return the password, from the terminal or the first line of standard input."""
    if not from_stdin:
        return person.secret("Password")
    given = sys.stdin.readline().rstrip("\r\n")
    return given or stop("Standard input holds no password.")
