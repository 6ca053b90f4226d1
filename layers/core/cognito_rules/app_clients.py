"""The app clients of user pools.

Source: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_DescribeUserPoolClient.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from cognito_rules.pool_parts import PoolParts


class AppClients(PoolParts):
    """``find(pool, client id)`` returns the ``UserPoolClient`` of DescribeUserPoolClient."""

    operation = "DescribeUserPoolClient"
    name = "ClientId"
    part = "UserPoolClient"


@cache
def function_app_clients() -> AppClients:
    """Return the app clients that this function's role may read."""
    from cognito_rules.aws import Aws  # imports botocore

    return AppClients(Aws())


def app_client(pool_id: str, client_id: str) -> Mapping[str, Any]:
    """Return an app client's settings; raises UpstreamError as ``PoolParts.find``."""
    return function_app_clients().find(pool_id, client_id)
