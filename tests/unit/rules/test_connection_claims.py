from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.planner import Answer
from cognito_rules.testing import a_login
from cognito_rules.tokens import TokenPlan, token_response
from functions.connection_claims.app import rule
from tests.unit.core.chains import a_chain, a_manifest

VIP = "https://example.com/vip"
CLAIMS = {"company.com": {VIP: True}}


def decide(*connections: str, name: str | None = None, **settings: Any) -> Effects:
    identities = [{"connection": connection} for connection in connections]
    login: dict[str, Any] = {"user": {"identities": identities}}
    if name is not None:
        login["connection"] = {"name": name}
    return rule.decide(a_login(**login, configuration={"claims": CLAIMS, **settings}))


def claims_of(effects: Effects, token: str = "id") -> dict[str, Any]:
    return {item["name"]: item["value"] for item in effects.items if item["token"] == token}


@pytest.mark.parametrize(
    ("connections", "name", "settings", "is_set"),
    [
        pytest.param(["company.com"], "company.com", {}, True, id="of the connection"),
        pytest.param(["other.com"], "other.com", {}, False, id="of another one"),
        pytest.param(["Company.com"], "Company.com", {}, False, id="of another spelling"),
        pytest.param(["company.com", "COGNITO"], None, {}, True, id="linked, among others"),
        pytest.param(["company.com", "COGNITO"], None, {"strict": True}, False, id="strictly not"),
        pytest.param(
            ["company.com", "COGNITO"],
            "company.com",
            {"strict": True},
            True,
            id="strictly, when the connection is known",
        ),
        pytest.param(
            ["company.com", "COGNITO"], "COGNITO", {}, False, id="not by the other identity"
        ),
        pytest.param([], None, {}, False, id="of nobody knows what"),
    ],
)
def test_who_carries_the_claim(
    connections: list[str], name: str | None, settings: dict[str, Any], is_set: bool
) -> None:
    effects = decide(*connections, name=name, **settings)

    assert claims_of(effects) == ({VIP: True} if is_set else {})


def test_unknown_identities_are_no_error() -> None:
    assert rule.decide(a_login(configuration={"claims": CLAIMS})).items == []


def test_several_connections_merge_in_the_order_of_the_settings() -> None:
    claims = {"a": {"tier": "gold", "x": 1}, "b": {"tier": "silver"}}

    effects = decide("b", "a", claims=claims, namespace="https://example.com/")

    assert claims_of(effects) == {"https://example.com/tier": "silver", "https://example.com/x": 1}


def test_either_token_can_get_it() -> None:
    effects = decide("company.com", name="company.com", targets=["access"])

    assert claims_of(effects) == {}
    assert claims_of(effects, "access") == {VIP: True}


def test_on_the_plan_lite_it_is_a_text() -> None:
    [entry] = a_chain(a_manifest("marker", writes=["id_token.claims"])).entries
    effects = decide("company.com", name="company.com")

    plan = TokenPlan.of([(entry, Answer(tuple(effects.items)))], {})

    details = token_response(plan, {}, version="V1_0")["claimsOverrideDetails"]
    assert details["claimsToAddOrOverride"] == {VIP: "true"}


def test_it_runs_on_refresh() -> None:
    assert rule.manifest.runs_on_refresh


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"claims": {"a": {"sub": "x"}}}, id="a short name without a namespace"),
        pytest.param({"claims": {"a": {"https://aws.amazon.com/x": 1}}}, id="a protected claim"),
        pytest.param({"claims": {"a": "vip"}}, id="a text instead of claims"),
        pytest.param({"targets": ["refresh"]}, id="an unknown token"),
        pytest.param({"claims": {}}, id="no claim"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide("a", **settings)
