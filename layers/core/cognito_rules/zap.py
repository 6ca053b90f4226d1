"""What a hook of an automation service (Zapier, Make, n8n) receives of a login or a sign-up.

Two rules send it. Each fact has a place of its own: nothing that a person types can take the place
of what we say.
"""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime
from typing import Any

from cognito_rules.endpoint import is_allowed, vendor_endpoint
from cognito_rules.errors import UpstreamError
from cognito_rules.http import AFTER_LOGIN, encode
from cognito_rules.login import Login
from cognito_rules.webhook import post_to_webhook

# Field of the setting ``fields`` -> field of the login.
OF_THE_USER = {"user_id": "user.user_id", "email": "user.email", "name": "user.name"}
OF_THE_LOGIN = {
    "appName": "client.name",
    "connection": "connection.name",
    "strategy": "connection.strategy",
    "ip": "request.ip",
    "userAgent": "request.user_agent",
}


def send_to_hook(login: Login, event: str) -> None:
    """Send the event to the hook whose URL is the secret ``ZAPIER_HOOK_URL``.

    Raises
    ------
    UpstreamError : the hook did not take it; ``misconfigured`` for one that is gone.
    SecretError : a secret cannot be read.
    """
    settings = login.configuration
    body = encode(_body(login, event))
    headers = {}
    if settings["sign"]:
        headers["X-Signature"] = signature(
            login.secret("ZAPIER_SIGNING_KEY"), body, int(datetime.now(UTC).timestamp())
        )
    answer = post_to_webhook(
        lambda refresh: login.secret("ZAPIER_HOOK_URL", refresh=refresh),
        body,
        hosts=settings["allowed_hosts"],
        stand_in=settings["stand_in"],
        headers=headers,
        budget=AFTER_LOGIN.within(5.5),  # twice, when the URL was changed
        repeatable=True,
        about={"login_id": login.event.id or None},
    )
    if answer.is_success:
        return
    if answer.status == 413:
        raise answer.refusal()
    message = f"the hook answered {answer.status}"
    raise UpstreamError(answer.service, message, status=answer.status, code="misconfigured")


def check_hook(configuration: dict[str, Any]) -> None:
    """Refuse hosts and a stand-in that could not be called; raises ConfigurationError."""
    is_allowed("hooks.zapier.com", configuration["allowed_hosts"])
    vendor_endpoint("hooks.zapier.com", "/", stand_in=configuration["stand_in"])


def signature(key: str, body: bytes, at: int) -> str:
    """Return the value of X-Signature: ``t=<Unix seconds>,v1=<hex HMAC-SHA256 of "<t>.<body>">``.

    Who receives it makes the same, compares in constant time, and refuses an old ``t``.
    """
    signed = hmac.new(key.encode(), f"{at}.".encode() + body, hashlib.sha256)
    return f"t={at},v1={signed.hexdigest()}"


def _body(login: Login, event: str) -> dict[str, Any]:
    wanted = login.configuration["fields"]
    user = {name: login.at(path) for name, path in OF_THE_USER.items() if name in wanted}
    facts = {name: login.at(path) for name, path in OF_THE_LOGIN.items() if name in wanted}
    return {
        "event_id": login.event.id,
        "event": event,
        "occurred_at": login.event.occurred_at,
        "user": {name: value for name, value in user.items() if value},
        **{name: value for name, value in facts.items() if value},
    }
