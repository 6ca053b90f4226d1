"""The second hop after a login: rules that read what other systems answered to earlier rules.

An entry that reads what an earlier one writes has its message in its own queue like every other,
and waits there: until the earlier one came to an end, whichever, and for a minute at most. So it
cannot be lost with the earlier one, and an outage elsewhere delays it by that minute. An answer
that the other system will give later, by a call of its own, is waited for two minutes more.

Items of ``profiles``: ``ENRICHMENT#<sub>#<source>``, which DynamoDB deletes after ``expires_at``.
Items of ``sessions``: ``answered#<event id>#<entry>``.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.fields import ENRICHMENT, copy_json
from cognito_rules.protocol import Effect, enrichment_of

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

# From when the message was sent: the earlier entry has its own time and one repetition in it.
LONGEST_WAIT = 60.0
# From when the other system said that it will call back.
LONGEST_PENDING = 120.0
# What does not take the place of an answer.
_NO_ANSWER = frozenset({"failed", "pending"})
_REMEMBERED_SECONDS = 15 * 24 * 3600


class SecondHop:
    """What entries know of each other's answers, in the two tables.

    Parameters
    ----------
    clock : seconds since the epoch; only tests replace it.
    """

    def __init__(
        self,
        client: DynamoDBClient,
        *,
        profiles: str,
        sessions: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._client = client
        self._profiles = profiles
        self._sessions = sessions
        self._clock = clock

    def wait(
        self,
        event_id: str,
        entries: Collection[str],
        *,
        person: str,
        sources: Iterable[str],
        sent_at: float,
        attempts: int,
    ) -> float | None:
        """Return the seconds to wait for ``entries``, and for what ``sources`` will say of the
        person; None when the time has come, or when there is nobody to wait for.

        ``sent_at`` is when the message was sent, in seconds since the epoch. The pauses grow: each
        one is a receive of the message, and those are counted.
        """
        if not entries:
            return None
        ends = [self._pending_until(person, source) for source in sources]
        if not all(self._has_answered(event_id, entry) for entry in entries):
            ends.append(sent_at + LONGEST_WAIT)
        left = max(ends, default=0.0) - self._clock()
        return min(float(2 ** min(attempts, 6)), left) if left > 0 else None

    def answered(self, event_id: str, entry: str) -> None:
        """Note that an entry came to an end, so that those who wait for it go on."""
        item = {
            "pk": _answer_key(event_id, entry),
            "expires_at": int(self._clock()) + _REMEMBERED_SECONDS,
        }
        self._client.put_item(TableName=self._sessions, Item=to_item(item))

    def keep(self, person: str, effects: Iterable[Effect]) -> None:
        """Store what rules answered of a person, until it expires.

        That there is no answer, or none yet, takes the place of nothing: the other system may have
        called back already.
        """
        now = int(self._clock())
        for effect in effects:
            item = to_item(enrichment_item(person, effect, at=now))
            if effect["status"] in _NO_ANSWER:
                self._put_unless_kept(item, now)
            else:
                self._client.put_item(TableName=self._profiles, Item=item)

    def _put_unless_kept(self, item: dict[str, Any], now: int) -> None:
        try:
            self._client.put_item(
                TableName=self._profiles,
                Item=item,
                ConditionExpression="attribute_not_exists(pk) OR expires_at <= :now",
                ExpressionAttributeValues=to_item({":now": now}),
            )
        except self._client.exceptions.ConditionalCheckFailedException:
            return

    def enriched(
        self, person: str, sources: Collection[str], request: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return a request with what is known of the person from these sources.

        A source that was not asked, or whose answer has expired, is absent.
        """
        enriched: dict[str, Any] = copy_json(request)
        if not sources:
            return enriched
        known = {source: self._known(person, source) for source in sources}
        login = enriched["login"]
        login["user"] = {
            **login.get("user", {}),
            "enrichment": {source: facts for source, facts in known.items() if facts},
        }
        path = ".".join(ENRICHMENT)
        login["unknown"] = [name for name in login.get("unknown", ()) if name != path]
        return enriched

    def _pending_until(self, person: str, source: str) -> float:
        item = self._get(self._profiles, enrichment_key(person, source))
        is_pending = item.get("known", {}).get("status") == "pending"
        return float(item["at"] + LONGEST_PENDING) if is_pending else 0.0

    def _known(self, person: str, source: str) -> Any:
        item = self._get(self._profiles, enrichment_key(person, source))
        # DynamoDB deletes what has expired within days.
        return item.get("known") if item.get("expires_at", 0) > self._clock() else None

    def _has_answered(self, event_id: str, entry: str) -> bool:
        return bool(self._get(self._sessions, _answer_key(event_id, entry)))

    def _get(self, table: str, key: str) -> dict[str, Any]:
        found = self._client.get_item(
            TableName=table, Key=to_item({"pk": key}), ConsistentRead=True
        )
        return from_item(found.get("Item", {}))


def enrichment_item(person: str, effect: Effect, *, at: int) -> dict[str, Any]:
    """Return the item of what a ``set_enrichment`` tells of a person from ``at`` on."""
    return {
        "pk": enrichment_key(person, effect["source"]),
        "known": enrichment_of(effect),
        "at": at,
        "expires_at": at + effect["expires_in"],
    }


def enrichment_key(person: str, source: str) -> str:
    """Return the key of what a source says of a person."""
    return f"ENRICHMENT#{person}#{source}"


def _answer_key(event_id: str, entry: str) -> str:
    return f"answered#{event_id}#{entry}"
