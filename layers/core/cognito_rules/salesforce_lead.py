"""A person as a Salesforce lead: what the rules that make leads send, and what the answers mean.

Source: Salesforce, REST API Developer Guide ("Insert or Update (Upsert) a Record Using an External
ID" with ``updateOnly``, "Status Codes and Error Responses", "Assignment Rule Header", "Duplicate
Rule Header").
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import quote

from cognito_rules.effects import Effects
from cognito_rules.errors import ConfigurationError, SecretError, UpstreamError
from cognito_rules.http import AFTER_LOGIN, Answer, Budget, encode, send
from cognito_rules.login import Login
from cognito_rules.manifest import Manifest
from cognito_rules.people import check_cutoff, is_account_older, unknown_person
from cognito_rules.salesforce_answers import (
    asked_to_wait,
    check_answer,
    is_gone,
    new_record_id,
)
from cognito_rules.salesforce_token import authorization, check_authorization, org_endpoint

# A token, a write or an update with the write after it, and a note have to fit into the rule's
# time; a call may get another token.
WRITE = AFTER_LOGIN.within(8.0)
ONE_OF_TWO = AFTER_LOGIN.within(4.0)
NOTE = AFTER_LOGIN.within(1.0)

OLDEST_VERSION = 41
# Summer '24: the first in which an update makes no record.
OLDEST_WITH_UPDATES = 61

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
_PLACEHOLDER = re.compile(r"\{([a-z_]*)\}")
_PLACEHOLDERS = ("application", "connection", "date")


def send_lead(login: Login, effects: Effects, *, sources: Collection[str] = ()) -> None:
    """Create the person's record or, with ``update_existing``, bring it up to date.

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
    try:
        if settings["update_existing"] and _update(login, effects):
            return
        _create(login, effects, sources)
    except (SecretError, UpstreamError) as error:
        if settings["notify_slack"] != "none" and not error.retryable:
            _note(login, effects, f"Salesforce: a lead was not made ({error.code}).")
        raise


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
        raise unknown_person(org_endpoint(settings, "/").host)
    answer = _send(login, "DELETE", _path(login), None, WRITE)
    if answer.status == 404 and is_gone(answer):
        return
    check_answer(answer, Effects(), is_deletion=True)


def check_lead(configuration: dict[str, Any], manifest: Manifest) -> None:
    """Refuse fields that the rule may not read, and what Salesforce retired."""
    for setting in ("fields", "enriched_fields"):
        for field, path in configuration.get(setting, {}).items():
            if not manifest.can_read(path):
                raise ConfigurationError(f"{setting}.{field}: this rule does not read {path}")
    version = float(configuration["api_version"])
    if version < OLDEST_VERSION:
        raise ConfigurationError(
            f"api_version {configuration['api_version']}: Salesforce retired versions up to 30 in "
            f"Summer '22, and those up to 40 follow: use {OLDEST_VERSION}.0 or later"
        )
    if configuration["update_existing"] and not configuration["external_id_field"]:
        raise ConfigurationError(
            "update_existing needs external_id_field: nothing else tells which record is whose"
        )
    if configuration["update_existing"] and version < OLDEST_WITH_UPDATES:
        raise ConfigurationError(
            f"update_existing needs api_version {OLDEST_WITH_UPDATES}.0 or later, which can update "
            "without making a record"
        )
    for name in _PLACEHOLDER.findall(configuration["description"]):
        if name not in _PLACEHOLDERS:
            raise ConfigurationError(f"description: there is no placeholder {{{name}}}")
    check_cutoff(configuration)
    check_authorization(configuration)


def _update(login: Login, effects: Effects) -> bool:
    """Bring a record up to date that is there; False when one is to be made.

    Only what the person is known by is written: a company that is a guess, a source and a
    description of the sign-up would replace what somebody in sales has typed since.
    """
    known = _fitting_all({**_known_names(login), **_mapped(login)})
    answer = _send(login, "PATCH", _path(login) + "?updateOnly=true", known, ONE_OF_TWO)
    # A wrong object or external id field is NOT_FOUND as well: the write after this one says so.
    if answer.status == 404:
        if login.at("user.app_metadata.recordedAsLead", None):
            # Their lead was made before the move, without this external id; another is not wanted.
            effects.warn("lead_without_external_id")
            return True
        return False
    check_answer(answer, effects)
    return True


def _create(login: Login, effects: Effects, sources: Collection[str]) -> None:
    settings = login.configuration
    answers = {source: login.at(f"user.enrichment.{source}", {}) for source in sources}
    is_found = any(answer.get("status") == "found" for answer in answers.values())
    if sources and not is_found and not settings["lead_without_enrichment"]:
        effects.warn("skipped_no_enrichment")
        return
    budget = ONE_OF_TWO if settings["update_existing"] else WRITE
    method = "PATCH" if settings["external_id_field"] else "POST"
    record = _record(login, answers)
    answer = _send(login, method, _path(login), record, budget, creates=True)
    check_answer(answer, effects)
    if settings["notify_slack"] == "all" and (record_id := new_record_id(answer)):
        # Where to look, not who it is: Salesforce decides who may see that.
        _note(login, effects, f"New {settings['object'].lower()}: {_page(settings, record_id)}")


def _path(login: Login) -> str:
    settings = login.configuration
    # The version's place in the path is checked by the setting's pattern.
    path = f"/services/data/v{settings['api_version']}/sobjects/{settings['object']}"
    if not settings["external_id_field"]:
        return path
    # Never the address: with some ends of it, Salesforce takes the path for another one.
    name = quote(str(login.user.user_id), safe="")
    return f"{path}/{settings['external_id_field']}/{name}"


# What is sent ------------------------------------------------------------------------------------


def _record(login: Login, answers: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    settings = login.configuration
    first, last = _names(login)
    record: dict[str, Any] = {"FirstName": first, "LastName": last, **_mapped(login)}
    # What the person typed stays: an answer of somebody else fills gaps only.
    for field, path in settings.get("enriched_fields", {}).items():
        record[field] = record.get(field) or login.at(path, None)
    if settings["object"] == "Lead":
        record["Company"] = record.get("Company") or settings["default_company"]
    record["LeadSource"] = settings["lead_source"]
    record["Description"] = _description(login, answers)
    return _fitting_all(record)


def _mapped(login: Login) -> dict[str, Any]:
    return {
        field: _plain(login.at(path, None)) for field, path in login.configuration["fields"].items()
    }


def _plain(value: Any) -> Any:
    """Return a text or number; None for what Salesforce refuses, as people's metadata may hold."""
    if isinstance(value, str):
        return value.strip()
    return value if isinstance(value, (int, float)) else None


def _known_names(login: Login) -> dict[str, Any]:
    """Return first and last name where both are the person's own, and no guess."""
    first, last = _own_names(login)
    return {"FirstName": first, "LastName": last} if last else {}


def _own_names(login: Login) -> tuple[str, str]:
    return (login.user.given_name or "").strip(), (login.user.family_name or "").strip()


def _names(login: Login) -> tuple[str, str]:
    """Return first and last name; Salesforce takes nobody without a last name."""
    user = login.user
    given, family = _own_names(login)
    if family:
        return given, family
    email = user.email or ""
    words = "" if user.name == email or "@" in (user.name or "") else user.name or ""
    *first, last = words.split() or [""]
    if last and last != given:
        return given or " ".join(first), last
    return given, email.partition("@")[0] or UNKNOWN_NAME


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


def _fitting_all(record: Mapping[str, Any]) -> dict[str, Any]:
    return {field: _fitting(field, value) for field, value in record.items() if value}


def _fitting(field: str, value: Any) -> Any:
    text = str(value) if field in LENGTHS else value
    return text.strip()[: LENGTHS.get(field, 255)].rstrip() if isinstance(text, str) else text


def _send(
    login: Login,
    method: str,
    path: str,
    record: dict[str, Any] | None,
    budget: Budget,
    *,
    creates: bool = False,
) -> Answer:
    settings = login.configuration
    # An assignment rule would give a record to another owner at each update.
    assigns = settings["auto_assign"] if creates else "false"
    return send(
        method,
        org_endpoint(settings, path),
        b"" if record is None else encode(record),
        budget=budget,
        headers={
            "Sforce-Auto-Assign": assigns.upper() if assigns in ("true", "false") else assigns,
            "Sforce-Duplicate-Rule-Header": (
                f"allowSave={str(settings['allow_duplicate_save']).lower()}"
            ),
        },
        authorize=lambda refresh: authorization(login, refresh),
        repeatable=method != "POST",
        busy=asked_to_wait,
        about={"login_id": login.event.id or None},
    )


def _note(login: Login, effects: Effects, text: str) -> None:
    """Tell the channel, best effort: the lead is what counts, and alarms tell of errors too."""
    from cognito_rules.slack import post_message

    try:
        post_message(
            lambda refresh: login.secret("SLACK_WEBHOOK_URL", refresh=refresh),
            text,
            f"{login.event.occurred_at} {login.event.id}",
            stand_in=login.configuration["stand_in"],
            budget=NOTE,
            login_id=login.event.id or None,
        )
    except (SecretError, UpstreamError):
        effects.warn("slack_note_lost")


def _page(settings: Mapping[str, Any], record_id: str) -> str:
    return f"https://{settings['my_domain']}.my.salesforce.com/{record_id}"
