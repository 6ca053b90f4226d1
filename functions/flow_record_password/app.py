"""Record password changes that CloudTrail tells of, for password_age."""

from typing import Any

from cognito_rules.password_changes import handle


def handler(event: dict[str, Any], context: object) -> None:
    """Note the date of one change; EventBridge calls again when it fails."""
    handle(event)
