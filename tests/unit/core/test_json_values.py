"""What a JSON value may be, so that tokens and tables can carry it."""

from __future__ import annotations

from typing import Any

import pytest

from cognito_rules.json_values import MAX_LEVELS, can_be_stored, is_text, problem_of


def nested(levels: int, kind: type) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value] if kind is list else {"x": value}
    return value


@pytest.mark.parametrize("kind", [list, dict])
@pytest.mark.parametrize(
    ("levels", "fits"), [(0, True), (MAX_LEVELS, True), (MAX_LEVELS + 1, False), (50_000, False)]
)
def test_a_value_has_a_bottom(kind: type, levels: int, fits: bool) -> None:
    assert (problem_of(nested(levels, kind)) is None) is fits


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="not a number"),
        pytest.param([float("-inf")], id="infinity"),
        pytest.param({1, 2}, id="a set"),
        pytest.param(b"x", id="bytes"),
        pytest.param({"a": object()}, id="an object"),
        pytest.param("\ud800", id="half a character"),
        pytest.param({"\udfff": 1}, id="half a character as a key"),
    ],
)
def test_what_no_token_can_carry(value: Any) -> None:
    assert problem_of(value) == "must be a JSON value"


@pytest.mark.parametrize(
    "value", [None, True, 0, 1.5, "", "ö\U0001f600\x00", [], {}, {"a": [None]}]
)
def test_what_every_token_can_carry(value: Any) -> None:
    assert problem_of(value) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", True),
        ("ö\U0001f600", True),
        ("", False),
        ("a\ud800", False),
        (None, False),
        (7, False),
        (["a"], False),
    ],
)
def test_a_text_is_whole_and_not_empty(value: Any, text: bool) -> None:
    assert is_text(value) is text


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        (10**38 - 1, True),
        (10**38, False),
        (-(10**38), False),
        (9.9e125, True),
        (1e126, False),
        (1e-130, True),
        (9e-131, False),
        (0.0, True),
        (True, True),
        ([1, {"a": 10**38}], False),
        ({"a": [1e-131]}, False),
        (["text", None, {}], True),
    ],
)
def test_a_table_keeps(value: Any, stored: bool) -> None:
    assert can_be_stored(value) is stored
