"""The check of a chain document that AppConfig calls before it deploys one.

A document is refused by raising; AppConfig calls it for a new version and again for a deployment.

Source: AWS AppConfig user guide, "AWS Lambda function validators".
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from cognito_rules.chain_terms import ChainTerms
from cognito_rules.errors import ChainError, Problem
from cognito_rules.logs import log_record


def validate(event: Mapping[str, Any], terms: ChainTerms) -> None:
    """Check the document in an event of AppConfig.

    Raises
    ------
    ChainError : with every reason for which the document is refused.
    """
    version = event.get("configurationVersion")
    try:
        chain = terms.read(_document(event.get("content")))
    except ChainError as error:
        refused = {"configuration_version": version, "problems": list(error.problems)}
        log_record("chain refused", refused)
        raise
    log_record("chain accepted", {"configuration_version": version, "chain": chain.version})


def _document(content: Any) -> str:
    try:
        return base64.b64decode(content, validate=True).decode()
    except (TypeError, ValueError, binascii.Error) as error:
        raise ChainError([Problem("the document is no text")]) from error
