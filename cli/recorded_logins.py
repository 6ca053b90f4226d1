"""Read and unseal the logins that a stack has recorded."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.stack import DeployedStack, one_line_errors
from cli.terminal import stop

Recording = dict[str, Any]

_OFF = "The stack records no logins: deploy it with RecordLoginsDays, and let people sign in."


def recorded_logins(stack: DeployedStack, begin: datetime, end: datetime) -> Iterator[Recording]:
    """Yield the recordings of this time, day by day, each as docs/replay.md describes it.

    Ends the command with one line where the stack records none, or AWS lets nobody read them.
    """
    from cognito_rules.dynamodb_json import from_item
    from cognito_rules.recordings import SHARDS, recorded_on

    stack.output("ReadRecordingsPolicy", otherwise=_OFF)
    table = stack.output("SessionsTable", otherwise=_OFF)
    keys = DataKeys(stack)
    day = begin.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while day <= end:
        for shard in range(SHARDS):
            on = recorded_on(day.timestamp(), shard)
            for item in _items(stack, table, on, begin, end):
                yield keys.open(from_item(item))
        day += timedelta(days=1)


def _items(
    stack: DeployedStack, table: str, on: str, begin: datetime, end: datetime
) -> Iterator[dict[str, Any]]:
    from cognito_rules.recordings import INDEX

    with one_line_errors():
        pages = (
            stack.client("dynamodb")
            .get_paginator("query")
            .paginate(
                TableName=table,
                IndexName=INDEX,
                KeyConditionExpression="recorded_on = :on AND recorded_at BETWEEN :begin AND :end",
                # What has expired may still lie there for a while.
                FilterExpression="expires_at > :now",
                ExpressionAttributeValues={
                    ":on": {"S": on},
                    ":begin": {"N": str(begin.timestamp())},
                    ":end": {"N": str(end.timestamp())},
                    ":now": {"N": str(int(time.time()))},
                },
            )
        )
        for page in pages:
            yield from page["Items"]


class DataKeys:
    """Opens recordings; each data key is asked of KMS once."""

    def __init__(self, stack: DeployedStack) -> None:
        self._context = {"stack": stack.name}
        self._kms = stack.client("kms")
        self._plain: dict[str, bytes] = {}

    def open(self, item: dict[str, Any]) -> Recording:
        """Return the recording in an item of the table."""
        from cryptography.exceptions import InvalidTag

        from cognito_rules.recordings import unseal

        sealed_key = item["data_key"]
        if sealed_key not in self._plain:
            with one_line_errors():
                answer = self._kms.decrypt(
                    CiphertextBlob=base64.b64decode(sealed_key), EncryptionContext=self._context
                )
            self._plain[sealed_key] = answer["Plaintext"]
        try:
            text = unseal(item["sealed"], item["pk"], self._plain[sealed_key])
        except InvalidTag:
            stop(f"The recording {item['pk']} was changed since it was written.")
        recording: Recording = json.loads(text)
        return recording
