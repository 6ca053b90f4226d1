"""The arithmetic of the benchmark; nothing here is timed."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest

from bench.sampling import (
    Sample,
    Samples,
    Target,
    Work,
    ideal_waves,
    in_turns,
    per_item,
    percentile,
    ratio,
    spread,
)


def test_variants_are_measured_in_turns_and_each_round_begins_with_another() -> None:
    measured: list[str] = []

    def work(name: str) -> Work:
        return lambda: measured.append(name)

    def take(run: Work) -> Sample:
        run()
        return Sample(wall=1.0, cpu=1.0)

    in_turns({"a": work("a"), "b": work("b")}, rounds=3, warm_up=1, measured_by=take)

    assert "".join(measured) == "ababbaab"


def test_the_warm_up_is_not_counted() -> None:
    walls = iter([3.0, 1.0, 2.0])

    taken = in_turns(
        {"a": lambda: None},
        rounds=3,
        warm_up=5,
        measured_by=lambda _: Sample(wall=next(walls), cpu=0.5),
    )

    assert taken["a"].walls == [3.0, 1.0, 2.0]
    assert (taken["a"].wall, taken["a"].cpu) == (2.0, 0.5)


@pytest.mark.parametrize(
    "call",
    [
        pytest.param(lambda: in_turns({}, rounds=1), id="no variant"),
        pytest.param(lambda: in_turns({"a": lambda: None}, rounds=0), id="no round"),
        pytest.param(lambda: percentile([], 50), id="a percentile of nothing"),
        pytest.param(lambda: percentile([1.0], 0), id="the percentile 0"),
        pytest.param(lambda: percentile([1.0], 101), id="a percentile above 100"),
        pytest.param(lambda: per_item(2.0, 1.0, 0), id="the cost of no item"),
    ],
)
def test_what_has_no_answer_is_refused(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"."):
        call()


def test_one_slow_round_does_not_move_a_ratio() -> None:
    assert ratio([2.0, 2.0, 200.0], [1.0, 1.0, 1.0]) == 2.0


def test_the_spread_is_that_of_the_ratios_round_by_round() -> None:
    noisy, steady = [1.0, 4.0, 6.0, 40.0], [1.0, 2.0, 2.0, 10.0]

    assert spread(noisy, steady) == (1.0, 3.0)


def test_the_spread_needs_pairs() -> None:
    with pytest.raises(ValueError, match="shorter"):
        spread([1.0, 2.0], [1.0])


@pytest.mark.parametrize(
    ("percent", "expected"),
    [
        pytest.param(50, 50.0, id="half of them"),
        pytest.param(95, 95.0, id="95 of a hundred"),
        pytest.param(99, 99.0, id="99 of a hundred"),
        pytest.param(100, 100.0, id="all of them"),
        pytest.param(0.5, 1.0, id="less than one of them"),
    ],
)
def test_a_percentile_is_a_value_that_was_measured(percent: float, expected: float) -> None:
    values = [float(n) for n in range(100, 0, -1)]

    assert percentile(values, percent) == expected


def test_the_cost_of_an_item_is_what_all_of_them_added() -> None:
    assert per_item(25.0, 5.0, 10) == 2.0


@pytest.mark.parametrize(("rules", "waves"), [(1, 1), (15, 1), (16, 1), (17, 2), (20, 2), (40, 3)])
def test_rules_run_in_waves(rules: int, waves: int) -> None:
    assert ideal_waves(rules, 16) == waves


@pytest.mark.parametrize(
    ("measured", "is_met"),
    [
        pytest.param(1.19, True, id="below the limit"),
        pytest.param(1.2, True, id="at the limit"),
        pytest.param(1.21, False, id="above the limit"),
        pytest.param(math.nan, False, id="no number at all"),
    ],
)
def test_a_target_is_met(measured: float, is_met: bool) -> None:
    assert Target("a promise", measured, 1.2).is_met is is_met


def test_the_medians_of_samples() -> None:
    samples = Samples((Sample(3.0, 1.0), Sample(1.0, 2.0), Sample(2.0, 9.0)))

    assert (samples.wall, samples.cpu) == (2.0, 2.0)
