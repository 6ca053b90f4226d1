"""Send a login to a hook of an automation service, such as Zapier's."""

from typing import Any

from cognito_rules import Effects, Login, lambda_rule
from cognito_rules.zap import check_hook, send_to_hook


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Send the login to the hook. A hook that got an event twice can tell by its ``event_id``.

    Reads:  ``login.event``, ``login.user`` (user_id, email, which is verified or unknown, name),
            ``login.client.name``, ``login.connection`` (name, strategy), ``login.request`` (ip and
            user_agent); of these, what the setting ``fields`` lists is sent.
    Writes: nothing.
    Source: Auth0 rules, "zapier-new-login"; Zapier docs, "Trigger Zaps from webhooks".
    """
    send_to_hook(login, "login")


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse hosts, and a stand-in that are none."""
    check_hook(configuration)
