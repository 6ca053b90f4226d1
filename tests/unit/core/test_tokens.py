"""From effects to the answer that Cognito makes tokens from."""

from __future__ import annotations

from typing import Any

import pytest

from cognito_rules.claims import MAX_CLAIM_BYTES, claim_size
from cognito_rules.planner import Answer
from cognito_rules.tokens import TokenPlan, beyond_version_1, token_response
from tests.unit.core.chains import a_chain, a_manifest

READER = "arn:aws:iam::123456789012:role/reader"
ADMIN = "arn:aws:iam::123456789012:role/admin"
GROUP_ROLE = "arn:aws:iam::123456789012:role/of-a-group"
ROLES = {"read-only": READER, "administrator": ADMIN}
ENTRY = a_chain(a_manifest()).entries[0]
GROUPS = {
    "groupsToOverride": ["staff"],
    "iamRolesToOverride": [GROUP_ROLE],
    "preferredRole": GROUP_ROLE,
}


def claim(name: str, value: Any, token: str = "id") -> dict[str, Any]:
    return {"effect": "set_claim", "token": token, "name": name, "value": value}


def without(name: str, token: str = "id") -> dict[str, Any]:
    return {"effect": "remove_claim", "token": token, "name": name}


def scope(verb: str, name: str) -> dict[str, Any]:
    return {"effect": f"{verb}_scope", "scope": name}


def role(*arns: str, **preferred: str | None) -> dict[str, Any]:
    return {"effect": "set_aws_role", "role_arns": list(arns), **preferred}


def tags(**given: str) -> dict[str, Any]:
    return {"effect": "set_session_tags", "tags": given}


def profile(attribute: str, value: str) -> dict[str, Any]:
    return {"effect": "set_profile", "attribute": attribute, "value": value}


def plan_of(*effects: dict[str, Any]) -> TokenPlan:
    """Return the plan of one entry for each effect."""
    return TokenPlan.of(((ENTRY, Answer((effect,))) for effect in effects), ROLES)


def respond(*effects: dict[str, Any], version: str = "V3_0", **request: Any) -> dict[str, Any]:
    [(_, details)] = token_response(plan_of(*effects), request, version=version).items()
    return dict(details)


def id_claims(*effects: dict[str, Any]) -> dict[str, Any]:
    claims: dict[str, Any] = respond(*effects)["idTokenGeneration"]["claimsToAddOrOverride"]
    return claims


# The budget -----------------------------------------------------------------------------------


def test_claims_over_the_budget_are_dropped_in_rule_order_with_a_warning() -> None:
    plan = plan_of(*(claim(f"https://x/{n}", "v" * 1_000) for n in range(9)))

    kept = plan.claims_within_budget("id")

    assert list(kept) == [f"https://x/{n}" for n in range(6)]
    assert plan.warnings == [f"claim_budget_exceeded:id:https://x/{n}" for n in (6, 7, 8)]
    assert 2 + sum(claim_size(*item) for item in kept.items()) <= MAX_CLAIM_BYTES


def test_a_claim_that_still_fits_is_kept_behind_one_that_does_not() -> None:
    plan = plan_of(claim("a", "v" * 5_000), claim("b", "v" * 5_000), claim("c", "v"))

    assert list(plan.claims_within_budget("id")) == ["a", "c"]


def test_the_budget_is_exact_and_counts_bytes() -> None:
    fits = MAX_CLAIM_BYTES - 2 - claim_size("a", "")

    assert plan_of(claim("a", "v" * fits)).claims_within_budget("id")
    assert not plan_of(claim("a", "v" * (fits + 1))).claims_within_budget("id")
    assert not plan_of(claim("a", "ö" * fits)).claims_within_budget("id")


def test_each_token_has_a_budget_of_its_own() -> None:
    plan = plan_of(claim("a", "v" * 5_000), claim("a", "v" * 5_000, "access"))

    assert plan.claims_within_budget("id")
    assert plan.claims_within_budget("access")
    assert plan.warnings == []


def test_what_is_removed_or_replaced_costs_nothing() -> None:
    large = "v" * 5_000
    plan = plan_of(claim("a", large), without("a"), claim("b", large), claim("b", "v"))

    assert plan.claims_within_budget("id") == {"b": "v"}
    assert plan.warnings == []


def test_what_aws_roles_hang_on_is_never_dropped() -> None:
    plan = plan_of(claim("a", "v" * 6_000), tags(CostCenter="x" * 256), role(ADMIN))

    kept = plan.claims_within_budget("id")

    assert kept["aws_tag_granted"] == ":administrator:"
    assert kept["aws_tag_cost_center"] == "x" * 256


# Claims ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effects", "claims"),
    [
        pytest.param([claim("a", 1), claim("a", 2)], {"a": 2}, id="the last one wins"),
        pytest.param([claim("a", 1), without("a")], {}, id="a removal too"),
        pytest.param([without("a"), claim("a", 1)], {}, id="whichever comes first"),
        pytest.param(
            [profile("name", "A"), profile("name", "B")], {"name": "B"}, id="a later attribute"
        ),
        pytest.param(
            [profile("name", "A"), claim("name", "B")], {"name": "B"}, id="a claim over it"
        ),
        pytest.param(
            [claim("name", "A"), profile("name", "B")],
            {"name": "A"},
            id="a claim is not an attribute's to change",
        ),
        pytest.param(
            [profile("name", "A"), claim("name", "B"), profile("name", "C")],
            {"name": "B"},
            id="nor afterwards",
        ),
        pytest.param([without("name"), profile("name", "A")], {}, id="a claim that is hidden"),
        pytest.param([claim("a", {"b": [1, None]})], {"a": {"b": [1, None]}}, id="an object"),
    ],
)
def test_the_id_token_carries(effects: list[Any], claims: dict[str, Any]) -> None:
    assert id_claims(*effects) == claims


def test_each_claim_goes_into_its_own_token() -> None:
    details = respond(claim("http://foo/bar", "value", "access"), claim("http://fiz/baz", "other"))

    assert details["accessTokenGeneration"]["claimsToAddOrOverride"] == {"http://foo/bar": "value"}
    assert details["idTokenGeneration"]["claimsToAddOrOverride"] == {"http://fiz/baz": "other"}


def test_a_claim_is_never_both_added_and_suppressed() -> None:
    details = respond(claim("a", 1), without("a"), without("dev:b"), claim("c", 1))

    generated = details["idTokenGeneration"]
    assert generated["claimsToSuppress"] == ["a", "dev:b"]
    assert generated["claimsToAddOrOverride"] == {"c": 1}


# Scopes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("requested", "effects", "added", "suppressed"),
    [
        pytest.param(["a"], [], [], [], id="nothing is said"),
        pytest.param(["a"], [scope("add", "b")], ["b"], [], id="one more"),
        pytest.param(["a"], [scope("add", "a")], [], [], id="one that was asked for"),
        pytest.param(["a", "b"], [scope("remove", "a")], [], ["a"], id="one less"),
        pytest.param(["a"], [scope("remove", "b")], [], [], id="one that was not asked for"),
        pytest.param(
            ["a"], [scope("add", "b"), scope("remove", "b")], [], [], id="given and taken"
        ),
        pytest.param(
            ["a"], [scope("remove", "a"), scope("add", "a")], [], [], id="taken and given back"
        ),
        pytest.param(
            ["c", "a", "b"],
            [scope("remove", name) for name in ("a", "b", "c")],
            [],
            ["c", "a", "b"],
            id="in the order of the request",
        ),
        pytest.param(
            ["openid", "profile", "orders/read"],
            [scope("remove", "profile"), scope("remove", "orders/read"), scope("add", "w")],
            ["w"],
            ["profile", "orders/read"],
            id="replaced",
        ),
        pytest.param(None, [scope("add", "b"), scope("remove", "a")], ["b"], [], id="none told"),
        pytest.param("abc", [scope("remove", "a")], [], [], id="a text instead of a list"),
    ],
)
def test_scopes_change_as_sets(
    requested: Any, effects: list[Any], added: list[str], suppressed: list[str]
) -> None:
    generated = respond(*effects, scopes=requested)["accessTokenGeneration"]

    assert generated["scopesToAdd"] == added
    assert generated["scopesToSuppress"] == suppressed
    assert not set(added) & set(suppressed)


def test_scopes_never_touch_the_id_token() -> None:
    assert set(respond(scope("add", "a"))["idTokenGeneration"]) == {
        "claimsToAddOrOverride",
        "claimsToSuppress",
    }


# Groups and roles -----------------------------------------------------------------------------


@pytest.mark.parametrize("version", ["V1_0", "V2_0", "V3_0"])
@pytest.mark.parametrize(
    ("effects", "given", "told"),
    [
        pytest.param([], GROUPS, GROUPS, id="groups are always sent back"),
        pytest.param([claim("a", "1")], GROUPS, GROUPS, id="also when something else is changed"),
        pytest.param(
            [{"effect": "set_groups", "groups": ["b"]}],
            GROUPS,
            GROUPS | {"groupsToOverride": ["b"]},
            id="other groups keep the roles",
        ),
        pytest.param(
            [{"effect": "set_groups", "groups": []}],
            GROUPS,
            GROUPS | {"groupsToOverride": []},
            id="no groups any more",
        ),
        pytest.param(
            [role(READER, ADMIN, preferred=ADMIN)],
            GROUPS,
            GROUPS | {"iamRolesToOverride": [READER, ADMIN], "preferredRole": ADMIN},
            id="roles keep the groups",
        ),
        pytest.param(
            [role(READER)],
            GROUPS,
            {"groupsToOverride": ["staff"], "iamRolesToOverride": [READER]},
            id="a group's preferred role is not kept with other roles",
        ),
        pytest.param(
            [role()],
            GROUPS,
            {"groupsToOverride": ["staff"], "iamRolesToOverride": []},
            id="a group's role does not leak through",
        ),
        pytest.param(
            [role(READER, preferred=None)],
            None,
            {"groupsToOverride": [], "iamRolesToOverride": [READER]},
            id="roles of a person without groups",
        ),
        pytest.param(
            [],
            {"groupsToOverride": None, "iamRolesToOverride": None, "preferredRole": None},
            {"groupsToOverride": [], "iamRolesToOverride": []},
            id="nulls",
        ),
        pytest.param([], {}, None, id="a machine, told as an empty object"),
        pytest.param([], None, None, id="a machine"),
        pytest.param([], "x", None, id="junk"),
    ],
)
def test_groups(version: str, effects: list[Any], given: Any, told: Any) -> None:
    details = respond(*effects, version=version, groupConfiguration=given)

    assert details.get("groupOverrideDetails") == told


def test_an_absent_group_configuration_is_no_group_configuration() -> None:
    assert "groupOverrideDetails" not in respond()


# Tags -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("effects", "tag"),
    [
        pytest.param([role()], ":none:", id="no role"),
        pytest.param([role(READER)], ":read-only:", id="one role"),
        pytest.param([role(ADMIN, READER)], ":administrator:read-only:", id="in order"),
        pytest.param([role(READER, ADMIN)], ":read-only:administrator:", id="of preference"),
        pytest.param([role(ADMIN), role(READER)], ":read-only:", id="of the last rule"),
        pytest.param([role(ADMIN), role()], ":none:", id="of the last rule, which grants none"),
        pytest.param([role(GROUP_ROLE)], ":none:", id="a group's role has no key"),
        pytest.param([role(GROUP_ROLE, READER)], ":read-only:", id="among others"),
    ],
)
def test_the_granted_roles_are_a_tag(effects: list[Any], tag: str) -> None:
    assert id_claims(*effects)["aws_tag_granted"] == tag


def test_without_a_rule_for_roles_there_is_no_such_tag() -> None:
    assert "aws_tag_granted" not in id_claims(claim("a", 1), tags(Team="x"))


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("CostCenter", "aws_tag_cost_center"),
        ("costcenter", "aws_tag_costcenter"),
        ("Project", "aws_tag_project"),
        ("team name", "aws_tag_team_name"),
        ("a.b:c/d=e+f@g-h", "aws_tag_a_b_c_d_e_f_g_h"),
        ("Größe", "aws_tag_gr_e"),
        ("S3Bucket", "aws_tag_s3_bucket"),
    ],
)
def test_a_session_tag_is_a_claim_in_snake_case(key: str, name: str) -> None:
    assert id_claims(tags(**{key: "v"})) == {name: "v"}


def test_later_tags_replace_earlier_ones_and_keep_the_rest() -> None:
    assert id_claims(tags(A="1", B="1"), tags(B="2")) == {"aws_tag_a": "1", "aws_tag_b": "2"}


def test_tags_go_into_the_id_token_alone() -> None:
    details = respond(tags(A="1"), role(READER))

    assert details["accessTokenGeneration"]["claimsToAddOrOverride"] == {}


# Versions -------------------------------------------------------------------------------------


def test_version_3_has_both_tokens_and_the_groups_beside_them() -> None:
    request = {"scopes": ["a"], "groupConfiguration": GROUPS}

    assert token_response(plan_of(claim("a", 1)), request, version="V3_0") == {
        "claimsAndScopeOverrideDetails": {
            "idTokenGeneration": {"claimsToAddOrOverride": {"a": 1}, "claimsToSuppress": []},
            "accessTokenGeneration": {
                "claimsToAddOrOverride": {},
                "claimsToSuppress": [],
                "scopesToAdd": [],
                "scopesToSuppress": [],
            },
            "groupOverrideDetails": GROUPS,
        }
    }


def test_version_1_has_texts_in_the_id_token_alone() -> None:
    effects = [
        claim("text", "ö"),
        claim("number", 1.5),
        claim("flag", True),
        claim("list", ["a", 1]),
        claim("object", {"a": None}),
        claim("access", "x", "access"),
        without("gone"),
        scope("add", "s"),
    ]

    assert token_response(plan_of(*effects), {"groupConfiguration": GROUPS}, version="V1_0") == {
        "claimsOverrideDetails": {
            "claimsToAddOrOverride": {
                "text": "ö",
                "number": "1.5",
                "flag": "true",
                "list": '["a",1]',
                "object": '{"a":null}',
            },
            "claimsToSuppress": ["gone"],
            "groupOverrideDetails": GROUPS,
        }
    }


def test_what_version_1_leaves_out_is_told() -> None:
    plan = plan_of(
        claim("id", 1), claim("a", 1, "access"), without("b", "access"), scope("remove", "s")
    )

    assert beyond_version_1(plan) == ["access:a", "access:-b", "scope:s"]
    assert beyond_version_1(plan_of(claim("id", 1), role(READER))) == []


def test_effects_of_other_kinds_are_no_business_of_tokens() -> None:
    others: list[dict[str, Any]] = [
        {"effect": "set_user_metadata", "key": "a", "value": 1},
        {"effect": "send_email", "template": "t", "to": "x"},
        {"effect": "set_authorization", "roles": ["r"], "permissions": [], "groups": []},
    ]

    assert respond(*others) == respond()
