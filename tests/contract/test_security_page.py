"""docs/security.md: every recommendation and every vulnerable pattern, with proof that exists."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest

PAGE = Path("docs/security.md").read_text(encoding="utf-8")
IDS = [f"BP-{n:02}" for n in range(1, 56)] + [f"SB-{n:02}" for n in range(1, 28)]
ROWS = {cells[0]: cells for cells in re.findall(r"^\| ((?:BP|SB)-\d\d) \| (.*) \|$", PAGE, re.M)}
NAMED = sorted(set(re.findall(r"`([a-z_/]+\.py)(?:::(\w+))?`", PAGE)))


@cache
def names_in(path: str) -> frozenset[str]:
    """Return the names of the test functions in a file."""
    text = (Path("tests") / path).read_text(encoding="utf-8")
    return frozenset(re.findall(r"^def (test_\w+)\(", text, re.M))


def test_every_point_has_one_row_and_there_are_no_others() -> None:
    found = re.findall(r"^\| ((?:BP|SB)-\d\d) \|", PAGE, re.M)

    assert found == IDS


@pytest.mark.parametrize("point", IDS)
def test_a_point_is_shown_by_a_test_or_named_as_missing(point: str) -> None:
    _, row = ROWS[point]
    asked, met, proof = row.split(" | ") if row.count(" | ") == 2 else (*row.split(" | "), "")

    assert asked
    assert met
    assert "::test_" in proof or met.startswith("**Later:**")


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_what_the_page_names_exists(path: str, name: str) -> None:
    assert name in names_in(path)
