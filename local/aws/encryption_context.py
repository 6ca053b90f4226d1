"""The condition keys of an encryption context and of an algorithm, in calls of KMS.

https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html

ministack knows no condition key of KMS, so a policy that asks for one allows nothing there.
"""

import json
from importlib import import_module
from typing import Any

from local.aws.emulator import wrap

actions: Any = import_module("ministack.core.iam_actions")


def keys_of(body: bytes) -> dict[str, Any]:
    """Return the condition keys of a request: ``kms:EncryptionContext:NAME``,
    ``kms:EncryptionContextKeys`` and ``kms:SigningAlgorithm``.
    """
    try:
        asked = json.loads(body)
    except ValueError:
        return {}
    if not isinstance(asked, dict):
        return {}
    keys: dict[str, Any] = {}
    if isinstance(asked.get("SigningAlgorithm"), str):
        keys["kms:SigningAlgorithm"] = asked["SigningAlgorithm"]
    context = asked.get("EncryptionContext")
    if isinstance(context, dict):
        keys |= {f"kms:EncryptionContext:{name}": value for name, value in context.items()}
        keys["kms:EncryptionContextKeys"] = list(context)
    return keys


def _with_context(
    original: Any, service: str, action: str, body: bytes, params: Any
) -> dict[str, Any]:
    keys: dict[str, Any] = original(service, action, body, params)
    return keys | keys_of(body) if service == "kms" else keys


def install() -> None:
    """Let policies ask for the encryption context and the algorithm of a request."""
    wrap(actions, "request_tag_context", _with_context)
