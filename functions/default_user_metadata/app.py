"""Give people default preferences, kept in their metadata and shown in the ID token."""

import re
from typing import Any

from cognito_rules import UNKNOWN, ConfigurationError, Effects, Login, claim_name, lambda_rule

_PART = re.compile(r"\{(\w+)\}")
_PARTS = ("given_name", "nickname", "email_local")
# Consent is a decision that only its own rule records.
_CONSENT = frozenset({"consent", "consentGiven", "consentTimestamp", "consentVersion"})
_LONGEST_CLAIM = 256


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Store the default of each key that is missing, and set claims to the values in effect.

    A stored ``""``, ``0``, ``false`` is a choice and stays; a stored null counts as missing.

    Reads:  ``login.user.user_metadata`` (unknown when the profile cannot be read); for templates
            ``login.user.given_name``, ``nickname``, ``email`` (only a verified one).
    Writes: ``set_user_metadata`` for missing keys, which a concurrent change by the person beats;
            ``set_claim`` on the ID token.
    Source: Auth0 rules, "add-persistence-attribute"; Auth0 docs, "User data storage scenario".
    """
    settings = login.configuration
    stored = login.user.user_metadata
    if stored is UNKNOWN:
        effects.warn("metadata_unavailable")
        stored = {}
    for key, default in settings["defaults"].items():
        value = stored.get(key)
        if value is None:
            value = _filled(login, default)
            # The store takes a null for a value, so that one has to be replaced.
            effects.set_user_metadata(key, value, only_if_missing=key not in stored)
        if key in settings["claims"]:
            _show(effects, _name(settings, key), value)


def _show(effects: Effects, claim: str, value: Any) -> None:
    # People write their metadata themselves: it must not blow up their tokens.
    if isinstance(value, str) and len(value) > _LONGEST_CLAIM:
        effects.warn("claim_too_long")
        return
    effects.set_claim("id", claim, value)


def _filled(login: Login, default: Any) -> Any:
    """Return the default with the parts of a template filled in, or the text behind its ``|``."""
    if not isinstance(default, str) or not _PART.search(default):
        return default
    template, _, fallback = default.rpartition("|")
    email = login.user.email if login.user.email_verified is True else None
    parts = {
        "given_name": login.user.given_name,
        "nickname": login.user.nickname,
        "email_local": (email or "").rpartition("@")[0],
    }
    if not all(parts[name] for name in _PART.findall(template)):
        return fallback
    return _PART.sub(lambda match: str(parts[match[1]]), template)


def _name(settings: dict[str, Any], key: str) -> str:
    return claim_name(settings["namespace"], settings["claims"][key])


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse protected keys, templates that could stay empty, and claims without a default."""
    for key, default in configuration["defaults"].items():
        if default is None:
            raise ConfigurationError(f"defaults.{key}: null is no default")
        if key in _CONSENT:
            raise ConfigurationError(f"defaults: {key!r} is a record of consent")
        parts = _PART.findall(default) if isinstance(default, str) else []
        for part in parts:
            if part not in _PARTS:
                raise ConfigurationError(
                    f"defaults.{key}: there is no {{{part}}}, only {', '.join(_PARTS)}"
                )
        if parts and (not default.rpartition("|")[0] or _PART.search(default.rpartition("|")[2])):
            raise ConfigurationError(f"defaults.{key}: a template ends in |TEXT, for missing parts")
    for key in configuration["claims"]:
        if key not in configuration["defaults"]:
            raise ConfigurationError(f"claims: {key!r} has no default")
        _name(configuration, key)


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    return [("id", _name(configuration, key)) for key in configuration["claims"]]
