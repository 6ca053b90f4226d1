"""IP addresses and networks, compared as what they are and not as texts."""

from __future__ import annotations

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Any

from cognito_rules.errors import ConfigurationError

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network


def parse_address(text: Any) -> Address | None:
    """Return the address that ``text`` names, or None when it names none.

    An IPv4 address inside an IPv6 one (``::ffff:192.0.2.1``) is that IPv4 address; a zone, which
    means something on one machine only, is dropped.
    """
    if not isinstance(text, str):
        return None
    try:
        address = ip_address(text.strip().partition("%")[0])
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def parse_network(text: str, *, allow_any: bool = False) -> Network:
    """Return the network of an address or a CIDR; bits behind the prefix are dropped.

    Raises
    ------
    ConfigurationError : it is neither, or it holds every address and ``allow_any`` is not given.
    """
    try:
        network = ip_network(text.strip(), strict=False)
    except ValueError as error:
        raise ConfigurationError(
            f"{text!r} is no address and no network such as 203.0.113.0/24"
        ) from error
    if network.prefixlen == 0 and not allow_any:
        raise ConfigurationError(f"{text!r} is every address there is: allow_any says it is meant")
    return network


def is_in(address: Address, networks: list[Network]) -> bool:
    """Say whether one of ``networks`` holds the address; families never hold each other."""
    return any(address in network for network in networks)
