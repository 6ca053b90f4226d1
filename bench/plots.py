"""The plots of docs/performance.md, as SVG files that stay equal for equal figures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

BLUE, ORANGE, GRAY = "#2f6fb0", "#d9822b", "#8a8f98"
_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10,
    "svg.fonttype": "none",
    "svg.hashsalt": "cognito-rules",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "figure.facecolor": "white",
}


def draw(document: dict[str, Any], folder: Path) -> list[str]:
    """Write the plots into ``folder`` and return their file names."""
    drawn = {
        "performance-order.svg": _order,
        "performance-inline.svg": _inline,
        "performance-imports.svg": _imports,
        "performance-sign-ins.svg": _sign_ins,
    }
    for name, plot in drawn.items():
        with _axes(folder / name) as axes:
            plot(document, axes)
    return list(drawn)


@contextmanager
def _axes(path: Path) -> Iterator[Axes]:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(6.4, 3.2), layout="constrained")
        yield figure.add_subplot()
        figure.savefig(path, metadata={"Date": None})


def _order(document: dict[str, Any], axes: Axes) -> None:
    rows = document["remote"]["order"]
    counts = [row["rules"] for row in rows]
    axes.plot(counts, [1.0] * len(rows), "-", color=GRAY, label="strict order")
    ratios = [row["ratio"] for row in rows]
    axes.plot(counts, ratios, "o-", color=BLUE, label="side by side")
    axes.plot(counts, [row["ideal"] for row in rows], "--", color=ORANGE, label="ideal, 16 at once")
    axes.set(xlabel="remote rules", ylabel="time of a sign-in, to strict order", ylim=(0, 1.1))
    axes.set_xticks(counts)
    axes.legend(frameon=False)


def _inline(document: dict[str, Any], axes: Axes) -> None:
    figures = document["inline"]["loopback"]
    kinds = ("wall", "cpu")
    chain = [figures[f"{kind}_ratio"] for kind in kinds]
    bars = axes.barh(["wall time", "CPU time"], chain, color=BLUE, height=0.5)
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.axvline(1.0, color=GRAY, label="hand-written trigger")
    axes.axvline(1.2, color=ORANGE, linestyle="--", label="target")
    axes.set(xlabel="thirty rules inline, to a hand-written trigger", xlim=(0, max(1.4, *chain)))
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.18), ncols=2)


def _imports(document: dict[str, Any], axes: Axes) -> None:
    rows = document["imports"]["rows"]
    names = [row["name"] for row in rows]
    bars = axes.barh(names, [row["ratio"] for row in rows], color=[GRAY] + [BLUE] * (len(rows) - 1))
    axes.bar_label(bars, fmt="%.2f", padding=3)
    axes.axvline(0.35, color=ORANGE, linestyle="--", label="target")
    axes.set(xlabel="time of the import, to the usual libraries", xlim=(0, 1.15))
    axes.invert_yaxis()
    axes.legend(frameon=False, loc="lower right")


def _sign_ins(document: dict[str, Any], axes: Axes) -> None:
    figures = document["sign_ins"]
    middle = figures["without_rules"]["p50_ms"]
    for name, color, label in (
        ("without_rules", GRAY, "a pool without triggers"),
        ("with_rules", BLUE, "six rules, three of them remote"),
    ):
        walls = [wall / middle for wall in figures["sorted_ms"][name]]
        shares = [100 * (n + 1) / len(walls) for n in range(len(walls))]
        axes.step(walls, shares, where="post", color=color, label=label)
    axes.set(xlabel="time of a sign-in, to the median without triggers", ylabel="% of sign-ins")
    axes.set_xlim(left=0)
    axes.legend(frameon=False, loc="lower right")
