"""End this server, its workers and its files when the process that started it is gone.

Standard input is a pipe that only the starting process holds open. It closes when that process
closes it, returns, crashes or is killed with SIGKILL: no signal has to be delivered for it.
"""

import os
import shutil
import signal
import threading
from pathlib import Path


def hold(folder: Path | None = None) -> None:
    """Watch standard input; when it ends, kill this process group and delete ``folder``.

    ``folder`` is this run's own directory, if it has one. Call once, from the main
    thread; the process has to lead its group, since the whole group is killed.
    """
    if os.getpgrp() != os.getpid():
        raise RuntimeError("the server has to lead a process group of its own")
    # The workers get SIGTERM with the group; this process outlives it to delete what they wrote.
    # SIG_IGN would be inherited by the workers, a handler is not.
    signal.signal(signal.SIGTERM, _outlive)
    signal.signal(signal.SIGINT, _outlive)
    threading.Thread(target=_watch, args=(folder,), name="lifeline", daemon=True).start()


def _outlive(number: int, frame: object) -> None:
    """Do nothing: the end of standard input is the only end."""


def _watch(folder: Path | None) -> None:
    while os.read(0, 1024):
        pass
    os.killpg(os.getpgrp(), signal.SIGTERM)
    if folder is not None:
        shutil.rmtree(folder, ignore_errors=True)
    os.killpg(os.getpgrp(), signal.SIGKILL)
