"""Deliver what is on the queues to the after_login rules."""

from cognito_rules.deliver import handler

__all__ = ["handler"]
