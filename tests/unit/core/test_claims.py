from typing import Any

import pytest

from cognito_rules.claims import (
    claim_name,
    claim_size,
    is_protected,
    is_retired_namespace,
    is_scope,
)
from cognito_rules.errors import ConfigurationError


@pytest.mark.parametrize(
    "name",
    [
        "sub", "iss", "aud", "exp", "iat", "nbf", "jti", "origin_jti", "auth_time", "token_use",
        "nonce", "at_hash", "azp", "acr", "amr", "scope", "version", "event_id", "device_key",
        "client_id", "username", "identities", "cognito:username", "cognito:groups",
        "cognito:roles", "cognito:preferred_role", "cognito:anything", "aws:region", "dev:a",
        "aws_tag_granted", "aws_tag_cost_center",
    ],
)  # fmt: skip
def test_what_no_rule_may_set(name: str) -> None:
    assert is_protected(name)


@pytest.mark.parametrize(
    "name", ["email", "custom:team", "https://example.com/sub", "roles", "Sub", "aws_tag"]
)
def test_what_a_rule_may_set(name: str) -> None:
    assert not is_protected(name)


@pytest.mark.parametrize(
    ("namespace", "name", "message"),
    [
        pytest.param("", "plan", "namespace", id="no namespace"),
        pytest.param("example.com", "plan", "namespace", id="no scheme"),
        pytest.param("ftp://example.com", "plan", "namespace", id="another scheme"),
        pytest.param("https://", "plan", "namespace", id="no host"),
        pytest.param("https:///a", "plan", "namespace", id="a path for a host"),
        pytest.param("https://example.com/ a", "plan", "namespace", id="a blank"),
        pytest.param("https://example.com\n", "plan", "namespace", id="a line end"),
    ],
)
def test_a_bad_namespace_is_an_error(namespace: str, name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        claim_name(namespace, name)


def test_a_protected_claim_is_an_error_even_when_it_is_meant() -> None:
    with pytest.raises(ConfigurationError, match="protected_claim"):
        claim_name("", "sub", unprefixed=True)


@pytest.mark.parametrize(
    ("namespace", "name", "expected"),
    [
        ("https://e.com", "plan", "https://e.com/plan"),
        ("https://e.com/", "plan", "https://e.com/plan"),
        ("https://e.com/v1#", "plan", "https://e.com/v1#plan"),
        ("urn:e:", "plan", "urn:e:plan"),
        ("urn:e", "plan", "urn:e/plan"),
        ("https://e.com", "sub", "https://e.com/sub"),
        ("https://e.com", "https://f.com/plan", "https://f.com/plan"),
        ("", "urn:f:plan", "urn:f:plan"),
    ],
)
def test_a_name_under_a_namespace(namespace: str, name: str, expected: str) -> None:
    assert claim_name(namespace, name) == expected


def test_a_plain_name_when_it_is_meant() -> None:
    assert claim_name("", "email", unprefixed=True) == "email"
    assert claim_name("https://e.com", "email", unprefixed=True) == "https://e.com/email"


@pytest.mark.parametrize(
    ("namespace", "answer"),
    [
        ("https://auth0.com/", True),
        ("https://tenant.eu.auth0.com/roles", True),
        ("http://x.webtask.run:8080/", True),
        ("https://webtask.io", True),
        ("https://notauth0.com/", False),
        ("https://auth0.com.example.com/", False),
        ("https://example.com/auth0.com", False),
        ("urn:auth0", False),
    ],
)
def test_hosts_that_auth0_retired(namespace: str, answer: bool) -> None:
    assert is_retired_namespace(namespace) is answer


@pytest.mark.parametrize(
    "value",
    ["", "a b", "a\tb", "a\n", 'a"b', "a\\b", "ä", "a" * 257, None, 7, ["a"]],
)
def test_what_is_no_scope(value: Any) -> None:
    assert not is_scope(value)


@pytest.mark.parametrize(
    "value", ["a", "openid", "https://api.example.com/read:a", "!#[]~", "a" * 256]
)
def test_what_is_a_scope(value: str) -> None:
    assert is_scope(value)


@pytest.mark.parametrize(
    ("name", "value", "size"),
    [
        ("a", 1, len('"a":1,')),
        ("a", "ä", len('"a":"",') + 2),
        ("a", ["b", "c"], len('"a":["b","c"],')),
    ],
)
def test_the_size_of_a_claim_is_in_bytes_of_json(name: str, value: Any, size: int) -> None:
    assert claim_size(name, value) == size
