from typing import Any

import pytest

from cognito_rules import ConfigurationError
from cognito_rules.testing import a_login
from functions.require_group.app import rule

DENIED = "group_required"


@pytest.mark.parametrize(
    ("login", "settings", "code"),
    [
        pytest.param({"groups": ["group1"]}, {}, None, id="a member is let in"),
        pytest.param({"groups": ["group"]}, {}, DENIED, id="a prefix of the name is no match"),
        pytest.param({"groups": "group1"}, {}, None, id="a single text is a list of one"),
        pytest.param({}, {}, DENIED, id="unknown groups are refused"),
        pytest.param({}, {"on_missing": "allow"}, None, id="unknown groups are let in when asked"),
        pytest.param({"groups": []}, {}, DENIED, id="no groups are refused"),
        pytest.param(
            {"groups": []}, {"on_missing": "allow"}, DENIED, id="known to be in no group is no gap"
        ),
        pytest.param({"groups": ["Group1"]}, {}, DENIED, id="names are case sensitive"),
        pytest.param(
            {"groups": ["Group1"]}, {"case_sensitive": False}, None, id="unless told otherwise"
        ),
        pytest.param(
            {"groups": ["group1"]},
            {"groups": ["group1", "group2"], "match": "all"},
            DENIED,
            id="one of two is not all",
        ),
        pytest.param(
            {"groups": ["group2", "group1"]},
            {"groups": ["group1", "group2"], "match": "all"},
            None,
            id="two of two are all",
        ),
    ],
)
def test_who_can_log_in(login: dict[str, Any], settings: dict[str, Any], code: str | None) -> None:
    subject = a_login(**login, configuration={"groups": ["group1"], **settings})

    effects = rule.decide(subject)

    assert effects.denied_with == code


@pytest.mark.parametrize(
    ("text", "wanted", "settings", "code"),
    [
        pytest.param("[group1, Finance+EU]", "Finance EU", {}, None, id="brackets, form-encoded"),
        pytest.param("[group1, Finance+EU]", "group1", {}, None, id="brackets, first of two"),
        pytest.param('["a, b", "c"]', "a, b", {}, None, id="JSON keeps commas"),
        pytest.param("group1,group2", "group2", {}, None, id="comma list"),
        pytest.param(
            "CN=group1,OU=x,DC=y", "group1", {"attribute_format": "dn"}, None, id="one dn"
        ),
        pytest.param(
            "CN=group1,OU=x,DC=y,CN=group2,OU=x,DC=y", "group2", {}, None, id="two dns, detected"
        ),
        pytest.param("CN=a\\, b,OU=x", "a, b", {}, None, id="an escaped comma is part of the name"),
        pytest.param("CN=other,OU=group1", "group1", {}, DENIED, id="only the common name counts"),
        pytest.param('["group1"', "group1", {}, DENIED, id="malformed JSON is refused"),
        pytest.param(
            '["group1", 1]', "group1", {}, DENIED, id="a list of more than names is malformed"
        ),
        pytest.param(
            '{"group1": 1}', "group1", {"attribute_format": "json"}, DENIED, id="so is an object"
        ),
        pytest.param('"group1"', "group1", {}, None, id="one name in JSON"),
        pytest.param("group1,", "", {}, DENIED, id="a comma more is no name"),
        pytest.param("[group1, ]", "", {}, DENIED, id="nor in brackets"),
        pytest.param("CN=a,OU=x;;CN=b,OU=x", "b", {}, None, id="nor an empty entry"),
        pytest.param("group1", "group1", {"source": "cognito"}, DENIED, id="source not asked for"),
    ],
)
def test_groups_in_an_attribute(
    text: str, wanted: str, settings: dict[str, Any], code: str | None
) -> None:
    login = a_login(
        user={"attributes": {"custom:groups": text}},
        configuration={"groups": [wanted], **settings},
    )

    effects = rule.decide(login)

    assert effects.denied_with == code


def test_where_the_attribute_counts_cognitos_groups_do_not() -> None:
    login = a_login(groups=["a"], configuration={"groups": ["a"], "source": "attribute"})

    assert rule.decide(login).denied_with == DENIED


def test_a_malformed_attribute_is_a_warning_and_no_data() -> None:
    login = a_login(
        user={"attributes": {"custom:groups": '["group1"'}}, configuration={"groups": ["group1"]}
    )

    effects = rule.decide(login)

    assert effects.warnings == ["malformed_group_attribute"]


@pytest.mark.parametrize("settings", [{}, {"groups": []}, {"groups": ["a"], "grups": ["b"]}])
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        rule.decide(a_login(groups=["a"], configuration=settings))
