"""The user pools API over the lean transport, for what functions ask of a pool.

Source: AWS, Amazon Cognito user pools API reference.
"""

from __future__ import annotations

import json
import re
from functools import cache
from typing import TYPE_CHECKING, Any

from cognito_rules.effect_values import is_code
from cognito_rules.errors import UpstreamError

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

SERVICE = "cognito-idp"
# Answered with 400 like a mistake, though the same call may succeed in a moment.
_BUSY = frozenset({"TooManyRequestsException", "ConcurrentModificationException"})


class UserPools:
    """Cognito's user pools in the region of ``aws``."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws
        self._url = aws.endpoint(SERVICE) + "/"

    def call(self, operation: str, parameters: dict[str, Any], *, timeout: float) -> dict[str, Any]:
        """Call an operation that may be repeated, and return its answer.

        Raises
        ------
        UpstreamError : no answer within ``timeout`` seconds, or a refusal, whose ``code`` is
            Cognito's own as protocol version 1 spells codes: ``user_not_found`` for
            UserNotFoundException, and ``misconfigured`` where the role may not ask.
        """
        from cognito_rules.aws import error_code

        headers = {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": f"AWSCognitoIdentityProviderService.{operation}",
        }
        body = json.dumps(parameters).encode()
        answer = self._aws.post(SERVICE, self._url, body, headers, timeout=timeout, repeatable=True)
        try:
            document = json.loads(answer.data or b"{}")
        except ValueError:
            document = None
        if answer.status != 200 or not isinstance(document, dict):
            code = error_code(document)
            raise UpstreamError(
                SERVICE,
                f"{operation} was answered with {answer.status}",
                status=answer.status,
                retryable=answer.status >= 500 or answer.status == 429 or code in _BUSY,
                code=_code(code, answer.status),
            )
        return document


def _code(error: str, status: int) -> str:
    """Return the code of a fault for an error type of AWS; what is no fault's code is lost."""
    if status >= 500:
        return "upstream_unavailable"
    if error == "AccessDeniedException":
        return "misconfigured"
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", error.removesuffix("Exception")).lower()
    return words if is_code(words) else UpstreamError.code


@cache
def function_user_pools() -> UserPools:
    """Return the user pools API as this function's role may use it."""
    from cognito_rules.aws import Aws  # imports botocore

    return UserPools(Aws())
