import ipaddress

import pytest

from cognito_rules import ConfigurationError
from cognito_rules.endpoint import Endpoint, address_class, refusal, vendor_endpoint

ACME = ["*.splunkcloud.com", "splunk.acme.example"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://splunk.acme.example/", id="plain http"),
        pytest.param("ftp://splunk.acme.example/", id="another scheme"),
        pytest.param("//splunk.acme.example/", id="no scheme"),
        pytest.param("https://", id="no host"),
        pytest.param("https://user:word@splunk.acme.example/", id="user-info"),
        pytest.param("https://splunk.acme.example@evil.example/", id="a host as user-info"),
        pytest.param("https://splunk.acme.example\\@evil.example/", id="a backslash"),
        pytest.param("https://splunk.acme.example /", id="a space"),
        pytest.param("https://splunk.acme.example\r\nX: y/", id="a line break"),
        pytest.param("https://splunk.acme.example/#x", id="a fragment"),
        pytest.param("https://splunk.acme.example:port/", id="a port that is no number"),
        pytest.param("https://splunk.acme.example./", id="a trailing dot"),
        pytest.param("https://spl\u00fcnk.acme.example/", id="a name that is not ASCII"),
        pytest.param("https://evil.example/", id="a host that is not listed"),
        pytest.param("https://splunkcloud.com/", id="the bare domain of a wildcard"),
        pytest.param("https://evilsplunkcloud.com/", id="a suffix off the label border"),
        pytest.param("https://a.splunkcloud.com.evil.example/", id="a listed domain as prefix"),
        pytest.param("https://169.254.169.254/latest/meta-data", id="an address not listed"),
    ],
)
def test_an_endpoint_is_refused_for(url: str) -> None:
    with pytest.raises(ConfigurationError):
        Endpoint.parse(url, allowed_hosts=ACME, allow_private_network=True)


@pytest.mark.parametrize(
    ("url", "host", "private"),
    [
        pytest.param("https://169.254.169.254/", "169.254.169.254", True, id="instance metadata"),
        pytest.param("https://[fd00:ec2::254]/", "fd00:ec2::254", True, id="the same over IPv6"),
        pytest.param("https://127.0.0.1/", "127.0.0.1", False, id="loopback, not asked for"),
        pytest.param("http://127.0.0.1:8088/", "127.0.0.1", False, id="http, not asked for"),
        pytest.param("https://10.0.0.8/", "10.0.0.8", False, id="private, not asked for"),
        pytest.param("http://10.0.0.8/", "10.0.0.8", True, id="http to a private address"),
        pytest.param("http://localhost:8088/", "localhost", True, id="http to a name"),
        pytest.param(
            "https://[::ffff:169.254.169.254]/",
            "::ffff:169.254.169.254",
            True,
            id="metadata in IPv6",
        ),
        pytest.param("https://[::ffff:10.0.0.8]/", "::ffff:10.0.0.8", False, id="private in IPv6"),
        pytest.param("https://[fe80::1%25eth0]/", "fe80::1%25eth0", True, id="with a zone"),
        pytest.param("https://2130706433/", "2130706433", True, id="127.0.0.1 as one number"),
        pytest.param("https://0x7f000001/", "0x7f000001", True, id="the same in hexadecimal"),
        pytest.param("https://0177.0.0.1/", "0177.0.0.1", True, id="the same in octal"),
        pytest.param("https://127.1/", "127.1", True, id="the same in short"),
        pytest.param("https://0xa9.0xfe.0xa9.0xfe/", "0xa9.0xfe.0xa9.0xfe", True, id="hex octets"),
        pytest.param("https://0/", "0", True, id="nothing but a zero"),
    ],
)
def test_an_address_is_refused_although_listed(url: str, host: str, private: bool) -> None:
    with pytest.raises(ConfigurationError):
        Endpoint.parse(url, allowed_hosts=[host], allow_private_network=private)


@pytest.mark.parametrize(
    "pattern", ["*", "*.com", "", "https://splunk.acme.example", "a.*.b", "a b"]
)
def test_a_pattern_that_allows_too_much_is_an_error(pattern: str) -> None:
    with pytest.raises(ConfigurationError, match="allowed_hosts"):
        Endpoint.parse("https://splunk.acme.example/", allowed_hosts=[*ACME, pattern])


@pytest.mark.parametrize(
    ("url", "allowed", "private", "expected"),
    [
        pytest.param(
            "https://HTTP-inputs-acme.splunkcloud.com:443",
            ACME,
            False,
            "https://http-inputs-acme.splunkcloud.com:443/",
            id="below a wildcard",
        ),
        pytest.param(
            "https://splunk.acme.example:8088/a?b=c",
            ACME,
            False,
            "https://splunk.acme.example:8088/a?b=c",
            id="by its name",
        ),
        pytest.param("https://10.0.0.8/", ["10.0.0.8"], True, "https://10.0.0.8/", id="private"),
        pytest.param(
            "http://127.0.0.1:8088/x", ["127.0.0.1"], True, "http://127.0.0.1:8088/x", id="laptop"
        ),
        pytest.param("http://[::1]:1/", ["::1"], True, "http://[::1]:1/", id="laptop over IPv6"),
    ],
)
def test_an_endpoint_is_accepted(
    url: str, allowed: list[str], private: bool, expected: str
) -> None:
    endpoint = Endpoint.parse(url, allowed_hosts=allowed, allow_private_network=private)

    assert endpoint.url == expected


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("93.184.216.34", "public"),
        ("192.0.2.1", "public"),  # documentation: unreachable, but nothing of ours
        ("2606:2800:220:1::1", "public"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("127.8.9.10", "loopback"),
        ("::1", "loopback"),
        ("169.254.170.2", "link-local"),
        ("fe80::1", "link-local"),
        ("fd00:ec2::254", "instance metadata"),
        ("239.1.1.1", "multicast"),
        ("ff02::1", "multicast"),
        ("255.255.255.255", "reserved"),
        ("10.255.0.1", "private"),
        ("172.16.0.1", "private"),
        ("172.32.0.1", "public"),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("fd12:3456::1", "private"),
        ("::ffff:127.0.0.1", "loopback"),
        ("::ffff:169.254.169.254", "link-local"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b::5db8:d822", "public"),
        ("2002:7f00:1::", "loopback"),
        ("2001:0:4136:e378:8000:63bf:f5ff:fffe", "private"),  # Teredo for 10.0.0.1
    ],
)
def test_the_class_of_an_address(address: str, kind: str) -> None:
    assert address_class(ipaddress.ip_address(address)) == kind


@pytest.mark.parametrize(
    ("host", "address", "private", "refused"),
    [
        pytest.param("a.example", "93.184.216.34", False, False, id="public"),
        pytest.param("a.example", "10.0.0.1", False, True, id="private, not asked for"),
        pytest.param("a.example", "10.0.0.1", True, False, id="private, asked for"),
        pytest.param("a.example", "127.0.0.1", True, True, id="a name that leads to loopback"),
        pytest.param("127.0.0.1", "127.0.0.1", True, False, id="loopback written as such"),
        pytest.param("127.0.0.1", "127.0.0.1", False, True, id="loopback, not asked for"),
        pytest.param("a.example", "169.254.169.254", True, True, id="link-local, always"),
        pytest.param("a.example", "224.0.0.1", True, True, id="multicast, always"),
        pytest.param("a.example", "fd00:ec2::254", True, True, id="instance metadata, always"),
    ],
)
def test_which_address_a_host_may_lead_to(
    host: str, address: str, private: bool, refused: bool
) -> None:
    problem = refusal(host, ipaddress.ip_address(address), allow_private_network=private)

    assert (problem is not None) == refused


def test_a_vendor_is_called_at_its_own_host() -> None:
    endpoint = vendor_endpoint("api.vendor.example", "/in?strict=1", stand_in="")

    assert endpoint == Endpoint("https://api.vendor.example/in?strict=1", "api.vendor.example")


def test_a_stand_in_takes_its_place_on_a_laptop() -> None:
    endpoint = vendor_endpoint("api.vendor.example", "/in", stand_in="http://127.0.0.1:8400")

    assert endpoint.url == "http://127.0.0.1:8400/in"


@pytest.mark.parametrize(
    "stand_in",
    [
        "https://collector.example",
        "https://10.0.0.8",
        "http://10.0.0.8",
        "http://localhost:8400",
        "http://169.254.169.254",
        "//127.0.0.1",
    ],
)
def test_a_stand_in_is_on_a_loopback_address(stand_in: str) -> None:
    with pytest.raises(ConfigurationError):
        vendor_endpoint("api.vendor.example", "/in", stand_in=stand_in)
