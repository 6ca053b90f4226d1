"""Write docs/performance.json and docs/performance.md from one run's figures."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from string import Template
from typing import Any

from bench import plots
from bench.sampling import Target

DOCS = Path(__file__).resolve().parent.parent / "docs"
DATA, PAGE = "docs/performance.json", "docs/performance.md"
_TEMPLATE = Path(__file__).with_name("performance.md.template")

Row = dict[str, Any]


def write(document: Row) -> None:
    """Write the page, the plots and the data; ``document`` is what ``__main__`` collected."""
    plots.draw(document, DOCS)
    page = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(fields(document))
    (DOCS / "performance.md").write_text(page, encoding="utf-8")
    text = json.dumps(_rounded(document), indent=2, ensure_ascii=False)
    (DOCS / "performance.json").write_text(text + "\n", encoding="utf-8")


def target_row(target: Target) -> Row:
    """Return a target with its verdict, for the data file."""
    return asdict(target) | {"met": target.is_met}


def verdict(target: Target) -> str:
    """Return whether a target is met, as a word."""
    return "met" if target.is_met else "MISSED"


def sentence(target: Target) -> str:
    """Return a target as a line of text."""
    unit = f" {target.unit}" if target.unit else ""
    return f"{target.name}: {target.measured:.2f}{unit}, at most {target.limit:g}{unit}"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a Markdown table; all columns but the first are numbers, and stand to the right."""
    names = list(head)
    rules = ["---", *["---:"] * (len(names) - 1)]
    lines = [names, rules, *[[str(cell) for cell in row] for row in rows]]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def fields(document: Row) -> dict[str, str]:
    """Return what the page's template asks for."""
    machine, remote, inline = document["machine"], document["remote"], document["inline"]
    return {
        "machine": (
            f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, "
            f"{machine['system']}, Python {machine['python']}, boto3 {machine['boto3']}, "
            f"load {machine['load_before']} before the start, {document['seconds']} s for all of it"
        ),
        "targets": _targets(document["targets"]),
        "waiting": _waiting(remote["waiting"]),
        "order": _order(remote["order"]),
        "cpu": _cpu(remote["cpu"]),
        "inline": _inline(inline["loopback"], inline["table_wait"]),
        "inline_calls": _calls(inline["loopback"]["table_calls"]),
        "imports": _imports(document["imports"]["rows"]),
        "sign_ins": _sign_ins(document["sign_ins"]),
        "tried_again": str(document["sign_ins"]["tried_again"]),
        "costs": _costs(document["costs"]["parts"]),
    }


def _targets(rows: list[Row]) -> str:
    return table(
        ["target", "at most", "measured", "verdict"],
        [
            (
                row["name"],
                f"{row['limit']:g} {row['unit']}".strip(),
                f"**{row['measured']:.2f}** {row['unit']}".strip(),
                "met" if row["met"] else "**missed**",
            )
            for row in rows
        ],
    )


def _waiting(figures: Row) -> str:
    low, high = figures["quartiles"]
    return table(
        ["rules of 200 ms", "a sign-in takes", "ratio", "quartiles of the ratio"],
        [
            ("one", f"{figures['one_ms']:.0f} ms", "1", ""),
            (
                "ten",
                f"{figures['ten_ms']:.0f} ms",
                f"{figures['ratio']:.2f}",
                f"{low:.2f} - {high:.2f}",
            ),
        ],
    )


def _order(rows: list[Row]) -> str:
    return table(
        ["remote rules", "side by side", "in strict order", "ratio", "ideal ratio"],
        [
            (
                row["rules"],
                f"{row['side_by_side_ms']:.0f} ms",
                f"{row['in_order_ms']:.0f} ms",
                f"{row['ratio']:.2f}",
                f"{row['ideal']:.3f}".rstrip("0").rstrip("."),
            )
            for row in rows
        ],
    )


def _cpu(figures: Row) -> str:
    each = figures["cpu_ms_per_invoke"]
    return table(
        ["remote rules", "CPU time per invoke"],
        [(rules, f"{cpu_ms:.2f} ms") for rules, cpu_ms in each.items()],
    )


def _inline(loopback: Row, waiting: Row) -> str:
    where = {
        "tables on loopback": loopback,
        f"each table call {waiting['table_wait_ms']} ms slower": waiting,
    }
    rows = []
    for name, figures in where.items():
        for kind, word in (("wall", "wall"), ("cpu", "CPU")):
            low, high = figures[f"{kind}_quartiles"]
            rows.append(
                (
                    f"{name}, {word} time",
                    f"{figures[f'chain_{kind}_ms']:.1f} ms",
                    f"{figures[f'hand_written_{kind}_ms']:.1f} ms",
                    f"{figures[f'{kind}_ratio']:.2f}",
                    f"{low:.2f} - {high:.2f}",
                )
            )
    head = ["a whole sign-in", "thirty rules", "hand-written", "ratio", "quartiles of the ratio"]
    return table(head, rows)


def _calls(calls: dict[str, dict[str, int]]) -> str:
    def listed(of: dict[str, int]) -> str:
        return ", ".join(f"{number} {name}" for name, number in sorted(of.items()))

    return (
        f"- thirty rules: {listed(calls['chain'])}\n- hand-written: {listed(calls['hand_written'])}"
    )


def _imports(rows: list[Row]) -> str:
    return table(
        ["import", "time", "ratio", "modules", "MB of code", "first answer, with its log line"],
        [
            (
                row["name"],
                f"{row['ms']:.0f} ms",
                f"{row['ratio']:.2f}",
                row["modules"],
                f"{row['bytes'] / 1e6:.1f}",
                "" if number == 0 else f"{row['first_call_ms']:.0f} ms more",
            )
            for number, row in enumerate(rows)
        ],
    )


def _sign_ins(figures: Row) -> str:
    bare, ruled = figures["without_rules"], figures["with_rules"]
    return table(
        ["percentile", "with rules", "a pool without triggers", "ratio"],
        [
            (
                f"p{n}",
                f"{ruled[f'p{n}_ms']:.0f} ms",
                f"{bare[f'p{n}_ms']:.0f} ms",
                f"{ruled[f'p{n}_ms'] / bare[f'p{n}_ms']:.2f}",
            )
            for n in (50, 95, 99)
        ],
    )


def _costs(parts: list[Row]) -> str:
    whole = parts[0]["cpu_us"]
    return table(
        ["part", "CPU time", "to one invoke"],
        [(row["part"], f"{row['cpu_us']:.0f} µs", f"{row['cpu_us'] / whole:.2f}") for row in parts],
    )


def _rounded(value: Any) -> Any:
    """Return the figures with four digits after the point; more would only be noise."""
    if isinstance(value, float):
        return round(value, 4)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(item) for item in value]
    return value
