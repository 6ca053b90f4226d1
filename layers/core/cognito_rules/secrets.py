"""Secrets of a rule, from AWS Secrets Manager, kept in memory for a while and nowhere else.

``SECRET_NAMES`` (JSON, from the function's stanza in template.yaml) maps the names in ``rule.toml``
to Secrets Manager ids. Such a secret holds the text itself or, for an integration with several
names, a JSON object with the names as keys: ``{"CLIENT_ID": "…", "CLIENT_SECRET": "…"}``. A text
that begins with ``{`` is an object or a mistake, and so never sent anywhere as it is.

The cache is our own, where Powertools has one, because it must also serve its last good value
while Secrets Manager is down, and bound how often it asks then.

Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

from cognito_rules.errors import SecretError

MAX_AGE = 300.0
MAX_STALE = 12 * 3600.0
REFRESH_EVERY = 60.0

# Secrets Manager's own names for the value of now, and for the one before it.
CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"

# What repeating cannot repair: an operator has to.
_FINAL = frozenset(
    {
        "AccessDeniedException",
        "DecryptionFailure",
        "InvalidParameterException",
        "InvalidRequestException",
        "ResourceNotFoundException",
    }
)


class SecretsClient(Protocol):
    """What is used of a client of Secrets Manager, boto3's or the login path's own."""

    def get_secret_value(self, *, SecretId: str, VersionStage: str = CURRENT) -> Any:
        """Return the answer, or raise botocore's ClientError or BotoCoreError."""


@dataclass(slots=True)
class _Kept:
    content: str | dict[str, Any]
    read_at: float
    asked_at: float
    forced_at: float


class Secrets:
    """The secrets that one execution environment has read.

    Parameters
    ----------
    client : asks Secrets Manager.
    ids : secret name -> Secrets Manager id.
    now : seconds on a clock that only goes forward.
    version : which version of the secrets is read.
    """

    def __init__(
        self,
        client: SecretsClient,
        ids: dict[str, str],
        now: Callable[[], float] = time.monotonic,
        *,
        version: str = CURRENT,
    ) -> None:
        self._client = client
        self._version = {} if version == CURRENT else {"VersionStage": version}
        self._ids = ids
        self._now = now
        self._kept: dict[str, _Kept] = {}

    def read(self, name: str, *, refresh: bool = False) -> str:
        """Return the secret ``name``, at most 300 s old.

        ``refresh`` asks for a newer one, which is granted once in 60 s. While Secrets Manager
        cannot be reached, a value of at most 12 hours is returned instead, with a warning.

        Raises
        ------
        SecretError : it cannot be read and no such value is there, or it holds no such text;
            ``retryable`` for an outage. Never holds the secret's text.
        """
        if name not in self._ids:
            raise SecretError(name, f"template.yaml gives no secret id for {name}")
        kept = self._kept.get(self._ids[name])
        if kept is None or self._is_due(kept, refresh):
            kept = self._ask(name, kept, refresh)
        content = kept.content
        value = content if isinstance(content, str) else content.get(name)
        if not isinstance(value, str) or not value:
            raise SecretError(name, f"the secret holds no text for {name}")
        return value

    def _is_due(self, kept: _Kept, refresh: bool) -> bool:
        now = self._now()
        if kept.asked_at > kept.read_at:  # an outage: wait, or every call would wait for a timeout
            return now - kept.asked_at >= REFRESH_EVERY
        return now - kept.read_at >= MAX_AGE or (refresh and now - kept.forced_at >= REFRESH_EVERY)

    def _ask(self, name: str, kept: _Kept | None, refresh: bool) -> _Kept:
        secret_id, asked_at = self._ids[name], self._now()
        try:
            content = self._fetch(name, secret_id)
        except SecretError as error:
            # A refused or deleted secret was taken away on purpose; an outage was not.
            if kept is None or not error.retryable or asked_at - kept.read_at > MAX_STALE:
                self._kept.pop(secret_id, None)
                raise
            from cognito_rules.logs import logger

            kept.asked_at = asked_at
            age = round(asked_at - kept.read_at)
            logger().warning("secret_stale", secret=name, age_seconds=age)
            return kept
        forced_at = asked_at if refresh else kept.forced_at if kept else -math.inf
        fresh = self._kept[secret_id] = _Kept(content, asked_at, asked_at, forced_at)
        return fresh

    def _fetch(self, name: str, secret_id: str) -> str | dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            text: str = self._client.get_secret_value(SecretId=secret_id, **self._version).get(
                "SecretString", ""
            )
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            message = f"Secrets Manager refused {name}: {code}"
            raise SecretError(name, message, retryable=code not in _FINAL) from error
        except BotoCoreError as error:
            message = f"Secrets Manager did not answer for {name}: {type(error).__name__}"
            raise SecretError(name, message, retryable=True) from error
        if not text.lstrip().startswith("{"):
            return text.strip()  # a file ends with a line break
        try:
            values: dict[str, Any] | None = json.loads(text)
        except ValueError:
            values = None  # the error carries the secret's text
        if values is None:
            raise SecretError(name, f"the secret for {name} begins like JSON and is none")
        return values


def read_secret(name: str, *, declared: Collection[str], refresh: bool = False) -> str:
    """Return the secret ``name`` of this function; ``refresh`` as in ``Secrets.read``.

    Raises
    ------
    SecretError : ``name`` is not in ``declared``, or it cannot be read.
    """
    if name not in declared:
        raise SecretError(name, f"the secret {name} is not declared in rule.toml")
    return function_secrets().read(name, refresh=refresh)


@cache
def function_secrets(version: str = CURRENT) -> Secrets:
    """Return the secrets of this function, as its environment variables name them."""
    import boto3  # 0.3 s that only a rule with a secret pays
    from botocore.config import Config

    limits = Config(connect_timeout=0.5, read_timeout=1.0, retries={"total_max_attempts": 2})
    client = boto3.client("secretsmanager", config=limits)
    return Secrets(client, _secret_ids(), version=version)


def _secret_ids() -> dict[str, str]:
    try:
        ids = json.loads(os.environ.get("SECRET_NAMES", "{}"))
    except ValueError:
        ids = None
    if not isinstance(ids, dict) or not all(isinstance(value, str) for value in ids.values()):
        raise SecretError("SECRET_NAMES", "SECRET_NAMES in template.yaml is no map of secret ids")
    return ids
