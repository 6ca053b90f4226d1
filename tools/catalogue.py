"""Write the layer's catalogue: every rule's manifest in one file, by rule name.

The login function checks each answer against it, so it travels in the layer and not with the rules.

Usage: ``python -m tools.catalogue [--check]``; ``--check`` writes nothing and exits 1 when the file
is stale.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from cognito_rules.manifest import Manifest

ROOT = Path(__file__).resolve().parent.parent
CATALOGUE = Path("layers/core/cognito_rules/catalogue.json")


def manifests(root: Path) -> list[Manifest]:
    """Return the manifests of all rule folders by name; ManifestError when one is bad."""
    return [Manifest.read(path) for path in sorted(root.glob("functions/*/rule.toml"))]


def catalogue(root: Path) -> str:
    """Return the text of the catalogue: JSON, one line for each rule, sorted by name."""
    lines = [
        f"{json.dumps(manifest.name)}: {json.dumps(manifest.declared)}"
        for manifest in manifests(root)
    ]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def write_or_check(files: dict[Path, str], *, check: bool, command: str) -> int:
    """Write generated ``files``, or with ``check`` name the stale ones; return the exit code."""
    stale = [
        path
        for path, text in files.items()
        if not path.is_file() or path.read_text(encoding="utf-8") != text
    ]
    for path in stale:
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if check:
            print(f"{name} is stale: run `{command}`.", file=sys.stderr)
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[path], encoding="utf-8")
            print(f"wrote {name}")
    return 1 if check and stale else 0


def main(arguments: list[str] | None = None) -> int:
    """Run the command; return its exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.catalogue", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 when stale")
    check = parser.parse_args(arguments).check
    return write_or_check({ROOT / CATALOGUE: catalogue(ROOT)}, check=check, command="make docs")


if __name__ == "__main__":
    sys.exit(main())
