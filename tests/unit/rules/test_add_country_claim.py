from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.add_country_claim.app import rule

NAMESPACE = "https://example.com/"
CORDOBA = {"country_name": "Argentina", "time_zone": "America/Argentina/Cordoba"}
BOTH = {"country": "Argentina", "timezone": "America/Argentina/Cordoba"}
REFRESH = {"protocol": "oauth2-refresh-token"}


def decide(
    geoip: Any = None, kept: Any = None, transaction: Any = None, **settings: Any
) -> Effects:
    login: dict[str, Any] = {
        "request": {} if geoip is None else {"geoip": geoip},
        "user": {"app_metadata": {} if kept is None else {"last_place": kept}},
        "transaction": transaction or {},
    }
    return rule.decide(a_login(**login, configuration={"namespace": NAMESPACE, **settings}))


def claims_of(effects: Effects) -> dict[str, Any]:
    return {
        item["name"].removeprefix(NAMESPACE): item["value"]
        for item in effects.items
        if item["effect"] == "set_claim"
    }


def remembered(effects: Effects) -> list[Any]:
    return [item["value"] for item in effects.items if item["effect"] == "set_app_metadata"]


@pytest.mark.parametrize(
    ("geoip", "claims"),
    [
        pytest.param(CORDOBA, BOTH, id="country and time zone"),
        pytest.param({"country_name": "Chad"}, {"country": "Chad"}, id="no time zone, no claim"),
        pytest.param(
            {"country_name": "Chad", "time_zone": ""}, {"country": "Chad"}, id="nor empty"
        ),
        pytest.param({}, {}, id="nothing known of the place"),
        pytest.param(None, {}, id="no place, as of a private address or an unsigned one"),
    ],
)
def test_what_the_application_learns(geoip: Any, claims: dict[str, str]) -> None:
    assert claims_of(decide(geoip)) == claims


def test_a_location_in_unsigned_metadata_counts_for_nothing() -> None:
    login = a_login(
        request={"client_metadata": {"country_name": "Argentina"}},
        configuration={"namespace": NAMESPACE},
    )

    assert rule.decide(login).items == []


@pytest.mark.parametrize(
    ("settings", "claims"),
    [
        pytest.param({}, BOTH, id="shows what the login knew"),
        pytest.param({"on_refresh": "omit"}, {}, id="shows nothing when that is asked"),
    ],
)
def test_a_refresh(settings: dict[str, Any], claims: dict[str, str]) -> None:
    effects = decide(None, CORDOBA, REFRESH, **settings)

    assert claims_of(effects) == claims
    assert remembered(effects) == []


@pytest.mark.parametrize("kept", [None, "Argentina", []])
def test_a_refresh_without_a_login_to_remember(kept: Any) -> None:
    assert decide(None, kept, REFRESH).items == []


def test_a_login_from_nowhere_does_not_show_the_last_place() -> None:
    assert decide(None, CORDOBA).items == []


@pytest.mark.parametrize(
    ("kept", "settings", "values"),
    [
        pytest.param(None, {}, [CORDOBA], id="the first time"),
        pytest.param(CORDOBA, {}, [], id="not again when it is the same"),
        pytest.param({"country_name": "Chad"}, {}, [CORDOBA], id="when it changed"),
        pytest.param(None, {"on_refresh": "omit"}, [], id="never when refreshes show nothing"),
    ],
)
def test_a_place_is_remembered(kept: Any, settings: dict[str, Any], values: list[Any]) -> None:
    assert remembered(decide(CORDOBA, kept, **settings)) == values


def test_only_the_wanted_fields_are_kept() -> None:
    effects = decide(CORDOBA | {"city_name": "Córdoba", "latitude": -31.4})

    assert remembered(effects) == [CORDOBA]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"namespace": ""}, id="no namespace"),
        pytest.param({"fields": {"country": "country"}}, id="a field of no database"),
        pytest.param({"on_refresh": "ask"}, id="an unknown way"),
        pytest.param({"fields": {}}, id="no claim"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide(CORDOBA, **settings)
