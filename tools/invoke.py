"""Run every rule in a container, by ``sam local invoke`` with its event, and compare the effects.

``python -m tools.invoke [RULE ...] [--skip-pull-image]`` needs a container engine.
A rule that calls another system finds none here: it has to start, and to answer with a fault.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cognito_rules.manifest import Manifest

PROJECT = Path(__file__).resolve().parent.parent
# Nothing is read from an account: sam asks for credentials all the same.
NO_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "SAM_CLI_TELEMETRY": "0",
}


def main() -> int:
    """Invoke the rules and return 1 when one answers otherwise than its event expects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="*", metavar="RULE", help="default: all of them")
    parser.add_argument(
        "--skip-pull-image", action="store_true", help="use the image that is there"
    )
    given = parser.parse_args()
    manifests = [Manifest.read(path) for path in sorted(PROJECT.glob("functions/*/rule.toml"))]
    wanted = [m for m in manifests if not given.rules or m.name in given.rules]
    if unknown := set(given.rules) - {m.name for m in wanted}:
        parser.error(f"there is no rule {sorted(unknown)[0]}")
    options = ["--skip-pull-image"] if given.skip_pull_image else []
    _sam(["build"])
    # The first one alone: it makes the image with the layers, which the others share.
    results = [_invoke(manifest, options) for manifest in wanted[:1]]
    with ThreadPoolExecutor(3) as threads:
        results += threads.map(lambda manifest: _invoke(manifest, options), wanted[1:])
    failed = [m.name for m, good in zip(wanted, results, strict=True) if not good]
    print(f"{len(wanted) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _invoke(manifest: Manifest, options: list[str]) -> bool:
    event: dict[str, Any] = json.loads((PROJECT / "events" / f"{manifest.name}.json").read_text())
    expected, template = event.pop("expect"), event.pop("template", None)
    function = "".join(word.capitalize() for word in manifest.name.split("_")) + "Rule"
    with tempfile.TemporaryDirectory() as folder:
        request, variables = Path(folder, "event.json"), Path(folder, "variables.json")
        request.write_text(json.dumps(event))
        settings = {} if template is None else {"RULE_SETTINGS": json.dumps(template)}
        variables.write_text(json.dumps({function: settings}))
        answered = _sam(
            ["local", "invoke", function, "-e", str(request), "-n", str(variables), *options]
        )
    try:
        response = json.loads(answered.strip().splitlines()[-1])
    except (ValueError, IndexError):
        response = {}
    good = "fault" in response if manifest.external else response.get("effects") == expected
    print(f"{'ok    ' if good else 'FAILED'} {manifest.name}")
    if not good:
        print(f"  expected {json.dumps(expected)}\n  answered {answered.strip()}")
    return good


def _sam(arguments: list[str]) -> str:
    finished = subprocess.run(
        ["sam", *arguments],
        cwd=PROJECT,
        env=os.environ | NO_ACCOUNT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if finished.returncode != 0:
        sys.exit(f"sam {arguments[0]} failed:\n{finished.stderr[-2000:]}")
    return finished.stdout


if __name__ == "__main__":
    sys.exit(main())
