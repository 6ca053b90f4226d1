"""Messages one by one up to a number in a minute, and above it one that tells of all the others.

Whoever is above it is counted, by one transaction that marks the event as well, so that no copy of
an event counts again. The first of them carries the count: its delivery waits for the end of the
minute, closes it and tells. A carrier that fails is delivered again like any other event, so the
count is lost only with its carrier's own message; a closed minute takes nobody any more, so nobody
is told of twice.

Items of ``profiles``: ``NOTES#<key>#<minute>`` and ``NOTES#<key>#<event id>``, without personal
data, which DynamoDB deletes when no dead letter can be sent back any more.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

from cognito_rules.dynamodb import ConditionFailedError, DynamoDb
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.errors import StoreError

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

MINUTE = 60
# A queue keeps a message for 14 days, and a queue of dead letters for 14 more.
_KEEP_SECONDS = 30 * 24 * 3600
_SECONDS = 1.5
# Each of a few reasons to ask again, and the same for the minute after.
_TRIES = 8

Role = Literal["shown", "carrier", "counted"]


@dataclass(frozen=True, slots=True)
class Turn:
    """What becomes of one event.

    Attributes
    ----------
    is_shown : whether it has a message of its own.
    told : how many events its one message tells of, itself among them; 0 for none now.
    wait : seconds until it is known how many those are, for the event that carries the count.
    """

    is_shown: bool = False
    told: int = 0
    wait: float = 0.0


SHOWN = Turn(is_shown=True)
COUNTED = Turn()


class Pace:
    """The counts in one table of profiles.

    Parameters
    ----------
    clock : seconds since the epoch; only tests replace it.
    """

    def __init__(self, aws: Aws, table: str, *, clock: Callable[[], float] = time.time) -> None:
        self._dynamodb = DynamoDb(aws)
        self._table = table
        self._clock = clock

    def turn(self, key: str, event_id: str, most: int) -> Turn:
        """Return what becomes of an event among those of ``key``, ``most`` of them shown a minute.

        The same event gets the same answer, but for time: one that was to be shown and was not, as
        its delivery failed, is counted in the minute in which it comes again.

        Raises
        ------
        StoreError : it cannot be counted; what nobody counted must not be sent.
        """
        minute = int(self._clock() // MINUTE)
        role: Role = "shown"
        for _ in range(_TRIES):
            try:
                self._take(key, event_id, minute, role, most)
            except ConditionFailedError as error:
                window, mark = error.reasons
                if mark.get("Code") == "ConditionalCheckFailed":
                    return self._again(key, from_item(mark["Item"]))
                role, minute = _next(from_item(window["Item"]), minute)
                continue
            if role == "carrier":
                return Turn(wait=self._left(minute))
            return SHOWN if role == "shown" else COUNTED
        raise StoreError("the minute's messages cannot be counted")

    def _again(self, key: str, mark: Mapping[str, Any]) -> Turn:
        """Return what becomes of an event that has its place already."""
        if mark.get("role") != "carrier":
            return SHOWN if mark.get("role") == "shown" else COUNTED
        minute = int(mark["minute"])
        if (left := self._left(minute)) > 0:
            return Turn(wait=left)
        closed = self._dynamodb.call(
            "UpdateItem",
            {
                "TableName": self._table,
                "Key": to_item({"pk": _window_key(key, minute)}),
                "UpdateExpression": "SET told = :yes",
                "ExpressionAttributeValues": to_item({":yes": True}),
                "ReturnValues": "ALL_NEW",
            },
            _SECONDS,
        )
        return Turn(told=int(from_item(closed["Attributes"]).get("counted", 1)))

    def _left(self, minute: int) -> float:
        return (minute + 1) * MINUTE - self._clock()

    def _take(self, key: str, event_id: str, minute: int, role: Role, most: int) -> None:
        """Give an event its place in a minute, or raise ConditionFailedError with what is there."""
        values: dict[str, Any] = {":one": 1, ":until": int(self._clock()) + _KEEP_SECONDS}
        if role == "shown":
            update = "SET expires_at = :until ADD shown :one"
            condition = "(attribute_not_exists(shown) OR shown < :most)"
            values[":most"] = most
        elif role == "carrier":
            update = "SET expires_at = :until, carrier = :event ADD counted :one"
            condition = "attribute_not_exists(carrier)"
            values[":event"] = event_id
        else:
            update = "SET expires_at = :until ADD counted :one"
            condition = "attribute_exists(carrier)"
        window = {
            "TableName": self._table,
            "Key": to_item({"pk": _window_key(key, minute)}),
            "UpdateExpression": update,
            "ConditionExpression": f"{condition} AND attribute_not_exists(told)",
            "ExpressionAttributeValues": to_item(values),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        place = {"pk": f"NOTES#{key}#{event_id}", "role": role, "minute": minute}
        mark = {
            "TableName": self._table,
            "Item": to_item({**place, "expires_at": values[":until"]}),
            "ConditionExpression": "attribute_not_exists(pk) OR (#role = :shown AND #at < :at)",
            "ExpressionAttributeNames": {"#role": "role", "#at": "minute"},
            "ExpressionAttributeValues": to_item({":shown": "shown", ":at": minute}),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
        }
        items = {"TransactItems": [{"Update": window}, {"Put": mark}]}
        self._dynamodb.call("TransactWriteItems", items, _SECONDS)


def _next(window: Mapping[str, Any], minute: int) -> tuple[Role, int]:
    """Return the place to try after one in a minute was refused."""
    if window.get("told"):
        return "shown", minute + 1
    return ("counted" if window.get("carrier") else "carrier"), minute


def _window_key(key: str, minute: int) -> str:
    return f"NOTES#{key}#{minute}"


def pace_of(key: str, event_id: str, most: int) -> Turn:
    """Return ``Pace.turn`` for this function; shown where no table is named, as on a laptop."""
    pace = _pace()
    return SHOWN if pace is None else pace.turn(key, event_id, most)


@cache
def _pace() -> Pace | None:
    table = os.environ.get("PROFILES_TABLE")
    if not table:
        return None
    from cognito_rules.aws import Aws  # imports botocore

    return Pace(Aws(), table)
