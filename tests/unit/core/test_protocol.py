import copy
from typing import Any

import pytest

from cognito_rules.effect_values import MAX_METADATA_BYTES
from cognito_rules.errors import InvalidEffectError, UndeclaredEffectError
from cognito_rules.fields import Facts, meets
from cognito_rules.protocol import (
    EFFECTS,
    WRITABLE,
    apply_effects,
    check_effect,
    seen_as,
)

ROLE = "arn:aws:iam::123456789012:role/reader"

# What is illegal in a schema's eyes too stands in tests/contract/test_protocol_schemas.py.


@pytest.mark.parametrize(
    ("effect", "code"),
    [
        pytest.param({"effect": "allow"}, "unknown_effect", id="no effect"),
        pytest.param({"effect": ["deny"]}, "unknown_effect", id="a list for a name"),
        pytest.param("deny", "unknown_effect", id="a text for an effect"),
        pytest.param(
            {"effect": "set_claim", "token": "id", "name": "sub", "value": "x"},
            "protected_claim",
            id="a claim of Cognito's",
        ),
        pytest.param(
            {"effect": "set_claim", "token": "id", "name": "cognito:groups", "value": ["x"]},
            "protected_claim",
            id="groups by a claim",
        ),
        pytest.param(
            {"effect": "set_claim", "token": "id", "name": "aws_tag_granted", "value": ":admin:"},
            "protected_claim",
            id="a tag by a claim",
        ),
        pytest.param(
            {"effect": "set_claim", "token": "access", "name": "dev:a", "value": "x"},
            "protected_claim",
            id="a developer attribute",
        ),
        pytest.param(
            {"effect": "remove_claim", "token": "id", "name": "cognito:roles"},
            "protected_claim",
            id="removing roles, which Cognito does with the groups alone",
        ),
        pytest.param(
            {"effect": "set_claim", "token": "id", "name": "address", "value": {"city": "Rome"}},
            "invalid_effect",
            id="an object where the ID token takes none",
        ),
        pytest.param(
            {"effect": "set_claim", "token": "id", "name": "a", "value": float("nan")},
            "invalid_effect",
            id="no number",
        ),
        pytest.param(
            {"effect": "set_claim", "token": "id", "name": "a", "value": {1, 2}},
            "invalid_effect",
            id="no JSON",
        ),
        pytest.param(
            {"effect": "add_scope", "scope": "read orders"},
            "invalid_scope",
            id="a blank in a scope",
        ),
        pytest.param(
            {"effect": "set_groups", "groups": ["a\nb"]},
            "invalid_effect",
            id="a line end in a group",
        ),
        pytest.param(
            {"effect": "set_groups", "groups": [" a"]},
            "invalid_effect",
            id="a blank before a group",
        ),
        pytest.param(
            {"effect": "set_aws_role", "role_arns": [ROLE + "\n"]},
            "invalid_effect",
            id="a line end behind an ARN",
        ),
        pytest.param(
            {"effect": "set_aws_role", "role_arns": [], "preferred": ROLE},
            "invalid_effect",
            id="a preferred role that is not granted",
        ),
        pytest.param(
            {"effect": "set_session_tags", "tags": {"AWS:Region": "x"}},
            "invalid_effect",
            id="a tag key of Amazon's",
        ),
        pytest.param(
            {"effect": "set_session_tags", "tags": {"a": "*"}},
            "invalid_effect",
            id="a star in a tag",
        ),
        pytest.param(
            {"effect": "set_user_metadata", "key": "a", "value": "x" * MAX_METADATA_BYTES},
            "metadata_too_large",
            id="metadata of more than 64 KB",
        ),
        pytest.param(
            {"effect": "redirect", "url": "https://e.com", "expires_in": True},
            "invalid_effect",
            id="a boolean for seconds",
        ),
    ],
)
def test_an_illegal_effect_is_a_fault_that_names_it(effect: Any, code: str) -> None:
    with pytest.raises(InvalidEffectError) as raised:
        check_effect(effect, WRITABLE)

    assert raised.value.code == code


@pytest.mark.parametrize(
    ("writes", "effect", "needed"),
    [
        pytest.param(
            [],
            {"effect": "deny", "code": "a", "public_code": "access_denied", "reason": "b"},
            "deny",
            id="deny",
        ),
        pytest.param(
            [("id_token", "claims")],
            {"effect": "set_claim", "token": "access", "name": "a", "value": 1},
            "access_token.claims",
            id="the other token",
        ),
        pytest.param(
            [("user", "user_metadata", "color")],
            {"effect": "set_user_metadata", "key": "plan", "value": 1},
            "user.user_metadata.plan",
            id="another key",
        ),
        pytest.param(
            [("user", "user_metadata")],
            {"effect": "set_app_metadata", "key": "plan", "value": 1},
            "user.app_metadata.plan",
            id="the other kind",
        ),
        pytest.param(
            [("user", "name")],
            {"effect": "set_profile", "attribute": ["name"], "value": "x"},
            "user",
            id="a list for an attribute",
        ),
        pytest.param(
            [("aws", "tags")], {"effect": "set_aws_role", "role_arns": []}, "aws.role", id="a role"
        ),
    ],
)
def test_an_undeclared_effect_is_a_fault_that_names_it(
    writes: list[tuple[str, ...]], effect: dict[str, Any], needed: str
) -> None:
    with pytest.raises(UndeclaredEffectError, match=needed):
        check_effect(effect, writes)


@pytest.mark.parametrize(
    "claim",
    ["https://example.com/roles", "email", "custom:team", "address", "aws_tags", "subject"],
)
def test_claims_of_ones_own_and_of_profiles_are_legal(claim: str) -> None:
    effect = {"effect": "set_claim", "token": "id", "name": claim, "value": ["x"]}

    assert check_effect(effect, WRITABLE) == effect


@pytest.mark.parametrize("name", ["dev:a", "cognito:groups"])
def test_what_nobody_can_set_can_be_removed(name: str) -> None:
    effect = {"effect": "remove_claim", "token": "id", "name": name}

    assert check_effect(effect, WRITABLE) == effect


@pytest.mark.parametrize(
    ("denial", "reason", "public_code"),
    [
        pytest.param(
            {"reason": "No\r\nSet-Cookie: a=b\x00\x1b[31m"},
            "No Set-Cookie: a=b [31m",
            "access_denied",
            id="control characters become blanks",
        ),
        pytest.param(
            {"reason": "abc\u202edef\u2028ghi"},
            "abc def ghi",
            "access_denied",
            id="so do those that turn or break a text",
        ),
        pytest.param(
            {"reason": "Ñandú 日本"}, "Ñandú 日本", "access_denied", id="any script is kept"
        ),
        pytest.param({"reason": "x" * 300}, "x" * 256, "access_denied", id="a long text is cut"),
        pytest.param({"reason": "\n"}, "You cannot log in.", "access_denied", id="nothing left"),
        pytest.param({"reason": 7}, "You cannot log in.", "access_denied", id="no text"),
        pytest.param({}, "You cannot log in.", "access_denied", id="nothing at all"),
        pytest.param(
            {"reason": "No.", "public_code": "try_again"}, "No.", "try_again", id="a public code"
        ),
        pytest.param(
            {"reason": "No.", "public_code": "user_flagged"},
            "No.",
            "access_denied",
            id="another code",
        ),
        pytest.param(
            {"reason": "No.", "public_code": ["a"]}, "No.", "access_denied", id="a list for a code"
        ),
    ],
)
def test_a_denial_denies_whatever_its_text(
    denial: dict[str, Any], reason: str, public_code: str
) -> None:
    effect = check_effect({"effect": "deny", "code": "a", **denial}, WRITABLE)

    assert effect == {
        "effect": "deny",
        "code": "a",
        "reason": reason,
        "public_code": public_code,
    }


def test_checking_changes_nothing() -> None:
    effect = {"effect": "deny", "code": "a", "public_code": "b", "reason": "c\n"}
    before = copy.deepcopy(effect)

    check_effect(effect, WRITABLE)

    assert effect == before


@pytest.mark.parametrize(
    ("effect", "facts", "after"),
    [
        pytest.param(
            {"effect": "set_app_metadata", "key": "plan", "value": "gold"},
            {"user": {}},
            {"user": {}},
            id="a key of an unreadable profile does not make it known",
        ),
        pytest.param(
            {"effect": "add_scope", "scope": "a"}, {}, {}, id="a scope does not make scopes known"
        ),
        pytest.param(
            {"effect": "remove_scope", "scope": "a"},
            {"transaction": {}},
            {"transaction": {}},
            id="nor does removing one",
        ),
        pytest.param(
            {"effect": "add_scope", "scope": "a"},
            {"transaction": {"scopes": ["a", "b"]}},
            {"transaction": {"scopes": ["a", "b"]}},
            id="a scope that is there",
        ),
        pytest.param(
            {"effect": "add_scope", "scope": "c"},
            {"transaction": {"scopes": ["a"], "requested_scopes": ["a"]}},
            {"transaction": {"scopes": ["a", "c"], "requested_scopes": ["a"]}},
            id="a scope, and what was requested stays",
        ),
        pytest.param(
            {"effect": "remove_scope", "scope": "a"},
            {"transaction": {"scopes": ["a", "b"]}},
            {"transaction": {"scopes": ["b"]}},
            id="a removed scope",
        ),
        pytest.param(
            {"effect": "set_user_metadata", "key": "a", "value": {"y": 2}},
            {"user": {"user_metadata": {"a": {"x": 1}, "b": 2}}},
            {"user": {"user_metadata": {"a": {"y": 2}, "b": 2}}},
            id="a key is replaced whole",
        ),
        pytest.param(
            {"effect": "set_user_metadata", "key": "b", "value": None},
            {"user": {"user_metadata": {"b": 2}}},
            {"user": {"user_metadata": {}}},
            id="null removes a key",
        ),
        pytest.param(
            {"effect": "set_user_metadata", "key": "b", "value": None},
            {"user": {"user_metadata": {}}},
            {"user": {"user_metadata": {}}},
            id="and one that is not there",
        ),
        pytest.param(
            {"effect": "set_app_metadata", "key": "a", "value": 1, "only_if_missing": True},
            {"user": {"app_metadata": {"a": 0}}},
            {"user": {"app_metadata": {"a": 0}}},
            id="a value stays when only a missing one is wanted",
        ),
        pytest.param(
            {"effect": "set_groups", "groups": []},
            {"user": {"groups": ["a"]}},
            {"user": {"groups": []}},
            id="no groups",
        ),
        pytest.param(
            {"effect": "set_authorization", "roles": ["a"], "permissions": [], "groups": []},
            {},
            {"authorization": {"roles": ["a"], "permissions": [], "groups": []}},
            id="an authorization",
        ),
        pytest.param(
            {"effect": "set_profile", "attribute": "name", "value": "Jane"},
            {"user": {"name": "J."}},
            {"user": {"name": "Jane"}},
            id="a name",
        ),
        pytest.param(
            {"effect": "set_claim", "token": "id", "name": "email", "value": "x"},
            {"user": {"email": "y"}},
            {"user": {"email": "y"}},
            id="a claim is never seen",
        ),
    ],
)
def test_what_later_rules_see(effect: dict[str, Any], facts: Facts, after: Facts) -> None:
    apply_effects(facts, [effect])

    assert facts == after


def test_applying_effects_leaves_the_old_lists_and_maps_alone() -> None:
    scopes, metadata = ["a"], {"b": 1}
    facts: Facts = {"transaction": {"scopes": scopes}, "user": {"user_metadata": metadata}}

    apply_effects(
        facts,
        [
            {"effect": "add_scope", "scope": "c"},
            {"effect": "set_user_metadata", "key": "d", "value": 2},
        ],
    )

    assert (scopes, metadata) == (["a"], {"b": 1})


@pytest.mark.parametrize(
    ("write", "read", "answer"),
    [
        (("deny",), ("user", "email"), False),
        (("id_token", "claims"), ("user",), False),
        (("aws", "role"), ("aws", "roles"), False),
        (("access_token", "scopes"), ("transaction", "scopes"), True),
        (("access_token", "scopes"), ("transaction", "requested_scopes"), False),
        (("access_token", "scopes"), ("transaction",), True),
        (("user", "groups"), ("user", "groups"), True),
        (("user", "app_metadata", "a"), ("user", "app_metadata", "a"), True),
        (("user", "app_metadata", "a"), ("user", "app_metadata"), True),
        (("user", "app_metadata", "a"), ("user", "app_metadata", "b"), False),
        (("user", "name"), ("user", "given_name"), False),
        (("authorization",), ("authorization", "roles"), True),
    ],
)
def test_which_writes_change_what_is_read(
    write: tuple[str, ...], read: tuple[str, ...], answer: bool
) -> None:
    seen = seen_as(write)

    assert (seen is not None and meets(seen, read)) is answer


def test_every_effect_that_changes_facts_can_be_seen_and_no_other() -> None:
    samples = {
        "set_claim": {"token": "id"},
        "remove_claim": {"token": "id"},
        "set_user_metadata": {"key": "a"},
        "set_app_metadata": {"key": "a"},
        "set_enrichment": {"source": "a"},
        "set_profile": {"attribute": "name"},
    }
    for name, kind in EFFECTS.items():
        path = kind.writes({"effect": name, **samples.get(name, {})})
        assert any(path[: len(write)] == write for write in WRITABLE), name
        assert (seen_as(path) is not None) is (kind.apply is not None), name
