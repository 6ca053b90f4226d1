"""Let only named people use an application, or come in through a connection."""

from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, lambda_rule, normalise_email


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login of everybody who is listed neither by id nor by verified address.

    Applications and connections are the entry's ``when``: elsewhere nobody is even asked whether
    the address is verified.

    Reads:  ``login.user.user_id``, ``email``, ``email_verified``.
    Writes: ``deny`` with code ``email_not_verified`` or ``user_not_listed``.
    Source: Auth0 rules, "simple-user-whitelist", "simple-user-whitelist-for-app",
            "simple-whitelist-on-a-connection".
    """
    settings = login.configuration
    if login.user.user_id and login.user.user_id in settings["user_ids"]:
        return
    address = normalise_email(login.user.email)
    if address is None or login.user.email_verified is not True:
        effects.deny(
            settings["message"], code="email_not_verified", public_code="email_not_verified"
        )
    elif address not in {normalise_email(listed) for listed in settings["emails"]}:
        effects.deny(settings["message"], code="user_not_listed")


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse two empty lists, which would refuse everybody, and addresses that are none."""
    if not configuration["emails"] and not configuration["user_ids"]:
        raise ConfigurationError("emails and user_ids are empty: nobody could log in")
    for address in configuration["emails"]:
        if normalise_email(address) is None:
            raise ConfigurationError(f"emails: {address!r} is no e-mail address")
