"""Thirty entries of six real, pure rules, each with settings of its own, all inside the login.

They say what ``bench/hand_written.py`` says in plain code: the benchmark lets both decide the same
sign-ins first, and compares their speed only when they agree.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from bench.logins import login_function
from cognito_rules.pipeline import LoginFunction
from cognito_rules.rule import Rule

FUNCTIONS = Path(__file__).resolve().parent.parent / "functions"

EVERY_DAY = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS = EVERY_DAY[:5]
NAMESPACE = "https://example.com/"

# Rule -> the settings of its entries. No guard refuses by the clock: bench runs on any day.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "disable_flagged_users": [
        {"flags": ["deleted"]},
        {"flags": ["suspended", "legal.hold"]},
        {"flags": ["fraud.confirmed"], "on_store_failure": "allow"},
        {"flagged_identities": ["Acme|4711", "Acme|4712"]},
        {"flags": ["payment.overdue"], "message": "Please contact your administrator."},
    ],
    "require_group": [
        {"groups": ["staff", "partners"], "source": "cognito"},
        {"groups": ["staff", "finance"], "match": "all", "source": "cognito"},
        {"groups": ["FINANCE", "BOARD"], "case_sensitive": False, "source": "cognito"},
        {"groups": ["finance"], "source": "attribute"},
        {"groups": ["finance", "audit"], "message": "Payroll is for finance."},
    ],
    "weekday_access": [
        {"days": EVERY_DAY, "timezone": "Europe/Berlin", "holidays": ["2020-12-25"]},
        {"days": EVERY_DAY, "timezone": "America/New_York", "holidays": ["2020-07-03"]},
        {"days": EVERY_DAY, "timezone": "Asia/Tokyo", "hours": "00:00-24:00"},
        {"days": WEEKDAYS, "exempt_groups": ["finance"]},
        {"days": WEEKDAYS, "hours": "08:00-18:00", "exempt_groups": ["on-call", "staff"]},
    ],
    "default_user_metadata": [
        {"defaults": {"color": "blue"}, "claims": {"color": "favorite_color"}},
        {"defaults": {"language": "de"}, "claims": {"language": "language"}},
        {"defaults": {"theme": "light"}, "claims": {"theme": "theme"}},
        {"defaults": {"density": "wide"}},
        {
            "defaults": {"greeting": "Hello {given_name}|Hello"},
            "claims": {"greeting": "greeting"},
        },
    ],
    "customize_token_claims_and_scopes": [
        {"id_token_claims": {"plan": "$user.app_metadata.plan", "tenant": "acme"}},
        {"access_token_claims": {"plan": "$user.app_metadata.plan", "app": "$client.name"}},
        {"id_token_claims": {"department": "$user.attributes.custom:department"}},
        {"scopes": {"mode": "add", "values": ["orders/read"]}, "when_scope": "openid"},
        {"scopes": {"mode": "remove", "values": ["email"]}},
    ],
    "add_roles_to_tokens": [
        {"claim": "roles"},
        {"claim": "finance_roles", "rename": {"finance": "fin"}, "exclude": ["staff"]},
        {"claim": "duties", "rename": {"finance": "payroll"}, "targets": ["access"]},
        {"claim": "teams", "exclude": ["{user_pool_id}_*", "tmp-*"], "targets": ["id"]},
        {"claim": "groups", "max_roles": 10, "targets": ["access"]},
    ],
}
# Settings that all entries of a rule have.
_COMMON: dict[str, dict[str, Any]] = {
    "default_user_metadata": {"namespace": NAMESPACE},
    "customize_token_claims_and_scopes": {"namespace": NAMESPACE},
    "add_roles_to_tokens": {"namespace": NAMESPACE, "source": "groups"},
}


def load_rule(name: str) -> Rule:
    """Return the collection's rule ``name``."""
    rule: Rule = import_module(f"functions.{name}.app").rule
    return rule


def entries() -> list[dict[str, Any]]:
    """Return the thirty entries as a chain document lists them."""
    return [
        {
            "rule": name,
            "id": f"{name}-{number}",
            "when": {"applications": ["*"]},
            "configuration": _COMMON.get(name, {}) | settings,
            "placement": "inline",
        }
        for name, several in SETTINGS.items()
        for number, settings in enumerate(several)
    ]


def thirty_rules() -> LoginFunction:
    """Return a login function that runs the thirty entries inline."""
    rules = {name: load_rule(name) for name in SETTINGS}
    catalogue = {name: rule.manifest for name, rule in rules.items()}
    return login_function(entries(), catalogue, inline=rules)
