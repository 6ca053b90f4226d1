"""Let nobody in before the e-mail address is confirmed."""

from datetime import datetime, timedelta

from cognito_rules import Effects, Login, lambda_rule


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login while the address is not verified.

    Local people who signed up themselves usually are confirmed already: the gap is accounts that
    administrators or imports made, federated ones, and changed addresses.

    Reads:  ``login.user.email``, ``email_verified``, ``created_at`` (when this collection first saw
            the person); ``login.connection.name``; ``login.now``.
    Writes: ``deny`` with code ``email_not_verified``.
    Source: Auth0 rules, "email-verified".
    """
    settings = login.configuration
    if login.user.email_verified is True and login.user.email:
        return
    if login.connection.name and login.connection.name in settings["trusted_connections"]:
        return
    if not login.user.email and settings["without_email"] == "allow":
        return
    if login.user.email and _is_new(login):
        return
    effects.deny(settings["message"], code="email_not_verified", public_code="email_not_verified")


def _is_new(login: Login) -> bool:
    hours = login.configuration["grace_hours"]
    try:
        created_at = datetime.fromisoformat(str(login.user.created_at))
    except ValueError:
        return False
    return created_at.tzinfo is not None and login.now - created_at < timedelta(hours=hours)
