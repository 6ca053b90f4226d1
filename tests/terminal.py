"""A person at a terminal: a command runs there and is answered when it asks."""

from __future__ import annotations

import os
import pty
import select
import time
from collections.abc import Mapping, Sequence

SECONDS = 60


def run(
    command: Sequence[str], environment: Mapping[str, str], answers: Sequence[tuple[str, str]]
) -> tuple[int, str]:
    """Run ``command``, type each answer once its question is shown; return exit code and screen."""
    child, terminal = pty.fork()
    if child == 0:  # pragma: no cover
        os.execvpe(command[0], list(command), dict(environment))
    screen, waiting, ends = "", list(answers), time.monotonic() + SECONDS
    seen = 0
    while time.monotonic() < ends:
        ready, _, _ = select.select([terminal], [], [], 0.5)
        try:
            piece = os.read(terminal, 4096) if ready else b""
        except OSError:  # the command ended
            break
        if ready and not piece:
            break
        screen += piece.decode(errors="replace")
        if waiting and waiting[0][0] in screen[seen:]:
            seen = len(screen)
            # The question is printed before the echo is off.
            time.sleep(0.2)
            os.write(terminal, waiting.pop(0)[1].encode() + b"\n")
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), screen
