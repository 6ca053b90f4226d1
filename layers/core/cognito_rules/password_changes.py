"""When people changed their passwords, which Cognito tells nobody.

A forgotten password and a temporary one pass by the login function. Other changes show in
CloudTrail alone, whose management events reach EventBridge when the account has a trail:
ChangePassword and AdminSetUserPassword, with the person's ``sub`` in ``additionalEventData``.

Source: AWS, "Amazon Cognito logging in AWS CloudTrail"; the fields of these two events follow its
examples of other operations, which hide names and show ``sub``.
"""

from __future__ import annotations

import os
from functools import cache
from typing import TYPE_CHECKING, Any

from cognito_rules.login import format_time, parse_time

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

LAST_PASSWORD_RESET = "last_password_reset"
CHANGES = frozenset({"ChangePassword", "AdminSetUserPassword"})


def record_change(event: Any, client: DynamoDBClient, table: str) -> str:
    """Note the change that an EventBridge event tells of; return what became of it.

    ``recorded``, or why not: ``failed`` (the call was), ``temporary`` (the person will replace it),
    ``unknown_person`` (of another pool, or never logged in), ``no_change`` (another event, or an
    older one).
    """
    detail = event.get("detail") or {}
    if detail.get("eventName") not in CHANGES:
        return "no_change"
    if detail.get("errorCode"):
        return "failed"
    if (detail.get("requestParameters") or {}).get("permanent") is False:
        return "temporary"
    sub = (detail.get("additionalEventData") or {}).get("sub")
    if not isinstance(sub, str) or not sub:
        return "unknown_person"
    at = format_time(parse_time(detail["eventTime"]))
    kept = client.get_item(
        TableName=table,
        Key={"pk": {"S": f"USER#{sub}"}},
        ProjectionExpression="app_metadata",
        ConsistentRead=True,
    ).get("Item")
    if kept is None or "M" not in kept.get("app_metadata", {}):
        return "unknown_person"
    before = kept["app_metadata"]["M"].get(LAST_PASSWORD_RESET, {}).get("S", "")
    if _is_newer(before, at):
        return "no_change"
    client.update_item(
        TableName=table,
        Key={"pk": {"S": f"USER#{sub}"}},
        UpdateExpression="SET app_metadata.#key = :at",
        ConditionExpression="attribute_exists(app_metadata)",
        ExpressionAttributeNames={"#key": LAST_PASSWORD_RESET},
        ExpressionAttributeValues={":at": {"S": at}},
    )
    return "recorded"


def _is_newer(before: str, at: str) -> bool:
    try:
        return parse_time(before) >= parse_time(at)
    except ValueError:
        return False


@cache
def _client() -> DynamoDBClient:
    import boto3

    return boto3.client("dynamodb")


def handle(event: Any) -> None:
    """Record one event; an outage raises, and Lambda tries again."""
    from cognito_rules.logs import log_record

    outcome = record_change(event, _client(), os.environ["PROFILES_TABLE"])
    log_record("password change", {"outcome": outcome})
