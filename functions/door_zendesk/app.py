"""Sign people in to Zendesk who are signed in at the user pool."""

from cognito_rules.zendesk_door import handler

__all__ = ["handler"]
