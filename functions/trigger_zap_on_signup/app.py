"""Send a sign-up to a hook of an automation service, such as Zapier's."""

from typing import Any

from cognito_rules import Effects, Login, lambda_rule
from cognito_rules.people import check_cutoff, is_account_older
from cognito_rules.zap import check_hook, send_to_hook


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Send the sign-up to the hook, whichever is told of first: the confirmed sign-up, or the first
    login of an account that somebody else made.

    Once for each person, for ever, is promised by the delivery. A hook that got an event twice can
    tell by its ``event_id``.

    Reads:  ``login.event``, ``login.user`` (user_id, email, which is verified or unknown, name,
            created_at), ``login.client.name``, ``login.connection`` (name, strategy),
            ``login.request`` (ip, user_agent); of these, what the setting ``fields`` lists is sent.
    Writes: nothing.
    Source: Auth0 rules, "zapier-new-user"; Zapier docs, "Trigger Zaps from webhooks".
    """
    if not login.event.first_login:
        return
    if is_account_older(login, login.configuration["sign_up_cutoff"]):
        effects.warn("account_older_than_cutoff")
        return
    send_to_hook(login, "signup")


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse hosts, a day and a stand-in that are none."""
    check_cutoff(configuration)
    check_hook(configuration)
