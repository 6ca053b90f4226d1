"""Run a command that ends, with all its children, when this process ends in whatever way.

``run`` starts ``python -m local.leash COMMAND ...`` in a process group of its own. Its standard
input is a pipe that only this process holds; when that closes, the group is killed.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.aws import lifeline

PROJECT = Path(__file__).resolve().parent.parent


def run(
    command: Sequence[str], *, cwd: Path, env: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """Run ``command`` in ``cwd`` and return its exit code and output; also after a failure."""
    held, kept = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "local.leash", str(cwd), *command],
            cwd=PROJECT,
            env=env,
            stdin=held,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
    except BaseException:
        os.close(kept)
        raise
    finally:
        os.close(held)
    try:
        output, errors = process.communicate()
    finally:
        os.close(kept)
        process.wait()
    return subprocess.CompletedProcess(list(command), process.returncode, output, errors)


def main(arguments: Sequence[str]) -> int:
    """Run the command that the arguments name after its directory; return its exit code."""
    lifeline.hold()
    cwd, *command = arguments
    return subprocess.run(command, cwd=cwd, stdin=subprocess.DEVNULL, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
