"""Of whom the after_login rules may be told, and what of an address that nobody proved.

A person's answers lie in ``user_metadata.consent`` by purpose, as ``{"granted": true, "at": …,
"version": …}`` or as a boolean. The browser's Global Privacy Control, which the application
forwards as ``client_metadata.gpc = "1"``, refuses what follows a person around.

Source: https://www.w3.org/TR/gpc/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cognito_rules.chain import Entry, RequireConsent
from cognito_rules.fields import Facts, Path, knows, lookup
from cognito_rules.manifest import Purpose

DEFAULT_CONSENT: Mapping[Purpose, RequireConsent] = {
    "security": "off",
    "operations": "off",
    "analytics": "opt_out",
    "marketing": "opt_in",
    "enrichment": "opt_in",
}
COUNTRY: Path = ("request", "geoip", "country_code")
_REFUSED_BY_GPC = frozenset({"analytics", "marketing", "enrichment"})
_NEEDS_A_PROVEN_ADDRESS = frozenset({"marketing", "enrichment"})


def obstacle(entry: Entry, facts: Facts) -> str | None:
    """Return why an after_login entry is not told of this login, or None when it is.

    ``no_consent``; ``done_before``, as an import says; ``not_a_sign_up``, for a rule that runs once
    and hears of sign-ups; ``context_missing`` for a required field that this login cannot know.
    """
    required = required_consent(entry, facts)
    if required != "off":
        granted = consent(entry.manifest.purpose, facts)
        if granted is False or (granted is None and required == "opt_in"):
            return "no_consent"
    if entry.once_per_user:
        markers = entry.manifest.imported_markers
        if any(lookup(facts, marker) for marker in markers):
            return "done_before"
        if any(not knows(facts, marker) for marker in markers):
            return "context_missing"
        is_of_sign_ups = "SignUpConfirmed" in entry.manifest.events
        if is_of_sign_ups and lookup(facts, ("event", "first_login")) is not True:
            return "not_a_sign_up"
    seen = facts_for(entry, facts)
    if any(not knows(seen, read.path) for read in entry.manifest.required_reads):
        return "context_missing"
    return None


def required_consent(entry: Entry, facts: Facts) -> RequireConsent:
    """Return what ``entry`` needs of this person, where the login comes from."""
    if entry.region_override is None:
        return entry.require_consent
    return entry.region_override.mode_in(lookup(facts, COUNTRY))


def consent(purpose: str | None, facts: Facts) -> bool | None:
    """Return what the person said to ``purpose``; None when nothing is recorded, or is known.

    What is recorded and is no clear grant is a refusal.
    """
    if purpose in _REFUSED_BY_GPC and lookup(facts, ("request", "client_metadata", "gpc")) == "1":
        return False
    recorded = lookup(facts, ("user", "user_metadata", "consent"))
    said = recorded.get(purpose) if isinstance(recorded, Mapping) else recorded
    if said is None:
        return None
    granted = said.get("granted") if isinstance(said, Mapping) else said
    return granted is True and isinstance(recorded, Mapping)


def facts_for(entry: Entry, facts: Facts) -> Facts:
    """Return the facts that an after_login entry's view is made from.

    Marketing and enrichment know no address that is not verified: anybody could sign up with
    somebody else's, to subscribe them, or to change what a vendor keeps under it.
    """
    user = facts.get("user", {})
    address = user.get("email")
    proven = user.get("email_verified") is True or not address
    if proven or entry.manifest.purpose not in _NEEDS_A_PROVEN_ADDRESS:
        return facts
    shown = _without(user, address)
    if isinstance(user.get("attributes"), Mapping):
        shown["attributes"] = _without(user["attributes"], address)
    return {**facts, "user": shown}


def _without(fields: Mapping[str, Any], address: str) -> Facts:
    """Leave out the fields that hold the address; a user name may be one too."""
    hidden = address.casefold()
    return {
        name: value
        for name, value in fields.items()
        if not (isinstance(value, str) and value.casefold() == hidden)
    }
