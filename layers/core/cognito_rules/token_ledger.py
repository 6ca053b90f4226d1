"""The ledger of issued token ids: which token was given to whom, until it expires.

Items of ``profiles``: ``LEDGER#<token id>``, which DynamoDB deletes after ``expires_at``. In the
index ``by_listing`` they stand under ``LEDGER#<client id>``, in the order of their issue.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from cognito_rules.app_clients import AppClients
from cognito_rules.dynamodb import DynamoDb
from cognito_rules.dynamodb_json import to_item
from cognito_rules.errors import UpstreamError
from cognito_rules.pool_parts import ASK_SECONDS
from cognito_rules.ulid import new_ulid

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

LEDGER = "LEDGER#"
LISTING_INDEX = "by_listing"

# No access token of Cognito lives longer: what counts where the app client's setting is unknown.
LONGEST_LIFE = 24 * 3600
# A setting that was not given: one hour.
_DEFAULT_LIFE = 3600
_UNITS = {"seconds": 1, "minutes": 60, "hours": 3600, "days": 86_400}

# Together well inside of the rule's own timeout, which a cold start shares.
RECORD_SECONDS = 1.0


@dataclass(frozen=True)
class IssuedToken:
    """What the ledger says of a token. ``user_id`` is None for a machine's."""

    token_id: str
    client_id: str
    user_id: str | None
    scopes: list[str]
    issued_at: datetime
    user_pool_id: str | None = None


class TokenLedger:
    """The ledger in the table of profiles.

    Parameters
    ----------
    now : seconds on a clock that only goes forward.
    """

    def __init__(self, aws: Aws, table: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._dynamodb = DynamoDb(aws)
        self._clients = AppClients(aws, now=now)
        self._table = table

    def record(self, token: IssuedToken, *, timeout: float = RECORD_SECONDS) -> None:
        """Write a token into the ledger; writing the same one again changes nothing.

        Raises
        ------
        StoreError : it was not written within ``timeout`` seconds, as far as is known.
        """
        ends = time.monotonic() + timeout
        issued_at = int(token.issued_at.timestamp())
        item: dict[str, Any] = {
            "pk": LEDGER + token.token_id,
            "listing": LEDGER + token.client_id,
            "listed_at": issued_at,
            "token_id": token.token_id,
            "client_id": token.client_id,
            "issued_at": issued_at,
            "expires_at": issued_at + self._life(token, min(timeout, ASK_SECONDS)),
            "scopes": token.scopes,
        }
        if token.user_id:
            item["sub"] = token.user_id
        same = {":listing": item["listing"], ":at": issued_at}
        put = {
            "TableName": self._table,
            "Item": to_item(item),
            # A write whose answer was lost is repeated, and finds itself.
            "ConditionExpression": "attribute_not_exists(pk) OR "
            "(listing = :listing AND listed_at = :at)",
            "ExpressionAttributeValues": to_item(same),
        }
        self._dynamodb.call("PutItem", put, ends - time.monotonic())

    def _life(self, token: IssuedToken, timeout: float) -> int:
        """Return how many seconds the app client's access tokens live, 24 hours when unreadable."""
        if token.user_pool_id is None:
            return LONGEST_LIFE
        try:
            client = self._clients.find(token.user_pool_id, token.client_id, timeout=timeout)
        except UpstreamError as error:
            from cognito_rules.logs import logger

            logger().warning("token_validity_unreadable", code=error.code)
            return LONGEST_LIFE
        validity = client.get("AccessTokenValidity")
        if not validity:
            return _DEFAULT_LIFE
        unit = (client.get("TokenValidityUnits") or {}).get("AccessToken") or "hours"
        return int(validity) * _UNITS.get(unit, 3600)


def new_token_id(form: str, moment: datetime) -> str:
    """Return a new id: a ``ulid`` of this moment, or a ``uuid4``."""
    if form == "uuid4":
        import uuid

        return str(uuid.uuid4())
    return new_ulid(moment)


def record_token(token: IssuedToken) -> None:
    """Write a token into this function's ledger; raises StoreError as ``TokenLedger.record``."""
    function_ledger().record(token)


@cache
def function_ledger() -> TokenLedger:
    """Return the ledger in the table that template.yaml names to this function."""
    from cognito_rules.aws import Aws  # imports botocore

    return TokenLedger(Aws(), os.environ["PROFILES_TABLE"])
