"""The arithmetic: samples taken in turns, medians, percentiles, ratios, targets."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Work = Callable[[], None]


@dataclass(frozen=True)
class Sample:
    """What one repetition took, in seconds: by the clock, and of this process's CPU time."""

    wall: float
    cpu: float


@dataclass(frozen=True)
class Samples:
    """The repetitions of one variant, in the order in which they were taken."""

    taken: tuple[Sample, ...]

    @property
    def walls(self) -> list[float]:
        """Wall times in seconds."""
        return [sample.wall for sample in self.taken]

    @property
    def cpus(self) -> list[float]:
        """CPU times in seconds, of all threads together."""
        return [sample.cpu for sample in self.taken]

    @property
    def wall(self) -> float:
        """Median wall time in seconds."""
        return statistics.median(self.walls)

    @property
    def cpu(self) -> float:
        """Median CPU time in seconds."""
        return statistics.median(self.cpus)


def measure(work: Work) -> Sample:
    """Run ``work`` once and return what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return Sample(time.perf_counter() - wall, time.process_time() - cpu)


def in_turns(
    variants: Mapping[str, Work],
    *,
    rounds: int,
    warm_up: int = 1,
    measured_by: Callable[[Work], Sample] = measure,
) -> dict[str, Samples]:
    """Measure every variant once a round, so that noise hits all of them alike.

    Each round begins with another variant, or the first would always run with the caches that
    the last one left. ``warm_up`` rounds run unmeasured before.
    """
    if rounds < 1 or not variants:
        raise ValueError("at least one variant and one round are needed")
    names = list(variants)
    taken: dict[str, list[Sample]] = {name: [] for name in names}
    for _ in range(warm_up):
        for work in variants.values():
            work()
    for number in range(rounds):
        begin = number % len(names)
        for name in names[begin:] + names[:begin]:
            taken[name].append(measured_by(variants[name]))
    return {name: Samples(tuple(samples)) for name, samples in taken.items()}


def ratio(numerator: Sequence[float], denominator: Sequence[float]) -> float:
    """Return the ratio of the two medians."""
    return statistics.median(numerator) / statistics.median(denominator)


def spread(numerator: Sequence[float], denominator: Sequence[float]) -> tuple[float, float]:
    """Return the lower and upper quartile of the ratios round by round: how sure a ratio is."""
    ratios = [a / b for a, b in zip(numerator, denominator, strict=True)]
    return percentile(ratios, 25), percentile(ratios, 75)


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the smallest value that ``percent`` of the values do not exceed (nearest rank)."""
    if not values or not 0 < percent <= 100:
        raise ValueError("a percentile needs values, and a percentage above 0 and up to 100")
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def per_item(with_items: float, without: float, items: int) -> float:
    """Return the cost of one item: what ``items`` of them added, divided by their number."""
    if items < 1:
        raise ValueError("there must be at least one item")
    return (with_items - without) / items


def ideal_waves(rules: int, at_once: int) -> int:
    """Return how many waves ``rules`` equal rules need when ``at_once`` run side by side."""
    return math.ceil(rules / at_once)


@dataclass(frozen=True)
class Target:
    """A promise of the project: ``measured`` must not exceed ``limit``.

    name : what is promised, in words. unit : of both numbers, empty for a ratio.
    """

    name: str
    measured: float
    limit: float
    unit: str = ""

    @property
    def is_met(self) -> bool:
        """Whether the promise holds; a measurement that is no number keeps no promise."""
        return self.measured <= self.limit
