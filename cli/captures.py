"""``cognito-rules captures``: the logins that debug_capture keeps, as events for rules."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import out, print_json, stop, table_of
from cognito_rules.captures import CAPTURE
from cognito_rules.dynamodb_json import from_item


def captures(
    capture_id: Annotated[
        str | None,
        typer.Argument(help="Print this one, as an event: cognito-rules try RULE --event FILE."),
    ] = None,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """List the captured logins that have not expired, latest first, or print one of them."""
    deployed = DeployedStack(stack)
    table = deployed.output("SessionsTable", otherwise=f"{stack} is no stack of Cognito Rules.")
    if capture_id is None:
        _list(deployed, table)
        return
    with one_line_errors():
        key = {"pk": {"S": CAPTURE + capture_id}}
        found = deployed.client("dynamodb").get_item(TableName=table, Key=key).get("Item", {})
    item = from_item(found)
    # DynamoDB deletes what has expired within days.
    if item.get("expires_at", 0) <= datetime.now(UTC).timestamp():
        stop(f"There is no capture {capture_id}: it may have expired.")
    print_json(json.loads(item["request"]))


def _list(stack: DeployedStack, table: str) -> None:
    found = sorted(_found(stack, table), key=lambda item: str(item["pk"]), reverse=True)
    if not found:
        out.print("There are no captured logins.")
        return
    shown = table_of("capture", "captured", "expires")
    shown.columns[0].no_wrap = True  # to be copied
    for item in found:
        moments = [
            datetime.fromtimestamp(item[name], UTC).strftime("%Y-%m-%d %H:%M:%SZ")
            for name in ("captured_at", "expires_at")
        ]
        shown.add_row(item["pk"].removeprefix(CAPTURE), *moments)
    out.print(shown)


def _found(stack: DeployedStack, table: str) -> list[dict[str, Any]]:
    """Return all captures. The table has no index for them: it is one of tests, and small."""
    with one_line_errors():
        pages = (
            stack.client("dynamodb")
            .get_paginator("scan")
            .paginate(
                TableName=table,
                FilterExpression="begins_with(pk, :capture) AND expires_at > :now",
                ProjectionExpression="pk, captured_at, expires_at",
                ExpressionAttributeValues={
                    ":capture": {"S": CAPTURE},
                    ":now": {"N": str(int(datetime.now(UTC).timestamp()))},
                },
            )
        )
        return [from_item(item) for page in pages for item in page["Items"]]
