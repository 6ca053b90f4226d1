"""Run rules in containers, by ``sam local invoke`` with their events, and compare the effects.

``python -m tools.invoke [RULE ...] [--each-kind] [--skip-pull-image]`` needs a container engine.
A rule that calls another system or AWS finds none here: it has to start, and to answer with a fault
or by its own word on what to do then.
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
from cognito_rules.testing import is_as_expected

PROJECT = Path(__file__).resolve().parent.parent
# Nothing is read from an account: sam asks for credentials all the same.
NO_ACCOUNT = {
    "AWS_ACCESS_KEY_ID": "none",
    "AWS_SECRET_ACCESS_KEY": "none",
    "AWS_DEFAULT_REGION": "eu-west-1",
    "SAM_CLI_TELEMETRY": "0",
}
# Refuse at once: without a network, a container looks for a name for longer than a rule may take.
NO_AWS = [
    option
    for service in ("cognito-idp", "dynamodb", "secretsmanager")
    for option in ("--add-host", f"{service}.eu-west-1.amazonaws.com:127.0.0.1")
]


def main() -> int:
    """Invoke the rules and return 1 when one answers otherwise than its event expects."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rules", nargs="*", metavar="RULE", help="default: all of them")
    parser.add_argument(
        "--each-kind",
        action="store_true",
        help="only one rule of those that run at the same stage with the same needs",
    )
    parser.add_argument(
        "--skip-pull-image", action="store_true", help="use the image that is there"
    )
    given = parser.parse_args()
    manifests = [Manifest.read(path) for path in sorted(PROJECT.glob("functions/*/rule.toml"))]
    wanted = [m for m in manifests if not given.rules or m.name in given.rules]
    if unknown := set(given.rules) - {m.name for m in wanted}:
        parser.error(f"there is no rule {sorted(unknown)[0]}")
    if given.each_kind:
        wanted = list({_kind(manifest): manifest for manifest in reversed(wanted)}.values())
    options = [*NO_AWS, *(["--skip-pull-image"] if given.skip_pull_image else [])]
    _sam(["build"])
    # The first one alone: it makes the image with the layers, which the others share.
    results = [_invoke(manifest, options) for manifest in wanted[:1]]
    with ThreadPoolExecutor(3) as threads:
        results += threads.map(lambda manifest: _invoke(manifest, options), wanted[1:])
    failed = [m.name for m, good in zip(wanted, results, strict=True) if not good]
    print(f"{len(wanted) - len(failed)} passed, {len(failed)} failed")
    return 1 if failed else 0


def _kind(manifest: Manifest) -> tuple[object, ...]:
    """Return what decides which layers, role and variables a rule's function has."""
    needs = (manifest.external, bool(manifest.secrets), bool(manifest.aws))
    return (manifest.stage, *needs, bool(manifest.settings.from_template))


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
    good = _is_good(manifest, expected, response)
    print(f"{'ok    ' if good else 'FAILED'} {manifest.name}")
    if not good:
        print(f"  expected {json.dumps(expected)}\n  answered {answered.strip()}")
    return good


def _is_good(manifest: Manifest, expected: Any, response: dict[str, Any]) -> bool:
    reaches_out = manifest.external or manifest.secrets or manifest.aws
    if reaches_out and ("fault" in response or response.get("warnings")):
        return True
    return not manifest.external and is_as_expected(expected, response.get("effects"))


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
