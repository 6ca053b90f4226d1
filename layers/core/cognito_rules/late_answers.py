"""Answers that another system gives later, by a call to an endpoint of ours: for whom, and once.

The path of such a call ends in a nonce, which is all that says who calls. It is kept as a digest,
with the one person and login whom it is for, and goes in the same write that stores the answer.

Items of ``sessions``: ``webhook#<digest of the nonce>``, good until ``expires_at``.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from cognito_rules.dynamodb import ConditionFailedError, DynamoDb
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.errors import ConfigurationError
from cognito_rules.login import Login
from cognito_rules.markers import forgotten_key
from cognito_rules.protocol import Effect
from cognito_rules.second_hop import enrichment_item

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

NONCE_SECONDS = 15 * 60
# Within a rule's own time, and of the endpoint's.
EXPECT_SECONDS = 1.0
_TABLE_SECONDS = 2.0
_NONCE = re.compile(r"[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked: about which person, at which login, of whom, and what is kept of the answer.

    ``kept`` are the settings of the one who asked, as ``keep_found`` takes them.
    """

    person: str
    login_id: str
    source: str
    kept: Mapping[str, Any]


class LateAnswers:
    """The nonces in one table of sessions, and the answers in one of profiles.

    Parameters
    ----------
    clock : seconds since the epoch; only tests replace it. A login's own time is that of its event,
        which may have waited long.
    """

    def __init__(
        self, aws: Aws, *, sessions: str, profiles: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._dynamodb = DynamoDb(aws)
        self._sessions = sessions
        self._profiles = profiles
        self._clock = clock

    def expect(self, asked: Asked) -> str:
        """Return a new nonce for the answer to what is asked; before it is asked.

        Raises
        ------
        StoreError : it cannot be kept; nobody must be told of it then.
        """
        nonce = secrets.token_urlsafe(32)
        until = int(self._clock()) + NONCE_SECONDS
        item = {"pk": _key(nonce), **asdict(asked), "expires_at": until}
        put = {"TableName": self._sessions, "Item": to_item(item)}
        self._dynamodb.call("PutItem", put, EXPECT_SECONDS)
        return nonce

    def find(self, nonce: str) -> Asked | None:
        """Return what was asked with a nonce; None for one that is unknown, used or too old.

        Raises
        ------
        StoreError : the table does not answer.
        """
        if not _NONCE.fullmatch(nonce):
            return None
        get = {
            "TableName": self._sessions,
            "Key": to_item({"pk": _key(nonce)}),
            "ConsistentRead": True,
        }
        item = from_item(self._dynamodb.call("GetItem", get, _TABLE_SECONDS).get("Item") or {})
        # DynamoDB deletes what has expired within days.
        if item.get("expires_at", 0) <= self._clock():
            return None
        return Asked(item["person"], item["login_id"], item["source"], item["kept"])

    def take(self, nonce: str, asked: Asked, effect: Effect) -> bool:
        """Use the nonce up and store its answer, both or neither; say whether that was done.

        It is not when the nonce was used in the meantime, when there is an answer by now, or when
        the person was forgotten.

        Raises
        ------
        StoreError : the tables do not answer; the nonce is good for another try.
        """
        now = int(self._clock())
        use = {
            "TableName": self._sessions,
            "Key": to_item({"pk": _key(nonce)}),
            "ConditionExpression": "expires_at > :now",
            "ExpressionAttributeValues": to_item({":now": now}),
        }
        keep = {
            "TableName": self._profiles,
            "Item": to_item(enrichment_item(asked.person, effect, at=now)),
            "ConditionExpression": (
                "attribute_not_exists(pk) OR expires_at <= :now OR #known.#status IN (:p, :f)"
            ),
            "ExpressionAttributeNames": {"#known": "known", "#status": "status"},
            "ExpressionAttributeValues": to_item({":now": now, ":p": "pending", ":f": "failed"}),
        }
        stays = {
            "TableName": self._profiles,
            "Key": to_item({"pk": forgotten_key(asked.person)}),
            "ConditionExpression": "attribute_not_exists(pk)",
        }
        transaction = {
            "TransactItems": [{"Delete": use}, {"Put": keep}, {"ConditionCheck": stays}],
            # Of this call alone: it may be repeated, and would find the nonce used by itself.
            "ClientRequestToken": secrets.token_hex(16),
        }
        try:
            self._dynamodb.call("TransactWriteItems", transaction, _TABLE_SECONDS)
        except ConditionFailedError:
            return False
        return True


def callback_url(login: Login, base: str, source: str, kept: Mapping[str, Any]) -> str:
    """Return where ``source`` can call with its answer about the person of this login, once.

    ``base`` is the endpoint's URL for this source.

    Raises
    ------
    StoreError : the nonce cannot be kept; the source must not be asked.
    ConfigurationError : the function has no tables, which template.yaml names.
    """
    asked = Asked(login.user.user_id, login.event.id, source, dict(kept))
    return f"{base}/{late_answers().expect(asked)}"


@cache
def late_answers() -> LateAnswers:
    """Return those of this function's tables."""
    from cognito_rules.aws import function_aws  # imports botocore

    sessions, profiles = os.environ.get("SESSIONS_TABLE"), os.environ.get("PROFILES_TABLE")
    if not sessions or not profiles:
        raise ConfigurationError("SESSIONS_TABLE and PROFILES_TABLE are set in template.yaml")
    return LateAnswers(function_aws(), sessions=sessions, profiles=profiles)


def _key(nonce: str) -> str:
    return f"webhook#{hashlib.sha256(nonce.encode()).hexdigest()}"
