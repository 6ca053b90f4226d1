from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.add_roles_to_tokens.app import rule

ROLES = "http://demozero.net/roles"
POOL = {"user_pool_id": "us-east-1_Abc"}


def decide(login: dict[str, Any], **settings: Any) -> Effects:
    settings.setdefault("namespace", "http://demozero.net/")
    return rule.decide(a_login(**login, configuration=settings))


def claims_of(effects: Effects, token: str = "id") -> dict[str, Any]:
    return {item["name"]: item["value"] for item in effects.items if item["token"] == token}


def with_roles(*roles: str) -> dict[str, Any]:
    return {"authorization": {"roles": list(roles)}}


@pytest.mark.parametrize(
    ("login", "settings"),
    [
        pytest.param({}, {}, id="no authorization result"),
        pytest.param({"groups": ["a"]}, {}, id="groups are not asked for"),
        pytest.param(with_roles("a"), {"source": "groups"}, id="roles are not asked for"),
        pytest.param({}, {"source": "both"}, id="neither is known"),
        pytest.param(
            {"user": {"user_metadata": {"roles": ["admin"]}}}, {}, id="roles in user_metadata"
        ),
    ],
)
def test_no_claim_but_a_warning_when_nothing_is_known(
    login: dict[str, Any], settings: dict[str, Any]
) -> None:
    effects = decide(login, **settings)

    assert effects.items == []
    assert effects.warnings == ["authorization_missing"]


@pytest.mark.parametrize(
    ("login", "settings", "roles"),
    [
        pytest.param(with_roles("editor", "admin"), {}, ["admin", "editor"], id="sorted roles"),
        pytest.param(with_roles(), {}, [], id="known to have none"),
        pytest.param(with_roles("b", "B", "ä"), {}, ["B", "b", "ä"], id="in order of code points"),
        pytest.param(
            {"groups": ["us-east-1_Abc_Google", "it"], **POOL},
            {"source": "groups"},
            ["it"],
            id="without the groups that Cognito makes for providers",
        ),
        pytest.param(
            {"groups": ["us-east-1_Xyz_Google"], **POOL},
            {"source": "groups"},
            ["us-east-1_Xyz_Google"],
            id="those of another pool are no such groups",
        ),
        pytest.param(
            {"groups": ["test-a", "Test-b", "c"]},
            {"source": "groups", "exclude": ["test-*"]},
            ["Test-b", "c"],
            id="patterns are case sensitive",
        ),
        pytest.param(
            {"groups": ["Finance", "Finance"]},
            {"source": "groups", "rename": {"Finance": "fin"}},
            ["fin"],
            id="renamed, and once only",
        ),
        pytest.param(
            {"groups": ["Finance"]},
            {"source": "groups", "rename": {"Finance": "hidden"}, "exclude": ["hidden"]},
            [],
            id="excluded after it was renamed",
        ),
        pytest.param(
            {"groups": ["it"], **with_roles("admin")},
            {"source": "both"},
            ["admin", "it"],
            id="both sources together",
        ),
        pytest.param({"groups": ["it"]}, {"source": "both"}, ["it"], id="one of two is known"),
    ],
)
def test_roles_on_both_tokens(
    login: dict[str, Any], settings: dict[str, Any], roles: list[str]
) -> None:
    effects = decide(login, **settings)

    assert claims_of(effects, "id") == {ROLES: roles}
    assert claims_of(effects, "access") == {ROLES: roles}
    assert effects.warnings == []


def test_no_roles_can_mean_no_claim() -> None:
    effects = decide(with_roles(), emit_empty=False)

    assert effects.items == []
    assert claims_of(decide(with_roles("a"), emit_empty=False)) == {ROLES: ["a"]}


def test_more_than_the_limit_is_cut_and_marked() -> None:
    effects = decide(with_roles(*(f"role-{n:02}" for n in range(80))))

    assert claims_of(effects) == {
        ROLES: [f"role-{n:02}" for n in range(50)],
        ROLES + "_truncated": True,
    }
    assert effects.warnings == ["roles_truncated"]


def test_exactly_the_limit_is_not_cut() -> None:
    effects = decide(with_roles("a", "b"), max_roles=2)

    assert claims_of(effects) == {ROLES: ["a", "b"]}


def test_a_token_that_is_no_target_stays_as_it_is() -> None:
    effects = decide(with_roles("a"), targets=["access"])

    assert claims_of(effects, "id") == {}
    assert claims_of(effects, "access") == {ROLES: ["a"]}


def test_the_chain_is_told_which_claims_are_written() -> None:
    configuration = rule.configure({"namespace": "http://demozero.net", "targets": ["id"]})

    assert rule.written_claims(configuration) == {("id", ROLES), ("id", ROLES + "_truncated")}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"namespace": ""}, "namespace", id="no namespace"),
        pytest.param({"targets": []}, "targets", id="no target"),
        pytest.param({"targets": ["refresh"]}, "targets", id="an unknown target"),
        pytest.param({"source": "user_metadata"}, "source", id="a source that people write"),
        pytest.param({"max_roles": 0}, "max_roles", id="no role at all"),
        pytest.param({"max_roles": True}, "max_roles", id="a boolean for a number"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide(with_roles("a"), **settings)
