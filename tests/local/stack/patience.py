"""Sign-ins right after functions were started anew, on a machine that has other things to do.

Here an environment starts as a process, on the processors that also run everything else: its first
call can be too late for Cognito, or for the guard that waits for it.
"""

from __future__ import annotations

import time
from typing import Any

from botocore.exceptions import ClientError

from local.sign_in import App, SignInRefused, Tokens
from local.stack import Person, Stack

PATIENCE_SECONDS = 40.0
TOO_LATE = "Socket timeout"


def make_person(stack: Stack, name: str, **details: Any) -> Person:
    """Make a person, again where the sign-up function was too late: then nobody was made."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return stack.person(name, **details)
        except ClientError as error:
            if TOO_LATE not in str(error) or time.monotonic() > ends:
                raise


def let_in(app: App, person: Person) -> Tokens:
    """Sign somebody in whom nothing should keep out; raises the last refusal."""
    ends = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            return app.srp(person.username, person.password)
        except SignInRefused:
            if time.monotonic() > ends:
                raise


def refusal(app: App, person: Person) -> str:
    """Return the text that keeps somebody out, once it is not that a function was too late."""
    ends = time.monotonic() + PATIENCE_SECONDS
    text = TOO_LATE
    while TOO_LATE in text and time.monotonic() < ends:
        try:
            app.srp(person.username, person.password)
        except SignInRefused as refused:
            text = str(refused)
        else:
            return "nothing"
    return text
