"""Once for each person: what deliver remembers of an entry and a person, for ever.

Items of ``profiles``: ``ONCE#<sub>#<entry>``, and ``ONCE#<sub>``, which names the entries: a person
who is deleted leaves none. ``FORGOTTEN#<sub>`` stays behind for as long as a message of before can
come. Of a marker, ``started`` is a lease, which another event may take
over when it is over; ``done`` and ``rejected`` (the vendor will not have this person) are final;
``set_aside`` belongs to an event that lies in the dead-letter queue, and waits for its replay.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from cognito_rules.dynamodb_json import from_item, to_item

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# Longer than a call of deliver that was interrupted can still be at work for.
LEASE_SECONDS = 300
# As long as a dead letter can be replayed, and a delivery is remembered.
SET_ASIDE_SECONDS = 15 * 24 * 3600

FINAL_STATES = frozenset({"done", "rejected"})
_BEFORE = {**dict.fromkeys(FINAL_STATES, "done_before"), "set_aside": "set_aside_before"}


class Markers:
    """The markers in one table of profiles.

    Parameters
    ----------
    clock : seconds since the epoch; only tests replace it.
    """

    def __init__(
        self, client: DynamoDBClient, table: str, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._client = client
        self._table = table
        self._clock = clock

    def start(self, person: str, entry: str, event_id: str) -> str | None:
        """Take the lease for an event, unless the person is done or another event has it.

        Returns None for the event's own turn, else what became of the person: ``done_before``,
        ``set_aside_before`` (its letter can be replayed), or ``started`` by another event.

        An event takes its own lease again: its earlier call was interrupted, or is to be repeated,
        perhaps out of the dead-letter queue.
        """
        now = self._clock()
        item = self._item(person, entry, event_id, "started", now + LEASE_SECONDS)
        try:
            self._client.put_item(
                TableName=self._table,
                Item=to_item(item),
                ConditionExpression=(
                    "attribute_not_exists(pk) OR (event_id = :event AND #state <> :done) "
                    "OR lease_until <= :now"
                ),
                ExpressionAttributeNames={"#state": "state"},
                ExpressionAttributeValues=to_item(
                    {":done": "done", ":event": event_id, ":now": now}
                ),
                ReturnValuesOnConditionCheckFailure="ALL_OLD",
            )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            there: Any = error.response.get("Item", {})
            return _BEFORE.get(str(from_item(there).get("state")), "started")
        return None

    def finish(
        self,
        person: str,
        entry: str,
        event_id: str,
        state: str,
        *,
        code: str | None = None,
        known_as: str | None = None,
    ) -> None:
        """Note for ever that the person is ``done``, or ``rejected`` with the vendor's code.

        ``known_as`` is the id that the vendor gave the person.
        """
        self._list(person, entry)
        item = self._item(person, entry, event_id, state, None, code=code)
        self._put(item | ({} if known_as is None else {"known_as": known_as}))

    def set_aside(self, person: str, entry: str, event_id: str, code: str) -> None:
        """Leave the person to the event's dead letter, which nobody else gets ahead of."""
        self._list(person, entry)
        until = self._clock() + SET_ASIDE_SECONDS
        self._put(self._item(person, entry, event_id, "set_aside", until, code=code))

    def keep(self, person: str, entry: str, event_id: str, seconds: float) -> None:
        """Keep the lease while the event waits ``seconds`` for its next call."""
        until = self._clock() + seconds + LEASE_SECONDS
        self._put(self._item(person, entry, event_id, "started", until))

    def release(self, person: str, entry: str) -> None:
        """Give the lease back: the person's next event has its turn."""
        self._client.delete_item(
            TableName=self._table, Key=to_item({"pk": marker_key(person, entry)})
        )

    def are_final(self, person: str, entries: Iterable[str]) -> bool:
        """Say whether all entries are through with the person."""
        return all(self._state(person, entry) in FINAL_STATES for entry in entries)

    def are_forgotten(self, person: str) -> bool:
        """Say whether a person was deleted, and is told of no more."""
        return bool(self._get(forgotten_key(person)))

    def _list(self, person: str, entry: str) -> None:
        """Note that there is a marker of ``entry``; before it is made, so that none is missed."""
        self._client.update_item(
            TableName=self._table,
            Key=to_item({"pk": markers_key(person)}),
            UpdateExpression="ADD entries :entries",
            ExpressionAttributeValues={":entries": {"SS": [entry]}},
        )

    def _state(self, person: str, entry: str) -> Any:
        return self._get(marker_key(person, entry)).get("state")

    def _get(self, key: str) -> dict[str, Any]:
        found = self._client.get_item(
            TableName=self._table, Key=to_item({"pk": key}), ConsistentRead=True
        )
        return from_item(found.get("Item", {}))

    def _put(self, item: dict[str, Any]) -> None:
        self._client.put_item(TableName=self._table, Item=to_item(item))

    def _item(
        self,
        person: str,
        entry: str,
        event_id: str,
        state: str,
        lease_until: float | None,
        *,
        code: str | None = None,
    ) -> dict[str, Any]:
        facts = {"lease_until": lease_until, "code": code}
        return {
            "pk": marker_key(person, entry),
            "state": state,
            "event_id": event_id,
            "at": self._clock(),
            **{name: value for name, value in facts.items() if value is not None},
        }


def markers_key(person: str) -> str:
    """Return the key of the item that names the entries with a marker of a person."""
    return f"ONCE#{person}"


def forgotten_key(person: str) -> str:
    """Return the key of what stays behind of a person who was deleted."""
    return f"FORGOTTEN#{person}"


def marker_key(person: str, entry: str) -> str:
    """Return the key of the marker of an entry and a person."""
    return f"ONCE#{person}#{entry}"
