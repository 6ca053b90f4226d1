"""The JSON schemas of the protocol say what the layer does."""

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cognito_rules.effect_values import PROFILE_ATTRIBUTES
from cognito_rules.errors import RuleError
from cognito_rules.fields import FIELDS, OPEN_MAPS
from cognito_rules.iam import MAX_TAGS
from cognito_rules.manifest import EVENT_TYPES, USER_DELETED
from cognito_rules.protocol import (
    EFFECTS,
    MAX_REASON_LENGTH,
    PUBLIC_CODES,
    WRITABLE,
    check_effect,
)

SCHEMAS = Path("layers/core/cognito_rules/schemas")
REQUEST = json.loads((SCHEMAS / "request.json").read_text())
RESPONSE = json.loads((SCHEMAS / "response.json").read_text())
LOGIN = REQUEST["properties"]["login"]["properties"]
EFFECT_SCHEMAS = {
    schema["properties"]["effect"]["const"]: schema
    for schema in RESPONSE["$defs"]["effect"]["oneOf"]
}
ROLE = "arn:aws:iam::123456789012:role/reader"


@pytest.mark.parametrize("schema", [REQUEST, RESPONSE], ids=["request", "response"])
def test_a_schema_is_one(schema: dict[str, Any]) -> None:
    Draft202012Validator.check_schema(schema)


def test_the_request_has_every_section() -> None:
    assert set(LOGIN) == {*FIELDS, "now", "unknown"}


@pytest.mark.parametrize("section", FIELDS)
def test_a_section_has_every_field_and_any_can_be_unknown(section: str) -> None:
    fields = LOGIN[section]["properties"]

    assert tuple(fields) == FIELDS[section]
    unknown = dict.fromkeys(fields)
    request = {"version": 1, "login": {section: unknown}, "configuration": {}}
    assert Draft202012Validator(REQUEST).is_valid(request)


@pytest.mark.parametrize("section", FIELDS)
def test_a_field_that_there_is_not_is_refused(section: str) -> None:
    request = {"version": 1, "login": {section: {"shoe_size": 42}}, "configuration": {}}

    assert not Draft202012Validator(REQUEST).is_valid(request)


@pytest.mark.parametrize("path", sorted(OPEN_MAPS), ids=".".join)
def test_a_map_of_the_customers_has_any_key(path: tuple[str, str]) -> None:
    login = {path[0]: {path[1]: {"custom:anything": "x"}}}
    request = {"version": 1, "login": login, "configuration": {}}

    assert Draft202012Validator(REQUEST).is_valid(request)


def test_closed_lists_are_the_layers() -> None:
    deny = EFFECT_SCHEMAS["deny"]["properties"]

    assert set(deny["public_code"]["enum"]) == PUBLIC_CODES
    assert deny["reason"]["maxLength"] == MAX_REASON_LENGTH
    attribute = EFFECT_SCHEMAS["set_profile"]["properties"]["attribute"]
    assert set(attribute["enum"]) == PROFILE_ATTRIBUTES
    assert LOGIN["event"]["properties"]["type"]["enum"] == [*EVENT_TYPES, USER_DELETED, None]
    tags = EFFECT_SCHEMAS["set_session_tags"]["properties"]["tags"]
    assert tags["maxProperties"] == MAX_TAGS


def test_the_response_has_every_effect() -> None:
    assert list(EFFECT_SCHEMAS) == list(EFFECTS)


@pytest.mark.parametrize("name", EFFECTS)
def test_an_effect_has_the_fields_of_the_layers_table(name: str) -> None:
    schema, fields = EFFECT_SCHEMAS[name], EFFECTS[name].fields

    assert list(schema["properties"]) == ["effect", *(field.rstrip("?") for field in fields)]
    assert schema["required"] == [field for field in fields if not field.endswith("?")]


GOOD: list[dict[str, Any]] = [
    {"effect": "deny", "code": "not_here"},
    {"effect": "deny", "code": "a", "public_code": "try_again", "reason": ""},
    {"effect": "set_claim", "token": "id", "name": "https://e.com/a", "value": [1, {"b": None}]},
    {"effect": "set_claim", "token": "access", "name": "a", "value": ""},
    {"effect": "remove_claim", "token": "id", "name": "dev:a"},
    {"effect": "add_scope", "scope": "https://api.example.com/read:a"},
    {"effect": "remove_scope", "scope": "openid"},
    {"effect": "set_groups", "groups": []},
    {"effect": "set_groups", "groups": ["Field staff"]},
    {"effect": "set_authorization", "roles": ["a"], "permissions": [], "groups": []},
    {"effect": "set_aws_role", "role_arns": []},
    {"effect": "set_aws_role", "role_arns": [ROLE], "preferred": ROLE},
    {"effect": "set_aws_role", "role_arns": [ROLE], "preferred": None},
    {"effect": "set_session_tags", "tags": {"Cost Center": "a:b"}},
    {"effect": "set_user_metadata", "key": "a", "value": None},
    {"effect": "set_app_metadata", "key": "a", "value": {"b": 1}, "only_if_missing": True},
    {"effect": "set_profile", "attribute": "picture", "value": "https://e.com/a.png"},
    {"effect": "set_enrichment", "source": "a", "status": "none", "expires_in": 1},
    {"effect": "set_enrichment", "source": "a", "status": "pending", "expires_in": 1},
    {
        "effect": "set_enrichment",
        "source": "a",
        "status": "found",
        "facts": {"title": "Engineer", "score": 0.5},
        "expires_in": 60,
    },
    {"effect": "require_mfa", "providers": ["any"], "remember_device": False},
    {"effect": "redirect", "url": "https://e.com", "parameters": {}, "expires_in": 300},
    {"effect": "set_saml_attribute", "name": "a", "values": ["b"]},
    {"effect": "configure_saml", "settings": {}},
    {"effect": "send_email", "template": "welcome", "to": "jane@example.com", "data": {}},
]
NO_FACTS: list[Any] = [
    [],
    {"status": "x"},
    {"a": {}},
    {"a": True},
    {"a": None},
    {"a": ""},
    {"": "a"},
]
BAD: list[Any] = [
    None,
    [],
    "deny",
    {},
    {"effect": None},
    {"effect": ["deny"]},
    {"effect": "allow"},
    {"effect": "deny"},
    {"effect": "deny", "code": "Not here"},
    {"effect": "deny", "code": "a" * 65},
    {"effect": "deny", "code": "a", "reasons": "b"},
    {"effect": "set_claim", "token": "refresh", "name": "a", "value": 1},
    {"effect": "set_claim", "token": "id", "name": "", "value": 1},
    {"effect": "set_claim", "token": "id", "name": "a" * 513, "value": 1},
    {"effect": "set_claim", "token": "id", "name": "a", "value": None},
    {"effect": "set_claim", "token": "id", "name": "a"},
    {"effect": "remove_claim", "token": "id", "name": ["a"]},
    {"effect": "add_scope", "scope": "read orders"},
    {"effect": "add_scope", "scope": "a" * 257},
    {"effect": "add_scope", "scope": 'a"b'},
    {"effect": "remove_scope", "scope": ""},
    {"effect": "set_groups", "groups": "a"},
    {"effect": "set_groups", "groups": ["a" * 129]},
    {"effect": "set_authorization", "roles": ["a"]},
    {"effect": "set_authorization", "roles": [""], "permissions": [], "groups": []},
    {"effect": "set_aws_role", "role_arns": ["arn:aws:iam::123:role/a"]},
    {"effect": "set_aws_role", "role_arns": [ROLE], "preferred": ""},
    {"effect": "set_session_tags", "tags": {"a": ""}},
    {"effect": "set_session_tags", "tags": {"": "a"}},
    {"effect": "set_session_tags", "tags": {"a": 1}},
    {"effect": "set_session_tags", "tags": {f"t{n}": "a" for n in range(51)}},
    {"effect": "set_user_metadata", "key": "", "value": 1},
    {"effect": "set_user_metadata", "key": "a", "value": 1, "only_if_missing": "yes"},
    {"effect": "set_profile", "attribute": "email", "value": "jane@example.com"},
    {"effect": "set_profile", "attribute": ["name"], "value": "Jane"},
    {"effect": "set_enrichment", "source": "a", "status": "found"},
    {"effect": "set_enrichment", "source": "A b", "status": "none", "expires_in": 1},
    {"effect": "set_enrichment", "source": "a", "status": "maybe", "expires_in": 1},
    {"effect": "set_enrichment", "source": "a", "status": "none", "expires_in": 0},
    *(
        {"effect": "set_enrichment", "source": "a", "status": "none", "facts": x, "expires_in": 1}
        for x in NO_FACTS
    ),
    {"effect": "require_mfa", "providers": "any"},
    {"effect": "redirect", "url": ""},
    {"effect": "redirect", "url": "https://e.com", "expires_in": 0},
    {"effect": "redirect", "url": "https://e.com", "expires_in": True},
    {"effect": "set_saml_attribute", "name": "a", "values": [1]},
    {"effect": "configure_saml", "settings": []},
    {"effect": "send_email", "template": "welcome", "to": ""},
]
# JSON Schema cannot say these; the layer does.
BEYOND_THE_SCHEMA: list[dict[str, Any]] = [
    {"effect": "set_claim", "token": "id", "name": "sub", "value": "a"},
    {"effect": "set_claim", "token": "id", "name": "address", "value": {"city": "Rome"}},
    {"effect": "set_aws_role", "role_arns": [], "preferred": ROLE},
    {"effect": "set_session_tags", "tags": {"aws:region": "a"}},
    {"effect": "set_user_metadata", "key": "a", "value": "a" * 65_536},
    {
        "effect": "set_enrichment",
        "source": "a",
        "status": "found",
        "facts": {"bio": "a" * 8_192},
        "expires_in": 1,
    },
]


def accepts(effect: Any) -> bool:
    return Draft202012Validator(RESPONSE).is_valid({"version": 1, "effects": [effect]})


@pytest.mark.parametrize("effect", BAD, ids=lambda effect: json.dumps(effect)[:60])
def test_the_schema_and_the_layer_refuse_the_same(effect: Any) -> None:
    with pytest.raises(RuleError):
        check_effect(effect, WRITABLE)
    assert not accepts(effect)


@pytest.mark.parametrize("effect", GOOD, ids=lambda effect: json.dumps(effect)[:60])
def test_the_schema_and_the_layer_accept_the_same(effect: Any) -> None:
    check_effect(effect, WRITABLE)
    assert accepts(effect)


@pytest.mark.parametrize("effect", BEYOND_THE_SCHEMA, ids=lambda effect: json.dumps(effect)[:60])
def test_the_layer_is_stricter_than_the_schema(effect: Any) -> None:
    with pytest.raises(RuleError):
        check_effect(effect, WRITABLE)
    assert accepts(effect)


@pytest.mark.parametrize(
    "response",
    [
        pytest.param({"version": 1}, id="neither effects nor a fault"),
        pytest.param({"effects": []}, id="no version"),
        pytest.param({"version": 2, "effects": []}, id="another version"),
        pytest.param({"version": 1, "effects": {}}, id="effects that are no list"),
        pytest.param(
            {
                "version": 1,
                "effects": [],
                "fault": {"code": "a", "message": "", "retryable": False},
            },
            id="both effects and a fault",
        ),
        pytest.param({"version": 1, "fault": {"code": "a"}}, id="half a fault"),
        pytest.param({"version": 1, "effects": [], "warnings": [1]}, id="warnings without codes"),
    ],
)
def test_what_is_no_response(response: dict[str, Any]) -> None:
    assert not Draft202012Validator(RESPONSE).is_valid(response)


def test_a_fault_is_a_response() -> None:
    fault = {"code": "upstream_timeout", "message": "no answer", "retryable": True}

    for response in (
        {"version": 1, "fault": fault},
        {"version": 1, "fault": fault | {"retry_after": 1.5}},
    ):
        assert Draft202012Validator(RESPONSE).is_valid(response)
