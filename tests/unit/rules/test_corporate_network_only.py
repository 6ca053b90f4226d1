from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.corporate_network_only.app import rule

DENIED = "ip_not_allowed"
OFFICE = ["192.168.1.134/26"]


def decide(ip: str | None, *networks: str, groups: Any = (), **settings: Any) -> Effects:
    request = {} if ip is None else {"ip": ip}
    configuration = {"networks": list(networks), **settings}
    login = a_login(request=request, groups=list(groups), configuration=configuration)
    return rule.decide(login)


@pytest.mark.parametrize(
    ("ip", "networks", "code"),
    [
        pytest.param("192.168.1.150", OFFICE, None, id="inside a network written with host bits"),
        pytest.param("192.168.1.192", OFFICE, DENIED, id="just behind it"),
        pytest.param("192.168.1.127", OFFICE, DENIED, id="just before it"),
        pytest.param("1.2.3.4", ["1.2.3.4", "2.3.4.5"], None, id="an address of a list"),
        pytest.param("3.4.5.6", ["1.2.3.4", "2.3.4.5"], DENIED, id="an address of none"),
        pytest.param("2001:db8::1", OFFICE, DENIED, id="another family, without an error"),
        pytest.param("1.2.3.4", ["2001:db8::/32"], DENIED, id="the other way round"),
        pytest.param("::ffff:192.168.1.150", OFFICE, None, id="an address inside an IPv6 one"),
        pytest.param("2001:0DB8:0::1", ["2001:db8::1"], None, id="another spelling"),
        pytest.param("2001:db8::1%eth0", ["2001:db8::1"], None, id="with a zone"),
        pytest.param("203.0.113.9", OFFICE, DENIED, id="what the last proxy saw"),
        pytest.param(None, OFFICE, DENIED, id="nobody knows from where"),
        pytest.param("office", OFFICE, DENIED, id="a word"),
    ],
)
def test_who_gets_in_from(ip: str | None, networks: list[str], code: str | None) -> None:
    assert decide(ip, *networks).denied_with == code


def test_an_address_in_unsigned_metadata_counts_for_nothing() -> None:
    login = a_login(
        request={"client_metadata": {"ip": "192.168.1.150"}}, configuration={"networks": OFFICE}
    )

    effects = rule.decide(login)

    assert effects.denied_with == DENIED
    assert effects.warnings == ["ip_unknown"]


def test_an_unknown_address_can_be_let_in() -> None:
    effects = decide(None, *OFFICE, on_unknown_ip="allow")

    assert effects.denied_with is None
    assert effects.warnings == ["ip_unknown"]


@pytest.mark.parametrize(
    ("groups", "code"),
    [
        pytest.param(["on-call"], None, id="of an exempt group"),
        pytest.param(["sales"], DENIED, id="of another one"),
    ],
)
def test_somebody_outside(groups: list[str], code: str | None) -> None:
    effects = decide("3.4.5.6", *OFFICE, groups=groups, exempt_groups=["on-call"])

    assert effects.denied_with == code


def test_a_refresh_is_not_asked_since_it_carries_no_address() -> None:
    assert not rule.manifest.runs_on_refresh


@pytest.mark.parametrize(
    ("networks", "settings"),
    [
        pytest.param(["300.1.1.1/8"], {}, id="no network"),
        pytest.param([], {}, id="an empty list"),
        pytest.param(["0.0.0.0/0"], {}, id="every address"),
        pytest.param(["::/0"], {}, id="every address of the other family"),
        pytest.param([""], {}, id="an empty text"),
        pytest.param(OFFICE, {"on_unknown_ip": "ask"}, id="an unknown way"),
    ],
)
def test_a_wrong_setting_is_an_error(networks: list[str], settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide("1.2.3.4", *networks, **settings)


def test_every_address_can_be_meant() -> None:
    assert decide("1.2.3.4", "0.0.0.0/0", allow_any=True).denied_with is None
