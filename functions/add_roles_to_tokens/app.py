"""Put the person's roles into the tokens, under one claim for applications and APIs."""

from fnmatch import fnmatchcase
from typing import Any

from cognito_rules import UNKNOWN, Effects, Login, claim_name, lambda_rule


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Collect roles, rename them, drop the excluded ones, and write them in a stable order.

    Roles never come from user_metadata, which people write themselves.

    Reads:  ``login.authorization.roles`` and ``login.user.groups``, as ``source`` says;
            ``login.transaction.user_pool_id``.
    Writes: ``set_claim`` on the tokens in ``targets``.
    Source: Auth0 docs, "Sample use cases: rules with authorization".
    """
    settings = login.configuration
    sources = {"authorization": login.authorization.roles, "groups": login.user.groups}
    if settings["source"] != "both":
        sources = {settings["source"]: sources[settings["source"]]}
    known = [roles for roles in sources.values() if roles is not UNKNOWN]
    if not known:
        effects.warn("authorization_missing")
        return

    excluded = [
        pattern.replace("{user_pool_id}", login.transaction.user_pool_id or "")
        for pattern in settings["exclude"]
    ]
    renamed = {settings["rename"].get(role, role) for roles in known for role in roles}
    kept = sorted(
        role for role in renamed if not any(fnmatchcase(role, pattern) for pattern in excluded)
    )
    if not kept and not settings["emit_empty"]:
        return
    too_many = len(kept) > settings["max_roles"]
    if too_many:
        effects.warn("roles_truncated")
    for token in settings["targets"]:
        effects.set_claim(token, _name(settings), kept[: settings["max_roles"]])
        if too_many:
            effects.set_claim(token, _name(settings) + "_truncated", True)


def _name(settings: dict[str, Any]) -> str:
    return claim_name(settings["namespace"], settings["claim"])


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a missing namespace and a protected claim."""
    _name(configuration)


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    name = _name(configuration)
    return [
        (token, claim)
        for token in configuration["targets"]
        for claim in (name, name + "_truncated")
    ]
