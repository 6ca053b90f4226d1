"""Make each person a lead in Salesforce, once, with what AtData knows of them."""

from typing import Any

from cognito_rules import Effects, Login, lambda_rule
from cognito_rules.salesforce_lead import check_lead, forget_lead, send_lead


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Create the lead of a person, with what ``enrich_profile_towerdata`` found before.

    The delivery waits for that rule's answer, a minute at most, when it stands earlier in the chain
    and may be told of the person. Once for each person, for ever, is its promise too.

    Reads:  ``login.event``, ``login.user`` (user_id, email, which is verified or unknown, name,
            given_name, family_name, phone_number, created_at, user_metadata.company,
            app_metadata.recordedAsLead, enrichment.towerdata),
            ``login.client.name``, ``login.connection.name``, ``login.request.geoip.country_code``.
    Writes: nothing.
    Source: Auth0 docs, "Track new leads in Salesforce"; see ``cognito_rules.salesforce_lead``.
    """
    send_lead(login, effects, sources=["towerdata"])


@rule.forget
def forget(login: Login, effects: Effects) -> None:
    """Delete the person's record, by their user id.

    Reads:  ``login.user.user_id``.
    """
    forget_lead(login)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse fields that the rule may not read, and what Salesforce retired."""
    check_lead(configuration, rule.manifest)
