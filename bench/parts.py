"""The parts of the benchmark that need no embedded AWS, each in a process of its own.

``python -m bench.parts NAME PORT FILE`` measures one part against the loopback server at ``PORT``
and writes its figures to ``FILE``. Log lines go to standard output, as they do on Lambda.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.loopback import Loopback
from bench.sampling import Target

Figures = dict[str, Any]
Measured = tuple[Figures, list[Target]]


def _remote(server: Loopback) -> Measured:
    from bench.remote import measure_cpu, measure_order, measure_waiting

    waiting, slow = measure_waiting(rounds=9)
    cpu, cheap = measure_cpu(rounds=15, loopback=server)
    return {"waiting": waiting, "order": measure_order(rounds=5), "cpu": cpu}, slow + cheap


def _inline(server: Loopback) -> Measured:
    from bench.inline import measure_inline, measure_with_table_wait

    figures, targets = measure_inline(25, server)
    return {"loopback": figures, "table_wait": measure_with_table_wait(9, server)}, targets


def _access(server: Loopback) -> Measured:
    from bench.access import measure_access

    return measure_access(15)


def _imports(server: Loopback) -> Measured:
    from bench.imports import measure_imports

    return measure_imports(rounds=7)


def _costs(server: Loopback) -> Measured:
    from bench.costs import measure_costs

    return {"parts": measure_costs(server)}, []


# The modules are imported in the part's own process, where the environment leads to loopback.
PARTS: dict[str, Callable[[Loopback], Measured]] = {
    "remote": _remote,
    "inline": _inline,
    "access": _access,
    "imports": _imports,
    "costs": _costs,
}


def run(name: str, server: Loopback) -> Measured:
    """Measure the part ``name`` in a new process; RuntimeError when that fails."""
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AWS_")}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "figures.json"
        done = subprocess.run(
            [sys.executable, "-m", "bench.parts", name, str(server.port), str(file)],
            env=inherited | server.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"the part {name} could not be measured")
        document = json.loads(file.read_text(encoding="utf-8"))
    return document["figures"], [Target(**target) for target in document["targets"]]


def _main() -> None:
    name, port, file = sys.argv[1:]
    figures, targets = PARTS[name](Loopback(int(port)))
    document = {"figures": figures, "targets": [asdict(target) for target in targets]}
    Path(file).write_text(json.dumps(document), encoding="utf-8")


if __name__ == "__main__":
    _main()
