"""Two IAM roles that groups carry, and a sign-in whose pre token generation answers as told."""

from typing import Any

from local.sign_in import App, Tokens
from tests.local.user_pool import PASSWORD, Probe

SOURCE = "TokenGeneration_Authentication"
READER = "arn:aws:iam::000000000000:role/group-reader"
WRITER = "arn:aws:iam::000000000000:role/group-writer"


def sign_in(app: App, person: str, probe: Probe, **override: Any) -> Tokens:
    """Sign in with this ``claimsAndScopeOverrideDetails``."""
    probe.answer(SOURCE, response={"claimsAndScopeOverrideDetails": override})
    return app.password(person, PASSWORD)
