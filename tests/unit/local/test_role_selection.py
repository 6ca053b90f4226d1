"""The role-selection model: which role an identity pool gives for verified claims.

The model decides here; tests/local shows that the embedded AWS decides by it.
"""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from local.aws.roles import (
    Choice,
    MappingRule,
    RoleMapping,
    choose_role,
    granted_roles,
    mapping_from_api,
    role_list,
)

READER = "arn:aws:iam::000000000000:role/reader"
DEVELOPER = "arn:aws:iam::000000000000:role/developer"
ADMINISTRATOR = "arn:aws:iam::000000000000:role/administrator"
DEFAULT = "arn:aws:iam::000000000000:role/none"

BY_TOKEN = RoleMapping("Token", "Deny")
BY_TOKEN_OR_DEFAULT = RoleMapping("Token", "AuthenticatedRole")

AMBIGUOUS = Choice(None, "ambiguous")
NOT_GRANTED = Choice(None, "custom_role_not_granted")


def claims_of(*roles: str, preferred: str | None = None) -> dict[str, Any]:
    """Return the role claims of an ID token."""
    claims: dict[str, Any] = {"cognito:roles": list(roles)} if roles else {}
    return claims | ({"cognito:preferred_role": preferred} if preferred else {})


@pytest.mark.parametrize(
    ("claims", "custom", "expected"),
    [
        pytest.param({}, None, AMBIGUOUS, id="no role claims give nothing"),
        pytest.param({}, ADMINISTRATOR, NOT_GRANTED, id="naming a role without any gives nothing"),
        pytest.param(
            claims_of(READER), ADMINISTRATOR, NOT_GRANTED, id="a role outside the list is refused"
        ),
        pytest.param(
            claims_of(READER), "", NOT_GRANTED, id="an empty name is a name, and not in the list"
        ),
        pytest.param(
            claims_of(READER), READER + "-2", NOT_GRANTED, id="a longer name is another role"
        ),
        pytest.param(
            claims_of(READER, preferred=DEVELOPER),
            DEVELOPER,
            NOT_GRANTED,
            id="only roles of the list can be named",
        ),
        pytest.param(
            claims_of(READER, DEVELOPER), None, AMBIGUOUS, id="two roles and no preference"
        ),
        pytest.param(claims_of(READER), None, Choice(READER), id="a single role is taken"),
        pytest.param(
            claims_of(READER, READER), None, Choice(READER), id="one role named twice is one role"
        ),
        pytest.param(
            claims_of(READER, DEVELOPER, preferred=DEVELOPER),
            None,
            Choice(DEVELOPER),
            id="the preferred of two",
        ),
        pytest.param(
            claims_of(READER, DEVELOPER, preferred=DEVELOPER),
            READER,
            Choice(READER),
            id="the named one goes before the preferred one",
        ),
        pytest.param(
            {"cognito:roles": f"{READER}, {DEVELOPER}"},
            DEVELOPER,
            Choice(DEVELOPER),
            id="a comma-separated list is a list",
        ),
        pytest.param(
            {"cognito:roles": {READER: True}}, None, AMBIGUOUS, id="an object is no list of roles"
        ),
        pytest.param(
            {"cognito:roles": [[READER], 7, None]}, READER, NOT_GRANTED, id="only text is a role"
        ),
        pytest.param(
            {"cognito:preferred_role": [READER]}, None, AMBIGUOUS, id="a list is no preference"
        ),
    ],
)
def test_the_role_of_a_token(claims: dict[str, Any], custom: str | None, expected: Choice) -> None:
    choice = choose_role(
        claims, mapping=BY_TOKEN, authenticated_role=DEFAULT, custom_role_arn=custom
    )

    assert choice == expected


@pytest.mark.parametrize(
    ("mapping", "claims", "default", "expected"),
    [
        pytest.param(None, claims_of(READER), DEFAULT, Choice(DEFAULT), id="without a mapping"),
        pytest.param(
            None,
            claims_of(READER),
            None,
            Choice(None, "no_default_role"),
            id="not when there is none",
        ),
        pytest.param(
            BY_TOKEN_OR_DEFAULT, {}, DEFAULT, Choice(DEFAULT), id="without role claims, if allowed"
        ),
        pytest.param(
            BY_TOKEN_OR_DEFAULT,
            claims_of(READER, DEVELOPER),
            DEFAULT,
            Choice(DEFAULT),
            id="for two roles without a preference, if allowed",
        ),
        pytest.param(
            BY_TOKEN,
            claims_of(READER, DEVELOPER),
            DEFAULT,
            AMBIGUOUS,
            id="not where the pool denies",
        ),
        pytest.param(
            BY_TOKEN_OR_DEFAULT,
            claims_of(READER),
            DEFAULT,
            Choice(READER),
            id="not beside one role",
        ),
    ],
)
def test_the_default_role_is_given(
    mapping: RoleMapping | None, claims: dict[str, Any], default: str | None, expected: Choice
) -> None:
    choice = choose_role(claims, mapping=mapping, authenticated_role=default)

    assert choice == expected


@pytest.mark.parametrize(
    ("match_type", "value", "claims", "matches"),
    [
        pytest.param("Equals", "apollo", {"project": "apollo"}, True, id="the same text"),
        pytest.param("Equals", "apollo", {"project": "Apollo"}, False, id="case counts"),
        pytest.param("Equals", "apollo", {"project": ["zeus", "apollo"]}, True, id="one of a list"),
        pytest.param("Equals", "apollo", {}, False, id="an absent claim"),
        pytest.param("NotEqual", "apollo", {}, False, id="an absent claim, also when negated"),
        pytest.param("NotEqual", "apollo", {"project": "zeus"}, True, id="another text"),
        pytest.param("NotEqual", "apollo", {"project": "apollo"}, False, id="the text itself"),
        pytest.param("StartsWith", "apo", {"project": "apollo"}, True, id="the beginning"),
        pytest.param("StartsWith", "llo", {"project": "apollo"}, False, id="not the end"),
        pytest.param("Contains", "oll", {"project": "apollo"}, True, id="the middle"),
        pytest.param("Contains", "x", {"project": "apollo"}, False, id="nothing of it"),
    ],
)
def test_a_rule_of_the_pool_matches(
    match_type: Any, value: str, claims: dict[str, Any], matches: bool
) -> None:
    rule = MappingRule("project", match_type, value, READER)

    assert rule.matches(claims) is matches


def test_the_first_matching_rule_decides_unless_the_client_names_a_later_one() -> None:
    rules = tuple(
        MappingRule("project", "StartsWith", start, role)
        for start, role in (("z", ADMINISTRATOR), ("ap", READER), ("apo", DEVELOPER))
    )
    mapping = RoleMapping("Rules", "Deny", rules)

    choices = [
        choose_role(
            {"project": "apollo"}, mapping=mapping, authenticated_role=None, custom_role_arn=custom
        )
        for custom in (None, DEVELOPER, ADMINISTRATOR)
    ]

    assert choices == [Choice(READER), Choice(DEVELOPER), NOT_GRANTED]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({}, id="no type"),
        pytest.param({"Type": "Token"}, id="no resolution"),
        pytest.param(
            {"Type": "Token", "AmbiguousRoleResolution": "Allow"}, id="a wrong resolution"
        ),
        pytest.param({"Type": "Rules", "AmbiguousRoleResolution": "Deny"}, id="no rules"),
        pytest.param(
            {
                "Type": "Rules",
                "AmbiguousRoleResolution": "Deny",
                "RulesConfiguration": {"Rules": [{"Claim": "a", "MatchType": "Like"}]},
            },
            id="an unknown match type",
        ),
        pytest.param(
            {
                "Type": "Rules",
                "AmbiguousRoleResolution": "Deny",
                "RulesConfiguration": {"Rules": [{"Claim": "a", "MatchType": "Equals"}]},
            },
            id="a rule without a role",
        ),
    ],
)
def test_a_mapping_is_not_read_with(value: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"is|has"):
        mapping_from_api(value)


# Properties: whatever the token says, and whatever the client asks for.

ROLES = st.sampled_from([READER, DEVELOPER, ADMINISTRATOR, DEFAULT])
JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | ROLES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=6,
)
CLAIMS = st.fixed_dictionaries(
    {},
    optional={
        "cognito:roles": st.lists(ROLES) | JUNK | st.lists(ROLES).map(",".join),
        "cognito:preferred_role": ROLES | JUNK,
        "project": st.sampled_from(["apollo", "zeus"]) | JUNK,
    },
)
RULES = st.builds(
    MappingRule,
    claim=st.sampled_from(["project", "cognito:roles"]),
    match_type=st.sampled_from(["Equals", "Contains", "StartsWith", "NotEqual"]),
    value=st.sampled_from(["apollo", "a", ""]),
    role_arn=ROLES,
)
MAPPINGS = st.none() | st.builds(
    RoleMapping,
    kind=st.sampled_from(["Token", "Rules"]),
    ambiguous=st.sampled_from(["AuthenticatedRole", "Deny"]),
    rules=st.lists(RULES, max_size=3).map(tuple),
)
NAMES = st.none() | ROLES | st.text(max_size=40)


def defaults_apply(mapping: RoleMapping | None) -> bool:
    return mapping is None or mapping.ambiguous == "AuthenticatedRole"


@given(claims=CLAIMS, mapping=MAPPINGS, default=st.none() | ROLES, custom=NAMES)
def test_every_chosen_role_was_granted_or_is_the_default_that_applies(
    claims: dict[str, Any], mapping: RoleMapping | None, default: str | None, custom: str | None
) -> None:
    choice = choose_role(
        claims, mapping=mapping, authenticated_role=default, custom_role_arn=custom
    )

    granted = set(granted_roles(claims, mapping))
    if custom is None and defaults_apply(mapping) and default is not None:
        granted.add(default)
    assert choice.role_arn is None or choice.role_arn in granted
    assert (choice.role_arn is None) == (choice.refusal is not None)


@given(claims=CLAIMS, default=st.none() | ROLES, custom=NAMES)
def test_under_the_template_s_mapping_every_role_stands_in_the_token(
    claims: dict[str, Any], default: str | None, custom: str | None
) -> None:
    choice = choose_role(
        claims, mapping=BY_TOKEN, authenticated_role=default, custom_role_arn=custom
    )

    # Written without the model's own reading of the claims.
    texts = claims.get("cognito:roles", [])
    listed = texts.split(",") if isinstance(texts, str) else texts
    named = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    in_token = [*(one.strip() for one in named), claims.get("cognito:preferred_role")]
    assert choice.role_arn is None or choice.role_arn in in_token


@given(claims=CLAIMS, mapping=MAPPINGS, default=st.none() | ROLES, custom=st.text() | ROLES)
def test_a_named_role_is_given_only_when_it_is_listed(
    claims: dict[str, Any], mapping: RoleMapping | None, default: str | None, custom: str
) -> None:
    choice = choose_role(
        claims, mapping=mapping, authenticated_role=default, custom_role_arn=custom
    )

    assert choice.role_arn in (None, custom)
    if mapping is None:
        assert choice.role_arn is None
    elif mapping.kind == "Token":
        assert (choice.role_arn == custom) == (custom in role_list(claims))
