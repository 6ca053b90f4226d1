"""The login trigger: PostAuthentication, PostConfirmation and PreTokenGeneration."""

from pathlib import Path
from typing import Any

from cognito_rules.startup import CallClock, live_login

_login = live_login(Path(__file__).parent, keeps=True)
_clock = CallClock()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the event to Cognito, or refuse the login by raising."""
    return _login.handle(event, started=_clock.started())
