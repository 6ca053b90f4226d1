"""Tell a Slack channel of each sign-up."""

import re
from hashlib import sha256
from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.http import AFTER_LOGIN
from cognito_rules.pace import pace_of
from cognito_rules.people import check_cutoff, is_account_older
from cognito_rules.slack import HOSTS, escaped, post_message

PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Send one message for a person who signed up, whichever is told of first: the confirmed
    sign-up, or the first login of an account that somebody else made.

    Once for each person, for ever, is promised by the delivery. Slack drops no duplicates: after a
    timeout a message may be there twice, with the same id below it. Above ``max_per_minute`` the
    channel gets one message after the minute, with the number of all the others.

    Reads:  ``login.event``, ``login.user`` (user_id, name, email, created_at),
            ``login.client.name``, ``login.connection.name``.
    Writes: nothing; a count of the minute's messages.
    Source: Auth0 rules, "slack"; Slack docs, "Sending messages using incoming webhooks" and
            "Formatting text" (escaping).
    """
    if not login.event.first_login:
        return
    if is_account_older(login, login.configuration["sign_up_cutoff"]):
        effects.warn("account_older_than_cutoff")
        return
    settings = login.configuration
    turn = pace_of(key_of(settings), str(login.event.id), settings["max_per_minute"])
    if turn.wait:
        message = "the one message for all who sign up in this minute is sent after it"
        # A second more than a clock elsewhere, and than SQS, which counts whole ones.
        later = turn.wait + 1
        raise UpstreamError(
            HOSTS[0], message, retryable=True, retry_after=later, code="waits_for_digest"
        )
    # A digest of one is that one's own message.
    is_digest = turn.told > 1
    if not turn.is_shown and not turn.told:
        effects.warn("counted_in_digest")
        return
    post_message(
        lambda refresh: login.secret("SLACK_WEBHOOK_URL", refresh=refresh),
        f"{turn.told} more sign-ups" if is_digest else _text(login),
        f"{login.event.occurred_at} {login.event.id}",
        stand_in=settings["stand_in"],
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


def key_of(settings: dict[str, Any]) -> str:
    """Return what tells entries apart that announce the same sign-up, each in its own words."""
    words = f"{settings['template']}\n{settings['mask_email']}"
    return f"notify_signup_slack#{sha256(words.encode()).hexdigest()[:16]}"


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
