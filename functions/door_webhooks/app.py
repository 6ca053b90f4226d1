"""Take answers about people that other systems did not have at once."""

from cognito_rules.webhooks_door import handler

__all__ = ["handler"]
