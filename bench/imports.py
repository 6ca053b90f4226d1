"""What a cold start imports: a pure rule against the usual three libraries.

Every import happens in an interpreter of its own, with its byte code already written, as a second
start of the same artifact finds it.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

from bench.sampling import Target, spread
from cognito_rules.manifest import Manifest

ROOT = Path(__file__).resolve().parent.parent
LIMIT = 0.35
USUAL = "boto3 + Powertools + requests"
_USUAL_CODE = "import boto3, requests; from aws_lambda_powertools import Logger, Metrics"

# Only built-in modules are loaded before the clock starts: everything else is part of the figure.
# What this environment has and neither Lambda's runtime nor a layer has is not there: boto3 and
# requests would load it, and look slower than they are.
_CHILD = """
import sys, time
sys.path[:0] = sys.argv[1:3]
sys.modules |= dict.fromkeys(("awscrt", "cryptography", "OpenSSL"))
before = set(sys.modules)
wall, cpu = time.perf_counter(), time.process_time()
{code}
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
names = sorted(set(sys.modules) - before)
after = time.perf_counter()
{first_call}
first_call = time.perf_counter() - after
import json, os
size = 0
for name in names:
    spec = getattr(sys.modules[name], "__spec__", None)
    files = [getattr(spec, "cached", None), getattr(spec, "origin", None)]
    files = [file for file in files if file and os.path.isfile(file)]
    size += os.path.getsize(files[0]) if files else 0
answer = {{"wall": wall, "cpu": cpu, "first_call": first_call, "bytes": size, "names": names}}
print(json.dumps(answer), file=sys.stderr)
"""
# What a rule may not drag in: each of them alone would break the promise.
HEAVY = ("boto3", "botocore", "requests", "pydantic")


def pure_rules() -> list[str]:
    """Return the names of the collection's pure rules."""
    manifests = [Manifest.read(path) for path in sorted(ROOT.glob("functions/*/rule.toml"))]
    return [manifest.name for manifest in manifests if manifest.is_pure]


def measure_imports(rounds: int) -> tuple[dict[str, Any], list[Target]]:
    """Import every pure rule and the usual three in turns; the slowest rule is judged."""
    codes = {USUAL: (_USUAL_CODE, "pass")}
    for name in pure_rules():
        event = json.loads((ROOT / "events" / f"{name}.json").read_text(encoding="utf-8"))
        event.pop("expect", None)
        first = f"module.rule({event!r}, None)"
        codes[name] = (f"import functions.{name}.app as module", first)
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in codes}
    for number in range(rounds + 1):
        for name, code in codes.items():
            sample = _import(*code)
            if number:  # the first round writes the byte code
                taken[name].append(sample)
    usual = [sample["wall"] for sample in taken[USUAL]]
    rows = [_row(name, samples, usual) for name, samples in taken.items()]
    slowest = max(rows[1:], key=lambda row: float(row["ratio"]))
    figures = {"rounds": rounds, "rows": rows, "slowest": slowest["name"]}
    name = f"importing a pure rule (the slowest: {slowest['name']}), to {USUAL}"
    return figures, [Target(name, slowest["ratio"], LIMIT)]


def _import(code: str, first_call: str) -> dict[str, Any]:
    child = _CHILD.format(code=code, first_call=first_call)
    paths = [str(ROOT), str(ROOT / "layers" / "core")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", child, *paths],
        env={"PATH": os.environ.get("PATH", "")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{code}: {done.stderr}")
    sample: dict[str, Any] = json.loads(done.stderr.splitlines()[-1])
    return sample


def _row(name: str, samples: list[dict[str, Any]], usual: list[float]) -> dict[str, Any]:
    walls = [float(sample["wall"]) for sample in samples]
    names = samples[0]["names"]
    return {
        "name": name,
        "ms": statistics.median(walls) * 1000,
        "cpu_ms": statistics.median(sample["cpu"] for sample in samples) * 1000,
        "first_call_ms": statistics.median(sample["first_call"] for sample in samples) * 1000,
        "ratio": statistics.median(walls) / statistics.median(usual),
        "quartiles": spread(walls, usual),
        "bytes": samples[0]["bytes"],
        "modules": len(names),
        "heavy": [heavy for heavy in HEAVY if heavy in names],
    }
