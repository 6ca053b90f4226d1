from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.protocol import apply_effects
from cognito_rules.testing import a_login
from functions.default_user_metadata.app import rule

CLAIM = "https://e.com/favorite_color"
COLOR = {
    "defaults": {"color": "blue"},
    "namespace": "https://e.com",
    "claims": {"color": "favorite_color"},
}


def decide(user: dict[str, Any], **settings: Any) -> Effects:
    return rule.decide(a_login(user=user, configuration={**COLOR, **settings}))


def written(effects: Effects) -> dict[str, Any]:
    return {i["key"]: i["value"] for i in effects.items if i["effect"] == "set_user_metadata"}


def claims_of(effects: Effects) -> dict[str, Any]:
    claims = [item for item in effects.items if item["effect"] == "set_claim"]
    assert {item["token"] for item in claims} <= {"id"}
    return {item["name"]: item["value"] for item in claims}


def test_unreadable_metadata_is_a_warning_and_the_claim_shows_the_default() -> None:
    effects = decide({})

    assert effects.warnings == ["metadata_unavailable"]
    assert claims_of(effects) == {CLAIM: "blue"}
    assert rule.manifest.on_error == "continue"


@pytest.mark.parametrize(
    ("metadata", "stored", "shown"),
    [
        pytest.param({}, {"color": "blue"}, "blue", id="a missing key gets the default"),
        pytest.param({"color": None}, {"color": "blue"}, "blue", id="a stored null is missing"),
        pytest.param({"other": 1}, {"color": "blue"}, "blue", id="other keys are no matter"),
        pytest.param({"color": "red"}, {}, "red", id="a value stays"),
        pytest.param({"color": ""}, {}, "", id="the empty text is a choice"),
        pytest.param({"color": 0}, {}, 0, id="zero is a choice"),
        pytest.param({"color": False}, {}, False, id="false is a choice"),
    ],
)
def test_only_what_is_missing_is_written(
    metadata: dict[str, Any], stored: dict[str, Any], shown: Any
) -> None:
    effects = decide({"user_metadata": metadata})

    assert written(effects) == stored
    assert claims_of(effects) == {CLAIM: shown}


def test_a_concurrent_change_by_the_person_wins() -> None:
    effects = decide({"user_metadata": {}})
    facts = {"user": {"user_metadata": {"color": "green"}}}

    apply_effects(facts, effects.items)

    assert facts["user"]["user_metadata"] == {"color": "green"}


def test_a_stored_null_really_is_replaced() -> None:
    effects = decide({"user_metadata": {"color": None}})
    facts = {"user": {"user_metadata": {"color": None}}}

    apply_effects(facts, effects.items)

    assert facts["user"]["user_metadata"] == {"color": "blue"}


def test_a_second_run_writes_nothing() -> None:
    facts: dict[str, Any] = {"user": {"user_metadata": {}}}
    apply_effects(facts, decide(facts["user"]).items)

    effects = decide(facts["user"])

    assert written(effects) == {}
    assert claims_of(effects) == {CLAIM: "blue"}


@pytest.mark.parametrize(
    ("user", "default", "value"),
    [
        pytest.param({}, "{given_name}|user", "user", id="a missing part gives the text behind"),
        pytest.param({"given_name": ""}, "{given_name}|user", "user", id="so does an empty one"),
        pytest.param({"given_name": "Jane"}, "{given_name}|user", "Jane", id="a given name"),
        pytest.param(
            {"given_name": "Jane", "nickname": "jd"},
            "{given_name} ({nickname})|user",
            "Jane (jd)",
            id="two parts",
        ),
        pytest.param(
            {"given_name": "Jane"}, "{given_name} ({nickname})|user", "user", id="one of two"
        ),
        pytest.param(
            {"given_name": "{nickname}"}, "{given_name}|user", "{nickname}", id="braces in a name"
        ),
        pytest.param(
            {"email": "jane@e.com", "email_verified": True},
            "{email_local}|user",
            "jane",
            id="a verified address",
        ),
        pytest.param(
            {"email": "jane@e.com", "email_verified": False},
            "{email_local}|user",
            "user",
            id="an unverified address",
        ),
        pytest.param({"email": "jane@e.com"}, "{email_local}|user", "user", id="one not known so"),
        pytest.param({}, "red|green", "red|green", id="a bar alone is text"),
        pytest.param({}, {"shade": "{given_name}"}, {"shade": "{given_name}"}, id="no text"),
        pytest.param({}, False, False, id="false"),
    ],
)
def test_a_default_can_be_a_template(user: dict[str, Any], default: Any, value: Any) -> None:
    effects = decide({"user_metadata": {}, **user}, defaults={"color": default})

    assert written(effects) == {"color": value}


def test_a_long_text_of_the_person_does_not_reach_the_token() -> None:
    effects = decide({"user_metadata": {"color": "x" * 257}})

    assert claims_of(effects) == {}
    assert effects.warnings == ["claim_too_long"]
    assert claims_of(decide({"user_metadata": {"color": "x" * 256}})) == {CLAIM: "x" * 256}


def test_a_refreshed_token_has_the_claim_too() -> None:
    assert rule.manifest.runs_on_refresh


def test_the_chain_is_told_which_claims_are_written() -> None:
    assert rule.written_claims(rule.configure(COLOR)) == {("id", CLAIM)}


def test_without_claims_there_is_only_metadata() -> None:
    login = a_login(user={"user_metadata": {}}, configuration={"defaults": {"displayName": "user"}})

    effects = rule.decide(login)

    assert written(effects) == {"displayName": "user"}
    assert claims_of(effects) == {}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"defaults": {"consentGiven": True}, "claims": {}}, "consent", id="consent"),
        pytest.param({"defaults": {}, "claims": {}}, "defaults", id="no default"),
        pytest.param({"defaults": {"color": None}}, "null", id="a null"),
        pytest.param({"defaults": {"color": "{given_name}"}}, "TEXT", id="a template without text"),
        pytest.param(
            {"defaults": {"color": "a|{given_name}"}}, "TEXT", id="a template behind the bar"
        ),
        pytest.param({"defaults": {"color": "{phone}|a"}}, "phone", id="an unknown part"),
        pytest.param({"claims": {"shade": "shade"}}, "shade", id="a claim without a default"),
        pytest.param({"namespace": ""}, "namespace", id="a claim without namespace"),
        pytest.param({"claims": {"color": 1}}, "claims", id="a claim that is no name"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide({"user_metadata": {}}, **settings)
