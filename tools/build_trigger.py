"""Build a trigger function, or the validator of chains; ``sam build`` runs this by its Makefile.

Beside the function's own code go

- ``chain.toml``, the packaged chain document;
- ``functions/<rule>/`` of every pure rule, for ``placement = "inline"``;
- ``layer.sha256``, the digest of the layers' sources. SAM publishes a version, and moves the alias
  ``live``, only when the artifact or the function's own properties change. A new layer alone
  changes neither (the function refers to it by its logical id), and logins would keep running the
  old one. With the digest in the artifact, a changed layer is a changed artifact;
- ``catalogue.sha256``, the digest of the catalogue in the layer: the function does not start beside
  a layer that has another one.

A manifest that the catalogue holds otherwise, or not at all, stops the build: answers would be
checked against what the rule declared some time ago.

Only the standard library, and no import of the project: a stranger's ``sam build`` has no .venv.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

CHAIN = Path("chain.toml")
CATALOGUE = Path("layers/core/cognito_rules/catalogue.json")
RULE_FILES = ("app.py", "rule.toml")


class StaleCatalogueError(Exception):
    """The catalogue in the layer is not that of the rules; the text says what to do."""


def layer_digest(root: Path) -> str:
    """Return the SHA-256, in hex, of the names and bytes of all sources of both layers."""
    package = root / "layers/core/cognito_rules"
    sources = [
        *(path for path in package.rglob("*") if path.suffix in (".py", ".json")),
        root / "layers/core/requirements.txt",
        root / "layers/net/requirements.txt",
    ]
    digest = hashlib.sha256()
    for path in sorted(sources):
        content = path.read_bytes()
        # The length keeps two files apart from one that holds both.
        digest.update(f"{path.relative_to(root).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return digest.hexdigest()


def pure_rules(root: Path) -> Iterator[Path]:
    """Yield the folders of the rules that may run inside ``login``, in the order of their names.

    The same reading of a manifest as ``cognito_rules.manifest.Manifest.is_pure``; a contract test
    compares the two.
    """
    for manifest in sorted(root.glob("functions/*/rule.toml")):
        declared = tomllib.loads(manifest.read_text(encoding="utf-8"))
        from_template = any(
            setting.get("source") == "template"
            for setting in declared.get("configuration", {}).values()
        )
        needs = [declared.get(name) for name in ("secrets", "aws", "external")]
        if not any(needs) and not from_template and declared["stage"] != "after_login":
            yield manifest.parent


def catalogue_digest(root: Path) -> str:
    """Return the SHA-256, in hex, of the catalogue, after comparing it with every manifest.

    Raises
    ------
    StaleCatalogueError : a manifest was changed, added or removed without the catalogue.
    """
    content = (root / CATALOGUE).read_bytes()
    held = json.loads(content)
    written = {
        path.parent.name: tomllib.loads(path.read_text(encoding="utf-8"))
        for path in root.glob("functions/*/rule.toml")
    }
    names = sorted(held.keys() | written.keys())
    stale = [name for name in names if held.get(name) != written.get(name)]
    if stale:
        raise StaleCatalogueError(
            f"{CATALOGUE} does not hold functions/{stale[0]}/rule.toml as it is now: "
            "run `make docs` and build again."
        )
    return hashlib.sha256(content).hexdigest()


def build(root: Path, function: str, artifact: Path) -> None:
    """Fill the folder ``artifact`` for the function in ``functions/<function>`` of ``root``.

    Raises
    ------
    OSError : a source is missing.
    StaleCatalogueError : see ``catalogue_digest``; nothing was written.
    """
    catalogue = catalogue_digest(root)
    artifact.mkdir(parents=True, exist_ok=True)
    for source in sorted((root / "functions" / function).glob("*.py")):
        shutil.copy(source, artifact)
    shutil.copy(root / CHAIN, artifact)
    for rule in pure_rules(root):
        target = artifact / "functions" / rule.name
        target.mkdir(parents=True)
        for name in RULE_FILES:
            shutil.copy(rule / name, target)
    digests = {"layer.sha256": layer_digest(root), "catalogue.sha256": catalogue}
    for name, digest in digests.items():
        (artifact / name).write_text(digest + "\n", encoding="utf-8")


def main() -> None:
    """Run ``python tools/build_trigger.py FUNCTION ARTIFACT`` from anywhere."""
    parser = argparse.ArgumentParser(description="Build the artifact of a trigger function.")
    parser.add_argument("function", help="a folder below functions/, such as trigger_login")
    parser.add_argument("artifact", type=Path, help="the folder to fill")
    given = parser.parse_args()
    try:
        build(Path(__file__).resolve().parent.parent, given.function, given.artifact)
    except StaleCatalogueError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
