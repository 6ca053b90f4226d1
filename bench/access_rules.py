"""A chain of all rules that decide who gets in and what tokens say, which lets a good person in.

The benchmark measures it, and the tests send people through it on the embedded AWS.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from cognito_rules.manifest import catalogue

NAMESPACE = "https://example.com/"
ORDERS = "https://orders.example.com"
EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
# For their applications only: what is closed to everybody lets nobody be measured.
_NEEDS_ANOTHER = frozenset({"deny_application"})


def settings(emails: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return rule -> settings, in the order of the chain; ``emails`` are let in by name."""
    return {
        "disable_flagged_users": {"flags": ["deleted", "suspended"]},
        "disable_social_signup": {"mode": "net"},
        "require_verified_email": {},
        "allow_email_domains": {"domains": ["example.com"]},
        "allow_listed_users": {"emails": list(emails)},
        "connection_domain_match": {"connections": {"Contoso": {"tenant_domain": "contoso.com"}}},
        "password_age": {"max_age_days": 365},
        "weekday_access": {"days": EVERY_DAY},
        "corporate_network_only": {"networks": ["203.0.113.0/24"], "on_unknown_ip": "allow"},
        "block_ip_addresses": {"networks": ["198.51.100.0/24"]},
        "mfa_for_passwordless_outside_network": {
            "networks": ["203.0.113.0/24"],
            "on_unknown_method": "skip",
        },
        "disable_password_grant": {},
        "require_group": {"groups": ["staff"], "source": "cognito"},
        "deny_application": {},
        "deny_api_audience": {"audiences": ["https://machines.example.com"]},
        "assign_roles_by_email": {
            "namespace": NAMESPACE,
            "claim": "assigned",
            "rules": [{"domain": "example.com", "roles": ["Employee"]}],
        },
        "custom_api_scopes": {
            "apis": [{"audience": ORDERS, "scopes": ["read:orders"]}],
        },
        "limit_scopes_by_role": {
            "roles": {"Employee": [f"{ORDERS}/*", "read:orders"]},
            "when_nothing_requested": "all_allowed",
        },
        "validate_token_scopes": {"unknown_scopes": "keep"},
        "add_roles_to_tokens": {"namespace": NAMESPACE},
        "delegated_admin_roles_claim": {"roles": {"staff": "Delegated Admin - User"}},
        "add_custom_claims": {
            "namespace": NAMESPACE,
            "claims": [{"name": "color", "from": "user.user_metadata.color"}],
        },
        "default_user_metadata": {
            "namespace": NAMESPACE,
            "defaults": {"language": "en"},
            "claims": {"language": "language"},
        },
        "connection_claims": {"claims": {"COGNITO": {f"{NAMESPACE}local": True}}},
        "add_country_claim": {"namespace": NAMESPACE},
        "add_dashboard_metadata_luzmo": {"namespace": f"{NAMESPACE}luzmo/", "keys": ["tenant"]},
        "claim_from_query_parameter": {
            "parameter": "campaign",
            "claim": f"{NAMESPACE}campaign",
            "allowed_values": {"spring": "spring"},
        },
        "oidc_scope_claims": {},
        "customize_token_claims_and_scopes": {
            "namespace": NAMESPACE,
            "access_token_claims": {"tenant": "acme"},
        },
        "remove_claims": {"claims": ["custom:*"]},
        "add_email_to_access_token": {"namespace": NAMESPACE},
        "set_access_token_id": {"namespace": NAMESPACE},
        "map_aws_role": {},
        "aws_session_tags": {},
    }


def access_entries(
    application: str, emails: Iterable[str], *, placement: str = "inline"
) -> list[dict[str, Any]]:
    """Return the entries of a chain document, for the application of that name.

    placement : of the rules that can run inline; the others run in their functions.
    """
    entries = []
    for name, configuration in settings(emails).items():
        manifest = catalogue()[name]
        named = ["closed"] if name in _NEEDS_ANOTHER else [application]
        applications = named if manifest.needs_applications else ["*"]
        entries.append(
            {
                "rule": name,
                "when": {"applications": applications},
                "configuration": configuration,
                "placement": placement if manifest.is_pure else "function",
            }
        )
    return entries
