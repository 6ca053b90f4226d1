from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.planner import Answer
from cognito_rules.testing import a_login
from cognito_rules.tokens import TokenPlan
from functions.remove_claims.app import rule
from tests.unit.core.chains import a_chain, a_manifest

ATTRIBUTES = {
    "sub": "6f1c2d9e-0000-4000-8000-000000000001",
    "cognito:user_status": "CONFIRMED",
    "custom:salary": "100000",
    "custom:tier": "gold",
    "dev:tier": "gold",
    "some_attribute": "x",
}


def decide(*claims: str, attributes: Any = ATTRIBUTES, **settings: Any) -> Effects:
    user = {} if attributes is None else {"attributes": attributes}
    return rule.decide(a_login(user=user, configuration={"claims": list(claims), **settings}))


def removed(effects: Effects, token: str = "id") -> list[str]:
    return [item["name"] for item in effects.items if item["token"] == token]


@pytest.mark.parametrize(
    ("claims", "names"),
    [
        pytest.param(["some_attribute"], ["some_attribute"], id="an attribute"),
        pytest.param(["absent"], ["absent"], id="one that is not there, without an error"),
        pytest.param(["custom:*"], ["custom:salary", "custom:tier"], id="all of a pattern"),
        pytest.param(["*:tier"], ["custom:tier", "dev:tier"], id="another pattern"),
        pytest.param(["nothing*"], [], id="a pattern that meets none"),
        pytest.param(["dev:tier"], ["dev:tier"], id="a developer attribute"),
        pytest.param(["custom:tier", "custom:t*"], ["custom:tier"], id="once each"),
        pytest.param(["https://a.example/roles"], ["https://a.example/roles"], id="a rule's claim"),
        pytest.param(
            ["*"],
            ["custom:salary", "custom:tier", "dev:tier", "some_attribute"],
            id="everything but what Cognito insists on",
        ),
    ],
)
def test_what_is_removed(claims: list[str], names: list[str]) -> None:
    assert removed(decide(*claims)) == names


def test_unknown_attributes_are_no_error() -> None:
    assert removed(decide("email", "custom:*", attributes=None)) == ["email"]


def test_another_rule_cannot_set_it_before_or_after() -> None:
    chain = a_chain(*(a_manifest(name, writes=["id_token.claims"]) for name in ("a", "b", "c")))
    first, own, last = chain.entries
    value = {"effect": "set_claim", "token": "id", "name": "some_attribute", "value": 1}

    plan = TokenPlan.of(
        [
            (first, Answer((value,))),
            (own, Answer(tuple(decide("some_attribute").items))),
            (last, Answer((value,))),
        ],
        {},
    )

    assert plan.claims_within_budget("id") == {}
    assert plan.removed_claims["id"] == {"some_attribute"}


@pytest.mark.parametrize("targets", [["id"], ["access"], ["id", "access"]])
def test_only_the_targets_lose_it(targets: list[str]) -> None:
    effects = decide("some_attribute", targets=targets)

    assert {item["token"] for item in effects.items} == set(targets)


def test_groups_leave_the_token_when_that_is_confirmed() -> None:
    assert removed(decide("cognito:groups", confirm_groups=True)) == ["cognito:groups"]


def test_a_login_is_refused_when_the_rule_fails() -> None:
    assert rule.manifest.is_guard


@pytest.mark.parametrize(
    "claims",
    [
        pytest.param(["sub"], id="the subject"),
        pytest.param(["cognito:username"], id="Cognito's own"),
        pytest.param(["cognito:groups"], id="groups, unconfirmed"),
        pytest.param(["aws_tag_granted"], id="a session tag"),
        pytest.param([], id="nothing"),
    ],
)
def test_a_wrong_setting_is_an_error(claims: list[str]) -> None:
    with pytest.raises(ConfigurationError):
        decide(*claims)
