"""``python -m bench``: measure everything, write docs/performance.*, exit 1 for a missed target.

With ``--only`` one part is measured again, and the figures of the others stay those of their run.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from bench import loopback, machine, parts, report
from bench.sampling import Target

Say = Callable[[str], None]


def _sign_ins(say: Say) -> parts.Measured:
    from bench.sign_ins import measure_sign_ins

    return measure_sign_ins(say)


def _deliveries(say: Say) -> parts.Measured:
    from bench.deliveries import measure_deliveries

    return measure_deliveries(say)


# The parts that need the embedded AWS, and so run last.
ON_THE_EMBEDDED_AWS: dict[str, Callable[[Say], parts.Measured]] = {
    "sign_ins": _sign_ins,
    "deliveries": _deliveries,
}
PARTS = (*parts.PARTS, *ON_THE_EMBEDDED_AWS)


def main() -> int:
    """Run the benchmark and return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=PARTS, help="measure one part and keep the others")
    only = parser.parse_args().only
    chosen = PARTS if only is None else (only,)
    document: dict[str, Any] = {} if only is None else report.read()
    document.setdefault("runs", {})
    targets: list[Target] = []
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", flush=True)

    run = machine.describe()
    with loopback.started() as server:
        for name in chosen:
            say(f"Measuring {name}.")
            if name in parts.PARTS:
                document[name], found = parts.run(name, server)
            else:
                document[name], found = ON_THE_EMBEDDED_AWS[name](say)
            document["runs"][name] = run
            report.keep(document, name, found)
            targets += found
    run["seconds"] = round(time.monotonic() - began)
    written = report.write(document, PARTS)
    say(f"Wrote {' and '.join(written)}.")
    for target in targets:
        print(f"  {report.verdict(target)}  {report.sentence(target)}")
    missed = [target for target in targets if not target.is_met]
    for target in missed:
        print(f"Missed: {report.sentence(target)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
