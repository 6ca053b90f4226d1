"""Show what the company's MongoDB knows of a person in the tokens."""

import json
import re
from typing import Any

from cognito_rules import (
    UNKNOWN,
    ConfigurationError,
    Effects,
    Login,
    UpstreamError,
    claim_name,
    lambda_rule,
)
from cognito_rules.errors import SecretError
from cognito_rules.kept_answers import is_refresh, keep_answer, kept_answer, question
from cognito_rules.mongodb import find_documents

KEY = "mongodb_claims"
FIELD = re.compile(r"[^$.\x00][^.\x00]*(\.[^$.\x00][^.\x00]*)*")
SCALARS = (str, int, float, bool)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set the claims that the person's one document gives.

    A refresh never opens a connection: it shows the kept answer, however old.

    Reads:  ``login.user`` (user_id, email, email_verified, app_metadata.mongodb_claims),
            ``login.transaction.trigger``.
    Writes: ``set_claim`` on the tokens in ``targets``; the answer in
            ``app_metadata.mongodb_claims``; ``deny`` with code ``enrichment_unavailable``.
    Source: Auth0 rules, "mongodb"; Auth0 docs, "Cache resources in rules".
    """
    settings = login.configuration
    person = _person(login)
    if not person:
        return
    asked = question(
        settings["database"],
        settings["collection"],
        settings["match_field"],
        sorted(settings["claims"]),
        person,
    )
    seconds = None if is_refresh(login) else settings["cache_seconds"]
    known = kept_answer(login, KEY, asked, seconds=seconds)
    if known is UNKNOWN:
        if is_refresh(login):
            return
        try:
            known = _ask(login, effects, person)
        except (UpstreamError, SecretError) as error:
            _fail(login, effects, error.code)
            return
        keep_answer(login, effects, KEY, asked, known)
    _show(login, effects, known if isinstance(known, dict) else {})


def _person(login: Login) -> str:
    """Return the text that the document is found by; "" for somebody who cannot be asked about."""
    if login.configuration["match_field"] == "cognito_sub":
        return str(login.user.user_id or "")
    return str(login.user.email or "") if login.user.email_verified is True else ""


def _ask(login: Login, effects: Effects, person: str) -> dict[str, Any]:
    """Return field -> value of the person's document, as far as a claim can hold them."""
    try:
        found = _find(login, person, login.secret("MONGODB_URI"))
    except UpstreamError as error:
        if error.code != "misconfigured":
            raise
        found = _find(login, person, login.secret("MONGODB_URI", refresh=True))
    if len(found) > 1:
        # An operator's alarm counts this warning.
        effects.warn("document_not_unique")
    if len(found) != 1:
        return {}
    values = {field: _value(found[0], field) for field in login.configuration["claims"]}
    return {field: value for field, value in values.items() if value is not None}


def _find(login: Login, person: str, uri: str) -> list[dict[str, Any]]:
    settings = login.configuration
    return find_documents(
        uri,
        settings["database"],
        settings["collection"],
        {settings["match_field"]: person},
        list(settings["claims"]),
        seconds=settings["timeout_ms"] / 1000,
        without_case=settings["match_field"] == "email",
    )


def _value(document: dict[str, Any], field: str) -> Any:
    """Return what a document says at a dotted field; None for what no claim can hold."""
    value: Any = document
    for name in field.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    items = value if isinstance(value, list) else [value]
    return value if all(isinstance(item, SCALARS) for item in items) else None


def _show(login: Login, effects: Effects, known: dict[str, Any]) -> None:
    settings = login.configuration
    for field, name in settings["claims"].items():
        if field not in known:
            continue
        if len(json.dumps(known[field], ensure_ascii=False).encode()) > settings["max_claim_bytes"]:
            # Never a part of a list: what is missing would look like what is not so.
            effects.warn("claim_too_large")
            continue
        for token in settings["targets"]:
            effects.set_claim(token, claim_name(settings["namespace"], name), known[field])


def _fail(login: Login, effects: Effects, code: str) -> None:
    effects.warn(f"enrichment_unavailable:{code}")
    if login.configuration["on_failure"] == "deny":
        effects.deny(
            "Sign-in is unavailable right now. Please try again.",
            code="enrichment_unavailable",
            public_code="try_again",
        )


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse protected claims, and names that are operators and no fields."""
    claims(configuration)
    for field in configuration["claims"]:
        if not FIELD.fullmatch(field):
            raise ConfigurationError(f"claims: {field!r} is no field of a document")
    if not configuration["claims"]:
        raise ConfigurationError("claims is empty: name a field and its claim")


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    names = [claim_name(configuration["namespace"], n) for n in configuration["claims"].values()]
    return [(token, name) for name in names for token in configuration["targets"]]
