from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.claim_from_query_parameter.app import rule

CLAIM = "https://example.com/bar"
SETTINGS = {"parameter": "some", "claim": CLAIM, "allowed_values": {"whatever": "foo", "n": 7}}
STICKY: dict[str, Any] = {"sticky": True}
REFRESH = "oauth2-refresh-token"


def decide(
    request: dict[str, Any] | None = None,
    *,
    protocol: str | None = None,
    kept: Any = None,
    **settings: Any,
) -> Effects:
    known: dict[str, Any] = {"client": {"client_id": "shop"}}
    if request is not None:
        known["request"] = request
    if protocol is not None:
        known["transaction"] = {"protocol": protocol}
    if kept is not None:
        known["user"] = {"app_metadata": {"request_values": kept}}
    return rule.decide(a_login(**known, configuration=SETTINGS | settings))


def claim_of(effects: Effects) -> Any:
    found = [item["value"] for item in effects.items if item["effect"] == "set_claim"]
    return found[0] if found else None


def stored_by(effects: Effects) -> Any:
    found = [item["value"] for item in effects.items if item["effect"] == "set_app_metadata"]
    return found[0] if found else "nothing"


@pytest.mark.parametrize(
    ("request_", "claim"),
    [
        pytest.param({"query": {"some": "whatever"}}, "foo", id="an allowed value"),
        pytest.param({"query": {"some": "other"}}, None, id="another value"),
        pytest.param({"query": {"some": "Whatever"}}, None, id="another spelling"),
        pytest.param({"query": {"some": "whatever "}}, None, id="a blank behind it"),
        pytest.param({"query": {"some": ["whatever", "n"]}}, None, id="the parameter twice"),
        pytest.param({"query": {"some": ["whatever"]}}, None, id="a list of one"),
        pytest.param({"query": {"some": {"whatever": 1}}}, None, id="an object"),
        pytest.param({"query": {}}, None, id="no parameter"),
        pytest.param({"client_metadata": {"some": "n"}}, 7, id="an SDK's client metadata"),
        pytest.param(
            {"query": {"some": "n"}, "client_metadata": {"some": "n"}}, 7, id="twice the same"
        ),
        pytest.param(
            {"query": {"some": "n"}, "client_metadata": {"some": "whatever"}},
            None,
            id="twice, and not the same",
        ),
        pytest.param({}, None, id="a request of which nothing is known"),
        pytest.param(None, None, id="no request at all"),
    ],
)
def test_what_the_parameter_stands_for(request_: dict[str, Any] | None, claim: Any) -> None:
    effects = decide(request_)

    assert claim_of(effects) == claim
    assert (stored_by(effects), effects.warnings) == ("nothing", [])


# -- refreshes -------------------------------------------------------------------------------------


def test_a_refresh_gives_the_same_claim_where_that_is_wished() -> None:
    signed_in = decide({"client_metadata": {"some": "whatever"}}, **STICKY)

    refreshed = decide({}, protocol=REFRESH, kept=stored_by(signed_in), **STICKY)

    assert stored_by(signed_in) == {"shop": {"some": "whatever"}}
    assert (claim_of(refreshed), stored_by(refreshed)) == ("foo", "nothing")


@pytest.mark.parametrize(
    ("kept", "settings"),
    [
        pytest.param({"shop": {"some": "whatever"}}, {}, id="it is not wished"),
        pytest.param({"wiki": {"some": "whatever"}}, STICKY, id="another application's"),
        pytest.param({"shop": {"other": "whatever"}}, STICKY, id="another parameter's"),
        pytest.param({"shop": {"some": "gone"}}, STICKY, id="a value that is allowed no more"),
        pytest.param({"shop": "whatever"}, STICKY, id="a profile of another form"),
        pytest.param("whatever", STICKY, id="no object"),
        pytest.param(None, STICKY, id="nothing was kept"),
    ],
)
def test_a_refresh_gives_no_claim_when(kept: Any, settings: dict[str, Any]) -> None:
    assert claim_of(decide({}, protocol=REFRESH, kept=kept, **settings)) is None


def test_a_sign_in_without_the_parameter_forgets_what_was_kept() -> None:
    kept = {"shop": {"some": "whatever"}, "wiki": {"some": "n"}}

    effects = decide({}, kept=kept, **STICKY)

    assert (claim_of(effects), stored_by(effects)) == (None, {"wiki": {"some": "n"}})


def test_the_last_value_that_is_forgotten_leaves_nothing() -> None:
    assert stored_by(decide({}, kept={"shop": {"some": "whatever"}}, **STICKY)) is None


def test_what_is_not_allowed_is_not_kept_either() -> None:
    request = {"client_metadata": {"some": "x" * 2000}}

    assert stored_by(decide(request, **STICKY)) == "nothing"


def test_another_parameters_value_stays() -> None:
    request = {"client_metadata": {"some": "n"}}

    effects = decide(request, kept={"shop": {"other": "1"}}, **STICKY)

    assert stored_by(effects) == {"shop": {"other": "1", "some": "n"}}


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"claim": "sub"}, "namespace", id="a claim without a namespace"),
        pytest.param({"claim": "cognito:groups"}, "namespace", id="the groups"),
        pytest.param({"claim": "aud"}, "namespace", id="the audience"),
        pytest.param(
            {"claim": "https://aws.amazon.com/tags"}, "protected_claim", id="what AWS reads"
        ),
        pytest.param({"parameter": ""}, "parameter", id="a parameter without a name"),
        pytest.param({"allowed_values": {"a": None}}, "null", id="a null for a claim"),
        pytest.param({"allowed_values": ["a"]}, "allowed_values", id="a list of values"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide({}, **settings)


@pytest.mark.parametrize("name", ["parameter", "claim", "allowed_values"])
def test_a_setting_that_is_required(name: str) -> None:
    settings = {key: value for key, value in SETTINGS.items() if key != name}

    with pytest.raises(ConfigurationError, match=f"{name} is missing"):
        rule.configure(settings)


def test_the_chain_knows_which_claim_it_writes() -> None:
    assert rule.written_claims(rule.configure(SETTINGS)) == {("id", CLAIM)}
