"""Forget people who were deleted, and ask the systems that were told of them to do so."""

from pathlib import Path
from typing import Any

from cognito_rules.forgetting import handle


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Forget the person of one event; EventBridge and the command call again when it fails."""
    return handle(event, Path(__file__).parent)
