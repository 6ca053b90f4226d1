"""Secrets Manager over the login path's own transport, as far as ``Secrets`` needs a client."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError, HTTPClientError

from cognito_rules.aws import Aws, error_code
from cognito_rules.errors import UpstreamError
from cognito_rules.secrets import CURRENT

# A login waits for it at most once in five minutes.
TIMEOUT_SECONDS = 0.4


class SecretsManager:
    """Reads secrets with the credentials and connections of ``Aws``; raises botocore's errors."""

    def __init__(self, aws: Aws) -> None:
        self._aws = aws

    def get_secret_value(self, *, SecretId: str, VersionStage: str = CURRENT) -> dict[str, Any]:
        """Return the answer of GetSecretValue."""
        asked = {"SecretId": SecretId}
        if VersionStage != CURRENT:
            asked["VersionStage"] = VersionStage
        try:
            answer = self._aws.post(
                "secretsmanager",
                self._aws.endpoint("secretsmanager") + "/",
                json.dumps(asked).encode(),
                {
                    "Content-Type": "application/x-amz-json-1.1",
                    "X-Amz-Target": "secretsmanager.GetSecretValue",
                },
                timeout=TIMEOUT_SECONDS,
                repeatable=True,
            )
        except UpstreamError as error:
            raise HTTPClientError(error=error) from error
        try:
            document = json.loads(answer.data)
        except ValueError:
            document = None
        if answer.status != 200 or not isinstance(document, dict):
            refused = {"Error": {"Code": error_code(document), "Message": ""}}
            raise ClientError(refused, "GetSecretValue")  # type: ignore[arg-type]
        return document
