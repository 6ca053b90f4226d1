"""From the stream of SessionsTable to the bus: each new announcement becomes an event, in order.

A stream is read from where the last batch ended, so an announcement that cannot be published now
stops its batch there, and everything after it comes again. One that can never be published would
stop the stream for good: it is set aside, and its neighbours go on.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from cognito_rules.announcement import SCHEMA
from cognito_rules.errors import RuleError
from cognito_rules.login import parse_time
from cognito_rules.logs import logger
from cognito_rules.manifest import EVENT_TYPES, USER_DELETED

if TYPE_CHECKING:
    from mypy_boto3_events import EventBridgeClient
    from mypy_boto3_events.type_defs import PutEventsRequestEntryTypeDef

    from cognito_rules.queues import Queues

SOURCE = "cognito.rules"
MAX_ENTRIES = 10
# The bus takes more today, a failure destination and some regions do not.
MAX_DETAIL_BYTES = 200 * 1024

# Items of others, which rules may write, could else tell every other rule what they like.
_ANNOUNCING = ("login#", "signup#", "denied#", "deleted#")
# What PutEvents says of an entry that no repetition makes good.
_NEVER = frozenset({"InvalidArgument", "MalformedDetail"})

Response = dict[str, list[dict[str, str]]]


class AnnouncementError(RuleError):
    """A stream record holds no announcement that could be published."""

    code = "malformed_announcement"


@dataclass(frozen=True, slots=True)
class _Entry:
    sequence_number: str
    record: dict[str, Any]
    login_id: str
    detail: str
    request: PutEventsRequestEntryTypeDef


class Announcer:
    """Publishes announcements.

    Parameters
    ----------
    events : a boto3 client of EventBridge; it repeats what fails as a whole.
    bus : name of the event bus.
    queues, dead_letters : where announcements go that can never be published; without an ARN they
        are told of in the log only, with their place in the stream.
    """

    def __init__(
        self,
        events: EventBridgeClient,
        bus: str,
        queues: Queues | None = None,
        dead_letters: str | None = None,
    ) -> None:
        self._events = events
        self._bus = bus
        self._queues = queues
        self._dead_letters = dead_letters

    def handle(self, event: dict[str, Any]) -> Response:
        """Publish a batch of stream records and say from which one on it is to be repeated."""
        for batch in _batches(self._entries(event["Records"])):
            failed = self._publish(batch)
            if failed is not None:
                return {"batchItemFailures": [{"itemIdentifier": failed}]}
        return {"batchItemFailures": []}

    def _entries(self, records: Iterable[dict[str, Any]]) -> Iterator[_Entry]:
        for record in records:
            text = _new_announcement(record)
            if text is None:
                continue
            try:
                yield from self._entries_of(record, text)
            except AnnouncementError as error:
                self._set_aside(record, str(error))

    def _entries_of(self, record: dict[str, Any], text: str) -> Iterator[_Entry]:
        if not record["dynamodb"]["Keys"]["pk"]["S"].startswith(_ANNOUNCING):
            raise AnnouncementError("the item is none that announces")
        announcement = _parse(text)
        too_large: list[str] = []
        for part in _parts(announcement, too_large):
            detail = json.dumps(part, separators=(",", ":"))
            yield _Entry(
                record["dynamodb"]["SequenceNumber"],
                record,
                announcement["id"],
                detail,
                {
                    "Source": SOURCE,
                    "DetailType": announcement["type"],
                    "EventBusName": self._bus,
                    "Time": parse_time(announcement["occurred_at"]),
                    "Detail": detail,
                },
            )
        if too_large:
            raise AnnouncementError(f"too large for the bus: {', '.join(too_large)}")

    def _publish(self, batch: list[_Entry]) -> str | None:
        """Return the sequence number of the first entry that has to be tried again, or None."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._events.put_events(Entries=[entry.request for entry in batch])
        except (BotoCoreError, ClientError) as error:
            first = batch[0]
            logger().error("announcements delayed", code=type(error).__name__, count=len(batch))
            return first.sequence_number
        for entry, result in zip(batch, answer["Entries"], strict=True):
            code = result.get("ErrorCode")
            if code in _NEVER:
                self._set_aside(entry.record, f"the bus refused it: {code}")
            elif code is not None:
                logger().error("announcements delayed", code=code, login_id=entry.login_id)
                return entry.sequence_number
            else:
                logger().info("announced", login_id=entry.login_id, bytes_out=len(entry.detail))
        return None

    def _set_aside(self, record: dict[str, Any], reason: str) -> None:
        facts = {
            "reason": reason,
            "stream": record.get("eventSourceARN"),
            "sequence_number": record["dynamodb"]["SequenceNumber"],
        }
        logger().error("announcement set aside", **facts)
        if self._queues is not None and self._dead_letters is not None:
            self._queues.send(self._dead_letters, json.dumps(record["dynamodb"]["Keys"]), facts)


def _new_announcement(record: dict[str, Any]) -> str | None:
    """Return the announcement that a record brought, or None when it brought none."""
    images = record["dynamodb"]
    new = images.get("NewImage", {}).get("announcement", {}).get("S")
    old = images.get("OldImage", {}).get("announcement", {}).get("S")
    # A login that is written twice is announced once.
    return new if new is not None and new != old else None


def _parse(text: str) -> dict[str, Any]:
    try:
        announcement = json.loads(text)
    except ValueError:
        raise AnnouncementError("the announcement is no JSON") from None
    if not isinstance(announcement, dict) or announcement.get("schema") != SCHEMA:
        raise AnnouncementError(f"the announcement is not of schema {SCHEMA}")
    views, rules = announcement.get("views"), announcement.get("rules")
    types = (*EVENT_TYPES, USER_DELETED)
    if announcement.get("type") not in types or not isinstance(views, dict):
        raise AnnouncementError("the announcement has an unknown type, or no views")
    if not views or rules != sorted(views) or not all(map(_is_view, views.values())):
        raise AnnouncementError("the announcement's views are malformed")
    try:
        parse_time(announcement["occurred_at"])
    except (KeyError, TypeError, ValueError):
        raise AnnouncementError("the announcement has no time") from None
    if not isinstance(announcement.get("id"), str) or not announcement["id"]:
        raise AnnouncementError("the announcement has no id")
    return announcement


def _is_view(view: Any) -> bool:
    return isinstance(view, dict) and isinstance(view.get("deliveries"), list)


def _parts(announcement: dict[str, Any], too_large: list[str]) -> Iterator[dict[str, Any]]:
    """Yield what is published of an announcement: itself, smaller, or in parts by rule.

    A view is all that reaches a queue, so it is told the facts of the event. The rules whose view
    alone is too large are added to ``too_large``.
    """
    facts = {key: announcement[key] for key in ("schema", "type", "occurred_at")}
    whole = announcement | {
        "views": {rule: facts | view for rule, view in announcement["views"].items()}
    }
    if _size(whole) > MAX_DETAIL_BYTES:
        whole = _without_user_metadata(whole)
    yield from _split(whole, too_large)


def _split(whole: dict[str, Any], too_large: list[str]) -> Iterator[dict[str, Any]]:
    rules = whole["rules"]
    if _size(whole) <= MAX_DETAIL_BYTES:
        yield whole
    elif len(rules) == 1:
        too_large += rules
    else:
        middle = len(rules) // 2
        for half in (rules[:middle], rules[middle:]):
            views = {rule: whole["views"][rule] for rule in half}
            yield from _split(whole | {"rules": half, "views": views}, too_large)


def _size(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")).encode())


def _without_user_metadata(whole: dict[str, Any]) -> dict[str, Any]:
    """Return a copy in which the one part without a bound is unknown to every rule."""
    smaller: dict[str, Any] = json.loads(json.dumps(whole)) | {"truncated": True}
    for view in smaller["views"].values():
        view["truncated"] = True
        for delivery in view["deliveries"]:
            login = delivery["request"]["login"]
            user = login.get("user", {})
            if user.get("user_metadata") is not None:
                user["user_metadata"] = None
                login["unknown"] = [*login.get("unknown", ()), "user.user_metadata"]
    return smaller


def _batches(entries: Iterable[_Entry]) -> Iterator[list[_Entry]]:
    """Yield entries in the numbers and sizes that one PutEvents call takes."""
    batch: list[_Entry] = []
    size = 0
    for entry in entries:
        if len(batch) == MAX_ENTRIES or (batch and size + len(entry.detail) > MAX_DETAIL_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(entry)
        size += len(entry.detail)
    if batch:
        yield batch


@cache
def _announcer() -> Announcer:
    import boto3
    from botocore.config import Config

    from cognito_rules.queues import Queues

    limits = Config(
        connect_timeout=1.0, read_timeout=5.0, retries={"mode": "standard", "max_attempts": 3}
    )
    return Announcer(
        boto3.client("events", config=limits),
        os.environ["EVENT_BUS_NAME"],
        Queues(boto3.client("sqs", config=limits)),
        os.environ.get("DEAD_LETTER_QUEUE_ARN"),
    )


def handler(event: dict[str, Any], context: Any) -> Response:
    """Publish the announcements in a batch of SessionsTable's stream."""
    return _announcer().handle(event)
