"""Groups and their IAM roles in the tokens, and what the pre token generation trigger may change.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-user-groups.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
"""

from typing import Any

import pytest

from local.server import EmbeddedAws
from local.sign_in import App
from tests.local.two_groups import READER, SOURCE, WRITER, sign_in
from tests.local.user_pool import PASSWORD, Probe, UserPool


def test_groups_are_in_both_tokens_and_roles_in_the_id_token(
    app: App, person: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-user-groups.html"""
    tokens = app.password(person, PASSWORD)

    assert tokens.id_claims["cognito:groups"] == ["bosses", "staff"]
    assert tokens.access_claims["cognito:groups"] == ["bosses", "staff"]
    assert tokens.id_claims["cognito:roles"] == [WRITER, READER]
    assert tokens.id_claims["cognito:preferred_role"] == WRITER
    assert "cognito:roles" not in tokens.access_claims


def test_groups_are_replaced_beside_the_token_blocks(app: App, person: str, probe: Probe) -> None:
    tokens = sign_in(
        app,
        person,
        probe,
        groupOverrideDetails={
            "groupsToOverride": ["new"],
            "iamRolesToOverride": [READER],
            "preferredRole": READER,
        },
    )

    assert tokens.id_claims["cognito:groups"] == ["new"]
    assert tokens.access_claims["cognito:groups"] == ["new"]
    assert tokens.id_claims["cognito:roles"] == [READER]
    assert tokens.id_claims["cognito:preferred_role"] == READER


def test_groups_inside_a_token_block_are_ignored_and_the_record_names_it(
    aws: EmbeddedAws, app: App, person: str, probe: Probe
) -> None:
    tokens = sign_in(
        app,
        person,
        probe,
        idTokenGeneration={"groupOverrideDetails": {"groupsToOverride": ["new"]}},
    )

    assert tokens.id_claims["cognito:groups"] == ["bosses", "staff"]
    (call,) = aws.trigger_calls(trigger="PreTokenGeneration", user=person)
    assert call["dropped"] == ["idTokenGeneration.groupOverrideDetails"]


@pytest.mark.parametrize("details", [pytest.param(None, id="null"), pytest.param({}, id="empty")])
def test_groups_are_erased_by_nothing(details: Any, app: App, person: str, probe: Probe) -> None:
    tokens = sign_in(app, person, probe, groupOverrideDetails=details)

    for token in (tokens.id_claims, tokens.access_claims):
        assert "cognito:groups" not in token
    assert "cognito:roles" not in tokens.id_claims
    assert "cognito:preferred_role" not in tokens.id_claims


def test_groups_stay_when_the_answer_echoes_them(app: App, person: str, probe: Probe) -> None:
    app.password(person, PASSWORD)
    told = probe.event(SOURCE)["request"]["groupConfiguration"]
    probe.reset()

    tokens = sign_in(app, person, probe, groupOverrideDetails=told)

    assert tokens.id_claims["cognito:groups"] == ["bosses", "staff"]
    assert tokens.id_claims["cognito:preferred_role"] == WRITER


def test_groups_go_with_their_roles_when_suppressed(app: App, person: str, probe: Probe) -> None:
    block = {"claimsToSuppress": ["cognito:groups"]}

    tokens = sign_in(app, person, probe, idTokenGeneration=block)

    assert not {"cognito:groups", "cognito:roles", "cognito:preferred_role"} & set(tokens.id_claims)
    assert tokens.access_claims["cognito:groups"] == ["bosses", "staff"]


def test_groups_of_equal_precedence_and_different_roles_prefer_none(
    app: App, pool: UserPool, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-user-groups.html"""
    name = pool.person()
    pool.group("left", name, Precedence=5, RoleArn=READER)
    pool.group("right", name, Precedence=5, RoleArn=WRITER)

    tokens = app.password(name, PASSWORD)

    assert "cognito:preferred_role" not in tokens.id_claims
    assert sorted(tokens.id_claims["cognito:roles"]) == [READER, WRITER]


def test_groups_without_a_precedence_come_last(app: App, pool: UserPool, probe: Probe) -> None:
    name = pool.person()
    pool.group("unranked", name, RoleArn=READER)
    pool.group("ranked", name, Precedence=99, RoleArn=WRITER)

    tokens = app.password(name, PASSWORD)

    assert tokens.id_claims["cognito:groups"] == ["ranked", "unranked"]
    assert tokens.id_claims["cognito:preferred_role"] == WRITER
