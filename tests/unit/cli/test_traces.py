"""Which trigger calls are one login, and how a login is drawn."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from cli.timeline import draw
from cli.traces import LoginTrace, join

POST = "PostAuthentication_Authentication"
TOKEN = "TokenGeneration_Authentication"
REFRESH = "TokenGeneration_RefreshTokens"


def call(number: int, trigger: str, at: float, **changes: Any) -> dict[str, Any]:
    """Return the record of a call ``at`` seconds, a transaction of its own unless told."""
    return {
        "schema": 1,
        "trigger": trigger,
        "client_id": "app",
        "user_id": "person",
        "transaction_id": f"t{number}",
        "event_id": f"e{number}",
        "chain": "c",
        "started_at": 1_795_300_000_000 + round(at * 1000),
        "duration_ms": 20.0,
        "outcome": "allow",
        "phases": [],
        "entries": [],
    } | changes


def drawn(*calls: dict[str, Any], width: int = 160) -> str:
    [login] = join(calls)
    console = Console(file=io.StringIO(), width=width, no_color=True)
    console.print(draw(login))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("calls", "logins"),
    [
        pytest.param(
            [call(1, POST, 0), call(2, TOKEN, 1, transaction_id="t1")],
            [["e1", "e2"]],
            id="one decision",
        ),
        pytest.param([call(1, POST, 0), call(2, TOKEN, 1)], [["e1", "e2"]], id="one after another"),
        pytest.param(
            [call(1, POST, 0), call(2, TOKEN, 61.1)], [["e1"], ["e2"]], id="too long between"
        ),
        pytest.param(
            [call(1, POST, 0), call(2, TOKEN, 1, client_id="other")],
            [["e1"], ["e2"]],
            id="another application",
        ),
        pytest.param(
            [call(1, POST, 0), call(2, TOKEN, 1, user_id="other")],
            [["e1"], ["e2"]],
            id="another person",
        ),
        pytest.param([call(1, POST, 0), call(2, REFRESH, 1)], [["e1"], ["e2"]], id="a refresh"),
        pytest.param(
            [call(1, POST, 0, outcome="deny"), call(2, TOKEN, 1)],
            [["e1"], ["e2"]],
            id="a refused call leads to no token",
        ),
        pytest.param(
            [
                call(1, POST, 0),
                call(2, TOKEN, 1, transaction_id="t1"),
                call(3, POST, 5, transaction_id="t1"),
                call(4, TOKEN, 6, transaction_id="t1"),
            ],
            [["e1", "e2"], ["e3", "e4"]],
            id="two sign-ins by one decision",
        ),
        pytest.param(
            [
                call(1, POST, 0),
                call(2, POST, 1, transaction_id="t1"),
                call(3, TOKEN, 2, transaction_id="t1"),
            ],
            [["e1", "e2", "e3"]],
            id="a trigger that was called again",
        ),
        pytest.param([call(1, TOKEN, 0), call(1, TOKEN, 0)], [["e1"]], id="a call found twice"),
    ],
)
def test_what_is_one_login(calls: list[dict[str, Any]], logins: list[list[str]]) -> None:
    found = [[c["event_id"] for c in login.calls] for login in join(reversed(calls))]

    assert found == logins


def test_a_login_is_over_with_its_tokens_or_a_refusal() -> None:
    assert not LoginTrace((call(1, POST, 0),)).is_over
    assert LoginTrace((call(1, POST, 0, outcome="deny"),)).is_over
    assert LoginTrace((call(1, POST, 0), call(2, TOKEN, 1))).is_over


def test_bars_stand_on_one_scale_and_a_long_wait_is_short() -> None:
    entry = {"rule": "r", "placement": "function", "outcome": "ok"}
    first = call(1, POST, 0, entries=[entry | {"entry": "first", "start_ms": 0.0, "ms": 10.0}])
    second = call(
        2,
        TOKEN,
        40,
        entries=[
            entry | {"entry": "early", "start_ms": 0.0, "ms": 10.0},
            entry | {"entry": "late", "start_ms": 10.0, "ms": 10.0},
        ],
    )

    lines = drawn(first, second).splitlines()

    spans = {}
    for name in ("first", "early", "late"):
        line = next(line for line in lines if line.strip().startswith(name))
        spans[name] = (line.index("█"), line.rindex("█"))
    assert spans["first"][0] < spans["early"][0] < spans["late"][0]
    lengths = [end - begin + 1 for begin, end in spans.values()]
    assert max(lengths) - min(lengths) <= 1
    assert min(lengths) >= 6


@pytest.mark.parametrize(
    ("record", "said"),
    [
        pytest.param(
            call(1, POST, 0, outcome="deny", code="user_flagged", entry="guard"),
            "refused by guard: user_flagged",
            id="by an entry",
        ),
        pytest.param(
            call(1, TOKEN, 0, outcome="deny", code="commit_failed", store="no answer in time"),
            "refused: commit_failed",
            id="by the chain",
        ),
        pytest.param(call(1, POST, 0), "let pass, no tokens yet", id="before the tokens"),
        pytest.param(call(1, TOKEN, 0), "let in", id="with tokens"),
        pytest.param(
            {k: v for k, v in call(1, TOKEN, 0).items() if k != "outcome"},
            "failed: the function's log says where",
            id="a fault of the function",
        ),
    ],
)
def test_the_first_line_says_how_it_ended(record: dict[str, Any], said: str) -> None:
    assert drawn(record).splitlines()[0].startswith(said)


def test_everything_that_did_not_run_is_named_with_the_reason() -> None:
    entries = [
        {"entry": "a", "rule": "a", "placement": "inline", "start_ms": 1, "ms": 0.1}
        | {"outcome": "deny", "code": "no", "shadow": True},
        {"entry": "b", "rule": "b", "placement": "function", "start_ms": 1, "ms": 50}
        | {"outcome": "fault_deny", "code": "timeout", "warnings": ["slow"]},
    ]
    reasons = {"deferred": {"c": "user.groups"}, "skipped": {"d": "off"}}

    text = drawn(call(1, POST, 0, entries=entries, not_told={"e": "no_consent"}, **reasons))

    for said in (
        "shadow: deny",
        "fault, refuses",
        "timeout, slow",
        "deferred to the tokens: c (user.groups)",
        "not run: d (off)",
        "not told: e (no_consent)",
    ):
        assert said in text


def test_eighty_columns_hide_no_outcome_and_no_code() -> None:
    guard = "a_guard_with_a_long_name"
    entries = [
        {"entry": guard, "rule": "a", "placement": "function", "start_ms": 1.2, "ms": 123.4}
        | {"outcome": "deny", "code": "group_required", "effects": ["deny"], "shadow": True},
    ]

    text = drawn(call(1, "TokenGeneration_NewPasswordChallenge", 0, entries=entries), width=80)

    assert "…" not in text
    assert max(len(line) for line in text.splitlines()) <= 80
    row = text[text.index(guard) :]
    assert row.split()[:2] == [guard, "123"]
    for said in ("shadow:", "deny", "group_required"):
        assert said in row
