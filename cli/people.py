"""What is known of a person now, when something is sent on that was recorded before."""

from __future__ import annotations

import json
from functools import cached_property
from typing import Any

from cli.stack import DeployedStack, one_line_errors
from cognito_rules.dynamodb_json import from_item
from cognito_rules.fields import Facts


class People:
    """The people of a stack, each asked about once."""

    def __init__(self, stack: DeployedStack) -> None:
        missing = f"{stack.name} is no stack of Cognito Rules."
        self._pool_id = stack.output("UserPoolId", otherwise=missing)
        self._table = stack.output("ProfilesTable", otherwise=missing)
        self._stack = stack
        self._facts: dict[str, Facts | None] = {}

    def facts(self, user_id: str) -> Facts | None:
        """Return what the profile says of a person; None for one whom the pool has no more."""
        if user_id not in self._facts:
            with one_line_errors():
                exists = self._exists(user_id)
                self._facts[user_id] = self._profile(user_id) if exists else None
        return self._facts[user_id]

    def _exists(self, user_id: str) -> bool:
        found = self._cognito.list_users(
            UserPoolId=self._pool_id, Filter=f"sub = {json.dumps(user_id)}", Limit=1
        )
        return bool(found["Users"])

    def _profile(self, user_id: str) -> Facts:
        found = self._dynamodb.get_item(
            TableName=self._table, Key={"pk": {"S": f"USER#{user_id}"}}, ConsistentRead=True
        )
        profile = from_item(found.get("Item", {}))
        kinds = ("user_metadata", "app_metadata")
        return {"user": {"user_id": user_id, **{kind: profile.get(kind) or {} for kind in kinds}}}

    @cached_property
    def _cognito(self) -> Any:
        return self._stack.client("cognito-idp")

    @cached_property
    def _dynamodb(self) -> Any:
        return self._stack.client("dynamodb")
