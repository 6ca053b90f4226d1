"""Every value that an effect may hold comes back from a table as it was."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from boto3.dynamodb.types import TypeDeserializer
from hypothesis import example, given
from hypothesis import strategies as st

from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.errors import StoreError
from cognito_rules.json_values import can_be_stored, problem_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**40), 10**40) | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def as_told(value: Any) -> Any:
    """Return a value with whole numbers as such, however JSON writes them."""
    if isinstance(value, float):
        exact = Decimal(repr(value))
        whole = exact == exact.to_integral_value() and exact.adjusted() < 38
        return int(exact) if whole else value
    if isinstance(value, dict):
        return {key: as_told(item) for key, item in value.items()}
    if isinstance(value, list):
        return [as_told(item) for item in value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(float("nan"), id="not a number"),
        pytest.param(float("inf"), id="infinity"),
        pytest.param(10**38, id="39 digits"),
        pytest.param(-(10**40), id="41 digits"),
        pytest.param(1e-200, id="a tiny number"),
        pytest.param(1e126, id="a huge number"),
        pytest.param({"a": [1e300]}, id="one deep inside"),
        pytest.param({1, 2}, id="a set"),
        pytest.param(b"x", id="bytes"),
    ],
)
def test_what_a_table_does_not_keep_is_refused(value: Any) -> None:
    with pytest.raises(StoreError, match="cannot be stored"):
        to_item({"value": value})


@given(value=JSON)
@example(value="")
@example(value={"": ""})
@example(value=[[], {}, None, False, 0, -0.0, 0.1 + 0.2])
@example(value=10**38 - 1)
@example(value=1.5e125)
@example(value=1e23)
@example(value=1e-130)
@example(value=5e-7)
@example(value="Žofie \U0001f600 \x00")
def test_every_value_comes_back_or_is_refused(value: Any) -> None:
    if problem_of(value) is not None:
        return
    if not can_be_stored(value):
        with pytest.raises(StoreError):
            to_item({"value": value})
        return

    item = json.loads(json.dumps(to_item({"value": value})))

    assert from_item(item) == {"value": as_told(value)}


@given(value=JSON)
def test_it_means_to_boto3_what_it_means_here(value: Any) -> None:
    if problem_of(value) is not None or not can_be_stored(value):
        return

    theirs = TypeDeserializer().deserialize(to_item({"value": value})["value"])

    assert json.loads(json.dumps(theirs, default=str)) == json.loads(
        json.dumps(value), parse_float=lambda text: str(Decimal(text)), parse_int=str
    )


def test_true_does_not_become_one() -> None:
    back = from_item(to_item({"value": [True, 1, False, 0]}))["value"]

    assert [type(item) for item in back] == [bool, int, bool, int]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("1", 1),
        ("1.0", 1),
        ("-7", -7),
        ("0.5", 0.5),
        ("1E+2", 100),
        ("1" + "0" * 37, 10**37),
        ("1" + "0" * 125, 1e125),
        ("1E-130", 1e-130),
    ],
)
def test_numbers_as_the_table_writes_them(text: str, number: float) -> None:
    back = from_item({"value": {"N": text}})["value"]

    assert back == number
    assert type(back) is type(number)


@pytest.mark.parametrize("held", ["aGk=", b"hi"], ids=["from the table", "from boto3"])
def test_what_people_put_into_the_table_by_hand_becomes_json(held: Any) -> None:
    item = {
        "texts": {"SS": ["b", "a"]},
        "numbers": {"NS": ["2", "1.5"]},
        "bytes": {"B": held},
        "several": {"BS": [held]},
        "deep": {"M": {"set": {"L": [{"SS": ["x"]}]}}},
    }

    assert json.loads(json.dumps(from_item(item))) == {
        "texts": ["a", "b"],
        "numbers": [1.5, 2],
        "bytes": "aGk=",
        "several": ["aGk="],
        "deep": {"set": [["x"]]},
    }
