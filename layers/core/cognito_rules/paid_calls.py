"""Calls that somebody pays for: how many a rule makes in a day, counted for all its environments.

Items of ``profiles``: ``CALLS#<rule>#<day>``, which DynamoDB deletes after some days.
"""

from __future__ import annotations

import os
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING

from cognito_rules.dynamodb import ConditionFailedError, DynamoDb
from cognito_rules.dynamodb_json import to_item

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

COUNT_SECONDS = 1.5
_KEEP_SECONDS = 3 * 24 * 3600


class PaidCalls:
    """The counts in one table of profiles."""

    def __init__(self, aws: Aws, table: str) -> None:
        self._dynamodb = DynamoDb(aws)
        self._table = table

    def spend(self, rule: str, at: datetime, most: int) -> bool:
        """Count one call on the day of ``at`` (UTC); False, and not counted, after ``most``.

        Raises
        ------
        StoreError : it cannot be counted; a call that nobody counted must not be made.
        """
        if most <= 0:
            return False
        update = {
            "TableName": self._table,
            "Key": to_item({"pk": f"CALLS#{rule}#{at:%Y-%m-%d}"}),
            "UpdateExpression": "SET expires_at = :until ADD calls :one",
            "ConditionExpression": "attribute_not_exists(calls) OR calls < :most",
            "ExpressionAttributeValues": to_item(
                {":one": 1, ":most": most, ":until": int(at.timestamp()) + _KEEP_SECONDS}
            ),
        }
        try:
            self._dynamodb.call("UpdateItem", update, COUNT_SECONDS)
        except ConditionFailedError:
            return False
        return True


def count_paid_call(rule: str, at: datetime, most: int) -> bool | None:
    """Count a call of this function as ``PaidCalls.spend``; None where no table is named.

    That is so on a laptop: template.yaml names the table to every rule that makes such calls.
    """
    calls = _calls()
    return None if calls is None else calls.spend(rule, at, most)


@cache
def _calls() -> PaidCalls | None:
    table = os.environ.get("PROFILES_TABLE")
    if not table:
        return None
    from cognito_rules.aws import function_aws  # imports botocore

    return PaidCalls(function_aws(), table)
