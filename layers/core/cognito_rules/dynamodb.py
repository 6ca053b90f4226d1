"""DynamoDB over the lean transport: one call, repeated while its time lasts."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.errors import StoreError, UpstreamError, UpstreamTimeoutError

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

_RETRYABLE = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "ThrottlingException",
        "RequestLimitExceeded",
        "TransactionInProgressException",
        "InternalServerError",
    }
)

_RACES = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded"})


class ConditionFailedError(StoreError):
    """Somebody else wrote first.

    ``reasons`` holds one for each item of a transaction: a ``Code`` and, where the write asks for
    it, the ``Item`` that is there.
    """

    retryable = False

    def __init__(self, reasons: list[dict[str, Any]]) -> None:
        super().__init__("a condition of the write does not hold")
        self.reasons = reasons


class DynamoDb:
    """DynamoDB in the region of ``aws``."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._url = aws.endpoint("dynamodb") + "/"

    def batch_get(
        self, wanted: Mapping[str, Any], timeout: float
    ) -> dict[tuple[str, str], dict[str, Any]]:
        """Return (table, pk) -> item of those that are there; ``wanted`` is table -> ``keys()``.

        Raises
        ------
        StoreError : the tables did not answer with all of them in time.
        """
        found: dict[tuple[str, str], dict[str, Any]] = {}
        ends = time.monotonic() + timeout
        while wanted:
            answer = self.call("BatchGetItem", {"RequestItems": wanted}, ends - time.monotonic())
            for table, items in answer.get("Responses", {}).items():
                for item in map(from_item, items):
                    found[table, item["pk"]] = item
            # Throttled keys come back unprocessed: ask for them again while there is time.
            wanted = answer.get("UnprocessedKeys") or {}
            if wanted:
                self.pause(ends)
        return found

    def pause(self, ends: float) -> None:
        """Wait a moment before another try; StoreError when no time would be left for one."""
        pause = random.uniform(0.01, 0.03)
        if time.monotonic() + pause >= ends:
            raise StoreError("the tables did not answer in time")
        time.sleep(pause)

    def call(self, operation: str, parameters: dict[str, Any], timeout: float) -> dict[str, Any]:
        """Call DynamoDB, again after throttling or a server error while there is time.

        Every call may be repeated: writes are conditional, or put the same item again.

        Raises
        ------
        ConditionFailedError : a condition does not hold.
        StoreError : no answer in ``timeout`` seconds, or a refusal.
        """
        ends = time.monotonic() + timeout
        body = json.dumps(parameters).encode()
        headers = {
            "Content-Type": "application/x-amz-json-1.0",
            "X-Amz-Target": f"DynamoDB_20120810.{operation}",
        }
        while True:
            left = ends - time.monotonic()
            if left <= 0:
                raise StoreError("the tables did not answer in time")
            try:
                response = self._aws.post(
                    "dynamodb", self._url, body, headers, timeout=left, repeatable=True
                )
            except UpstreamError as error:
                if isinstance(error, UpstreamTimeoutError) or not error.retryable:
                    raise StoreError(f"{operation}: {error}") from error
            else:
                answer = _json_object(response.data)
                if response.status == 200 and answer is not None:
                    return answer
                self._refuse(operation, response.status, answer or {})
            self.pause(ends)

    def _refuse(self, operation: str, status: int, answer: dict[str, Any]) -> None:
        """Raise for an error that repeating does not mend; return for one that it may."""
        from cognito_rules.aws import error_code  # imports botocore

        code = error_code(answer)
        if code == "ConditionalCheckFailedException":
            raise ConditionFailedError([{"Code": "ConditionalCheckFailed"}])
        if code == "TransactionCanceledException":
            reasons = answer.get("CancellationReasons", [])
            codes = {reason.get("Code") for reason in reasons}
            if "ConditionalCheckFailed" in codes:
                raise ConditionFailedError(reasons)
            if codes & _RACES:
                return
        if code in _RETRYABLE or status >= 500:
            return
        raise StoreError(f"{operation}: {code}")


def keys(names: Iterable[str]) -> dict[str, Any]:
    """Return what ``batch_get`` wants of one table: a strongly consistent read of these keys."""
    return {"Keys": [to_item({"pk": name}) for name in names], "ConsistentRead": True}


def _json_object(data: bytes) -> dict[str, Any] | None:
    try:
        answer = json.loads(data)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
