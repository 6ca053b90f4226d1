"""What a decided run means for the person: let in, or refused by which entry."""

from __future__ import annotations

from cognito_rules.chain import Chain, Entry
from cognito_rules.planner import Run
from cognito_rules.protocol import Effect


def denial_of(run: Run) -> tuple[Entry, Effect] | None:
    """Return the entry that refuses the login and its denial, or None when all let it pass.

    A proof or a page that nothing on this path can ask for is a refusal too.
    """
    if run.denial is not None:
        return run.denial
    for entry, answer in run.enforced():
        for effect in answer.effects:
            if effect["effect"] == "require_mfa":
                return entry, _denial("mfa_required", "Please confirm your sign-in.")
            if effect["effect"] == "redirect":
                return entry, _denial("interaction_required", "Please complete your sign-in.")
    return None


def admits_application(chain: Chain, client_id: str) -> bool:
    """Say whether the chain lets anybody in through this application at all."""
    return not chain.refuses_unregistered or client_id in chain.applications


def _denial(public_code: str, reason: str) -> Effect:
    return {
        "effect": "deny",
        "code": public_code,
        "public_code": public_code,
        "reason": reason,
    }
