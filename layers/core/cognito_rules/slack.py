"""Messages to a Slack channel by an incoming webhook, which is a secret and names the channel.

Source: Slack docs, "Sending messages using incoming webhooks", "Formatting text" (escaping).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from cognito_rules.errors import UpstreamError
from cognito_rules.http import Answer, Budget, encode
from cognito_rules.webhook import post_to_webhook

HOSTS = ("hooks.slack.com", "hooks.slack-gov.com")
# Of Slack's limits for a text block; nobody's name needs more.
MAX_VALUE = 200
MAX_TEXT = 3000


def post_message(
    read_url: Callable[[bool], str],
    text: str,
    note: str,
    *,
    stand_in: str | None,
    budget: Budget,
    login_id: str | None,
) -> None:
    """Send one message of plain text, with ``note`` in small below it.

    Slack drops no duplicates: after a timeout a message may be there twice, with the same note.

    Raises
    ------
    UpstreamError, SecretError : as ``post_to_webhook``; ``slack_<code>`` for Slack's own refusals.
    """
    shown = text[:MAX_TEXT]
    message: dict[str, Any] = {
        # What notifications show; the blocks are what the channel shows.
        "text": shown,
        "blocks": [
            {"type": "section", "text": {"type": "plain_text", "text": shown}},
            {"type": "context", "elements": [{"type": "plain_text", "text": note}]},
        ],
    }
    answer = post_to_webhook(
        read_url,
        encode(message),
        hosts=HOSTS,
        stand_in=stand_in,
        budget=budget,
        repeatable=True,
        about={"login_id": login_id},
    )
    _check(answer)


def escaped(value: str) -> str:
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
