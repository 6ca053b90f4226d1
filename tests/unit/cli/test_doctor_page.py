"""The page of the doctor has a section for each check, in the order in which they run."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

from cli.checks import CHECKS, title
from cli.doctor import MODULES

for _name in MODULES:
    import_module(f"cli.checks.{_name}")
PAGE = Path("docs/doctor.md").read_text(encoding="utf-8")


def test_each_check_has_its_section() -> None:
    assert re.findall(r"^### (\w+)$", PAGE, re.MULTILINE) == list(CHECKS)


@pytest.mark.parametrize("name", CHECKS)
def test_a_check_says_in_one_line_what_it_makes_sure_of(name: str) -> None:
    said = title(CHECKS[name])

    assert said
    assert len(said) <= 100
