from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.block_ip_addresses.app import rule

DENIED = "ip_blocked"
LIST = ["1.2.3.4", "2.3.4.5"]
NETWORK = {"networks": ["203.0.113.0/24"], "allow": ["203.0.113.7"]}


def decide(ip: str | None, **settings: Any) -> Effects:
    request = {} if ip is None else {"ip": ip}
    return rule.decide(a_login(request=request, configuration={"networks": LIST, **settings}))


@pytest.mark.parametrize(
    ("ip", "settings", "code"),
    [
        pytest.param("1.2.3.4", {}, DENIED, id="a listed address"),
        pytest.param("3.4.5.6", {}, None, id="another one"),
        pytest.param("1.2.3.5", {}, None, id="its neighbour"),
        pytest.param("203.0.113.7", NETWORK, None, id="an exception inside a network"),
        pytest.param("203.0.113.8", NETWORK, DENIED, id="the rest of the network"),
        pytest.param("::ffff:1.2.3.4", {}, DENIED, id="a listed address inside an IPv6 one"),
        pytest.param(
            "2001:0db8:0::1", {"networks": ["2001:db8::1"]}, DENIED, id="another spelling"
        ),
        pytest.param("2001:db8::1", {}, None, id="another family, without an error"),
    ],
)
def test_who_is_refused_from(ip: str, settings: dict[str, Any], code: str | None) -> None:
    effects = decide(ip, **settings)

    assert effects.denied_with == code
    assert effects.warnings == []


@pytest.mark.parametrize(
    ("settings", "code"),
    [
        pytest.param({}, None, id="is let in"),
        pytest.param({"on_unknown_ip": "deny"}, DENIED, id="is refused when that is asked"),
    ],
)
def test_an_unknown_address(settings: dict[str, Any], code: str | None) -> None:
    effects = decide(None, **settings)

    assert effects.denied_with == code
    assert effects.warnings == ["ip_unknown"]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"networks": ["1.2.3"]}, id="no address"),
        pytest.param({"networks": ["0.0.0.0/0"]}, id="every address"),
        pytest.param({"networks": []}, id="an empty list"),
        pytest.param({"allow": ["me"]}, id="an exception that is none"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide("1.2.3.4", **settings)


def test_every_address_can_be_meant() -> None:
    assert decide("9.9.9.9", networks=["0.0.0.0/0"], allow_any=True).denied_with == DENIED
