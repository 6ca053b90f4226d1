"""Signed assertions (JWT, RS256) whose private key lives in AWS KMS and never leaves it.

Source: RFC 7515 (JWS), section 7.1; AWS KMS API reference, "Sign".
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

from cognito_rules.errors import UpstreamError

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

SIGN_SECONDS = 1.0
# What the key, its policy or this stack's parameter has to be repaired for.
_OURS_TO_REPAIR = frozenset(
    {
        "AccessDeniedException",
        "DisabledException",
        "InvalidArnException",
        "InvalidKeyUsageException",
        "KMSInvalidStateException",
        "NotFoundException",
        "ValidationException",
    }
)


def sign_assertion(key: str, claims: Mapping[str, Any]) -> str:
    """Return ``claims`` as a JWT, signed by RS256 with the KMS key whose ARN is ``key``.

    It is at most 4,096 bytes before it is signed, which is KMS's limit.

    Raises
    ------
    UpstreamError : KMS did not sign; ``misconfigured`` for a key that is missing, disabled, of
        another kind, or not ours to use, else retryable.
    """
    signed = b".".join(_part(part) for part in ({"alg": "RS256", "typ": "JWT"}, claims))
    asked = {
        "KeyId": key,
        "Message": b64encode(signed).decode(),
        "MessageType": "RAW",
        "SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256",
    }
    try:
        answer = _aws().post(
            "kms",
            _aws().endpoint("kms") + "/",
            json.dumps(asked).encode(),
            {"Content-Type": "application/x-amz-json-1.1", "X-Amz-Target": "TrentService.Sign"},
            timeout=SIGN_SECONDS,
            repeatable=True,
        )
    except UpstreamError as error:
        # A signature more does no harm, so nothing of it is uncertain.
        raise _later("KMS did not answer") from error
    facts = _facts(answer.data)
    if answer.status == 200 and isinstance(facts.get("Signature"), str):
        return b".".join([signed, _text(b64decode(facts["Signature"]))]).decode()
    from cognito_rules.aws import error_code

    code = error_code(facts)
    if code in _OURS_TO_REPAIR:
        message = f"KMS does not sign: {code}"
        raise UpstreamError("kms", message, status=answer.status, code="misconfigured")
    raise _later(f"KMS did not sign: {code}")


@cache
def _aws() -> Aws:
    from cognito_rules.aws import Aws  # imports botocore

    return Aws()


def _part(value: Mapping[str, Any]) -> bytes:
    return _text(json.dumps(value, separators=(",", ":")).encode())


def _text(value: bytes) -> bytes:
    return urlsafe_b64encode(value).rstrip(b"=")


def _facts(data: bytes) -> dict[str, Any]:
    try:
        facts = json.loads(data)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}


def _later(message: str) -> UpstreamError:
    return UpstreamError("kms", message, retryable=True, code="upstream_unavailable")
