"""On which line each part of a TOML document stands."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit
from hypothesis import given
from hypothesis import strategies as st

from cli.toml_lines import TomlLines

DOCUMENT = '''\
on_commit_failure = "refuse"  # a comment, with = and [brackets]

[applications."1a.b"]
name = """
[[rules]]
rule = "no rule" """

[[rules]]
rule = "first"
when = { applications = ["x"], connections = [
    "one", # the first
    "two",
] }

  [[rules]]
  rule = 'second'
  "id" = "s"
  [rules.configuration]
  "a key" = [ {b = 1}, {b = "}]"} ]
  nested.deep = 7
  [rules.configuration.words]
  w = "x"

[[rules]]
rule = "third"
'''

LINES: list[tuple[tuple[str | int, ...], int]] = [
    (("on_commit_failure",), 1),
    (("applications", "1a.b"), 3),
    (("applications", "1a.b", "name"), 4),
    (("rules", 0), 8),
    (("rules", 0, "when"), 10),
    (("rules", 0, "when", "connections", 0), 11),
    (("rules", 0, "when", "connections", 1), 12),
    (("rules", 1), 15),
    (("rules", 1, "id"), 17),
    (("rules", 1, "configuration"), 18),
    (("rules", 1, "configuration", "a key", 1, "b"), 19),
    (("rules", 1, "configuration", "nested", "deep"), 20),
    (("rules", 1, "configuration", "words", "w"), 22),
    (("rules", 2, "rule"), 25),
    (("rules", 2, "mode"), 24),
    (("rules", 7), 8),
    (("nothing",), 1),
    ((), 1),
]


@pytest.mark.parametrize(("path", "line"), LINES)
def test_a_part_stands_on_its_line(path: tuple[str | int, ...], line: int) -> None:
    assert TomlLines(DOCUMENT).of(path) == line


@pytest.mark.parametrize("text", ["", "\n\n", "# nothing", "\r\n"])
def test_a_document_without_parts_has_one_line(text: str) -> None:
    assert TomlLines(text).of(("rules", 0)) == 1


def test_line_ends_of_windows_count_once() -> None:
    assert TomlLines("a = 1\r\nb = 2\r\n").of(("b",)) == 2


def paths(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    items: Any = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from paths(item, (*path, key))


KEYS = st.text(min_size=1, max_size=5).filter(lambda text: text.isprintable())
VALUES = st.recursive(
    st.integers(0, 9) | st.booleans() | st.text(max_size=8).filter(str.isprintable),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)


@given(document=st.dictionaries(KEYS, VALUES, max_size=4))
def test_every_part_of_any_document_is_found(document: dict[str, Any]) -> None:
    text = tomlkit.dumps(document)
    lines = TomlLines(text)

    for path in paths(tomllib.loads(text)):
        assert path in lines._lines, (path, text)


def test_the_projects_own_chain_is_read_whole() -> None:
    text = Path("chain.toml").read_text()
    lines = TomlLines(text)
    document = tomllib.loads(text)

    for index, entry in enumerate(document["rules"]):
        found = text.splitlines()[lines.of(("rules", index, "rule")) - 1]
        assert found == f'rule = "{entry["rule"]}"'
