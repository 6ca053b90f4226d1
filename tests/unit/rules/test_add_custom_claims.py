from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.add_custom_claims.app import rule

NAMESPACE = "https://myapp.example.com/"
COLOR = {"name": "color", "from": "user.user_metadata.color"}
SDK = ["aws.cognito.signin.user.admin"]


def decide(
    *claims: dict[str, Any], user: Any = None, scopes: Any = ("openid",), **settings: Any
) -> Effects:
    settings = {"namespace": NAMESPACE, "claims": list(claims), **settings}
    transaction = {"requested_scopes": list(scopes)}
    return rule.decide(a_login(user=user or {}, transaction=transaction, configuration=settings))


def claims_of(effects: Effects, token: str = "id") -> dict[str, Any]:
    """Return the claims of one token, by their names behind the namespace."""
    return {
        item["name"].removeprefix(NAMESPACE): item["value"]
        for item in effects.items
        if item["effect"] == "set_claim" and item["token"] == token
    }


def test_a_colour_of_the_provider_and_a_contact_of_the_person() -> None:
    user = {
        "identities": [{"connection": "Google", "profile_data": {"favorite_color": "blue"}}],
        "user_metadata": {"preferred_contact": "email"},
    }

    effects = decide(
        {"name": "favorite_color", "from": "user.identities[Google].profile_data.favorite_color"},
        {"name": "preferred_contact", "from": "user.user_metadata.preferred_contact"},
        user=user,
    )

    assert claims_of(effects) == {"favorite_color": "blue", "preferred_contact": "email"}
    assert claims_of(effects, "access") == {}


@pytest.mark.parametrize(
    "user",
    [
        pytest.param({}, id="metadata that are unknown"),
        pytest.param({"user_metadata": {}}, id="metadata without the key"),
        pytest.param({"user_metadata": {"color": None}}, id="a null"),
        pytest.param({"user_metadata": {"color": {}}}, id="an object where a value was meant"),
    ],
)
def test_a_value_that_is_not_there_is_no_claim_and_no_error(user: dict[str, Any]) -> None:
    shade = {"name": "shade", "from": "user.user_metadata.color.shade"}

    effects = decide(shade, {"name": "name", "from": "user.name"}, user={**user, "name": "Jane"})

    assert claims_of(effects) == {"name": "Jane"}


@pytest.mark.parametrize(
    "path",
    [
        pytest.param("user.identities[Facebook].user_id", id="another connection"),
        pytest.param("user.identities[Google].profile_data.color.shade", id="too deep"),
        pytest.param("user.identities[Google].profile_data.size", id="an absent key"),
    ],
)
def test_an_identity_that_does_not_say_it_is_no_claim(path: str) -> None:
    user = {"identities": [{"connection": "Google", "profile_data": {"color": "blue"}}]}

    assert decide({"name": "a", "from": path}, user=user).items == []


def test_unknown_identities_are_no_claim() -> None:
    assert decide({"name": "a", "from": "user.identities[Google].user_id"}).items == []


def test_a_default_takes_the_place_of_what_is_missing() -> None:
    effects = decide({**COLOR, "default": "grey"}, user={})

    assert claims_of(effects) == {"color": "grey"}


@pytest.mark.parametrize("target", ["id", "access", "both"])
def test_the_target_is_the_token(target: str) -> None:
    effects = decide({**COLOR, "target": target}, user={"user_metadata": {"color": "red"}})

    assert bool(claims_of(effects, "id")) is (target != "access")
    assert bool(claims_of(effects, "access")) is (target != "id")


@pytest.mark.parametrize(
    ("scopes", "claim", "is_set"),
    [
        pytest.param(["openid", "color"], {}, True, id="a scope that was asked for"),
        pytest.param(["openid"], {}, False, id="a scope that was not"),
        pytest.param(SDK, {}, False, id="an SDK sign-in"),
        pytest.param(SDK, {"sdk": True}, True, id="an SDK sign-in that is meant"),
        pytest.param(["openid"], {"sdk": True}, False, id="no SDK sign-in"),
    ],
)
def test_a_required_scope(scopes: list[str], claim: dict[str, Any], is_set: bool) -> None:
    wanted = {**COLOR, "required_scope": "color", **claim}

    effects = decide(wanted, user={"user_metadata": {"color": "red"}}, scopes=scopes)

    assert bool(effects.items) is is_set


@pytest.mark.parametrize(
    ("value", "kind", "converted"),
    [
        pytest.param("true", "boolean", True, id="a text that is true"),
        pytest.param("False", "boolean", False, id="a text that is false"),
        pytest.param(True, "boolean", True, id="a boolean"),
        pytest.param("42", "number", 42, id="a number as text"),
        pytest.param("4.5", "number", 4.5, id="a fraction as text"),
        pytest.param(7, "number", 7, id="a number"),
        pytest.param('{"a": [1]}', "json", {"a": [1]}, id="JSON as text"),
        pytest.param([{"a": 1}], "json", [{"a": 1}], id="a list of objects"),
        pytest.param(42, "string", "42", id="a number to a text"),
        pytest.param("42", "string", "42", id="a text"),
        pytest.param([1], "string", "[1]", id="a list to a text"),
        pytest.param("42", None, "42", id="as it is"),
    ],
)
def test_a_value_becomes(value: Any, kind: str | None, converted: Any) -> None:
    claim = {**COLOR} if kind is None else {**COLOR, "type": kind}

    found = claims_of(decide(claim, user={"user_metadata": {"color": value}}))["color"]

    assert found == converted
    assert type(found) is type(converted)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        pytest.param("yes", "boolean", id="a word that is no boolean"),
        pytest.param(1, "boolean", id="a number that is no boolean"),
        pytest.param("forty-two", "number", id="a word that is no number"),
        pytest.param("true", "number", id="a boolean that is no number"),
        pytest.param("NaN", "number", id="what no JSON can say"),
        pytest.param([1], "number", id="a list that is no number"),
        pytest.param("{", "json", id="broken JSON"),
    ],
)
def test_a_value_of_another_type_is_left_out_and_the_next_claim_set(value: Any, kind: str) -> None:
    user = {"user_metadata": {"color": value}, "name": "Jane"}

    effects = decide({**COLOR, "type": kind}, {"name": "name", "from": "user.name"}, user=user)

    assert claims_of(effects) == {"name": "Jane"}
    assert effects.warnings == ["not_converted:color"]


def test_an_object_where_the_id_token_takes_none_is_a_warning() -> None:
    claim = {"name": "email_verified", "from": "user.user_metadata.color"}
    user = {"user_metadata": {"color": {"a": 1}}}

    effects = decide(claim, user=user, namespace="", allow_unprefixed=True)

    assert effects.items == []
    assert effects.warnings == ["invalid_effect"]


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        pytest.param({"namespace": "https://a.example"}, "https://a.example/color", id="a slash"),
        pytest.param({"namespace": "urn:a:"}, "urn:a:color", id="a URN"),
        pytest.param({"namespace": "", "allow_unprefixed": True}, "color", id="no namespace"),
    ],
)
def test_the_name_of_a_claim(settings: dict[str, Any], name: str) -> None:
    effects = decide(COLOR, user={"user_metadata": {"color": "red"}}, **settings)

    assert [item["name"] for item in effects.items] == [name]


def test_an_old_namespace_works_and_is_a_warning() -> None:
    effects = decide(
        COLOR, user={"user_metadata": {"color": "red"}}, namespace="https://tenant.auth0.com/"
    )

    assert len(effects.items) == 1
    assert effects.warnings == ["retired_namespace"]


def test_the_raw_attribute_can_be_hidden() -> None:
    claim = {"name": "tier", "from": "user.attributes.custom:tier", "hide_source": True}

    effects = decide(claim, user={"attributes": {"custom:tier": "gold"}})

    assert claims_of(effects) == {"tier": "gold"}
    assert effects.items[1] == {"effect": "remove_claim", "token": "id", "name": "custom:tier"}


@pytest.mark.parametrize(
    ("claim", "settings"),
    [
        pytest.param(COLOR, {"namespace": ""}, id="no namespace"),
        pytest.param(COLOR, {"namespace": "myapp"}, id="a namespace that is no URL"),
        pytest.param(
            {**COLOR, "name": "aud"},
            {"namespace": "", "allow_unprefixed": True},
            id="a protected one",
        ),
        pytest.param(
            {**COLOR, "name": "cognito:username"},
            {"namespace": "", "allow_unprefixed": True},
            id="Cognito's own",
        ),
        pytest.param({"name": "plan", "from": "user.app_metadata.plan"}, {}, id="a private value"),
        pytest.param(
            {"name": "id", "from": "client.client_id"}, {}, id="what the rule cannot read"
        ),
        pytest.param({"name": "all", "from": "user"}, {}, id="a whole section"),
        pytest.param({**COLOR, "hide_source": True}, {}, id="hiding what is no attribute"),
        pytest.param({**COLOR, "target": "refresh"}, {}, id="an unknown token"),
        pytest.param({"from": "user.name"}, {}, id="no name"),
    ],
)
def test_a_wrong_setting_is_an_error(claim: dict[str, Any], settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide(claim, **settings)


def test_a_private_value_is_published_when_that_is_meant() -> None:
    claim = {"name": "plan", "from": "user.app_metadata.plan", "acknowledge_private": True}

    assert claims_of(decide(claim, user={"app_metadata": {"plan": "pro"}})) == {"plan": "pro"}
