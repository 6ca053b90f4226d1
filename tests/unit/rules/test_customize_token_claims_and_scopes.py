from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects, RuleError
from cognito_rules.protocol import apply_effects
from cognito_rules.testing import a_login
from functions.customize_token_claims_and_scopes.app import rule

SELF_SERVICE = "aws.cognito.signin.user.admin"


def decide(login: dict[str, Any], **settings: Any) -> Effects:
    return rule.decide(a_login(**login, configuration=settings))


def asking_for(*scopes: str) -> dict[str, Any]:
    return {"transaction": {"requested_scopes": list(scopes), "scopes": list(scopes)}}


def final_scopes(login: dict[str, Any], effects: Effects) -> list[str]:
    """Return the scopes that the token carries, as a later rule would see them."""
    facts = {"transaction": dict(login["transaction"])}
    apply_effects(facts, effects.items)
    return list(facts["transaction"]["scopes"])


def claims_of(effects: Effects, token: str) -> dict[str, Any]:
    return {
        item["name"]: item["value"]
        for item in effects.items
        if item["effect"] == "set_claim" and item["token"] == token
    }


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"id_token_claims": {"sub": "x"}}, "protected_claim", id="a protected claim"),
        pytest.param(
            {"access_token_claims": {"aws_tag_granted": "x"}}, "protected_claim", id="a tag's claim"
        ),
    ],
)
def test_a_protected_claim_stops_the_publication_and_at_a_login_only_itself(
    settings: dict[str, Any], message: str
) -> None:
    configuration = rule.configure({**settings, "unprefixed": ["sub", "aws_tag_granted"]})

    with pytest.raises(ConfigurationError, match=message):
        rule.written_claims(configuration)
    effects = decide({}, **configuration)
    assert effects.items == []
    assert effects.warnings == [message]


def test_a_claim_that_cognito_would_refuse_is_left_out() -> None:
    effects = decide(
        {"user": {"user_metadata": {"home": {"city": "Rome"}}}},
        id_token_claims={"address": "$user.user_metadata.home"},
        access_token_claims={"address": "$user.user_metadata.home"},
        unprefixed=["address"],
    )

    assert claims_of(effects, "id") == {}
    assert claims_of(effects, "access") == {"address": {"city": "Rome"}}
    assert effects.warnings == ["invalid_effect"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param(
            {"scopes": {"mode": "add", "values": ["read orders"]}},
            "invalid_scope",
            id="a scope with a blank",
        ),
        pytest.param(
            {"protected_scopes": ["a\tb"]}, "invalid_scope", id="a protected one with a tab"
        ),
        pytest.param({"scopes": {"mode": "add"}}, "empty", id="nothing to add"),
        pytest.param({"scopes": {"mode": "remove"}}, "empty", id="nothing to remove"),
        pytest.param({"scopes": {"mode": "drop"}}, "mode", id="an unknown mode"),
        pytest.param({"scopes": {"valves": ["a"]}}, "valves", id="an unknown key of an object"),
        pytest.param({"id_token_claims": {"plan": "x"}}, "namespace", id="no namespace"),
        pytest.param(
            {"id_token_claims": {"plan": "x"}, "namespace": "example.com"},
            "namespace",
            id="a namespace without scheme",
        ),
        pytest.param(
            {"id_token_claims": {"https://a/b": "$request.ip"}},
            r"\$request.ip",
            id="a path that the rule does not read",
        ),
        pytest.param(
            {"id_token_claims": {"https://a/b": "$user"}}, r"\$user", id="a path to a whole section"
        ),
        pytest.param(
            {"id_token_claims": {"https://a/b": "$user.shoe_size"}},
            "shoe_size",
            id="a path to no field",
        ),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide(asking_for("openid"), **settings)


def test_unknown_scopes_cannot_be_replaced_so_the_rule_fails_and_the_login_with_it() -> None:
    with pytest.raises(RuleError, match="unknown"):
        decide({}, scopes={"mode": "replace", "values": ["orders/read"]})

    assert rule.manifest.on_error == "deny"


def test_each_claim_lands_on_its_own_token_only() -> None:
    effects = decide(
        asking_for("openid"),
        access_token_claims={"http://foo/bar": "value"},
        id_token_claims={"http://fiz/baz": "some other value"},
    )

    assert claims_of(effects, "access") == {"http://foo/bar": "value"}
    assert claims_of(effects, "id") == {"http://fiz/baz": "some other value"}
    assert final_scopes(asking_for("openid"), effects) == ["openid"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        pytest.param("$user.user_metadata.shade", {}, id="a path that leads nowhere is no claim"),
        pytest.param("$user.app_metadata.plan", {}, id="nor is one into what is unknown"),
        pytest.param("$user.user_metadata.gone", {}, id="nor is a stored null"),
        pytest.param("$user.user_metadata.color", {"c": "blue"}, id="a path"),
        pytest.param("$user.user_metadata.home.city", {"c": "Rome"}, id="a deeper path"),
        pytest.param("$user.attributes.custom:team", {"c": "red"}, id="an attribute"),
        pytest.param("$client.metadata.tier", {"c": "gold"}, id="client metadata"),
        pytest.param("$user.email_verified", {"c": False}, id="false is a value"),
        pytest.param("$$5", {"c": "$5"}, id="an escaped dollar"),
        pytest.param("5 $", {"c": "5 $"}, id="a dollar elsewhere"),
        pytest.param(["$user.email", 1], {"c": ["$user.email", 1]}, id="any JSON is literal"),
        pytest.param(0, {"c": 0}, id="zero"),
        pytest.param("", {"c": ""}, id="the empty text"),
    ],
)
def test_values_are_literal_or_paths(value: Any, expected: dict[str, Any]) -> None:
    login = {
        "user": {
            "user_metadata": {"color": "blue", "home": {"city": "Rome"}, "gone": None},
            "attributes": {"custom:team": "red"},
            "email_verified": False,
        },
        "client": {"metadata": {"tier": "gold"}},
    }

    effects = decide(login, id_token_claims={"c": value}, unprefixed=["c"])

    assert claims_of(effects, "id") == expected
    assert effects.warnings == []


@pytest.mark.parametrize(
    ("namespace", "name", "unprefixed", "expected"),
    [
        pytest.param("https://e.com", "plan", [], "https://e.com/plan", id="a slash between"),
        pytest.param("https://e.com/", "plan", [], "https://e.com/plan", id="one slash only"),
        pytest.param("urn:e:", "plan", [], "urn:e:plan", id="a URN"),
        pytest.param("https://e.com", "urn:x:plan", [], "urn:x:plan", id="a name with a scheme"),
        pytest.param("https://e.com", "plan", ["plan"], "plan", id="a name without prefix"),
    ],
)
def test_short_names_get_the_namespace(
    namespace: str, name: str, unprefixed: list[str], expected: str
) -> None:
    settings = {"namespace": namespace, "unprefixed": unprefixed, "access_token_claims": {name: 1}}

    effects = decide({}, **settings)

    assert claims_of(effects, "access") == {expected: 1}
    assert rule.written_claims(rule.configure(settings)) == {("access", expected)}


def test_a_namespace_that_auth0_retired_works_with_a_warning() -> None:
    effects = decide({}, namespace="https://tenant.auth0.com", id_token_claims={"a": 1, "b": 2})

    assert len(effects.items) == 2
    assert effects.warnings == ["retired_namespace"]


@pytest.mark.parametrize(
    ("requested", "scopes", "settings", "final"),
    [
        pytest.param(["openid", "a"], {}, {}, ["openid", "a"], id="kept by default"),
        pytest.param(
            ["openid", "profile", "orders/read"],
            {"mode": "replace", "values": ["orders/write"]},
            {},
            ["openid", "orders/write"],
            id="replace keeps openid",
        ),
        pytest.param(
            ["openid", "orders/read"],
            {"mode": "replace", "values": ["orders/write"]},
            {"protected_scopes": []},
            ["orders/write"],
            id="unless nothing is protected",
        ),
        pytest.param(
            ["a"], {"mode": "replace", "values": []}, {}, [], id="replace by nothing drops all"
        ),
        pytest.param(
            ["a"],
            {"mode": "replace", "values": ["a"]},
            {},
            ["a"],
            id="a requested scope can stay by name",
        ),
        pytest.param(
            [SELF_SERVICE],
            {"mode": "add", "values": ["orders/read"]},
            {},
            [SELF_SERVICE, "orders/read"],
            id="an SDK login gets API scopes",
        ),
        pytest.param(
            ["openid", "orders/read"],
            {"mode": "remove", "values": ["orders/read", "orders/write"]},
            {},
            ["openid"],
            id="removed by name",
        ),
        pytest.param(
            ["openid", "a"],
            {"mode": "remove", "values": ["openid"]},
            {},
            ["a"],
            id="a protected scope too, when it is named",
        ),
    ],
)
def test_scopes(
    requested: list[str], scopes: dict[str, Any], settings: dict[str, Any], final: list[str]
) -> None:
    login = asking_for(*requested)

    effects = decide(login, scopes=scopes, **settings)

    assert final_scopes(login, effects) == final


def test_replace_also_drops_what_an_earlier_rule_added() -> None:
    login = {"transaction": {"requested_scopes": ["a"], "scopes": ["a", "openid", "b"]}}

    effects = decide(login, scopes={"mode": "replace", "values": ["c"]})

    assert final_scopes(login, effects) == ["c"]


def test_a_second_run_gives_the_same_scopes() -> None:
    login = asking_for("openid", "profile")
    scopes = {"mode": "replace", "values": ["orders/write"]}
    once = final_scopes(login, decide(login, scopes=scopes))
    again = {"transaction": {"requested_scopes": ["openid", "profile"], "scopes": once}}

    effects = decide(again, scopes=scopes)

    assert final_scopes(again, effects) == once


@pytest.mark.parametrize(
    ("login", "acts"),
    [
        pytest.param({}, False, id="unknown scopes"),
        pytest.param(asking_for("openid"), False, id="another scope"),
        pytest.param(asking_for("openid", "orders/read"), True, id="that scope"),
    ],
)
def test_when_scope_asks_for_a_requested_scope(login: dict[str, Any], acts: bool) -> None:
    effects = decide(
        login,
        when_scope="orders/read",
        id_token_claims={"https://e.com/a": 1},
        scopes={"mode": "remove", "values": ["openid"]},
    )

    assert bool(effects.items) is acts
