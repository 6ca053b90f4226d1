"""The sign-up trigger: PreSignUp, for people, administrators and first federated sign-ins."""

from pathlib import Path
from typing import Any

from cognito_rules.startup import CallClock, live_login

_sign_up = live_login(Path(__file__).parent, keeps=False)
_clock = CallClock()


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:
    """Return the event to Cognito as it is, or refuse the account by raising."""
    return _sign_up.handle(event, started=_clock.started())
