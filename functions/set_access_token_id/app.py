"""Give each access token an id that the operator can find again, and cancel the token by."""

import re

from cognito_rules import ConfigurationError, Effects, Login, claim_name, lambda_rule
from cognito_rules.errors import StoreError
from cognito_rules.token_ledger import IssuedToken, new_token_id, record_token

_PREFIX = re.compile(r"[A-Za-z0-9._-]{0,64}")


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set a claim to a new id, and write the id into the ledger.

    Cognito's own ``jti`` is made after the trigger and cannot be set or seen. Each run makes a new
    id: for every refresh and machine token too, and for a second call of the trigger, whose ledger
    item then belongs to no token and expires.

    Reads:  ``login.user.user_id``, ``login.client.client_id``, ``login.client.metadata`` (its
            ``token_id_prefix``), ``login.transaction.scopes``, ``login.transaction.user_pool_id``.
    Writes: ``set_claim`` on the access token and, if wished, the ID token; an item in the ledger;
            ``deny`` with code ``token_ledger_unavailable`` where the ledger must not be missing.
    Source: Auth0 docs, "Blacklists and application grants"; AWS, "Pre token generation Lambda
            trigger" (claims that cannot be changed).
    """
    settings = login.configuration
    token_id = _prefix(login, effects) + new_token_id(settings["format"], login.now)
    if settings["ledger"] and not _record(login, token_id):
        # An operator's alarm counts this warning.
        effects.warn("token_ledger_write_failed")
        if settings["on_ledger_failure"] == "deny":
            effects.deny(
                "Sign-in is unavailable right now. Please try again.",
                code="token_ledger_unavailable",
                public_code="try_again",
            )
            return
    for token, name in claims(settings):
        effects.set_claim(token, name, token_id)


def _prefix(login: Login, effects: Effects) -> str:
    metadata = login.client.metadata or {}
    prefix = metadata.get("token_id_prefix", login.configuration["prefix"])
    if not _PREFIX.fullmatch(prefix):
        effects.warn("token_id_prefix_ignored")
        return str(login.configuration["prefix"])
    return str(prefix)


def _record(login: Login, token_id: str) -> bool:
    token = IssuedToken(
        token_id=token_id,
        client_id=login.client.client_id,
        user_id=login.user.user_id or None,
        scopes=list(login.transaction.scopes or ()),
        issued_at=login.now,
        user_pool_id=login.transaction.user_pool_id or None,
    )
    try:
        record_token(token)
    except StoreError:
        return False
    return True


@rule.check
def check(configuration: dict[str, object]) -> None:
    """Refuse a missing namespace, and Cognito's own claims even below one."""
    claim_name("", str(configuration["claim"]), unprefixed=True)
    claims(configuration)
    if not _PREFIX.fullmatch(str(configuration["prefix"])):
        raise ConfigurationError("prefix: at most 64 letters, digits, dots, hyphens, underscores")


@rule.claims
def claims(configuration: dict[str, object]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    name = claim_name(str(configuration["namespace"]), str(configuration["claim"]))
    return [("access", name), *([("id", name)] if configuration["also_id_token"] else [])]
