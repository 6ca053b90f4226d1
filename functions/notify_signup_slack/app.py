"""Tell a Slack channel of each sign-up."""

import re
from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.http import AFTER_LOGIN
from cognito_rules.people import check_cutoff, is_account_older
from cognito_rules.slack import HOSTS, escaped, post_message

PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Send one message for a person who signed up, whichever is told of first: the confirmed
    sign-up, or the first login of an account that somebody else made.

    Once for each person, for ever, is promised by the delivery. Slack drops no duplicates: after a
    timeout a message may be there twice, with the same id below it.

    Reads:  ``login.event``, ``login.user`` (user_id, name, email, created_at),
            ``login.client.name``, ``login.connection.name``.
    Writes: nothing.
    Source: Auth0 rules, "slack"; Slack docs, "Sending messages using incoming webhooks" and
            "Formatting text" (escaping).
    """
    if not login.event.first_login:
        return
    if is_account_older(login, login.configuration["sign_up_cutoff"]):
        effects.warn("account_older_than_cutoff")
        return
    post_message(
        lambda refresh: login.secret("SLACK_WEBHOOK_URL", refresh=refresh),
        _text(login),
        f"{login.event.occurred_at} {login.event.id}",
        stand_in=login.configuration["stand_in"],
        budget=AFTER_LOGIN.within(5.5),  # twice, when the webhook was changed
        login_id=login.event.id or None,
    )


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a placeholder that means nothing, a day that is none, and a stand-in."""
    for name in PLACEHOLDER.findall(configuration["template"]):
        if name not in ("name", "email", "client", "connection", "user_id"):
            raise ConfigurationError(f"template: there is no placeholder {{{name}}}")
    check_cutoff(configuration)
    vendor_endpoint(HOSTS[0], "/", stand_in=configuration["stand_in"])


def _text(login: Login) -> str:
    values = {
        "name": login.user.name,
        "email": _email(login),
        "client": login.client.name,
        "connection": login.connection.name,
        "user_id": login.user.user_id,
    }

    def replace(match: re.Match[str]) -> str:
        return escaped(str(values[match[1]] or "unknown"))

    return PLACEHOLDER.sub(replace, login.configuration["template"])


def _email(login: Login) -> str:
    email = login.user.email or ""
    if not email or not login.configuration["mask_email"]:
        return email
    local, sign, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}" if sign else "***"
