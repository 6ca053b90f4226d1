"""What lies in the tables of the shared stack, which can be more than one answer holds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cognito_rules.dynamodb_json import from_item
from local.stack import Stack


def items_of(stack: Stack, table: str) -> Iterator[dict[str, Any]]:
    """Yield all items of the table that the stack's output ``table`` names."""
    pages = stack.aws.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=stack.outputs[table], ConsistentRead=True):
        yield from map(from_item, page["Items"])
