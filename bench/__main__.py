"""``python -m bench``: measure everything, write docs/performance.*, exit 1 for a missed target."""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from bench import loopback, machine, parts, report
from bench.sampling import Target

SIGN_INS = "sign_ins"


def main() -> int:
    """Run the benchmark and return its exit code."""
    names = [*parts.PARTS, SIGN_INS]
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=names, help="measure one part and write no page")
    chosen = parser.parse_args().only
    document: dict[str, Any] = {"machine": machine.describe()}
    targets: list[Target] = []
    began = time.monotonic()

    def say(line: str) -> None:
        print(f"{time.monotonic() - began:5.0f} s  {line}", flush=True)

    with loopback.started() as server:
        for name in parts.PARTS:
            if chosen in (None, name):
                say(f"Measuring {name}.")
                document[name], found = parts.run(name, server)
                targets += found
    if chosen in (None, SIGN_INS):
        from bench.sign_ins import measure_sign_ins

        say("Starting the embedded AWS for the sign-ins.")
        document[SIGN_INS], found = measure_sign_ins(say)
        targets += found
    document["targets"] = [report.target_row(target) for target in targets]
    document["seconds"] = round(time.monotonic() - began)
    if chosen is None:
        report.write(document)
        say(f"Wrote {report.PAGE} and {report.DATA}.")
    for target in targets:
        print(f"  {report.verdict(target)}  {report.sentence(target)}")
    missed = [target for target in targets if not target.is_met]
    for target in missed:
        print(f"Missed: {report.sentence(target)}", file=sys.stderr)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
