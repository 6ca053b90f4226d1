"""Let nobody become a user through social login, while those who are users may go on using it."""

from typing import Any

from cognito_rules import (
    UNKNOWN,
    ConfigurationError,
    Effects,
    Login,
    lambda_rule,
    normalise_email,
)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Refuse a first social login, before the account exists or, in net mode, after.

    ``net`` is for pools whose pre sign-up trigger is somebody else's: the account is made, and its
    logins are refused until one was completed, which never happens by itself. An administrator lets
    a person in by ``app_metadata.is_signup = false``; people who were users before this collection
    counted logins need it too.

    Reads:  ``login.transaction.trigger``; ``login.user`` (username, identities, email,
            email_verified, ``app_metadata.is_signup``); ``login.stats.logins_count``.
    Writes: ``deny`` with code ``signup_disabled``, or ``metadata_unavailable`` in net mode.
    Source: Auth0 rules, "disable-social-signup"; AWS, "Pre sign-up Lambda trigger".
    """
    settings = login.configuration
    source = login.transaction.trigger or ""
    if source.startswith("PreSignUp_"):
        if source != "PreSignUp_ExternalProvider" or not _is_social_name(login):
            return
    elif settings["mode"] != "net" or not _is_social_account(login):
        return
    elif login.stats.logins_count is UNKNOWN:
        effects.deny(settings["message"], code="metadata_unavailable")
        return
    elif login.stats.logins_count > 1 or _is_cleared(login):  # this login is one of them
        return
    invited = {normalise_email(address) for address in settings["invited_emails"]}
    if login.user.email_verified is True and normalise_email(login.user.email) in invited:
        return
    effects.deny(settings["message"], code="signup_disabled")


def _is_social_name(login: Login) -> bool:
    """Say whether Cognito is about to make ``Google_1234``; some pools write it in lower case."""
    name = str(login.user.username or "").casefold()
    providers = login.configuration["providers"]
    return any(name.startswith(f"{provider}_".casefold()) for provider in providers)


def _is_social_account(login: Login) -> bool:
    connections = {identity["connection"] for identity in login.user.identities or []}
    listed = {provider.casefold() for provider in login.configuration["providers"]}
    return bool(connections) and {name.casefold() for name in connections} <= listed


def _is_cleared(login: Login) -> bool:
    return (login.user.app_metadata or {}).get("is_signup") is False


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse addresses that are none."""
    for address in configuration["invited_emails"]:
        if normalise_email(address) is None:
            raise ConfigurationError(f"invited_emails: {address!r} is no e-mail address")
