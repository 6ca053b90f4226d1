"""Pools of the feature plan Lite: what their trigger cannot do is refused, never silently lost.

Source: AWS, "Pre token generation Lambda trigger" (V1_0: ID token only, and texts only).
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_rules.chain import Chain, Entry
from cognito_rules.errors import ChainError
from cognito_rules.planner import Answer
from cognito_rules.rule import Rule
from cognito_rules.testing import a_context
from cognito_rules.tokens import TokenPlan, beyond_version_1, token_response
from tests.contract.rule_folders import MANIFESTS, RULES, event_of, load

V1, V3 = "V1_0", "V3_0"
# Rules without a call of their own, whose sample event changes a token.
CHANGING = [
    name
    for name in RULES
    if any(write[0] in ("id_token", "access_token") for write in MANIFESTS[name].writes)
    and not MANIFESTS[name].aws
]
# Refused whatever its settings: it decides by the requested scopes, which V1_0 does not tell.
NEEDS_SCOPES = {"deny_api_audience"}


def _chain(rule: Rule, version: str, **settings: Any) -> Entry:
    name = rule.manifest.name
    entry = {
        "rule": name,
        "when": {"applications": ["payroll"]},
        "configuration": {**event_of(name)["configuration"], **settings},
    }
    document = {"applications": {"4example": {"name": "payroll"}}, "rules": [entry]}
    chain = Chain.parse(document, {name: rule.manifest}, rules={name: rule}, token_version=version)
    return chain.entries[0]


def _plan(rule: Rule) -> TokenPlan:
    """Return what the rule's sample event does to tokens."""
    event, entry = event_of(rule.manifest.name), _chain(rule, V3)
    # What asks another system is tried by its own test: here with what it then answers.
    effects = event["expect"] if rule.manifest.external else rule(event, a_context())["effects"]
    return TokenPlan.of([(entry, Answer(tuple(effects)))], {})


@pytest.mark.parametrize("name", CHANGING)
def test_a_rule_that_changes_access_tokens_is_refused(name: str) -> None:
    rule = load(name)
    lost = beyond_version_1(_plan(rule))

    if not lost and name not in NEEDS_SCOPES:
        assert _chain(rule, V1).id == name
        return
    with pytest.raises(ChainError, match=f"{name} changes access tokens.*use the plan Essentials"):
        _chain(rule, V1)


@pytest.mark.parametrize("name", CHANGING)
def test_what_is_left_are_texts_of_the_id_token(name: str) -> None:
    plan = _plan(load(name))

    details = token_response(plan, {}, version=V1)["claimsOverrideDetails"]

    for claim, value in details["claimsToAddOrOverride"].items():
        assert isinstance(value, str), claim
        wanted = plan.set_claims["id"][claim]
        assert value == wanted or json.loads(value) == wanted


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        pytest.param("add_roles_to_tokens", {"targets": ["id"]}, id="roles"),
        pytest.param("connection_claims", {"targets": ["id"]}, id="claims of a connection"),
        pytest.param("remove_claims", {"targets": ["id"]}, id="fewer claims"),
    ],
)
def test_a_rule_that_keeps_to_the_id_token_is_welcome(name: str, settings: dict[str, Any]) -> None:
    assert _chain(load(name), V1, **settings).id == name


def test_some_rules_are_refused_and_some_are_not() -> None:
    refused = {name for name in CHANGING if beyond_version_1(_plan(load(name)))}

    assert {"add_email_to_access_token", "add_roles_to_tokens"} <= refused
    assert {"oidc_scope_claims", "delegated_admin_roles_claim"} <= set(CHANGING) - refused
