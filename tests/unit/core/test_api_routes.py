"""Which scopes a request needs, by the route that it takes."""

from __future__ import annotations

import pytest

from cognito_rules.api_routes import RequiredScopes
from cognito_rules.errors import ConfigurationError

SCOPES = RequiredScopes(
    {
        "*": ["all"],
        "GET /orders/{id}": ["read"],
        "POST /orders": ["write"],
        "ANY /admin/{proxy+}": ["admin"],
    }
)


@pytest.mark.parametrize(
    "route",
    ["", "orders", "/orders", "get /orders", "GET orders", "GET /a b", "GET  /orders", "GET"],
)
def test_a_route_that_is_written_otherwise_is_refused(route: str) -> None:
    with pytest.raises(ConfigurationError, match="required_scopes"):
        RequiredScopes({route: ["read"]})


@pytest.mark.parametrize(
    ("method", "path", "needed"),
    [
        pytest.param("GET", "/orders/17", {"all", "read"}, id="a variable"),
        pytest.param("get", "/orders/17", {"all", "read"}, id="a method in small letters"),
        pytest.param("GET", "/orders/17/", {"all", "read"}, id="a slash at the end"),
        pytest.param("GET", "//orders//17", {"all", "read"}, id="slashes doubled"),
        pytest.param("GET", "/%6Frders/17", {"all", "read"}, id="a letter in percent"),
        pytest.param("GET", "/orders/17/items", {"all"}, id="a deeper path"),
        pytest.param("POST", "/orders", {"all", "write"}, id="a fixed path"),
        pytest.param("DELETE", "/admin/a/b", {"all", "admin"}, id="any method, any depth"),
        pytest.param("GET", "/admin", {"all"}, id="less than the proxy"),
        pytest.param("GET", "/other", {"all"}, id="a route nobody named"),
    ],
)
def test_a_request_needs_the_scopes_of_every_route_it_may_be(
    method: str, path: str, needed: set[str]
) -> None:
    assert SCOPES.of(method, route=None, path=path) == needed


def test_the_route_that_api_gateway_chose_counts_whatever_the_path() -> None:
    assert SCOPES.of("GET", route="/orders/{id}", path="/live/orders/17") == {"all", "read"}
    assert SCOPES.of("PUT", route="/admin/{proxy+}", path="/x") == {"all", "admin"}
