"""Ask AtData, formerly TowerData, about a person, for the rules that come after."""

from dataclasses import replace
from hashlib import md5, sha1
from typing import Any
from urllib.parse import urlencode

from cognito_rules import Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.enrichment import keep_found, may_ask
from cognito_rules.http import AFTER_LOGIN, Answer, Endpoint, send

SOURCE = "towerdata"
HOST = "api.atdata.com"
LEGACY_HOST = "api.towerdata.com"

HASHES = {"md5": md5, "sha1": sha1}


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Look the person up by address, unless an answer is kept, and keep the wished fields.

    The key has no place but the query, so only the host is ever logged. A look-up changes nothing
    and can be repeated; while AtData is down, whoever waits for the answer waits a minute at most.

    Reads:  ``login.user`` (email, which is verified or unknown, enrichment.towerdata),
            ``login.request.geoip.country_code``, ``login.event``.
    Writes: ``set_enrichment`` of the source ``towerdata``; a count of the day's calls.
    Source: Auth0 rules, "get-towerdata-profile"; TowerData SDKs (parameters and fields).
    """
    settings = login.configuration
    country = login.at("request.geoip.country_code", None)
    if settings["countries"] and country not in settings["countries"]:
        effects.warn("skipped_country")
        return
    if not may_ask(login, effects, SOURCE):
        return
    answer = _ask(login)
    if answer.status == 404:
        keep_found(settings, effects, SOURCE, {})
        return
    if answer.status != 200:
        raise answer.refusal()
    profile = answer.json()
    if not isinstance(profile, dict):
        raise UpstreamError(
            answer.service,
            "the answer is no profile",
            status=answer.status,
            retryable=True,
            code="upstream_protocol",
        )
    keep_found(settings, effects, SOURCE, profile)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a path or a stand-in that could not be called."""
    _endpoint(configuration, "")


def _ask(login: Login) -> Answer:
    """Return the answer; one that refuses the key is asked for again with a rotated key."""
    key = login.secret("ATDATA_API_KEY")
    answer = _get(login, key)
    if answer.status in (401, 403):
        newer = login.secret("ATDATA_API_KEY", refresh=True)
        if newer != key:
            answer = _get(login, newer)
    return answer


def _get(login: Login, key: str) -> Answer:
    query = {**_identity(login), "api_key": key}
    read = login.configuration["timeout_ms"] / 1000
    return send(
        "GET",
        _endpoint(login.configuration, urlencode(query)),
        b"",
        budget=replace(AFTER_LOGIN.within(5.0), read=read),  # twice, when the key was rotated
        repeatable=True,
        about={"login_id": login.event.id or None},
    )


def _identity(login: Login) -> dict[str, str]:
    address = str(login.user.email).strip()
    kind = login.configuration["identify_by"]
    if kind == "email":
        return {"email": address}
    # Not to keep a secret: it is how AtData knows addresses.
    hashed = HASHES[kind](address.lower().encode(), usedforsecurity=False)
    return {f"{kind}_email": hashed.hexdigest()}


def _endpoint(settings: dict[str, Any], query: str) -> Endpoint:
    host = LEGACY_HOST if settings["legacy_host"] else HOST
    path = f"{settings['path']}?{query}" if query else settings["path"]
    return vendor_endpoint(host, path, stand_in=settings["stand_in"])
