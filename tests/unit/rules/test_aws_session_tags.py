from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.aws_session_tags.app import rule

SAML = "https://aws.amazon.com/SAML/Attributes/"
COST_CENTER = {"key": "CostCenter", "source": "app_metadata.cost_center"}


def decide(
    login: dict[str, Any], *tags: dict[str, Any], group_map: Any = None, **settings: Any
) -> Effects:
    settings["tags"] = list(tags)
    if group_map is not None:
        settings["group_map"] = group_map
    return rule.decide(a_login(**login, configuration=settings))


def tags_of(effects: Effects) -> dict[str, str]:
    written = [item["tags"] for item in effects.items if item["effect"] == "set_session_tags"]
    return written[0] if written else {}


def with_cost_center(value: Any) -> dict[str, Any]:
    return {"user": {"app_metadata": {"cost_center": value}}}


@pytest.mark.parametrize(
    ("login", "tag", "settings", "warning"),
    [
        pytest.param({}, {}, {}, "tag_source_missing", id="unreadable app_metadata"),
        pytest.param(
            {"user": {"user_metadata": {"cost_center": "engineering"}, "app_metadata": {}}},
            {},
            {},
            "tag_source_missing",
            id="a value in user_metadata only",
        ),
        pytest.param(with_cost_center(None), {}, {}, "tag_source_missing", id="a stored null"),
        pytest.param(with_cost_center("mark*"), {}, {}, "tag_value_refused", id="a star"),
        pytest.param(with_cost_center("a\nb"), {}, {}, "tag_value_refused", id="a line end"),
        pytest.param(with_cost_center(""), {}, {}, "tag_value_refused", id="the empty text"),
        pytest.param(with_cost_center("a" * 257), {}, {}, "tag_value_refused", id="too long"),
        pytest.param(with_cost_center({"a": 1}), {}, {}, "tag_value_refused", id="an object"),
        pytest.param(with_cost_center(["a", "b"]), {}, {}, "tag_value_refused", id="a list"),
        pytest.param(
            with_cost_center([]), {}, {"multi": "join"}, "tag_source_missing", id="an empty list"
        ),
        pytest.param(
            with_cost_center(["a:b"]),
            {},
            {"multi": "join"},
            "tag_value_refused",
            id="an item that pretends to be two",
        ),
        pytest.param(
            with_cost_center(["a", ""]),
            {},
            {"multi": "join"},
            "tag_value_refused",
            id="an empty item",
        ),
        pytest.param(
            with_cost_center(["a" * 200, "b" * 200]),
            {},
            {"multi": "join"},
            "tag_value_refused",
            id="items too long together",
        ),
        pytest.param(
            with_cost_center("sales"),
            {"allowed": ["marketing"]},
            {},
            "tag_value_refused",
            id="a value that is not allowed",
        ),
        pytest.param(
            with_cost_center("1234x"),
            {"pattern": "[0-9]+"},
            {},
            "tag_value_refused",
            id="a pattern matches the whole value or nothing",
        ),
    ],
)
def test_what_has_no_legal_value(
    login: dict[str, Any], tag: dict[str, Any], settings: dict[str, Any], warning: str
) -> None:
    optional = decide(login, {**COST_CENTER, **tag}, **settings)
    required = decide(login, {**COST_CENTER, **tag, "required": True}, **settings)
    strict = decide(login, {**COST_CENTER, **tag}, on_missing="deny", **settings)

    assert (tags_of(optional), optional.denied_with) == ({}, None)
    assert optional.warnings == [warning]
    assert required.denied_with == "session_tag_missing"
    assert strict.denied_with == "session_tag_missing"


@pytest.mark.parametrize(
    ("value", "tag", "settings", "text"),
    [
        pytest.param("marketing", {}, {}, "marketing", id="a text"),
        pytest.param("Verkauf Süd", {}, {}, "Verkauf Süd", id="letters of any script and blanks"),
        pytest.param(4711, {}, {}, "4711", id="a number becomes text"),
        pytest.param(True, {}, {}, "true", id="a boolean becomes text"),
        pytest.param(["a", "b"], {}, {"multi": "join"}, ":a:b:", id="a list, joined"),
        pytest.param("4711", {"pattern": "[0-9]+"}, {}, "4711", id="a matching pattern"),
        pytest.param("4711", {"allowed": ["4711"]}, {}, "4711", id="an allowed value"),
    ],
)
def test_a_legal_value_becomes_the_tag(
    value: Any, tag: dict[str, Any], settings: dict[str, Any], text: str
) -> None:
    effects = decide(with_cost_center(value), {**COST_CENTER, **tag}, **settings)

    assert tags_of(effects) == {"CostCenter": text}


@pytest.mark.parametrize(
    ("groups", "settings", "tags"),
    [
        pytest.param(["other"], {}, {}, id="no mapped group"),
        pytest.param(["sales"], {}, {"Project": "apollo"}, id="one mapped group"),
        pytest.param(["sales", "field"], {}, {"Project": "apollo"}, id="two groups, one value"),
        pytest.param(["sales", "it"], {}, {}, id="two values are refused"),
        pytest.param(
            ["it", "sales"], {"multi": "join"}, {"Project": ":apollo:hermes:"}, id="or joined"
        ),
    ],
)
def test_a_group_can_stand_for_a_value(
    groups: list[str], settings: dict[str, Any], tags: dict[str, str]
) -> None:
    group_map = {"sales": "apollo", "field": "apollo", "it": "hermes"}
    tag = {"key": "Project", "source": "group_map"}

    effects = decide({"groups": groups}, tag, group_map=group_map, **settings)

    assert tags_of(effects) == tags


def test_a_constant_and_an_attribute_that_is_read_only() -> None:
    tags: list[dict[str, Any]] = [
        {"key": "Stage", "source": "constant", "value": "prod"},
        {
            "key": "Department",
            "source": "attributes.custom:department",
            "i_know_it_is_read_only": True,
        },
    ]

    effects = decide({"user": {"attributes": {"custom:department": "it"}}}, *tags)

    assert tags_of(effects) == {"Stage": "prod", "Department": "it"}


def test_an_assertion_carries_the_tags_and_names_the_transitive_ones() -> None:
    login = {
        "user": {"app_metadata": {"cost_center": "marketing"}, "groups": ["sales"]},
        "protocol": "samlp",
    }
    project = {"key": "Project", "source": "group_map", "transitive": True}
    missing = {"key": "Shift", "source": "app_metadata.shift", "transitive": True}

    effects = decide(login, COST_CENTER, project, missing, group_map={"sales": "apollo"})

    assert [
        (item["name"].removeprefix(SAML), item["values"])
        for item in effects.items
        if item["effect"] == "set_saml_attribute"
    ] == [
        ("PrincipalTag:CostCenter", ["marketing"]),
        ("PrincipalTag:Project", ["apollo"]),
        ("TransitiveTagKeys", ["Project"]),
    ]


def test_without_saml_there_is_no_attribute() -> None:
    effects = decide(with_cost_center("marketing"), {**COST_CENTER, "transitive": True})

    assert [item["effect"] for item in effects.items] == ["set_session_tags"]


def test_tags_too_large_for_sts_are_a_warning() -> None:
    tags = [{"key": f"Tag{n}", "source": "constant", "value": "v" * 250} for n in range(9)]

    effects = decide({}, *tags)

    assert effects.warnings == ["session_tags_too_large"]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        pytest.param(
            [{"key": f"T{n}", "source": "group_map"} for n in range(51)], "51", id="51 tags"
        ),
        pytest.param(
            [COST_CENTER, {**COST_CENTER, "key": "costcenter"}], "one key", id="keys but for case"
        ),
        pytest.param(
            [COST_CENTER, {**COST_CENTER, "key": "cost_center"}], "one key", id="keys of one claim"
        ),
        pytest.param([{**COST_CENTER, "key": "aws:region"}], "no key", id="a key of Amazon's"),
        pytest.param([{**COST_CENTER, "key": "Cost*"}], "no key", id="an illegal key"),
        pytest.param([{**COST_CENTER, "key": "Granted"}], "granted", id="the tag of the roles"),
        pytest.param(
            [{"key": "A", "source": "user_metadata.a"}], "administrators", id="user_metadata"
        ),
        pytest.param(
            [{"key": "A", "source": "email"}], "administrators", id="a standard attribute"
        ),
        pytest.param(
            [{"key": "A", "source": "attributes.email", "i_know_it_is_read_only": True}],
            "administrators",
            id="a standard attribute, even when said to be read-only",
        ),
        pytest.param(
            [{"key": "A", "source": "attributes.custom:a"}],
            "i_know_it_is_read_only",
            id="a custom attribute",
        ),
        pytest.param([{"key": "A", "source": "constant"}], "has a value", id="no constant"),
        pytest.param([{**COST_CENTER, "value": "x"}], "has a value", id="a needless constant"),
        pytest.param([{**COST_CENTER, "pattern": "["}], "pattern", id="a broken pattern"),
        pytest.param([{**COST_CENTER, "claim": "sub"}], "claim", id="an unknown key"),
    ],
)
def test_a_wrong_setting_is_an_error(tags: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide({}, *tags)


@pytest.mark.parametrize("name", ["tags", "group_map"])
def test_a_request_cannot_change_the_table(name: str) -> None:
    response = rule.answer({"version": 1, "login": {}, "configuration": {name: {}}})

    assert response["fault"]["code"] == "configuration_error"
