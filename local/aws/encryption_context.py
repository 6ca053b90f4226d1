"""The condition keys of an encryption context, in calls of KMS.

https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html

ministack knows no condition key of KMS, so a policy that asks for one allows nothing there.
"""

import json
from importlib import import_module
from typing import Any

from local.aws.emulator import wrap

actions: Any = import_module("ministack.core.iam_actions")


def keys_of(body: bytes) -> dict[str, Any]:
    """Return ``kms:EncryptionContext:NAME`` and ``kms:EncryptionContextKeys`` of a request."""
    try:
        context = json.loads(body)["EncryptionContext"]
    except (ValueError, TypeError, KeyError):
        return {}
    if not isinstance(context, dict):
        return {}
    keys: dict[str, Any] = {f"kms:EncryptionContext:{name}": v for name, v in context.items()}
    return keys | {"kms:EncryptionContextKeys": list(context)}


def _with_context(
    original: Any, service: str, action: str, body: bytes, params: Any
) -> dict[str, Any]:
    keys: dict[str, Any] = original(service, action, body, params)
    return keys | keys_of(body) if service == "kms" else keys


def install() -> None:
    """Let policies ask for the encryption context of a request."""
    wrap(actions, "request_tag_context", _with_context)
