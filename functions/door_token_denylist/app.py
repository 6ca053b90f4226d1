"""Put tokens onto the deny-list, list it, and take entries off."""

from cognito_rules.denylist_door import handler

__all__ = ["handler"]
