"""A person is deleted: the systems that were told of them are asked to forget, and we forget too.

All in one transaction: the event ``UserDeleted``, which leaves SessionsTable by its stream like
every announcement and holds what each system needs to know whom it is about; and the removal of
profile, markers and kept answers. So no system is forgotten to be asked, and nothing waits for the
slowest of them. ``FORGOTTEN#<sub>`` stays until no message of before can come any more.

Source: AWS, "Amazon Cognito logging in AWS CloudTrail"; DeleteUser and AdminDeleteUser are taken to
show ``sub`` as its examples of other operations do, which hide names.
"""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cognito_rules.announcement import document
from cognito_rules.chain import Chain, Entry
from cognito_rules.consent import facts_for
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.envelope import request_of
from cognito_rules.fields import lookup
from cognito_rules.login import format_time
from cognito_rules.manifest import USER_DELETED, Manifest, catalogue
from cognito_rules.markers import forgotten_key, marker_key, markers_key
from cognito_rules.second_hop import enrichment_key

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient

DELETIONS = frozenset({"AdminDeleteUser", "DeleteUser"})
# A message lives for 14 days, and once more for 14 days as a dead letter.
FORGOTTEN_SECONDS = 29 * 24 * 3600
# The stream has read the event long before.
EVENT_SECONDS = 24 * 3600
# DynamoDB's limits for one request.
MAX_ACTIONS = 100
MAX_KEYS = 100
_READ_SECONDS = 10.0

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Forgotten:
    """What became of a person.

    ``outcome`` is ``forgotten``, ``done_before``, ``unknown_person`` (who never logged in),
    ``failed`` (the deletion was) or ``no_deletion`` (another event, or of another pool). ``told``
    are the entries whose systems are asked, ``by_hand`` those whose systems cannot be.
    """

    outcome: str
    told: tuple[str, ...] = ()
    by_hand: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it for whoever invoked the function."""
        return {"outcome": self.outcome, "told": [*self.told], "by_hand": [*self.by_hand]}


@dataclass(frozen=True)
class _Kept:
    """What the profiles table holds of a person: the profile, markers by entry, all keys."""

    profile: Item
    markers: Mapping[str, Item]
    keys: tuple[str, ...]
    is_forgotten: bool


@dataclass(frozen=True)
class Forgetter:
    """Forgets people.

    profiles, sessions : names of the tables.
    pool : id of the user pool; a trail tells of all pools of the account.
    chain : returns the chain that is live.
    rules : every manifest by rule name.
    clock : seconds since the epoch; only tests replace it.
    """

    client: DynamoDBClient
    profiles: str
    sessions: str
    pool: str
    chain: Callable[[], Chain]
    rules: Mapping[str, Manifest]
    clock: Callable[[], float] = field(default=time.time)

    def forget(self, person: str, *, email: str | None = None) -> Forgotten:
        """Forget the person with this sub, and have them forgotten.

        ``email`` is their verified address, where somebody still knows it. Raises where AWS does
        not answer: nothing has happened then.
        """
        entries = [e for e in self.chain().entries if e.manifest.stage == "after_login"]
        kept = self._kept(person, entries)
        if kept.is_forgotten:
            # What a call that was cut off left, or a login that was under way made anew.
            self._delete(kept.keys)
            return Forgotten("done_before")
        if not kept.profile and not kept.markers:
            # Of whom a sign-up, or the first login, may be under way all the same.
            self._remove(person, None, kept.keys)
            return Forgotten("unknown_person")
        asked = [e for e in entries if e.manifest.forgets and _was_told(e, kept)]
        announcement = self._announcement(person, email, asked, kept) if asked else None
        if not self._remove(person, announcement, kept.keys):
            return Forgotten("done_before")
        told = tuple(entry.id for entry in asked)
        by_hand = (e for e in entries if e.manifest.external and not e.manifest.forgets)
        return Forgotten("forgotten", told, tuple(entry.id for entry in by_hand))

    def handle(self, event: Any) -> Forgotten:
        """Forget whom an event tells of: CloudTrail's by EventBridge, or the command's."""
        if "detail" not in event:
            return self.forget(event["user_id"], email=event.get("email"))
        detail = event.get("detail") or {}
        # DeleteUser names no pool: a token says whose it is.
        pool = (detail.get("requestParameters") or {}).get("userPoolId", self.pool)
        if detail.get("eventName") not in DELETIONS or pool != self.pool:
            return Forgotten("no_deletion")
        if detail.get("errorCode"):
            return Forgotten("failed")
        sub = (detail.get("additionalEventData") or {}).get("sub")
        if not isinstance(sub, str) or not sub:
            return Forgotten("unknown_person")
        return self.forget(sub)

    # Reading ----------------------------------------------------------------------------------

    def _kept(self, person: str, entries: Iterable[Entry]) -> _Kept:
        listed = self._read([markers_key(person)])
        once = {
            *listed.get(markers_key(person), {}).get("entries", ()),
            *(entry.id for entry in entries),
        }
        markers = {marker_key(person, entry): entry for entry in sorted(once)}
        sources = {source for rule in self.rules.values() for source in rule.enriches}
        answers = [enrichment_key(person, source) for source in sorted(sources)]
        profile, forgotten = f"USER#{person}", forgotten_key(person)
        found = self._read([profile, forgotten, *answers, *markers])
        return _Kept(
            profile=found.get(profile, {}),
            markers={entry: found[key] for key, entry in markers.items() if key in found},
            # The list of the markers goes last: it leads to them.
            keys=(*(key for key in found if key != forgotten), *listed),
            is_forgotten=forgotten in found,
        )

    def _read(self, keys: list[str]) -> dict[str, Item]:
        found: dict[str, Item] = {}
        left = keys
        while left:
            batch, left = left[:MAX_KEYS], left[MAX_KEYS:]
            wanted: Any = {"Keys": [to_item({"pk": key}) for key in batch], "ConsistentRead": True}
            answer = self.client.batch_get_item(RequestItems={self.profiles: wanted})
            for item in map(from_item, answer["Responses"].get(self.profiles, [])):
                found[item["pk"]] = item
            unread: Any = answer.get("UnprocessedKeys", {})
            left += [from_item(key)["pk"] for key in unread.get(self.profiles, {}).get("Keys", ())]
        return found

    # What the systems are told ------------------------------------------------------------------

    def _announcement(self, person: str, email: str | None, asked: list[Entry], kept: _Kept) -> str:
        event = {
            "id": str(uuid.uuid4()),
            "type": USER_DELETED,
            "occurred_at": format_time(datetime.fromtimestamp(self.clock(), UTC)),
            "first_login": False,
        }
        user: dict[str, Any] = {
            "user_id": person,
            "app_metadata": kept.profile.get("app_metadata") or {},
        }
        if email:
            user |= {"email": email, "email_verified": True}
        views: dict[str, dict[str, Any]] = {}
        for entry in asked:
            known_as = kept.markers.get(entry.id, {}).get("known_as")
            facts = {"event": event, "user": user | ({"known_as": known_as} if known_as else {})}
            request = request_of(
                facts_for(entry, facts),
                entry.manifest.forget_reads,
                entry.configuration,
                now=str(event["occurred_at"]),
            )
            rule = entry.manifest.name
            empty = {"event_id": event["id"], "rule": rule, "person": person, "deliveries": []}
            deliveries = views.setdefault(rule, empty)["deliveries"]
            deliveries.append({"entry": entry.id, "request": request})
        return document(event, views)

    # Removing -----------------------------------------------------------------------------------

    def _remove(self, person: str, announcement: str | None, keys: tuple[str, ...]) -> bool:
        """Announce and remove; False when another call was faster."""
        now = int(self.clock())
        stays = {"pk": forgotten_key(person), "at": now, "expires_at": now + FORGOTTEN_SECONDS}
        actions: list[Any] = [
            {
                "Put": {
                    "TableName": self.profiles,
                    "Item": to_item(stays),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
        ]
        if announcement is not None:
            told = {
                "pk": f"deleted#{person}",
                "announcement": announcement,
                "expires_at": now + EVENT_SECONDS,
            }
            actions.append({"Put": {"TableName": self.sessions, "Item": to_item(told)}})
        room = MAX_ACTIONS - len(actions)
        actions += self._deletes(keys[:room])
        try:
            self.client.transact_write_items(TransactItems=actions)
        except self.client.exceptions.TransactionCanceledException as error:
            reasons: Any = error.response.get("CancellationReasons", [])
            if [reason.get("Code") for reason in reasons][:1] == ["ConditionalCheckFailed"]:
                return False
            raise
        self._delete(keys[room:])
        return True

    def _delete(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.client.delete_item(TableName=self.profiles, Key=to_item({"pk": key}))

    def _deletes(self, keys: Iterable[str]) -> list[Any]:
        return [
            {"Delete": {"TableName": self.profiles, "Key": to_item({"pk": key})}} for key in keys
        ]


def _was_told(entry: Entry, kept: _Kept) -> bool:
    """Say whether the entry's system may know the person.

    Of an entry that runs once for each person it is known; one that runs at every login may have
    told of each of them.
    """
    if not entry.once_per_user or entry.id in kept.markers:
        return True
    facts = {"user": {"app_metadata": kept.profile.get("app_metadata") or {}}}
    return any(lookup(facts, marker) for marker in entry.manifest.imported_markers)


@cache
def _forgetter(folder: Path) -> Forgetter:
    import boto3

    return Forgetter(
        boto3.client("dynamodb"),
        profiles=os.environ["PROFILES_TABLE"],
        sessions=os.environ["SESSIONS_TABLE"],
        pool=os.environ["USER_POOL_ID"],
        chain=lambda: live_chain(folder, catalogue()),
        rules=catalogue(),
    )


def handle(event: Any, folder: Path) -> dict[str, Any]:
    """Forget one person; ``folder`` holds the packaged chain. An outage raises, to be repeated."""
    from cognito_rules.logs import log_record

    done = _forgetter(folder).handle(event).as_json()
    log_record("person forgotten", done)
    return done


def live_chain(folder: Path, rules: Mapping[str, Manifest]) -> Chain:
    """Return the chain that AppConfig deploys, or the packaged one where nothing was published.

    Raises
    ------
    UpstreamError : AppConfig does not answer.
    ChainError : the document is refused.
    """
    from cognito_rules.app_config import ConfigurationSession
    from cognito_rules.aws import Aws

    application = os.environ["CHAIN_APPLICATION"]
    content = ConfigurationSession(Aws(), application, "live", "chain").latest(_READ_SECONDS)
    if content is None:
        return Chain.parse_toml((folder / "chain.toml").read_text(encoding="utf-8"), rules)
    return Chain.parse_json(content.decode(), rules)
