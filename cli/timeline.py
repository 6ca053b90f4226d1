"""Draw a login as a timeline: one row for each entry, all bars on one scale of time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from cli.traces import LoginTrace, Record

# Columns of a bar. A terminal narrower than _NARROW has no room for every column of the table.
_BAR, _SHORT_BAR = 36, 14
_NARROW = 120
# A wait between two calls takes at most this share of the scale: it is named, not drawn to length.
_GAP = 0.12
_STYLES = {"ok": "green", "deny": "red", "fault": "yellow", "fault_deny": "red", "skipped": "dim"}
_OUTCOMES = {"fault_deny": "fault, refuses", "running": "not waited for"}
_PHASES = {"read": "read the tables", "finish": "answer and commit"}


def draw(login: LoginTrace) -> RenderableType:
    """Return the login for a rich console, as wide as it is."""
    return _Timeline(login)


class _Timeline:
    """A login, drawn when the width of the terminal is known.

    A narrow one leaves out where an entry ran and when it began, never what came out of it.
    """

    def __init__(self, login: LoginTrace) -> None:
        self._login = login

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        narrow = options.max_width < _NARROW
        calls = self._login.calls
        offsets, total = _scale(calls)
        table = _narrow_table() if narrow else _wide_table()
        for call, offset in zip(calls, offsets, strict=True):
            span = _Span(offset, total, _SHORT_BAR if narrow else _BAR)
            for row in (_header(call, span), *_rows(call, span)):
                table.add_row(*(row.narrow() if narrow else row.wide()))
        # What two calls say alike is said once.
        notes = dict.fromkeys(note for call in calls for note in _notes(call))
        said = (Text(note, style="dim") for note in [*notes, *_footer(self._login)])
        yield Group(_title(self._login), table, *said)


@dataclass(frozen=True)
class _Span:
    """Where a call's bars begin on the scale, its length in milliseconds, and in columns."""

    offset: float
    total: float
    columns: int

    def bar(self, start: float, ms: float, mark: str, style: str) -> Text:
        """Return a bar from ``start``; what is too short for a column still takes one."""
        first = min(self.columns - 1, int((self.offset + start) / self.total * self.columns))
        length = max(1, min(self.columns - first, round(ms / self.total * self.columns)))
        return Text(" " * first + mark * length, style=style)


@dataclass(frozen=True)
class _Row:
    """One row: a call, an entry or a phase."""

    name: Text
    where: str
    start: str
    ms: float
    bar: Text
    outcome: Text
    details: str

    def wide(self) -> tuple[RenderableType, ...]:
        """Return the cells of the table that has all columns."""
        dim = (Text(text, style="dim") for text in (self.where, self.start))
        return self.name, *dim, _ms(self.ms), self.bar, self.outcome, Text(self.details)

    def narrow(self) -> tuple[RenderableType, ...]:
        """Return the cells of the table that fits 80 columns."""
        said = (part for part in (self.outcome, Text(self.details)) if part)
        return self.name, _ms(self.ms), self.bar, Text(" ").join(said)


def _wide_table() -> Table:
    table = _empty_table()
    table.add_column("entry", no_wrap=True)
    table.add_column("where", no_wrap=True)
    table.add_column("start", justify="right", no_wrap=True)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=_BAR)
    table.add_column("outcome", no_wrap=True)
    table.add_column("effects, codes")
    return table


def _narrow_table() -> Table:
    table = _empty_table()
    table.add_column("entry", overflow="fold", width=33)
    table.add_column("ms", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, width=_SHORT_BAR)
    table.add_column("outcome, effects, codes", overflow="fold")
    return table


def _empty_table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim", collapse_padding=True)


def _scale(calls: tuple[Record, ...]) -> tuple[list[float], float]:
    """Return where each call begins on the scale, and its length, in milliseconds."""
    busy = sum(call["duration_ms"] for call in calls) or 1.0
    offsets, end, previous = [], 0.0, None
    for call in calls:
        if previous is not None:
            end += min(_gap(previous, call), busy * _GAP)
        offsets.append(end)
        end += call["duration_ms"]
        previous = call
    return offsets, max(end, 0.1)


def _gap(earlier: Record, later: Record) -> float:
    between = later["started_at"] - earlier["started_at"] - earlier["duration_ms"]
    return max(0.0, float(between))


def _title(login: LoginTrace) -> Text:
    call = login.last
    verdict = _verdict(call)
    style = "green" if call.get("outcome") == "allow" else "red"
    title = Text.assemble((verdict, f"bold {style}"), f"  {_clock(login.started)}")
    title.append(f"  application {call['client_id']}", style="dim")
    if call.get("user_id"):
        title.append(f"  user {call['user_id']}", style="dim")
    return title


def _verdict(call: Record) -> str:
    if call.get("outcome") == "allow":
        return (
            "let in" if not str(call["trigger"]).startswith("Post") else "let pass, no tokens yet"
        )
    if call.get("outcome") == "deny":
        by = f" by {call['entry']}" if call.get("entry") else ""
        return f"refused{by}: {call.get('code')}"
    return str(call.get("outcome") or "failed: the function's log says where")


def _header(call: Record, span: _Span) -> _Row:
    facts = [f"decision {call['decision']}"] if call.get("decision") else []
    facts += ["cold"] if call.get("cold") else []
    facts += [f"tables: {call['store']}"] if call.get("store") else []
    facts += [f"not recorded: {call['recording']}"] if call.get("recording") else []
    facts += [f"request context: {call['request_context']}"] if "request_context" in call else []
    moment = datetime.fromtimestamp(call["started_at"] / 1000, UTC)
    outcome = str(call.get("outcome") or "failed")
    return _Row(
        Text(str(call["trigger"]), style="bold"),
        where=moment.strftime("%H:%M:%S"),
        start="",
        ms=call["duration_ms"],
        bar=span.bar(0, call["duration_ms"], "━", "bold"),
        outcome=Text(outcome, style="green" if outcome == "allow" else "red"),
        details=", ".join(facts),
    )


def _rows(call: Record, span: _Span) -> Iterator[_Row]:
    phases = {phase["phase"]: phase for phase in call.get("phases", ())}
    if "read" in phases:
        yield _phase(phases["read"], span)
    for entry in sorted(call.get("entries", ()), key=lambda entry: float(entry["start_ms"])):
        yield _entry(entry, span)
    if "finish" in phases:
        yield _phase(phases["finish"], span)


def _entry(entry: Mapping[str, Any], span: _Span) -> _Row:
    outcome = entry["outcome"]
    style = "cyan" if entry.get("shadow") else _STYLES.get(outcome, "dim")
    said = _OUTCOMES.get(outcome, outcome)
    details = [*entry.get("effects", ()), *entry.get("warnings", ())]
    if entry.get("code"):
        details.insert(0, entry["code"])
    return _Row(
        Text(f"  {entry['entry']}"),
        where=entry["placement"],
        start=_ms(entry["start_ms"]),
        ms=entry["ms"],
        bar=span.bar(entry["start_ms"], entry["ms"], "█", style),
        outcome=Text(f"shadow: {said}" if entry.get("shadow") else said, style=style),
        details=", ".join(details),
    )


def _phase(phase: Mapping[str, Any], span: _Span) -> _Row:
    return _Row(
        Text(f"  {_PHASES[phase['phase']]}", style="dim"),
        where="",
        start=_ms(phase["start_ms"]),
        ms=phase["ms"],
        bar=span.bar(phase["start_ms"], phase["ms"], "─", "dim"),
        outcome=Text(""),
        details="",
    )


def _notes(call: Record) -> Iterator[str]:
    for kind, reasons in (
        ("deferred to the tokens", call.get("deferred")),
        ("not run", call.get("skipped")),
        ("not told", call.get("not_told")),
    ):
        if reasons:
            said = ", ".join(f"{entry} ({reason})" for entry, reason in reasons.items())
            yield f"{kind}: {said}"
    if call.get("reused"):
        yield f"decided before: {', '.join(call['reused'])}"
    if call.get("told"):
        yield f"told: {', '.join(call['told'])}"


def _footer(login: LoginTrace) -> Iterator[str]:
    call = login.last
    if login.by_time:
        yield "the calls share no decision: joined by person, application and time"
    yield f"transaction {call['transaction_id']}  chain {call['chain']}"


def _ms(value: float) -> str:
    return f"{value:.1f}" if value < 100 else f"{value:.0f}"


def _clock(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"
