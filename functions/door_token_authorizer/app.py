"""Decide for APIs whether an access token is good, and not on the deny-list."""

from cognito_rules.authorizer_door import handler

__all__ = ["handler"]
