"""The identity providers of user pools, which this collection calls connections.

Source: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_DescribeIdentityProvider.html
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from cognito_rules.errors import UpstreamError
from cognito_rules.pool_parts import PoolParts


class IdentityProviders(PoolParts):
    """``find(pool, name)`` returns the ``IdentityProvider`` of DescribeIdentityProvider."""

    operation = "DescribeIdentityProvider"
    name = "ProviderName"
    part = "IdentityProvider"


@cache
def function_identity_providers() -> IdentityProviders:
    """Return the identity providers that this function's role may read."""
    from cognito_rules.aws import Aws  # imports botocore

    return IdentityProviders(Aws())


def identity_provider(pool_id: str, name: str) -> Mapping[str, Any] | None:
    """Return what a pool says of a provider, None when it has none of that name.

    Raises
    ------
    UpstreamError : as ``PoolParts.find``.
    """
    try:
        return function_identity_providers().find(pool_id, name)
    except UpstreamError as error:
        if error.code != "resource_not_found":
            raise
        return None
