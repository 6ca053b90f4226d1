"""Show APIs the caller's e-mail address, or a pseudonym of it, in the access token."""

import hashlib
import hmac
from typing import Any

from cognito_rules import Effects, Login, claim_name, lambda_rule, normalise_email


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Add the address as it is stored, and whether it is verified, to the access token.

    An address is no identifier: it changes and is given to others. APIs keep records by ``sub``.

    Reads:  ``login.user.email``, ``login.user.email_verified``,
            ``login.transaction.requested_scopes``, ``login.transaction.audience``.
    Writes: ``set_claim`` on the access token.
    Source: Auth0 rules, "add-email-to-access-token".
    """
    settings = login.configuration
    wanted_scope, audiences = settings["required_scope"], settings["audiences"]
    if wanted_scope is not None and wanted_scope not in (login.transaction.requested_scopes or []):
        return
    if audiences and login.transaction.audience not in audiences:
        return
    email = login.user.email
    verified = login.user.email_verified is True
    if not email or (settings["only_verified"] and not verified):
        return

    names = _names(settings)
    if settings["hash"] == "none":
        effects.set_claim("access", names["value"], email)
    else:
        normal = normalise_email(email)
        if normal is None:
            effects.warn("malformed_email")
            return
        key = login.secret("EMAIL_HASH_KEY").encode()
        digest = hmac.new(key, normal.encode(), hashlib.sha256).hexdigest()
        effects.set_claim("access", names["value"], digest)
    if settings["include_verified"]:
        effects.set_claim("access", names["verified"], verified)


def _names(settings: dict[str, Any]) -> dict[str, str]:
    claim, hashed = settings["claim"], settings["hash"] != "none"
    short = {"value": f"{claim}_hash" if hashed else claim, "verified": f"{claim}_verified"}
    return {
        part: claim_name(settings["namespace"], name, unprefixed=settings["allow_unprefixed"])
        for part, name in short.items()
    }


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a missing namespace and protected claims."""
    _names(configuration)


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    names = _names(configuration)
    if not configuration["include_verified"]:
        del names["verified"]
    return [("access", name) for name in names.values()]
