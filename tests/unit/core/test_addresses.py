"""Addresses and networks: what is the same, whatever it is written like."""

from __future__ import annotations

import pytest

from cognito_rules.addresses import is_in, parse_address, parse_network
from cognito_rules.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "address"),
    [
        pytest.param("192.0.2.1", "192.0.2.1", id="IPv4"),
        pytest.param(" 192.0.2.1 ", "192.0.2.1", id="with blanks around it"),
        pytest.param("2001:0DB8:0::1", "2001:db8::1", id="IPv6"),
        pytest.param("::ffff:192.0.2.1", "192.0.2.1", id="IPv4 inside IPv6"),
        pytest.param("fe80::1%eth0", "fe80::1", id="with a zone"),
    ],
)
def test_an_address(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize(
    "text", ["", "office", "192.0.2", "192.0.2.1/24", "1.2.3.4, 5.6.7.8", None]
)
def test_what_is_no_address(text: object) -> None:
    assert parse_address(text) is None


@pytest.mark.parametrize(
    ("text", "network"),
    [
        pytest.param("192.0.2.1", "192.0.2.1/32", id="an address"),
        pytest.param("192.168.1.134/26", "192.168.1.128/26", id="bits behind the prefix"),
        pytest.param("2001:db8::1", "2001:db8::1/128", id="an IPv6 address"),
    ],
)
def test_a_network(text: str, network: str) -> None:
    assert str(parse_network(text)) == network


@pytest.mark.parametrize("text", ["", "300.1.1.1/8", "192.0.2.0/33", "office", "0.0.0.0/0", "::/0"])
def test_what_is_no_network(text: str) -> None:
    with pytest.raises(ConfigurationError):
        parse_network(text)


def test_families_never_hold_each_other() -> None:
    address = parse_address("192.0.2.1")
    assert address is not None

    assert not is_in(address, [parse_network("::/0", allow_any=True)])
    assert is_in(address, [parse_network("2001:db8::/32"), parse_network("192.0.2.0/24")])
