"""Secrets without a value have no version, and reading one is refused.

https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

from typing import Any

from local.aws.emulator import secrets_manager, wrap


def _resolve(original: Any, secret_id: Any, **named: Any) -> Any:
    name, secret = original(secret_id, **named)
    versions = secret["Versions"] if secret else {}
    for version_id, version in list(versions.items()):
        # Made by a template, the value is "" where it names none.
        if not version.get("SecretString") and not version.get("SecretBinary"):
            del versions[version_id]
    return name, secret


def install() -> None:
    """Forget the version of a secret that was made without a value, when it is asked for."""
    wrap(secrets_manager, "_resolve", _resolve)
