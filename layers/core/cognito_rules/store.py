"""The two tables as the login path uses them: at most one read and one write for each trigger.

Items of ``profiles``: ``USER#<sub>``, and the markers of ``markers.py``. Items of ``sessions``:
``decision#<key>`` (the memo of a decision), ``login#<pool>#<user>#<client>`` (a committed login),
``denied#…``, ``signup#…`` and ``deleted#…``. An item whose attribute ``announcement`` is new leaves
through the table's stream.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cognito_rules.aws import Aws
from cognito_rules.dynamodb import ConditionFailedError, DynamoDb, keys
from cognito_rules.dynamodb_json import to_item
from cognito_rules.markers import FINAL_STATES, marker_key
from cognito_rules.protocol import Effect

# Two sign-ins of one person at one client within this time count, and are announced, once.
COUNT_ONCE_SECONDS = 15
PROFILE_EFFECTS = frozenset({"set_user_metadata", "set_app_metadata", "set_profile"})
PROFILE_MAPS = ("user_metadata", "app_metadata", "profile")
_DAY = 24 * 3600


@dataclass(frozen=True)
class Loaded:
    """What the tables know at the start of a trigger call.

    ``profile`` is empty for a person whom the table does not know, None when it was not read.
    ``done`` are the entries, of those that were asked about, that are through with the person.
    """

    profile: Mapping[str, Any] | None = None
    memo: Mapping[str, Any] | None = None
    last_login_at: float | None = None
    done: frozenset[str] = frozenset()

    @property
    def logins_count(self) -> int:
        """Completed logins so far."""
        count = (self.profile or {}).get("logins_count")
        return count if isinstance(count, int) else 0


@dataclass(frozen=True)
class ProfileWrite:
    """One key of one map of a profile to be set, or removed by None."""

    kind: str
    key: str
    value: Any
    only_if_missing: bool = False


def profile_writes(effects: Iterable[Effect]) -> list[ProfileWrite]:
    """Return what the effects store in the profile, the last one for each key."""
    writes: dict[tuple[str, str], ProfileWrite] = {}
    for effect in effects:
        if effect["effect"] not in PROFILE_EFFECTS:
            continue
        kind = effect["effect"].removeprefix("set_")
        key = effect["attribute"] if kind == "profile" else effect["key"]
        earlier = writes.get((kind, key))
        only_if_missing = bool(effect.get("only_if_missing"))
        if earlier is not None and only_if_missing:
            if earlier.value is not None:
                continue
            only_if_missing = False  # what the table holds was just removed
        writes[kind, key] = ProfileWrite(kind, key, effect["value"], only_if_missing)
    return list(writes.values())


@dataclass(frozen=True)
class Commit:
    """All that takes effect when the token stage allows a login.

    ``kinds`` are the attributes that the profile had when it was read.
    """

    user_id: str
    username: str
    login_key: str
    event_id: str
    at: float
    kinds: frozenset[str]
    writes: tuple[ProfileWrite, ...]
    counts: bool
    announcement: str | None
    memo: Mapping[str, Any] | None


class _Update:
    """An update expression under construction; names are aliased, since keys are anything."""

    def __init__(self) -> None:
        self._clauses: dict[str, list[str]] = {"SET": [], "REMOVE": [], "ADD": []}
        self._conditions: list[str] = []
        self._names: dict[str, str] = {}
        self._values: dict[str, Any] = {}

    def _path(self, *names: str) -> str:
        aliases = []
        for name in names:
            alias = f"#n{len(self._names)}"
            self._names[alias] = name
            aliases.append(alias)
        return ".".join(aliases)

    def _value(self, value: Any) -> str:
        alias = f":v{len(self._values)}"
        self._values[alias] = value
        return alias

    def set(
        self, name: str, value: Any, *, key: str | None = None, only_if_missing: bool = False
    ) -> None:
        path = self._path(name) if key is None else self._path(name, key)
        alias = self._value(value)
        chosen = f"if_not_exists({path}, {alias})" if only_if_missing else alias
        self._clauses["SET"].append(f"{path} = {chosen}")

    def remove(self, name: str, key: str) -> None:
        self._clauses["REMOVE"].append(self._path(name, key))

    def add(self, name: str, number: int) -> None:
        self._clauses["ADD"].append(f"{self._path(name)} {self._value(number)}")

    def require(self, name: str, *, exists: bool) -> None:
        function = "attribute_exists" if exists else "attribute_not_exists"
        self._conditions.append(f"{function}({self._path(name)})")

    def parameters(self) -> dict[str, Any]:
        clauses = (f"{verb} {', '.join(parts)}" for verb, parts in self._clauses.items() if parts)
        return {
            "UpdateExpression": " ".join(clauses),
            "ConditionExpression": " AND ".join(self._conditions),
            "ExpressionAttributeNames": self._names,
            "ExpressionAttributeValues": to_item(self._values),
        }


class Store:
    """Reads and writes of one trigger call, within the seconds that the caller grants."""

    def __init__(self, aws: Aws, *, profiles: str, sessions: str) -> None:
        self._table = DynamoDb(aws)
        self._profiles = profiles
        self._sessions = sessions

    def load(
        self,
        user_id: str,
        *,
        memo_key: str | None,
        login_key: str | None,
        timeout: float,
        once: Iterable[str] = (),
    ) -> Loaded:
        """Return the profile, the memo under ``memo_key`` and the last committed login.

        ``once`` are ids of entries that run once for each person.

        Raises
        ------
        StoreError : the tables did not answer in time.
        """
        profile_key = f"USER#{user_id}"
        sessions_keys = [key for key in (memo_key, login_key) if key is not None]
        markers = {marker_key(user_id, entry): entry for entry in once}
        wanted: dict[str, Any] = {self._profiles: keys([profile_key, *markers])}
        if sessions_keys:
            wanted[self._sessions] = keys(sessions_keys)
        found = self._table.batch_get(wanted, timeout)
        login = found.get((self._sessions, login_key or ""))
        return Loaded(
            profile=found.get((self._profiles, profile_key), {}),
            memo=found.get((self._sessions, memo_key or "")),
            last_login_at=float(login["committed_at"]) if login else None,
            done=frozenset(
                entry
                for key, entry in markers.items()
                if found.get((self._profiles, key), {}).get("state") in FINAL_STATES
            ),
        )

    def remember(self, memo: Mapping[str, Any], *, timeout: float) -> None:
        """Store the memo of a decision; an equal one may be replaced."""
        put = {"TableName": self._sessions, "Item": to_item(memo)}
        self._table.call("PutItem", put, timeout)

    def announce(self, key: str, announcement: str | None, *, at: float, timeout: float) -> None:
        """Store a record that leaves through the stream, once in 15 s for the same ``key``."""
        put = self._announced(key, announcement, at=at, event_id=None)
        try:
            self._table.call("PutItem", put, timeout)
        except ConditionFailedError:
            return

    def commit(self, commit: Commit, *, timeout: float) -> None:
        """Make a login take effect: count, metadata, announcement and memo, all or nothing.

        Raises
        ------
        StoreError : nothing was written.
        """
        ends = time.monotonic() + timeout
        counts = commit.counts
        kinds = commit.kinds
        while True:
            writes = self._writes(commit, counts, kinds)
            if not writes:
                return
            items = {"TransactItems": list(writes.values())}
            try:
                self._table.call("TransactWriteItems", items, ends - time.monotonic())
                return
            except ConditionFailedError as error:
                failed = {
                    name: reason
                    for name, reason in zip(writes, error.reasons, strict=False)
                    if reason.get("Code") == "ConditionalCheckFailed"
                }
                # A parallel sign-in was faster: this login counts with it. Somebody else made the
                # profile, or a part of it: the answer tells what is there now.
                counts = counts and "login" not in failed
                if "profile" in failed:
                    kinds = frozenset(failed["profile"].get("Item") or PROFILE_MAPS)
                self._table.pause(ends)

    def _writes(
        self, commit: Commit, counts: bool, kinds: frozenset[str]
    ) -> dict[str, dict[str, Any]]:
        writes: dict[str, dict[str, Any]] = {}
        if counts:
            put = self._announced(
                commit.login_key, commit.announcement, at=commit.at, event_id=commit.event_id
            )
            writes["login"] = {"Put": put}
        if counts or commit.writes:
            writes["profile"] = {"Update": self._profile_update(commit, counts, kinds)}
        if commit.memo is not None:
            memo = {"TableName": self._sessions, "Item": to_item(commit.memo)}
            writes["memo"] = {"Put": memo}
        return writes

    def _announced(
        self, key: str, announcement: str | None, *, at: float, event_id: str | None
    ) -> dict[str, Any]:
        item: dict[str, Any] = {
            "pk": key,
            "committed_at": at,
            "expires_at": int(at) + _DAY,
        }
        if event_id:
            item["event_id"] = event_id
        if announcement:
            item["announcement"] = announcement
        return {
            "TableName": self._sessions,
            "Item": to_item(item),
            "ConditionExpression": "attribute_not_exists(pk) OR committed_at <= :before",
            "ExpressionAttributeValues": to_item({":before": at - COUNT_ONCE_SECONDS}),
        }

    def _profile_update(
        self, commit: Commit, counts: bool, kinds: frozenset[str]
    ) -> dict[str, Any]:
        """Return the update of a profile; each metadata key by itself, so no change is lost.

        ``kinds`` are the metadata maps that the profile already has.
        """
        update = _Update()
        update.set("updated_at", commit.at)
        update.set("username", commit.username)
        if counts:
            update.set("last_login_at", commit.at)
            update.set("first_login_at", commit.at, only_if_missing=True)
            update.add("logins_count", 1)
        for kind in PROFILE_MAPS:
            writes = [write for write in commit.writes if write.kind == kind]
            update.require(kind, exists=kind in kinds)
            if kind not in kinds:
                update.set(kind, {w.key: w.value for w in writes if w.value is not None})
                continue
            for write in writes:
                if write.value is None:
                    update.remove(kind, write.key)
                else:
                    update.set(
                        kind,
                        write.value,
                        key=write.key,
                        only_if_missing=write.only_if_missing,
                    )
        return {
            "TableName": self._profiles,
            "Key": to_item({"pk": f"USER#{commit.user_id}"}),
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
            **update.parameters(),
        }
