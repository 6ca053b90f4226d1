"""Mark the people of one connection, such as a partner's staff, in their tokens."""

from collections.abc import Iterator
from typing import Any

from cognito_rules import UNKNOWN, Effects, Login, claim_name, lambda_rule


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set the claims of each connection that the person is of; nothing is stored.

    Cognito does not say which of several linked identities signed in. Where a claim grants
    something, ``strict`` acts only when that is known.

    Reads:  ``login.user.identities``, ``login.connection.name``.
    Writes: ``set_claim`` on the tokens in ``targets``.
    Source: Auth0 rules, "add-attributes".
    """
    settings = login.configuration
    names = _connections(login)
    for connection, claims in settings["claims"].items():
        if connection in names:
            for claim, value in claims.items():
                for token in settings["targets"]:
                    effects.set_claim(token, claim_name(settings["namespace"], claim), value)


def _connections(login: Login) -> set[str]:
    if login.connection.name is not UNKNOWN:
        return {login.connection.name}
    if login.configuration["strict"]:
        return set()
    return {identity["connection"] for identity in login.user.identities or []}


def _names(settings: dict[str, Any]) -> Iterator[str]:
    for claims in settings["claims"].values():
        for claim in claims:
            yield claim_name(settings["namespace"], claim)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse protected claims and short names without a namespace."""
    list(_names(configuration))


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    return [(token, name) for name in _names(configuration) for token in configuration["targets"]]
