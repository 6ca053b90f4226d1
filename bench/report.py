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


def read() -> Row:
    """Return the figures of earlier runs; empty when there are none that say from which run."""
    try:
        document: Row = json.loads((DOCS / "performance.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    return document if "runs" in document else {}


def keep(document: Row, part: str, targets: Iterable[Target]) -> None:
    """Put the targets of a part into the document, in the place of its earlier ones."""
    others = [row for row in document.get("targets", []) if row["part"] != part]
    document["targets"] = [*others, *(target_row(part, target) for target in targets)]


def write(document: Row, parts: Iterable[str]) -> list[str]:
    """Write the data, and the page and its plots when every part was measured; return what was.

    ``document`` is what ``__main__`` collected.
    """
    text = json.dumps(_rounded(document), indent=2, ensure_ascii=False)
    (DOCS / "performance.json").write_text(text + "\n", encoding="utf-8")
    if any(part not in document for part in parts):
        return [DATA]
    plots.draw(document, DOCS)
    page = Template(_TEMPLATE.read_text(encoding="utf-8")).substitute(fields(document))
    (DOCS / "performance.md").write_text(page, encoding="utf-8")
    return [PAGE, DATA]


def target_row(part: str, target: Target) -> Row:
    """Return a target with its verdict, for the data file."""
    return {"part": part, **asdict(target), "met": target.is_met}


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
    remote, inline = document["remote"], document["inline"]
    return {
        "machine": _runs(document["runs"]),
        "targets": _targets(document["targets"]),
        "waiting": _waiting(remote["waiting"]),
        "order": _order(remote["order"]),
        "cpu": _cpu(remote["cpu"]),
        "inline": _inline(inline["loopback"], inline["table_wait"]),
        "inline_calls": _calls(inline["loopback"]["table_calls"]),
        "access": _access(document["access"]),
        "imports": _imports(document["imports"]["rows"]),
        "sign_ins": _sign_ins(document["sign_ins"]),
        "tried_again": str(document["sign_ins"]["tried_again"]),
        "costs": _costs(document["costs"]["parts"]),
        "up_and_down": _up_and_down(document["deliveries"]["sign_ins"]),
        "systems": str(document["deliveries"]["sign_ins"]["systems"]),
        "burst": _burst(document["deliveries"]["burst"]),
        "burst_logins": str(document["deliveries"]["burst"]["logins"]),
    }


def _runs(runs: Row) -> str:
    """Return where and when the figures were taken, a line for each run."""
    parts: dict[str, list[str]] = {}
    for part, machine in runs.items():
        seconds = f", {machine['seconds']} s for all of it" if "seconds" in machine else ""
        line = (
            f"{machine['date']}, {machine['processor']}, {machine['cores']} cores, "
            f"{machine['system']}, Python {machine['python']}, boto3 {machine['boto3']}, "
            f"load {machine['load_before']} before the start{seconds}"
        )
        parts.setdefault(line, []).append(part)
    if len(parts) == 1:
        return next(iter(parts))
    return "\n".join(f"- {', '.join(names)}: {line}" for line, names in parts.items())


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


def _access(figures: Row) -> str:
    low, high = figures["quartiles"]
    return table(
        ["chain", "a sign-in takes", "ratio", "quartiles of the ratio"],
        [
            (f"{figures['few']} pure rules inline", f"{figures['few_ms']:.1f} ms", "1", ""),
            (
                f"{figures['pure']} pure rules inline",
                f"{figures['all_ms']:.1f} ms",
                f"{figures['ratio']:.2f}",
                f"{low:.2f} - {high:.2f}",
            ),
            (
                f"{figures['rules']} rules in functions of {figures['wait_ms']} ms",
                f"{figures['remote_ms']:.0f} ms",
                f"{figures['share_of_budget']:.2f} of one trigger's time for rules",
                "",
            ),
        ],
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


def _up_and_down(figures: Row) -> str:
    up, down = figures["up"], figures["down"]
    low, high = figures["quartiles"]
    return table(
        ["other systems", "p50 of a sign-in", "p95", "ratio of medians", "quartiles of the ratio"],
        [
            ("all up", f"{up['p50_ms']:.0f} ms", f"{up['p95_ms']:.0f} ms", "1", ""),
            (
                "all down",
                f"{down['p50_ms']:.0f} ms",
                f"{down['p95_ms']:.0f} ms",
                f"{figures['ratio']:.2f}",
                f"{low:.2f} - {high:.2f}",
            ),
        ],
    )


def _burst(figures: Row) -> str:
    return table(
        ["of one rule", "measured"],
        [
            ("logins committed a second", f"{figures['committed_per_second']:.0f}"),
            ("events at the collector a second", f"{figures['events_per_second']:.0f}"),
            ("from the first commit to the last event", f"{figures['seconds']:.1f} s"),
            ("requests to the collector, each login", f"{figures['requests_per_login']:.2f}"),
            ("bytes of such a request", f"{figures['bytes_per_login']:.0f}"),
            ("bytes of the announcement, in table and bus", f"{figures['announcement_bytes']}"),
            ("bytes of the view, on the queue", f"{figures['view_bytes']}"),
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
