"""Build the login function's artifact; ``sam build`` runs this by functions/trigger_login/Makefile.

Beside the function's own code go

- ``chain.toml``, the packaged chain document;
- ``functions/<rule>/`` of every pure rule, for ``placement = "inline"``;
- ``layer.sha256``, the digest of the layers' sources. SAM publishes a version, and moves the alias
  ``live``, only when the artifact or the function's own properties change. A new layer alone
  changes neither (the function refers to it by its logical id), and logins would keep running the
  old one. With the digest in the artifact, a changed layer is a changed artifact.

Only the standard library, and no import of the project: a stranger's ``sam build`` has no .venv.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import tomllib
from collections.abc import Iterator
from pathlib import Path

OWN_CODE = Path("functions/trigger_login")
CHAIN = Path("chain.toml")
RULE_FILES = ("app.py", "rule.toml")


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
        needs_own_function = declared.get("secrets") or declared.get("external") or from_template
        if not needs_own_function and declared["stage"] != "after_login":
            yield manifest.parent


def build(root: Path, artifact: Path) -> None:
    """Fill the folder ``artifact`` from the checkout at ``root``.

    Raises
    ------
    OSError : a source is missing.
    """
    artifact.mkdir(parents=True, exist_ok=True)
    for source in sorted((root / OWN_CODE).glob("*.py")):
        shutil.copy(source, artifact)
    shutil.copy(root / CHAIN, artifact)
    for rule in pure_rules(root):
        target = artifact / "functions" / rule.name
        target.mkdir(parents=True)
        for name in RULE_FILES:
            shutil.copy(rule / name, target)
    (artifact / "layer.sha256").write_text(layer_digest(root) + "\n", encoding="utf-8")


def main() -> None:
    """Run ``python tools/build_login.py ARTIFACT`` from anywhere."""
    parser = argparse.ArgumentParser(description="Build the login function's artifact.")
    parser.add_argument("artifact", type=Path, help="the folder to fill")
    build(Path(__file__).resolve().parent.parent, parser.parse_args().artifact)


if __name__ == "__main__":
    main()
