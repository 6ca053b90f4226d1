"""docs/operations.md names what there is: every alarm, every test, its own chapters."""

from __future__ import annotations

import re

import pytest

from tests.contract.stack_template import PROJECT, source

PAGE = (PROJECT / "docs/operations.md").read_text(encoding="utf-8")
ALARMS = [name for name, it in source()["Resources"].items() if it["Type"].endswith("::Alarm")]
PAGES = ("operations.md", "upgrading.md", "costs.md")


@pytest.mark.parametrize("alarm", ALARMS)
def test_the_page_says_what_to_do_for_each_alarm(alarm: str) -> None:
    of_a_rule = alarm.endswith("DeadLetterAlarm") and "`…DeadLetterAlarm` of a rule" in PAGE

    assert f"| `{alarm}` |" in PAGE or of_a_rule


def test_every_test_that_the_page_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/.]+\.py)`", PAGE)

    assert named
    assert [name for name in named if not (PROJECT / name).is_file()] == []


@pytest.mark.parametrize("name", PAGES)
def test_links_within_a_page_lead_somewhere(name: str) -> None:
    text = (PROJECT / "docs" / name).read_text(encoding="utf-8")
    headings = {anchor(line) for line in text.splitlines() if line.startswith("#")}

    assert [link for link in re.findall(r"\]\(#([\w-]+)\)", text) if link not in headings] == []


def anchor(heading: str) -> str:
    words = heading.lstrip("#").strip().lower()
    return re.sub(r"[^\w -]", "", words).replace(" ", "-")
