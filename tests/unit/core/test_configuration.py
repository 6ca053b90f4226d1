from typing import Any

import pytest

from cognito_rules.configuration import Settings
from cognito_rules.errors import ConfigurationError, ManifestError


def settings(**declared: Any) -> Settings:
    return Settings.parse(declared)


def check(declared: dict[str, Any], **given: Any) -> dict[str, Any]:
    return Settings.parse(declared).check(given, {})


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        pytest.param([], "tables", id="no table of settings"),
        pytest.param({"a": "string"}, "needs a type", id="a text for a setting"),
        pytest.param({"a": {"default": 1}}, "needs a type", id="no type"),
        pytest.param({"a": {"type": "text"}}, "unknown type", id="an unknown type"),
        pytest.param({"a": {"type": "list[text]"}}, "unknown type", id="a list of unknown things"),
        pytest.param({"a": {"type": "map[integer, string]"}}, "unknown type", id="other keys"),
        pytest.param({"a": {"type": "list"}}, "unknown type", id="a list of nothing"),
        pytest.param({"a": {"type": "string", "defualt": 1}}, "defualt", id="a misspelt key"),
        pytest.param({"a": {"type": "string", "source": "env"}}, "source", id="another source"),
        pytest.param({"a": {"type": "object"}}, "fields", id="an object without fields"),
        pytest.param({"a": {"type": "list[object]"}}, "fields", id="nor with them in its list"),
        pytest.param(
            {"a": {"type": "string", "fields": {"b": {"type": "string"}}}},
            "fields",
            id="a text with",
        ),
        pytest.param(
            {"a": {"type": "object", "fields": {"b": {"type": "?"}}}}, r"a\.b", id="a bad field"
        ),
    ],
)
def test_a_bad_declaration_stops_the_build(declared: Any, message: str) -> None:
    with pytest.raises(ManifestError, match=message):
        Settings.parse(declared)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("string", 1),
        ("string", None),
        ("integer", "1"),
        ("integer", 1.5),
        ("integer", True),
        ("number", "1"),
        ("number", True),
        ("boolean", 1),
        ("boolean", "true"),
        ("list[string]", "a"),
        ("list[string]", ["a", 1]),
        ("list[list[integer]]", [1]),
        ("map[string, integer]", [1]),
        ("map[string, integer]", {"a": "1"}),
        ("map[string, list[string]]", {"a": "b"}),
        ("list[map[string, boolean]]", [{"a": 1}]),
    ],
)
def test_a_value_of_another_type_is_an_error_that_names_the_setting(
    type_name: str, value: Any
) -> None:
    with pytest.raises(ConfigurationError, match="wanted"):
        check({"wanted": {"type": type_name, "required": True}}, wanted=value)


@pytest.mark.parametrize(
    ("type_name", "value"),
    [
        ("string", ""),
        ("integer", -1),
        ("number", 1.5),
        ("number", 1),
        ("boolean", False),
        ("json", {"a": [None, 1]}),
        ("list[string]", []),
        ("list[ list[integer] ]", [[1], []]),
        ("map[string,integer]", {"a": 1}),
        ("map[string, list[string]]", {"a": ["b"]}),
        ("map[string, json]", {"a": None}),
    ],
)
def test_a_value_of_its_type_passes(type_name: str, value: Any) -> None:
    declared = {"wanted": {"type": type_name, "required": True}}

    assert check(declared, wanted=value) == {"wanted": value}


@pytest.mark.parametrize(
    ("limits", "value"),
    [
        ({"type": "string", "choices": ["a", "b"]}, "c"),
        ({"type": "list[string]", "choices": ["a", "b"]}, ["a", "c"]),
        ({"type": "string", "pattern": "^[a-z]+$"}, "A"),
        ({"type": "string", "pattern": "^[a-z]+$"}, "a\n"),
        ({"type": "integer", "minimum": 1}, 0),
        ({"type": "number", "maximum": 1}, 1.1),
        ({"type": "list[string]", "min_items": 1}, []),
        ({"type": "list[string]", "max_items": 1}, ["a", "b"]),
        ({"type": "map[string, string]", "min_items": 1}, {}),
        ({"type": "map[string, string]", "max_items": 1}, {"a": "b", "c": "d"}),
        ({"type": "map[string, list[string]]", "min_items": 1}, {}),
    ],
)
def test_a_value_beyond_its_limits_is_an_error(limits: dict[str, Any], value: Any) -> None:
    with pytest.raises(ConfigurationError, match="wanted"):
        check({"wanted": limits}, wanted=value)


def test_a_limit_is_on_the_outer_list_or_map() -> None:
    declared = {"wanted": {"type": "map[string, list[string]]", "min_items": 1, "max_items": 1}}

    assert check(declared, wanted={"a": []}) == {"wanted": {"a": []}}
    assert check(declared, wanted={"a": ["b", "c"]}) == {"wanted": {"a": ["b", "c"]}}


def test_an_unknown_setting_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigurationError, match="grups"):
        check({"groups": {"type": "list[string]", "default": []}}, grups=["a"])


def test_a_missing_setting_is_an_error_that_names_it() -> None:
    with pytest.raises(ConfigurationError, match="groups"):
        check({"groups": {"type": "list[string]", "required": True}})


def test_a_rule_without_settings_takes_none() -> None:
    assert check({}) == {}
    with pytest.raises(ConfigurationError):
        check({}, anything=1)


def test_defaults_are_filled_in_and_are_nobodys_to_change() -> None:
    declared = {
        "days": {"type": "list[string]", "default": ["mon"]},
        "message": {"type": "string"},
    }

    first = check(declared)
    first["days"].append("tue")

    assert check(declared) == {"days": ["mon"], "message": None}


def test_a_null_for_a_setting_without_default_is_as_good_as_none() -> None:
    assert check({"message": {"type": "string"}}, message=None) == {"message": None}


ROW = {
    "name": {"type": "string", "required": True},
    "priority": {"type": "integer", "default": 100, "minimum": 1},
    "note": {"type": "string"},
}


@pytest.mark.parametrize(
    ("type_name", "given", "filled"),
    [
        ("object", {"name": "a"}, {"name": "a", "priority": 100, "note": None}),
        ("list[object]", [{"name": "a"}], [{"name": "a", "priority": 100, "note": None}]),
        (
            "map[string, object]",
            {"x": {"name": "a", "priority": 1}},
            {"x": {"name": "a", "priority": 1, "note": None}},
        ),
        (
            "map[string, list[object]]",
            {"x": [{"name": "a"}]},
            {"x": [{"name": "a", "priority": 100, "note": None}]},
        ),
        (
            "list[ map[string, object] ]",
            [{"x": {"name": "a"}}],
            [{"x": {"name": "a", "priority": 100, "note": None}}],
        ),
    ],
)
def test_objects_are_filled_wherever_they_stand(type_name: str, given: Any, filled: Any) -> None:
    declared = {"rows": {"type": type_name, "required": True, "fields": ROW}}

    assert check(declared, rows=given) == {"rows": filled}


@pytest.mark.parametrize(
    ("type_name", "given"),
    [
        ("object", {}),
        ("object", {"name": "a", "nmae": "b"}),
        ("object", {"name": "a", "priority": 0}),
        ("object", "a"),
        ("list[object]", [{"name": "a"}, {}]),
        ("list[object]", {"name": "a"}),
        ("map[string, object]", {"x": {}}),
        ("map[string, object]", [{"name": "a"}]),
        ("map[string, list[object]]", {"x": {"name": "a"}}),
    ],
)
def test_a_bad_object_is_an_error_wherever_it_stands(type_name: str, given: Any) -> None:
    declared = {"rows": {"type": type_name, "required": True, "fields": ROW}}

    with pytest.raises(ConfigurationError, match="rows"):
        check(declared, rows=given)


def test_an_object_with_defaults_can_be_left_out() -> None:
    mode = {"mode": {"type": "string", "default": "keep"}}
    declared = {"scopes": {"type": "object", "default": {}, "fields": mode}}

    assert check(declared) == {"scopes": {"mode": "keep"}}


TABLE = {
    "roles": {"type": "map[string, string]", "required": True, "source": "template"},
    "limit": {"type": "integer", "default": 10},
}


def test_a_setting_of_the_template_cannot_be_given_at_run_time() -> None:
    with pytest.raises(ConfigurationError, match="roles is set in template"):
        settings(**TABLE).check({"roles": {"a": "b"}}, {"roles": {"a": "b"}})


def test_a_setting_that_the_template_lacks_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="roles"):
        settings(**TABLE).check({"limit": 5}, {})


def test_template_and_chain_make_the_configuration_together() -> None:
    configuration = settings(**TABLE).check({"limit": 5}, {"roles": {"a": "b"}})

    assert configuration == {"roles": {"a": "b"}, "limit": 5}


def test_a_chain_document_is_checked_without_the_template() -> None:
    of_the_chain = settings(**TABLE).of_the_chain

    assert of_the_chain.check({"limit": 5}, {}) == {"limit": 5}
    with pytest.raises(ConfigurationError, match="roles"):
        of_the_chain.check({"roles": {}}, {})
