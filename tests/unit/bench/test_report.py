"""The page and its verdicts."""

from __future__ import annotations

from typing import Any

import pytest

from bench.report import keep, sentence, table, target_row, verdict
from bench.sampling import Target


@pytest.mark.parametrize(
    ("target", "word", "text"),
    [
        pytest.param(
            Target("ten to one", 1.304, 1.3),
            "MISSED",
            "ten to one: 1.30, at most 1.3",
            id="a ratio just above its limit is missed, although it looks equal",
        ),
        pytest.param(
            Target("per invoke", 1.5, 2.0, "ms"),
            "met",
            "per invoke: 1.50 ms, at most 2 ms",
            id="a time shows its unit",
        ),
    ],
)
def test_a_target_in_words(target: Target, word: str, text: str) -> None:
    assert (verdict(target), sentence(target)) == (word, text)


def test_a_target_in_the_data_carries_its_verdict() -> None:
    assert target_row("remote", Target("ten to one", 1.4, 1.3)) == {
        "part": "remote",
        "name": "ten to one",
        "measured": 1.4,
        "limit": 1.3,
        "unit": "",
        "met": False,
    }


def test_a_part_that_is_measured_again_takes_the_place_of_its_targets() -> None:
    document: dict[str, Any] = {}
    keep(document, "remote", [Target("ten to one", 1.4, 1.3)])
    keep(document, "imports", [Target("importing", 0.2, 0.3)])

    keep(document, "remote", [Target("ten to one", 1.1, 1.3)])

    assert [(row["part"], row["measured"]) for row in document["targets"]] == [
        ("imports", 0.2),
        ("remote", 1.1),
    ]


def test_numbers_stand_to_the_right() -> None:
    assert table(["rules", "time"], [(1, "5 ms")]).splitlines() == [
        "| rules | time |",
        "| --- | ---: |",
        "| 1 | 5 ms |",
    ]
