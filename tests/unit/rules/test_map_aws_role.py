from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.map_aws_role.app import rule

ACCOUNT = "arn:aws:iam::123456789012"
READER = f"{ACCOUNT}:role/cognito-rules/reader"
ADMIN = f"{ACCOUNT}:role/cognito-rules/admin"
ON_A_GROUP = f"{ACCOUNT}:role/on-a-group"

TEMPLATE = {
    "roles": {"reader": READER, "admin": ADMIN},
    "mappings": [
        {"group": "DomainUser", "role": "reader", "priority": 20},
        {"group": "DomainAdmins", "role": "admin", "priority": 10},
    ],
}


def decide(login: dict[str, Any], settings: dict[str, Any] | None = None) -> Effects:
    return rule.decide(a_login(**login, configuration={**TEMPLATE, **(settings or {})}))


def granted(effects: Effects) -> tuple[list[str], str | None] | None:
    """Return the granted roles and the preferred one; None when the rule wrote no roles."""
    roles = [item for item in effects.items if item["effect"] == "set_aws_role"]
    return (roles[0]["role_arns"], roles[0].get("preferred")) if roles else None


@pytest.mark.parametrize(
    "groups",
    [
        pytest.param([], id="no group"),
        pytest.param(["domainadmins"], id="the wrong case"),
        pytest.param(["DomainAdmins-evil"], id="a longer name"),
        pytest.param(["Domain"], id="a shorter name"),
        pytest.param([" DomainAdmins"], id="white space around the name"),
        pytest.param(["constructor", "__proto__", "__class__"], id="names of language internals"),
        pytest.param(["reader", READER], id="keys and ARNs of roles"),
        pytest.param({"DomainAdmins": True}, id="no list"),
        pytest.param(["DomainAdmins", 7], id="a list with something else in it"),
    ],
)
def test_nothing_but_the_exact_name_of_a_group_grants(groups: Any) -> None:
    effects = decide({"groups": groups})

    assert granted(effects) == ([], None)


@pytest.mark.parametrize(
    ("groups", "settings", "expected"),
    [
        pytest.param(["DomainUser"], {}, ([READER], READER), id="one group, one role"),
        pytest.param("DomainUser", {}, ([READER], READER), id="a single text is a list of one"),
        pytest.param(
            ["DomainUser", "DomainAdmins"], {}, ([ADMIN, READER], ADMIN), id="best priority first"
        ),
        pytest.param(
            ["DomainUser", "DomainAdmins"],
            {"preferred": "none"},
            ([ADMIN, READER], None),
            id="no preferred role when none is wanted",
        ),
        pytest.param(
            ["a", "b"],
            {"mappings": [{"group": "a", "role": "reader"}, {"group": "b", "role": "admin"}]},
            ([READER, ADMIN], None),
            id="a tie prefers none",
        ),
        pytest.param(
            ["a", "b"],
            {"mappings": [{"group": "a", "role": "reader"}, {"group": "b", "role": "reader"}]},
            ([READER], READER),
            id="one role by two groups is no tie",
        ),
        pytest.param(
            ["DomainUser"],
            {"no_match": "default_role", "default_role": "admin"},
            ([READER], READER),
            id="a match needs no default",
        ),
        pytest.param(
            ["DomainUser", "DomainAdmins"],
            {"max_roles": 2},
            ([ADMIN, READER], ADMIN),
            id="as many as are allowed",
        ),
        pytest.param(
            ["other"],
            {"no_match": "default_role", "default_role": "reader"},
            ([READER], READER),
            id="no match gets the default",
        ),
    ],
)
def test_groups_grant_roles(
    groups: list[str], settings: dict[str, Any], expected: tuple[list[str], str | None]
) -> None:
    effects = decide({"groups": groups}, settings)

    assert granted(effects) == expected


def test_groups_stay_as_they_are() -> None:
    effects = decide({"groups": ["DomainUser"]})

    assert [item["effect"] for item in effects.items] == ["set_aws_role"]


@pytest.mark.parametrize(
    ("mode", "groups", "expected"),
    [
        pytest.param("replace", [], ([], None), id="replace leaves none of them"),
        pytest.param("replace", ["DomainUser"], ([READER], READER), id="replace, with a match"),
        pytest.param("intersect", [], ([ADMIN], None), id="intersect keeps those of the table"),
        pytest.param("add", [], ([ON_A_GROUP, ADMIN], ON_A_GROUP), id="add keeps them all"),
        pytest.param(
            "add", ["DomainUser"], ([READER, ON_A_GROUP, ADMIN], READER), id="add, own roles first"
        ),
    ],
)
def test_roles_that_cognito_groups_carry(
    mode: str, groups: list[str], expected: tuple[list[str], str | None]
) -> None:
    carried = {"roles": [ON_A_GROUP, ADMIN], "preferred": ON_A_GROUP}

    effects = decide({"groups": groups, "aws": carried}, {"mode": mode})

    assert granted(effects) == expected


def test_a_carried_role_that_nobody_may_grant_is_dropped() -> None:
    service_role = f"{ACCOUNT}:role/aws-service-role/ecs.amazonaws.com/AWSServiceRoleForECS"

    effects = decide({"groups": [], "aws": {"roles": [service_role]}}, {"mode": "add"})

    assert granted(effects) == ([], None)
    assert effects.warnings == ["aws_role_refused"]


@pytest.mark.parametrize(
    ("login", "settings"),
    [
        pytest.param({}, {}, id="Cognito's groups"),
        pytest.param({}, {"mode": "add"}, id="no carried role either"),
        pytest.param(
            {}, {"no_match": "default_role", "default_role": "reader"}, id="no default either"
        ),
        pytest.param(
            {"groups": ["DomainUser"]},
            {"group_source": "app_metadata_path", "app_metadata_path": "ad_groups"},
            id="app_metadata",
        ),
        pytest.param(
            {"groups": ["DomainUser"]}, {"group_source": "authorization"}, id="authorization"
        ),
    ],
)
def test_groups_that_cannot_be_read_grant_nothing(
    login: dict[str, Any], settings: dict[str, Any]
) -> None:
    effects = decide({**login, "aws": {"roles": [ADMIN]}}, settings)

    assert granted(effects) == ([], None)
    assert effects.warnings == ["groups_unknown"]


@pytest.mark.parametrize(
    ("login", "settings", "roles"),
    [
        pytest.param(
            {"user": {"app_metadata": {"ad_groups": {"x": ADMIN, "DomainAdmins": ADMIN}}}},
            {"group_source": "app_metadata_path", "app_metadata_path": "ad_groups"},
            [],
            id="ARNs in app_metadata are nothing",
        ),
        pytest.param(
            {"user": {"app_metadata": {}, "groups": ["DomainAdmins"]}},
            {"group_source": "app_metadata_path", "app_metadata_path": "ad_groups"},
            [],
            id="a missing path is no group",
        ),
        pytest.param(
            {"user": {"user_metadata": {"groups": ["DomainAdmins"]}, "groups": []}},
            {},
            [],
            id="user_metadata is never looked at",
        ),
        pytest.param(
            {"user": {"app_metadata": {"ad": {"groups": ["DomainUser"]}}}},
            {"group_source": "app_metadata_path", "app_metadata_path": "ad.groups"},
            [READER],
            id="names in app_metadata count when it is the source",
        ),
        pytest.param(
            {"authorization": {"groups": ["DomainUser"], "roles": ["DomainAdmins"]}},
            {"group_source": "authorization"},
            [READER],
            id="groups of an earlier rule",
        ),
        pytest.param(
            {"authorization": {"groups": ["DomainUser"], "roles": ["DomainAdmins"]}},
            {"group_source": "authorization_roles"},
            [ADMIN],
            id="roles of an earlier rule",
        ),
    ],
)
def test_where_groups_come_from(
    login: dict[str, Any], settings: dict[str, Any], roles: list[str]
) -> None:
    effects = decide(login, settings)

    written = granted(effects)
    assert written is not None
    assert written[0] == roles


@pytest.mark.parametrize(
    ("methods", "roles"),
    [
        pytest.param(None, [READER], id="unknown methods"),
        pytest.param([], [READER], id="no methods"),
        pytest.param([{"name": "pwd", "type": "pwd"}], [READER], id="a password"),
        pytest.param(
            [{"name": "pwd", "type": "pwd"}, {"name": "mfa", "type": "otp"}],
            [ADMIN, READER],
            id="a second factor",
        ),
    ],
)
def test_a_mapping_can_ask_for_mfa(methods: list[dict[str, str]] | None, roles: list[str]) -> None:
    login: dict[str, Any] = {"groups": ["DomainUser", "DomainAdmins"]}
    if methods is not None:
        login["authentication"] = {"methods": methods}
    mappings = [
        {"group": "DomainUser", "role": "reader", "priority": 20},
        {"group": "DomainAdmins", "role": "admin", "priority": 10, "require_mfa": True},
    ]

    effects = decide(login, {"mappings": mappings})

    written = granted(effects)
    assert written is not None
    assert written[0] == roles


@pytest.mark.parametrize(
    ("login", "settings", "code"),
    [
        pytest.param({"groups": ["other"]}, {"no_match": "deny"}, "no_aws_role", id="no match"),
        pytest.param({}, {"no_match": "deny"}, "no_aws_role", id="unknown groups"),
        pytest.param(
            {"groups": ["DomainUser", "DomainAdmins"]},
            {"max_roles": 1},
            "aws_role_config",
            id="too many roles",
        ),
    ],
)
def test_who_is_refused(login: dict[str, Any], settings: dict[str, Any], code: str) -> None:
    effects = decide(login, settings)

    assert effects.denied_with == code
    assert granted(effects) is None
    assert not any(key in effects.items[0]["reason"] for key in TEMPLATE["roles"])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"roles": {}}, "no role", id="a mapping to a role that is not in the table"),
        pytest.param(
            {"roles": {"reader": "reader", "admin": ADMIN}}, "no ARN", id="a role that is no ARN"
        ),
        pytest.param(
            {"roles": {"reader": READER + "\n", "admin": ADMIN}}, "no ARN", id="a line end"
        ),
        pytest.param(
            {
                "roles": {
                    "reader": f"{ACCOUNT}:role/aws-reserved/sso.amazonaws.com/AWSReservedSSO_a_1",
                    "admin": ADMIN,
                }
            },
            "no ARN",
            id="a role of IAM Identity Center",
        ),
        pytest.param(
            {"roles": {"reader": READER, "admin": ADMIN, "a:b": ADMIN}},
            "a:b",
            id="a key with a colon",
        ),
        pytest.param(
            {"saml_provider_arn": "arn:aws:iam::999999999999:saml-provider/X"},
            "two accounts",
            id="role and provider of two accounts",
        ),
        pytest.param(
            {"saml_provider_arn": "arn:aws:iam:: 123456789012:saml-provider/X"},
            "saml_provider_arn",
            id="a provider with a blank in it",
        ),
        pytest.param({"session_duration": 600}, "session_duration", id="a session too short"),
        pytest.param({"default_role": "owner"}, "owner", id="a default outside of the table"),
        pytest.param({"no_match": "default_role"}, "default_role", id="a default that is missing"),
        pytest.param(
            {"group_source": "app_metadata_path"}, "app_metadata_path", id="a path that is missing"
        ),
        pytest.param(
            {"roles": {key * 130: READER for key in "ab"}, "mappings": []},
            "too long",
            id="keys too long for a tag",
        ),
        pytest.param({"client_ids": ["*"]}, "client_ids", id="an unknown setting"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide({"groups": []}, settings)


@pytest.mark.parametrize("name", sorted(rule.manifest.settings.from_template))
def test_a_request_cannot_widen_the_table(name: str) -> None:
    request = {"version": 1, "login": {}, "configuration": {name: "x"}}

    response = rule.answer(request)

    assert response["fault"]["code"] == "configuration_error"
