"""Captured logins: what a rule could see of one, for a developer to look at, until it expires.

Items of ``sessions``, the table without backups: ``CAPTURE#<ulid>``, which DynamoDB deletes after
``expires_at``. Each holds a request of the rule protocol, ready for ``cognito-rules try``.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

from cognito_rules.dynamodb import DynamoDb
from cognito_rules.dynamodb_json import to_item
from cognito_rules.envelope import VERSION
from cognito_rules.http import encode
from cognito_rules.login import format_time
from cognito_rules.ulid import new_ulid

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

CAPTURE = "CAPTURE#"
WRITE_SECONDS = 0.7
_LONGEST_TEXT = 2000
# A JSON Web Token, wherever it stands.
_TOKEN = re.compile(r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*")


@dataclass(frozen=True)
class Captures:
    """The captures in the table of sessions."""

    aws: Aws
    table: str

    def record(self, facts: Mapping[str, Any], *, at: datetime, keep_hours: int) -> str:
        """Write a capture of a login's ``facts`` and return its id.

        Keys that name a token, secret, password, assertion or cookie are left out at every depth,
        and so are tokens inside of texts.

        Raises
        ------
        StoreError : it was not written, as far as is known.
        """
        capture_id = new_ulid(at)
        login = without_tokens(json.loads(encode(facts))) | {"now": format_time(at)}
        item = {
            "pk": CAPTURE + capture_id,
            "captured_at": int(at.timestamp()),
            "expires_at": int(at.timestamp()) + keep_hours * 3600,
            "request": json.dumps({"version": VERSION, "login": login, "configuration": {}}),
        }
        put = {"TableName": self.table, "Item": to_item(item)}
        DynamoDb(self.aws).call("PutItem", put, WRITE_SECONDS)
        return capture_id


def without_tokens(value: Any) -> Any:
    """Return a JSON value without what looks like a token, and with texts of bearable length."""
    if isinstance(value, dict):
        return {key: without_tokens(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_tokens(item) for item in value]
    return _TOKEN.sub("(a token)", value)[:_LONGEST_TEXT] if isinstance(value, str) else value


@cache
def function_captures() -> Captures:
    """Return the captures in the table that template.yaml names to this function."""
    from cognito_rules.aws import Aws  # imports botocore

    return Captures(Aws(), os.environ["SESSIONS_TABLE"])
