"""Let signed-in people subscribe to their private and presence channels of Pusher."""

from cognito_rules.pusher_door import handler

__all__ = ["handler"]
