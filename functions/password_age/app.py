"""Refuse passwords that are older than the limit until they are changed."""

from datetime import datetime, timedelta
from typing import Any

from cognito_rules import UNKNOWN, ConfigurationError, Effects, Login, claim_name, lambda_rule

_DAY = timedelta(days=1)
_KEY = "last_password_reset"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login of a local person whose password was last set too long ago.

    Cognito tells nobody when that was. A forgotten password, a replaced temporary one and, with the
    parameter RecordFromCloudTrail, every other change are recorded in app_metadata; before the
    first of them the account's date counts. Breached passwords are a better reason than old ones:
    see NIST SP 800-63B, and Cognito's threat protection.

    Reads:  ``login.user.app_metadata.last_password_reset``, ``user.created_at``,
            ``user.identities``; ``login.authentication.methods``; ``login.transaction.trigger``.
    Writes: ``deny`` with code ``password_expired`` or ``password_age_unknown``, or ``redirect``;
            ``set_app_metadata``; ``set_claim`` on the ID token.
    Source: Auth0 rules, "check-last-password-reset".
    """
    settings = login.configuration
    if not _used_a_password(login):
        return
    if login.transaction.trigger == "TokenGeneration_NewPasswordChallenge":
        effects.set_app_metadata(_KEY, login.now.isoformat(timespec="seconds"))
        return
    age = _age(login)
    if age is None:
        effects.deny(settings["message"], code="password_age_unknown")
        return
    if age < timedelta(0):
        effects.warn("password_date_in_future")
        age = timedelta(0)
    left = timedelta(days=settings["max_age_days"]) - age
    if left < timedelta(0):
        _refuse(login, effects)
    elif left <= timedelta(days=settings["warn_days"]):
        effects.set_claim("id", _claim(settings), left // _DAY)


def _refuse(login: Login, effects: Effects) -> None:
    settings = login.configuration
    if settings["action"] == "redirect":
        effects.redirect(settings["redirect_url"])
        return
    effects.deny(settings["message"], code="password_expired", public_code="password_expired")


def _used_a_password(login: Login) -> bool:
    """Say whether a password was used; a linked person may have, as long as nobody knows better."""
    if login.authentication.methods is not UNKNOWN:
        return any(method.get("name") == "pwd" for method in login.authentication.methods)
    connections = {identity["connection"] for identity in login.user.identities or []}
    return login.user.identities is UNKNOWN or "COGNITO" in connections


def _age(login: Login) -> timedelta | None:
    if login.user.app_metadata is UNKNOWN:
        return None
    recorded = login.user.app_metadata.get(_KEY)
    for text in (recorded, login.user.created_at):
        try:
            moment = datetime.fromisoformat(str(text))
        except ValueError:
            continue
        if moment.tzinfo is not None:
            return login.now - moment
    return None


def _claim(settings: dict[str, Any]) -> str:
    name = "password_expires_in_days"
    return claim_name(settings["namespace"], name, unprefixed=not settings["namespace"])


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a redirect without an address, and a span of warning that never begins."""
    _claim(configuration)
    if configuration["warn_days"] > configuration["max_age_days"]:
        raise ConfigurationError("warn_days is more than max_age_days")
    if configuration["action"] == "redirect" and not configuration["redirect_url"]:
        raise ConfigurationError("action is redirect: redirect_url is missing")


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claim that this configuration writes."""
    return [("id", _claim(configuration))] if configuration["warn_days"] else []
