"""Which scopes a request to an API needs, by its route.

A route is written as API Gateway does: ``GET /orders/{id}``, ``ANY /{proxy+}``, or ``*`` for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from cognito_rules.errors import ConfigurationError

EVERY_ROUTE = "*"

_ROUTE = re.compile(r"([A-Z]+) (/\S*)")
_VARIABLE = re.compile(r"\{[^{}/]+?(\+?)\}")


class RequiredScopes:
    """Route -> scopes that all must be granted.

    Raises
    ------
    ConfigurationError : a route is written otherwise.
    """

    def __init__(self, routes: Mapping[str, Iterable[str]]) -> None:
        self._scopes = {_normal(route): frozenset(scopes) for route, scopes in routes.items()}
        self._patterns = {route: _pattern(route) for route in self._scopes if route != EVERY_ROUTE}

    @property
    def differ_by_route(self) -> bool:
        """Whether a decision for one route says nothing of another."""
        return bool(self._patterns)

    def of(self, method: str, *, route: str | None, path: str) -> frozenset[str]:
        """Return the scopes for a request: those of every route that it may be a case of.

        ``route`` : the path of the route that API Gateway chose (``/orders/{id}``), where it says;
        ``path`` : the path that was asked for.
        """
        needed = set(self._scopes.get(EVERY_ROUTE, ()))
        asked = f"{method.upper()} {_normal_path(unquote(path))}"
        for name, pattern in self._patterns.items():
            chosen = route is not None and name in _named(method, route)
            if chosen or pattern.fullmatch(asked):
                needed |= self._scopes[name]
        return frozenset(needed)


def _named(method: str, route: str) -> set[str]:
    return {f"{verb} {_normal_path(route)}" for verb in (method.upper(), "ANY")}


def _normal(route: str) -> str:
    if route == EVERY_ROUTE:
        return route
    match = _ROUTE.fullmatch(route)
    if match is None:
        raise ConfigurationError(f"required_scopes: {route!r} must be like 'GET /orders/{{id}}'")
    return f"{match[1]} {_normal_path(match[2])}"


def _normal_path(path: str) -> str:
    return re.sub(r"/{2,}", "/", path).rstrip("/") or "/"


def _pattern(route: str) -> re.Pattern[str]:
    method, _, path = route.partition(" ")
    verb = "[A-Z]+" if method == "ANY" else re.escape(method)
    text, last = "", 0
    for variable in _VARIABLE.finditer(path):
        text += re.escape(path[last : variable.start()])
        text += ".+" if variable[1] else "[^/]+"
        last = variable.end()
    return re.compile(f"{verb} {text}{re.escape(path[last:])}", re.DOTALL)
