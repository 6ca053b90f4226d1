"""Tell a Slack channel of each sign-up."""

import re
from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.http import AFTER_LOGIN, Answer, encode
from cognito_rules.people import check_cutoff, is_account_older
from cognito_rules.webhook import post_to_webhook

HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")
# Of Slack's limits for a text block; nobody's name needs more.
MAX_VALUE = 200
MAX_TEXT = 3000


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
    answer = post_to_webhook(
        lambda refresh: login.secret("SLACK_WEBHOOK_URL", refresh=refresh),
        encode(_message(login)),
        hosts=HOSTS,
        stand_in=login.configuration["stand_in"],
        budget=AFTER_LOGIN.within(5.5),  # twice, when the webhook was changed
        repeatable=True,
        about={"login_id": login.event.id or None},
    )
    _check(answer)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a placeholder that means nothing, a day that is none, and a stand-in."""
    for name in PLACEHOLDER.findall(configuration["template"]):
        if name not in ("name", "email", "client", "connection", "user_id"):
            raise ConfigurationError(f"template: there is no placeholder {{{name}}}")
    check_cutoff(configuration)
    vendor_endpoint(HOSTS[0], "/", stand_in=configuration["stand_in"])


def _message(login: Login) -> dict[str, Any]:
    values = {
        "name": login.user.name,
        "email": _email(login),
        "client": login.client.name,
        "connection": login.connection.name,
        "user_id": login.user.user_id,
    }

    def replace(match: re.Match[str]) -> str:
        return _escaped(str(values[match[1]] or "unknown"))

    text = PLACEHOLDER.sub(replace, login.configuration["template"])[:MAX_TEXT]
    note = f"{login.event.occurred_at} {login.event.id}"
    return {
        # What notifications show; the blocks are what the channel shows.
        "text": text,
        "blocks": [
            {"type": "section", "text": {"type": "plain_text", "text": text}},
            {"type": "context", "elements": [{"type": "plain_text", "text": note}]},
        ],
    }


def _email(login: Login) -> str:
    email = login.user.email or ""
    if not email or not login.configuration["mask_email"]:
        return email
    local, sign, domain = email.rpartition("@")
    return f"{local[:1]}***@{domain}" if sign else "***"


def _escaped(value: str) -> str:
    """Return what a person typed so that it pings nobody and forges no link."""
    line = " ".join(value.split())[:MAX_VALUE]
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _check(answer: Answer) -> None:
    """Raise unless Slack took the message; its words for a refusal are codes."""
    words = answer.body[:60].decode("ascii", "replace").strip()
    if answer.is_success and words == "ok":
        return
    if answer.is_success:
        message = "the answer is not that of Slack"
        raise UpstreamError(
            answer.service, message, status=answer.status, retryable=True, code="upstream_protocol"
        )
    code = words if re.fullmatch(r"[a-z_]+", words) else str(answer.status)
    message = f"Slack refused the message: {code}"
    raise UpstreamError(answer.service, message, status=answer.status, code=f"slack_{code}")
