"""The deny-list: tokens that are cancelled before they expire, one by one or by what they share.

Items of ``profiles``: ``DENY#<kind>#<value>``, which DynamoDB deletes after ``expires_at``. All of
them stand in the index ``by_listing`` under ``DENY``.

An entry for one token, or for one session, denies whatever carries the id. One for a person or an
app client is a moment: it denies what was issued before ``not_before``.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cognito_rules.dynamodb import ConditionFailedError, DynamoDb, keys
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.token_ledger import LEDGER, LISTING_INDEX, LONGEST_LIFE

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

DENY = "DENY"
# What names an entry -> its part of the key.
KINDS = {
    "jti": "jti",
    "token_id": "token",
    "origin_jti": "origin",
    "sub": "sub",
    "client_id": "client",
}
CUT_OFFS = frozenset({"sub", "client_id"})

# A refresh token lives ten years at most, and so does what it can bring forth.
LONGEST_ENTRY = 3660 * 24 * 3600
# A moment given in milliseconds, say, would lock a person out for good.
MOST_AHEAD = 300
MAX_LIMIT = 100
_CALL_SECONDS = 2.0

_VALUE = re.compile(r"[!-~]{1,256}")
_PLAIN_VALUE = re.compile(r"[A-Za-z0-9_+-]{1,128}")
_MAX_AUDIENCE = 2048
_OPTIONS = frozenset({"aud", "not_before", "expires_at"})


class InvalidRequestError(Exception):
    """A request is not one of the forms; ``fields`` says of each field what it must be."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        super().__init__(", ".join(fields))
        self.fields = dict(fields)


@dataclass(frozen=True)
class Name:
    """What an entry is about: a ``kind``, such as ``jti``, and its value."""

    kind: str
    value: str

    @property
    def key(self) -> str:
        """The key of the entry in the table."""
        return f"{DENY}#{KINDS[self.kind]}#{self.value}"


@dataclass(frozen=True)
class Entry:
    """An entry to be made; all moments in seconds since the epoch.

    ``not_before`` : of a cut-off, else None. ``audience`` : kept with the entry, decides nothing.
    """

    name: Name
    expires_at: int
    not_before: int | None = None
    audience: str | None = None


def parse_name(given: Mapping[str, Any], problems: dict[str, str]) -> Name | None:
    """Return the one name in ``given``; adds to ``problems`` what is wrong with it."""
    kinds = [kind for kind in KINDS if kind in given]
    if len(kinds) != 1:
        choice = ", ".join(KINDS)
        if not kinds:
            problems["body"] = f"give one of {choice}"
        problems |= dict.fromkeys(kinds, f"give only one of {choice}")
        return None
    kind, value = kinds[0], given[kinds[0]]
    form = _PLAIN_VALUE if kind in CUT_OFFS else _VALUE
    if not isinstance(value, str) or not form.fullmatch(value):
        problems[kind] = "must be a text of 1 to 256 visible characters"
        if kind in CUT_OFFS:
            problems[kind] = "must be 1 to 128 letters, digits, hyphens"
        return None
    return Name(kind, value)


def parse_entry(given: Any, *, now: float) -> Entry:
    """Return the entry that the body of a request asks for.

    Raises
    ------
    InvalidRequestError : it is none of the forms.
    """
    if not isinstance(given, dict):
        raise InvalidRequestError({"body": "must be a JSON object"})
    problems = {field: "is unknown" for field in given if field not in KINDS.keys() | _OPTIONS}
    name = parse_name(given, problems)
    kind = name.kind if name else None
    audience = given.get("aud")
    if "aud" in given:
        if kind not in (None, "jti"):
            problems["aud"] = "goes with jti only"
        elif not isinstance(audience, str) or not 0 < len(audience) <= _MAX_AUDIENCE:
            problems["aud"] = "must be a text of 1 to 2048 characters"
    if "not_before" in given and kind is not None and kind not in CUT_OFFS:
        problems["not_before"] = "goes with sub and client_id only"
    if "expires_at" in given and kind in CUT_OFFS:
        problems["expires_at"] = "goes with jti, token_id and origin_jti only"
    # The next second: nothing that was issued in this one, up to now, stays good.
    not_before = _moment(given, "not_before", int(now) + 1, 0, int(now) + MOST_AHEAD, problems)
    latest = int(now) + LONGEST_ENTRY
    expires_at = _moment(
        given, "expires_at", int(now) + LONGEST_LIFE, int(now) + 1, latest, problems
    )
    if problems or name is None:
        raise InvalidRequestError(problems)
    if name.kind in CUT_OFFS:
        # Whatever is older than the cut-off has expired a day after it.
        return Entry(name, max(int(now), not_before) + LONGEST_LIFE, not_before)
    return Entry(name, expires_at, audience=audience)


def _moment(
    given: Mapping[str, Any],
    field: str,
    default: int,
    least: int,
    most: int,
    problems: dict[str, str],
) -> int:
    if field not in given:
        return default
    value = given[field]
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        problems.setdefault(field, f"must be whole seconds since the epoch, {least} to {most}")
        return default
    return value


class TokenDenylist:
    """The deny-list in the table of profiles. Every method raises StoreError."""

    def __init__(self, aws: Aws, table: str) -> None:
        self._dynamodb = DynamoDb(aws)
        self._table = table

    def add(self, entry: Entry, *, now: float) -> None:
        """Write an entry. One that is there is only ever made to deny more, or for longer."""
        values: dict[str, Any] = {
            "kind": entry.name.kind,
            "value": entry.name.value,
            "listing": DENY,
            "listed_at": int(now),
            "expires_at": entry.expires_at,
            "aud": entry.audience,
            "not_before": entry.not_before,
            "client_id": self._client_of(entry.name),
        }
        given = {name: value for name, value in values.items() if value is not None}
        grows = "expires_at" if entry.not_before is None else "not_before"
        update = {
            "TableName": self._table,
            "Key": to_item({"pk": entry.name.key}),
            "UpdateExpression": "SET " + ", ".join(f"#{name} = :{name}" for name in given),
            "ConditionExpression": f"attribute_not_exists(pk) OR #{grows} < :{grows}",
            "ExpressionAttributeNames": {f"#{name}": name for name in given},
            "ExpressionAttributeValues": to_item({f":{n}": value for n, value in given.items()}),
        }
        try:
            self._dynamodb.call("UpdateItem", update, _CALL_SECONDS)
        except ConditionFailedError:
            return  # it denies as much already

    def _client_of(self, name: Name) -> str | None:
        """Return the app client that an entry is about, for the listing by client."""
        if name.kind == "client_id":
            return name.value
        if name.kind != "token_id":
            return None
        get = {"TableName": self._table, "Key": to_item({"pk": LEDGER + name.value})}
        found = self._dynamodb.call("GetItem", get, _CALL_SECONDS).get("Item")
        return str(from_item(found)["client_id"]) if found else None

    def remove(self, name: Name) -> bool:
        """Delete an entry; False when there was none."""
        delete = {
            "TableName": self._table,
            "Key": to_item({"pk": name.key}),
            "ReturnValues": "ALL_OLD",
        }
        return bool(self._dynamodb.call("DeleteItem", delete, _CALL_SECONDS).get("Attributes"))

    def page(
        self, *, now: float, limit: int, client_id: str | None = None, cursor: str | None = None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return entries that still count, latest first, and the cursor of the next page or None.

        ``client_id`` keeps those that are known to be about an app client: its cut-off, and the
        ids of tokens that the ledger names.

        Raises
        ------
        InvalidRequestError : ``cursor`` did not come from here.
        """
        filters = ["expires_at > :now"]
        values: dict[str, Any] = {":listing": DENY, ":now": int(now)}
        if client_id is not None:
            filters.append("client_id = :client_id")
            values[":client_id"] = client_id
        query: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": LISTING_INDEX,
            "KeyConditionExpression": "listing = :listing",
            "FilterExpression": " AND ".join(filters),
            "ExpressionAttributeValues": to_item(values),
            "ScanIndexForward": False,
            "Limit": limit,
        }
        if cursor is not None:
            query["ExclusiveStartKey"] = _from_cursor(cursor)
        answer = self._dynamodb.call("Query", query, _CALL_SECONDS)
        last = answer.get("LastEvaluatedKey")
        return [_shown(from_item(item)) for item in answer["Items"]], _to_cursor(last)

    def denies(
        self, claims: Mapping[str, Any], *, token_id: str | None, timeout: float
    ) -> str | None:
        """Return the kind of the entry that denies a token, or None.

        One strongly consistent read. ``claims`` are those of a verified token; what it does not
        carry is not looked for. ``token_id`` : the id that set_access_token_id gave it.
        """
        carried = {**claims, "token_id": token_id}
        names = [Name(kind, str(carried[kind])) for kind in KINDS if carried.get(kind)]
        wanted = {self._table: keys(name.key for name in names)}
        found = self._dynamodb.batch_get(wanted, timeout)
        for name in names:
            item = found.get((self._table, name.key))
            if item is None:
                continue
            if name.kind not in CUT_OFFS or claims["iat"] < item["not_before"]:
                return name.kind
        return None


def _shown(item: Mapping[str, Any]) -> dict[str, Any]:
    shown = {item["kind"]: item["value"], "listed_at": item["listed_at"]}
    optional = ("aud", "not_before", "client_id", "expires_at")
    return shown | {name: item[name] for name in optional if name in item}


def _to_cursor(key: Mapping[str, Any] | None) -> str | None:
    if not key:
        return None
    plain = from_item(key)
    text = json.dumps([plain["pk"], plain["listed_at"]], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode()


def _from_cursor(cursor: str) -> dict[str, Any]:
    try:
        pk, listed_at = json.loads(base64.urlsafe_b64decode(cursor))
    except (ValueError, TypeError):
        pk, listed_at = None, None
    if not isinstance(pk, str) or not pk.startswith(f"{DENY}#") or type(listed_at) is not int:
        raise InvalidRequestError({"cursor": "must be the next of an earlier answer"})
    return to_item({"pk": pk, "listing": DENY, "listed_at": listed_at})
