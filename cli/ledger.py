"""``cognito-rules ledger``: which access tokens an application has that have not expired."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import out, print_json, table_of
from cognito_rules.dynamodb_json import from_item
from cognito_rules.token_ledger import LEDGER, LISTING_INDEX

_SHOWN = ("token_id", "sub", "client_id", "issued_at", "expires_at", "scopes")


def list_ledger(
    client_id: Annotated[str, typer.Argument(help="Id of the app client.")],
    sub: Annotated[str | None, typer.Option(help="Only this person's.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """List the live access tokens that set_access_token_id gave an id, latest first."""
    found = [
        entry for entry in _live(DeployedStack(stack), client_id) if sub in (None, entry["sub"])
    ]
    if as_json:
        print_json(found)
        return
    if not found:
        out.print("The ledger knows no live token of this application.")
        return
    table = table_of("token id", "person", "issued", "expires", "scopes")
    table.columns[0].no_wrap = True  # to be copied
    for entry in found:
        moments = [
            datetime.fromtimestamp(entry[name], UTC).strftime("%Y-%m-%d %H:%M:%SZ")
            for name in ("issued_at", "expires_at")
        ]
        table.add_row(entry["token_id"], entry["sub"] or "", *moments, " ".join(entry["scopes"]))
    out.print(table)


def _live(stack: DeployedStack, client_id: str) -> Iterator[dict[str, Any]]:
    table = stack.output("ProfilesTable", otherwise=f"{stack.name} is no stack of Cognito Rules.")
    with one_line_errors():
        pages = (
            stack.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=table,
                IndexName=LISTING_INDEX,
                KeyConditionExpression="listing = :listing",
                FilterExpression="expires_at > :now",
                ExpressionAttributeValues={
                    ":listing": {"S": LEDGER + client_id},
                    ":now": {"N": str(int(time.time()))},
                },
                ScanIndexForward=False,
            )
        )
        for page in pages:
            for item in page["Items"]:
                entry = from_item(item)
                yield {name: entry.get(name) for name in _SHOWN}
