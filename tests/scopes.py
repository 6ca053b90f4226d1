"""What the effects of one rule make of the scopes of an access token."""

from __future__ import annotations

from cognito_rules import Effects
from cognito_rules.protocol import after


def scopes_after(effects: Effects, scopes: list[str] | None) -> list[str] | None:
    """Return the scopes that later rules see, in order; None when they are unknown."""
    facts = {"transaction": {} if scopes is None else {"scopes": list(scopes)}}
    seen: list[str] | None = after(facts, effects.items)["transaction"].get("scopes")
    return seen
