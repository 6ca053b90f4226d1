"""``cognito-rules new``: in a copy of the checkout, a rule that is whole except for its cases."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[3]
# What is compiled goes along: to compile all of it again takes longer than the tests.
LEFT_OUT = (".venv*", ".git", ".aws-sam", ".local", ".hypothesis", "*_cache", "node_modules")


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, into which one test makes its rule; the others write nothing."""
    folder = tmp_path_factory.mktemp("new") / "copy"
    shutil.copytree(PROJECT, folder, ignore=shutil.ignore_patterns(*LEFT_OUT))
    return folder


def run(copy: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": f"{copy}:{copy / 'layers/core'}", "COLUMNS": "200"}
    return subprocess.run(
        [sys.executable, *command], cwd=copy, env=environment, capture_output=True, text=True
    )


def new(copy: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return run(copy, "-c", "from cli.main import app; app()", "new", *arguments)


def snapshot(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def stanza(copy: Path, rule: str) -> str:
    """Return a rule's stanza in template.yaml, without what is its own: the name."""
    pascal = "".join(word.capitalize() for word in rule.split("_"))
    text = (copy / "template.yaml").read_text()
    found = re.search(rf"^  {pascal}Rule:\n(?: {{4}}.*\n)+", text, re.MULTILINE)
    assert found is not None
    return found[0].replace(pascal, "").replace(rule, "")


def test_a_new_rule_lacks_nothing_but_its_cases_and_its_event(copy: Path) -> None:
    made = new(copy, "close_the_office", "--stage", "token", "--category", "Office hours")

    contract = run(
        copy, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/contract/test_rules.py",
        "tests/contract/test_template.py", "-k", "close_the_office or fresh",
    )  # fmt: skip
    own = run(copy, "-m", "pytest", "-q", "tests/unit/rules/test_close_the_office.py")

    assert made.returncode == 0, made.stderr
    assert re.findall(r"^FAILED \S+::(\w+)", contract.stdout, re.MULTILINE) == [
        "test_the_sample_event_shows_an_effect"
    ]
    # Which cfn-lint finds clean in a test of its own, and takes its time to.
    assert stanza(copy, "close_the_office") == stanza(copy, "weekday_access")
    assert own.returncode == 1
    assert "write the cases of close_the_office" in own.stdout
    assert "- Rule `close_the_office`." in (copy / "CHANGELOG.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["Office"], "is no name for a rule", id="a name that is none"),
        pytest.param(["a" * 38 + "_bcd"], "at most 40 letters", id="a name that is too long"),
        pytest.param(["require_group"], "exists already", id="a rule that is there"),
        pytest.param(["close_office", "--stage", "tokens"], "no stage 'tokens'", id="a stage"),
        pytest.param(["close_office", "--stage", "after_login"], "copy record", id="after login"),
        pytest.param(["close_office", "--category", "#1"], "is no category", id="a category"),
    ],
)
def test_wrong_input_writes_nothing(copy: Path, arguments: list[str], said: str) -> None:
    before = snapshot(copy)

    result = new(copy, *arguments)

    assert result.returncode == 2
    assert said in result.stderr
    assert snapshot(copy) == before
