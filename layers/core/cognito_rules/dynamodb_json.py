"""DynamoDB's JSON: JSON values with their types, in one pass and without a number being rounded.

Source: AWS, DynamoDB "Supported data types and naming rules", "Low-level API".
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from cognito_rules.errors import StoreError
from cognito_rules.json_values import can_be_stored

# A whole number of more digits was a float: DynamoDB keeps 38.
_MOST_DIGITS = 38


def to_item(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the DynamoDB item of a JSON object.

    Raises
    ------
    StoreError : a value is no JSON, or a number that DynamoDB does not keep.
    """
    return {key: _typed(value) for key, value in values.items()}


def _typed(value: Any) -> dict[str, Any]:
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, (int, float)) and can_be_stored(value):
        return {"N": repr(value)}
    if isinstance(value, (list, tuple)):
        return {"L": [_typed(item) for item in value]}
    if isinstance(value, dict):
        return {"M": {key: _typed(item) for key, item in value.items()}}
    raise StoreError("a value cannot be stored")


def from_item(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON object of a DynamoDB item; sets become sorted lists, bytes Base64."""
    return {key: _plain(value) for key, value in item.items()}


def _plain(typed: Mapping[str, Any]) -> Any:
    [(kind, value)] = typed.items()
    match kind:
        case "N":
            return _number(value)
        case "NULL":
            return None
        case "L":
            return [_plain(item) for item in value]
        case "M":
            return {key: _plain(item) for key, item in value.items()}
        case "SS":
            return sorted(value)
        case "NS":
            return sorted(map(_number, value))
        case "B":
            return _base64(value)
        case "BS":
            return sorted(map(_base64, value))
        case _:
            return value


def _number(text: str) -> int | float:
    number = Decimal(text)
    is_whole = number.adjusted() < _MOST_DIGITS and number == number.to_integral_value()
    return int(number) if is_whole else float(number)


def _base64(value: str | bytes) -> str:
    # boto3's clients decode bytes, DynamoDB itself sends them as Base64.
    return value if isinstance(value, str) else base64.b64encode(value).decode()
