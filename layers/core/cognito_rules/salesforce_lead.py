"""A person as a Salesforce lead: what the rules that make leads send, and what the answers mean.

Source: Salesforce, REST API Developer Guide ("Insert or Update (Upsert) a Record Using an External
ID", "Status Codes and Error Responses", "Assignment Rule Header", "Duplicate Rule Header") and
"OAuth 2.0 Client Credentials Flow for Server-to-Server Integration".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

from cognito_rules.access_tokens import client_credentials_token
from cognito_rules.effects import Effects
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.errors import ConfigurationError, UpstreamError
from cognito_rules.http import AFTER_LOGIN, Answer, Endpoint, encode, send
from cognito_rules.login import Login
from cognito_rules.manifest import Manifest
from cognito_rules.people import check_cutoff, is_account_older, unknown_person

# Both have to fit into the rule's time; the second call may get another token.
TOKEN = AFTER_LOGIN.within(2.5)
WRITE = AFTER_LOGIN.within(8.0)

# Salesforce does not say how long a token lives: the org's session settings do.
TOKEN_SECONDS = 15 * 60.0
# The allowance is counted over the last 24 hours.
LIMIT_SECONDS = 3600.0
OLDEST_VERSION = 41

# What Salesforce takes of a text; more would be refused.
LENGTHS = {
    "LastName": 80,
    "FirstName": 40,
    "Company": 255,
    "Email": 80,
    "Phone": 40,
    "Title": 128,
    "Country": 80,
    "Description": 32_000,
}
UNKNOWN_NAME = "Unknown"
# The person is there already: as another lead, or as what a lead became.
_KNOWN_ALREADY = frozenset({"DUPLICATES_DETECTED", "CANNOT_UPDATE_CONVERTED_LEAD"})
_PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")
_PLACEHOLDERS = ("application", "connection", "date")


def send_lead(login: Login, effects: Effects, *, sources: Collection[str] = ()) -> None:
    """Create the person's record, or bring the one with their user id up to date.

    ``sources`` are those of ``user.enrichment`` that the rule reads. Twice is no harm: the record's
    external id is the user id. Without such a field every call makes another record, so that one
    whose answer got lost is not repeated.

    Raises
    ------
    UpstreamError : Salesforce did not take it; ``misconfigured`` for what an administrator repairs.
    SecretError : the client's id or secret cannot be read.
    """
    settings = login.configuration
    if is_account_older(login, settings["sign_up_cutoff"]):
        effects.warn("account_older_than_cutoff")
        return
    answers = {source: login.at(f"user.enrichment.{source}", {}) for source in sources}
    is_found = any(answer.get("status") == "found" for answer in answers.values())
    if sources and not is_found and not settings["lead_without_enrichment"]:
        effects.warn("skipped_no_enrichment")
        return
    record = _record(login, answers)
    answer = _send(login, "PATCH" if settings["external_id_field"] else "POST", record)
    _check(answer, effects)


def forget_lead(login: Login) -> None:
    """Delete the person's record, which lies in Salesforce's recycle bin for 15 days then.

    Raises
    ------
    UpstreamError : Salesforce did not delete it; ``person_unknown`` without an external id field.
    SecretError : the client's id or secret cannot be read.

    Source: Salesforce, REST API Developer Guide, "Delete Records Using sObject Rows by External
    ID".
    """
    settings = login.configuration
    if not settings["external_id_field"]:
        raise unknown_person(_endpoint(settings, "/").host)
    answer = _send(login, "DELETE", None)
    if answer.status == 404 and _is_gone(answer):
        return
    _check(answer, Effects())


def check_lead(configuration: dict[str, Any], manifest: Manifest) -> None:
    """Refuse fields that the rule may not read, and what Salesforce retired."""
    for setting in ("fields", "enriched_fields"):
        for field, path in configuration.get(setting, {}).items():
            if not manifest.can_read(path):
                raise ConfigurationError(f"{setting}.{field}: this rule does not read {path}")
    if float(configuration["api_version"]) < OLDEST_VERSION:
        raise ConfigurationError(
            f"api_version {configuration['api_version']}: Salesforce retired versions up to 30 in "
            f"Summer '22, and those up to 40 follow: use {OLDEST_VERSION}.0 or later"
        )
    for name in _PLACEHOLDER.findall(configuration["description"]):
        if name not in _PLACEHOLDERS:
            raise ConfigurationError(f"description: there is no placeholder {{{name}}}")
    check_cutoff(configuration)
    _endpoint(configuration, "/")


def _endpoint(settings: Mapping[str, Any], path: str) -> Endpoint:
    host = f"{settings['my_domain']}.my.salesforce.com"
    return vendor_endpoint(host, path, stand_in=settings["stand_in"])


# What is sent ------------------------------------------------------------------------------------


def _record(login: Login, answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    settings = login.configuration
    first, last = _names(login)
    record: dict[str, Any] = {"FirstName": first, "LastName": last}
    record |= {field: login.at(path, None) for field, path in settings["fields"].items()}
    # What the person typed stays: an answer of somebody else fills gaps only.
    for field, path in settings.get("enriched_fields", {}).items():
        record[field] = record.get(field) or login.at(path, None)
    if settings["object"] == "Lead":
        record["Company"] = record.get("Company") or settings["default_company"]
    record["LeadSource"] = settings["lead_source"]
    record["Description"] = _description(login, answers)
    return {field: _fitting(field, value) for field, value in record.items() if value}


def _names(login: Login) -> tuple[str, str]:
    """Return first and last name; Salesforce takes nobody without a last name."""
    user = login.user
    if user.family_name:
        return user.given_name or "", user.family_name
    email = user.email or ""
    words = "" if user.name == email or "@" in (user.name or "") else user.name or ""
    *first, last = words.split() or [""]
    if last and last != user.given_name:
        return user.given_name or " ".join(first), last
    return user.given_name or "", email.partition("@")[0] or UNKNOWN_NAME


def _description(login: Login, answers: Mapping[str, Mapping[str, Any]]) -> str:
    settings = login.configuration
    values = {
        "application": login.client.name,
        "connection": login.connection.name,
        "date": (login.event.occurred_at or "")[:10],
    }

    def replace(match: re.Match[str]) -> str:
        return str(values[match[1]] or "unknown")

    lines = [_PLACEHOLDER.sub(replace, settings["description"])]
    if settings.get("describe_enrichment"):
        for source, answer in answers.items():
            facts = [f"{name} {value}" for name, value in answer.items() if name != "status"]
            if facts:
                lines.append(f"{source}: {', '.join(facts)}")
    return "\n".join(line for line in lines if line)


def _fitting(field: str, value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return value.strip()[: LENGTHS.get(field, 255)].rstrip()


def _path(login: Login) -> str:
    settings = login.configuration
    # The version's place in the path is checked by the setting's pattern.
    path = f"/services/data/v{settings['api_version']}/sobjects/{settings['object']}"
    if not settings["external_id_field"]:
        return path
    # Never the address: with some ends of it, Salesforce takes the path for another one.
    name = quote(str(login.user.user_id), safe="")
    return f"{path}/{settings['external_id_field']}/{name}"


def _send(login: Login, method: str, record: dict[str, Any] | None) -> Answer:
    settings = login.configuration

    def credentials(refresh: bool) -> dict[str, str]:
        return {
            "client_id": login.secret("SALESFORCE_CLIENT_ID", refresh=refresh),
            "client_secret": login.secret("SALESFORCE_CLIENT_SECRET", refresh=refresh),
        }

    def authorize(refresh: bool) -> dict[str, str]:
        token = client_credentials_token(
            _endpoint(settings, "/services/oauth2/token"),
            credentials,
            budget=TOKEN,
            lifetime_seconds=TOKEN_SECONDS,
            renew=refresh,
        )
        return {"Authorization": f"Bearer {token.text}"}

    return send(
        method,
        _endpoint(settings, _path(login)),
        b"" if record is None else encode(record),
        budget=WRITE,
        headers={
            "Sforce-Auto-Assign": settings["auto_assign"].upper()
            if settings["auto_assign"] in ("true", "false")
            else settings["auto_assign"],
            "Sforce-Duplicate-Rule-Header": (
                f"allowSave={str(settings['allow_duplicate_save']).lower()}"
            ),
        },
        authorize=authorize,
        repeatable=method != "POST",
        busy=_asked_to_wait,
        about={"login_id": login.event.id or None},
    )


# What the answers mean ----------------------------------------------------------------------------


def _asked_to_wait(answer: Answer) -> float | None:
    code = _error_code(answer)
    if answer.status == 400 and code == "UNABLE_TO_LOCK_ROW":
        return 0.5
    return LIMIT_SECONDS if answer.status == 403 and code == "REQUEST_LIMIT_EXCEEDED" else None


def _is_gone(answer: Answer) -> bool:
    """Say whether a 404 is about the record; one about the external id field says so."""
    try:
        error = answer.json()[0]
        code, message = str(error["errorCode"]), str(error.get("message"))
    except (UpstreamError, LookupError, TypeError, AttributeError):
        return False
    return code in ("NOT_FOUND", "ENTITY_IS_DELETED") and "external ID field" not in message


def _check(answer: Answer, effects: Effects) -> None:
    if _usage(answer) > 0.9:
        effects.warn("salesforce_api_usage_high")
    if answer.is_success:
        return
    code = _error_code(answer)
    if code in _KNOWN_ALREADY:
        effects.warn("salesforce_duplicate")
        return
    if answer.status in (404, 410):
        message = f"Salesforce has no such object, external id field or version: {code}"
        raise UpstreamError(answer.service, message, status=answer.status, code="misconfigured")
    if answer.status == 400:
        raise UpstreamError(
            answer.service,
            f"Salesforce refused the lead: {code}",
            status=answer.status,
            code=f"salesforce_{code.lower()}"[:64],
        )
    raise answer.refusal()


def _error_code(answer: Answer) -> str:
    """Return the code of the first error, such as REQUIRED_FIELD_MISSING; no text of Salesforce."""
    if answer.is_success:
        return ""
    try:
        code = str(answer.json()[0]["errorCode"])
    except (UpstreamError, LookupError, TypeError):
        return str(answer.status)
    return code if re.fullmatch(r"[A-Z][A-Z_]{1,50}", code) else str(answer.status)


def _usage(answer: Answer) -> float:
    """Return the used part of the day's calls, as ``Sforce-Limit-Info: api-usage=18/15000``."""
    found = re.search(r"api-usage=(\d+)/(\d+)", answer.headers.get("Sforce-Limit-Info", ""))
    return int(found[1]) / int(found[2]) if found and int(found[2]) else 0.0
