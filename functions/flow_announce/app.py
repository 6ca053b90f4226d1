"""Put what SessionsTable's stream announces on the bus."""

from cognito_rules.announce import handler

__all__ = ["handler"]
