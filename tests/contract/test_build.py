"""What ``sam build`` puts beside a trigger function (tools/build_trigger.py)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from cognito_rules.manifest import Manifest
from tests.contract.stack_template import PROJECT
from tools import build_trigger
from tools.build_trigger import StaleCatalogueError


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A small checkout: one rule that may run inline, one that needs its own function."""
    files = {
        "chain.toml": "",
        "functions/trigger_login/app.py": "handler = None\n",
        "functions/trigger_login/Makefile": "",
        "functions/pure/app.py": "rule = None\n",
        "functions/pure/rule.toml": 'stage = "token"\n',
        "functions/pure/notes.txt": "",
        "functions/remote/app.py": "rule = None\n",
        "functions/remote/rule.toml": 'stage = "token"\nsecrets = ["KEY"]\n',
        "layers/core/requirements.txt": "a==1\n",
        "layers/core/cognito_rules/__init__.py": "",
        "layers/core/cognito_rules/catalogue.json": json.dumps(
            {"pure": {"stage": "token"}, "remote": {"stage": "token", "secrets": ["KEY"]}}
        ),
        "layers/core/cognito_rules/schemas/request.json": "{}",
        "layers/net/requirements.txt": "b==1\n",
    }
    for name, text in files.items():
        path = tmp_path / "checkout" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path / "checkout"


def test_the_artifact_holds_code_chain_pure_rules_and_digest(
    checkout: Path, tmp_path: Path
) -> None:
    build_trigger.build(checkout, "trigger_login", tmp_path / "artifact")

    found = {p.relative_to(tmp_path / "artifact") for p in (tmp_path / "artifact").rglob("*.*")}
    assert {path.as_posix() for path in found} == {
        "app.py",
        "catalogue.sha256",
        "chain.toml",
        "functions/pure/app.py",
        "functions/pure/rule.toml",
        "layer.sha256",
    }


def test_a_missing_chain_document_stops_the_build(checkout: Path, tmp_path: Path) -> None:
    (checkout / "chain.toml").unlink()

    with pytest.raises(FileNotFoundError, match=r"chain\.toml"):
        build_trigger.build(checkout, "trigger_login", tmp_path / "artifact")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        pytest.param("functions/remote/rule.toml", 'stage = "token"', id="a manifest was changed"),
        pytest.param("functions/new/rule.toml", 'stage = "token"', id="a rule was added"),
    ],
)
def test_a_catalogue_of_other_manifests_stops_the_build(
    checkout: Path, tmp_path: Path, name: str, text: str
) -> None:
    (checkout / name).parent.mkdir(exist_ok=True)
    (checkout / name).write_text(text)

    with pytest.raises(StaleCatalogueError, match=rf"{name} as it is now: run `make docs`"):
        build_trigger.build(checkout, "trigger_login", tmp_path / "artifact")

    assert not (tmp_path / "artifact").exists()


def test_a_catalogue_of_a_rule_that_is_gone_stops_the_build(checkout: Path, tmp_path: Path) -> None:
    shutil.rmtree(checkout / "functions/remote")

    with pytest.raises(StaleCatalogueError, match=r"functions/remote/rule\.toml"):
        build_trigger.build(checkout, "trigger_login", tmp_path / "artifact")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        pytest.param("layers/core/cognito_rules/__init__.py", True, id="a module of the layer"),
        pytest.param("layers/core/cognito_rules/catalogue.json", True, id="the catalogue"),
        pytest.param("layers/core/cognito_rules/schemas/request.json", True, id="a schema"),
        pytest.param("layers/core/requirements.txt", True, id="what core brings"),
        pytest.param("layers/net/requirements.txt", True, id="what net brings"),
        pytest.param("functions/remote/app.py", False, id="a rule of its own function does not"),
        pytest.param("functions/trigger_login/Makefile", False, id="the recipe does not"),
    ],
)
def test_the_digest_follows_the_layers(checkout: Path, name: str, changes: bool) -> None:
    before = build_trigger.layer_digest(checkout)

    with (checkout / name).open("a") as file:
        file.write("\n")

    assert (build_trigger.layer_digest(checkout) != before) == changes


def test_the_digest_ignores_caches_and_the_place_of_the_checkout(
    checkout: Path, tmp_path: Path
) -> None:
    before = build_trigger.layer_digest(checkout)

    cache = checkout / "layers/core/cognito_rules/__pycache__"
    cache.mkdir()
    (cache / "chain.cpython-313.pyc").write_bytes(b"x")
    moved = shutil.move(checkout, tmp_path / "moved")

    assert build_trigger.layer_digest(Path(moved)) == before


def rename(checkout: Path) -> None:
    layer = checkout / "layers/core/cognito_rules"
    (layer / "catalogue.json").rename(layer / "other.json")


def move_bytes(checkout: Path) -> None:
    (checkout / "layers/core/requirements.txt").write_text("a==1")
    (checkout / "layers/net/requirements.txt").write_text("\nb==1\n")


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(rename, id="a file gets another name"),
        pytest.param(move_bytes, id="bytes move from one file to the next"),
    ],
)
def test_the_digest_tells_files_apart(checkout: Path, change: Callable[[Path], None]) -> None:
    before = build_trigger.layer_digest(checkout)

    change(checkout)

    assert build_trigger.layer_digest(checkout) != before


def test_the_build_agrees_with_the_manifests_on_what_is_pure() -> None:
    manifests = [Manifest.read(path) for path in PROJECT.glob("functions/*/rule.toml")]

    packaged = [folder.name for folder in build_trigger.pure_rules(PROJECT)]

    assert packaged == sorted(manifest.name for manifest in manifests if manifest.is_pure)
    assert packaged
