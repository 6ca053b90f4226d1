"""Where a rule may call out to: the check of an endpoint, and of each address that it resolves to.

Two checks, since a name says nothing about where it leads. The endpoint is checked when it is
parsed: scheme, host, no user-info. The address is checked when a connection is made, and that very
address is connected to (``transport.py``), so a name server that changes its mind gains nothing.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from cognito_rules.errors import ConfigurationError

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# By name, because Python's ``is_private`` also means documentation and benchmark ranges and leaves
# out shared address space. Source: IANA IPv4 and IPv6 Special-Purpose Address Registries.
_RANGES = {
    "unspecified": ("0.0.0.0/8", "::/128"),
    "link-local": ("169.254.0.0/16", "fe80::/10"),
    "multicast": ("224.0.0.0/4", "ff00::/8"),
    "reserved": ("240.0.0.0/4",),
    # Unique-local by its range, but AWS answers there with credentials, a clock and a resolver.
    "instance metadata": ("fd00:ec2::/32",),
    "loopback": ("127.0.0.0/8", "::1/128"),
    "private": (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
        "fec0::/10",
        "64:ff9b:1::/48",
    ),
}
# In this order: the first range that holds an address names its class.
_CLASSES = [
    (kind, ipaddress.ip_network(network)) for kind, nets in _RANGES.items() for network in nets
]
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
# Resolvers take 2130706433, 0x7f.1 and 0177.0.0.1 for IPv4 addresses, and so does the URL standard
# whenever the last label is a number. Source: https://url.spec.whatwg.org/#host-parsing
_NUMBER = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")
_SUFFIX = re.compile(rf"\*\.{_LABEL}(?:\.{_LABEL})+")
# Whatever else two parsers of URLs could read in two ways.
_PLAIN = re.compile(r"[!-\[\]-~]+")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A URL that may be called, made by ``Endpoint.parse`` only.

    Attributes
    ----------
    url : the URL, put together again from its checked parts.
    host : its host name in lower case, or its address; also what logs and errors name.
    allow_private_network : whether it may resolve to a private address.
    """

    url: str
    host: str
    allow_private_network: bool = False

    @classmethod
    def parse(
        cls,
        url: str,
        *,
        allowed_hosts: Iterable[str] | None,
        allow_private_network: bool = False,
    ) -> Endpoint:
        """Return the endpoint, when it may be called.

        The scheme is https. With ``allow_private_network``, plain http is accepted too, to a
        loopback address written as such (``http://127.0.0.1:8088``): a collector on a laptop.

        Parameters
        ----------
        allowed_hosts : host names, each exact or with a leading ``*.`` for one or more labels; None
            only for a URL that comes from template.yaml whole, which then is the list.

        Raises
        ------
        ConfigurationError : the URL is malformed, or one of these rules refuses it.
        """
        scheme, host, port, rest = _split(url)
        literal = _literal(host)
        loopback = literal is not None and address_class(literal) == "loopback"
        if scheme != "https" and not (scheme == "http" and loopback and allow_private_network):
            raise ConfigurationError(f"the endpoint at {host} must be https")
        if allowed_hosts is not None and not is_allowed(host, allowed_hosts):
            raise ConfigurationError(f"the host {host} is not in allowed_hosts")
        if literal is not None:
            problem = refusal(host, literal, allow_private_network=allow_private_network)
            if problem:
                raise ConfigurationError(problem)
        name = f"[{host}]" if ":" in host else host
        return cls(f"{scheme}://{name}{port}{rest}", host, allow_private_network)


def vendor_endpoint(host: str, path: str, *, stand_in: str | None) -> Endpoint:
    """Return the endpoint of a service whose host does not come from a setting.

    Parameters
    ----------
    path : begins with a slash; may have a query.
    stand_in : base URL of a stand-in for the service, which is used instead: a loopback address
        such as ``http://127.0.0.1:8400``, on a laptop; None or "" for the service itself.

    Raises
    ------
    ConfigurationError : the URL is malformed, or the stand-in is on no loopback address.
    """
    if not stand_in:
        return Endpoint.parse(f"https://{host}{path}", allowed_hosts=[host])
    endpoint = Endpoint.parse(stand_in + path, allowed_hosts=None, allow_private_network=True)
    address = _literal(endpoint.host)
    if address is None or address_class(address) != "loopback":
        raise ConfigurationError("a stand-in for a service must be on a loopback address")
    return endpoint


def _split(url: str) -> tuple[str, str, str, str]:
    if not _PLAIN.fullmatch(url):
        raise ConfigurationError("the endpoint has a character that belongs into no URL")
    try:
        parts = urlsplit(url)
        port = f":{parts.port}" if parts.port is not None else ""
    except ValueError:
        raise ConfigurationError("the endpoint is no URL") from None
    if "@" in parts.netloc:
        raise ConfigurationError("the endpoint must not hold a user or a password")
    if parts.fragment:
        raise ConfigurationError("the endpoint must not have a fragment")
    host = (parts.hostname or "").lower()
    named = _HOST.fullmatch(host) and not _NUMBER.fullmatch(host)
    if not named and _literal(host) is None:
        raise ConfigurationError("the endpoint has no host name (international names: as xn--…)")
    query = f"?{parts.query}" if parts.query else ""
    return parts.scheme, host, port, (parts.path or "/") + query


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_allowed(host: str, allowed_hosts: Iterable[str]) -> bool:
    """Say whether ``host`` matches a pattern: the same name, or below a ``*.`` suffix.

    Raises
    ------
    ConfigurationError : a pattern is neither a host name, ``*.`` and a domain, nor an address.
    """
    allowed = False
    for given in allowed_hosts:
        pattern = given.lower()
        if _SUFFIX.fullmatch(pattern):
            allowed |= host.endswith(pattern[1:])
        elif _HOST.fullmatch(pattern) or _literal(pattern) is not None:
            allowed |= host == pattern
        else:
            raise ConfigurationError(f"allowed_hosts: {given!r} is no host name and no *.domain")
    return allowed


def _carried(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address stands for, if it does."""
    if not isinstance(address, ipaddress.IPv6Address):
        return address
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else address)


def address_class(address: Address) -> str:
    """Return ``public``, ``private``, ``loopback``, or the class that is never called."""
    carried = _carried(address)
    for kind, network in _CLASSES:
        if carried in network:
            return kind
    return "public"


def refusal(host: str, address: Address, *, allow_private_network: bool) -> str | None:
    """Return why ``host`` must not be called at ``address``, or None when it may be.

    A private address needs ``allow_private_network``; a loopback address also has to be written as
    such, because Lambda's own API listens there and a name could lead to it. Link-local, multicast
    and the like are refused always.
    """
    kind = address_class(address)
    if kind == "public":
        return None
    written = _literal(host) is not None
    if allow_private_network and (kind == "private" or (kind == "loopback" and written)):
        return None
    return f"{host} leads to a {kind} address"
