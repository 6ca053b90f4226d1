"""What Salesforce's answers mean to the rules that make leads.

Source: Salesforce, REST API Developer Guide, "Status Codes and Error Responses" and "Limit Info
Header".
"""

from __future__ import annotations

import re

from cognito_rules.effects import Effects
from cognito_rules.errors import UpstreamError
from cognito_rules.http import Answer

# The allowance is counted over the last 24 hours.
LIMIT_SECONDS = 3600.0
# The person is there already: as another lead, or as what a lead became.
_KNOWN_ALREADY = frozenset({"DUPLICATES_DETECTED", "CANNOT_UPDATE_CONVERTED_LEAD"})


def asked_to_wait(answer: Answer) -> float | None:
    """Return after how many seconds Salesforce may take what it does not take now."""
    code = _error_code(answer)
    if answer.status == 400 and code == "UNABLE_TO_LOCK_ROW":
        return 0.5
    return LIMIT_SECONDS if answer.status == 403 and code == "REQUEST_LIMIT_EXCEEDED" else None


def is_gone(answer: Answer) -> bool:
    """Say whether a 404 is about the record; one about the external id field says so."""
    try:
        error = answer.json()[0]
        code, message = str(error["errorCode"]), str(error.get("message"))
    except (UpstreamError, LookupError, TypeError, AttributeError):
        return False
    return code in ("NOT_FOUND", "ENTITY_IS_DELETED") and "external ID field" not in message


def check_answer(answer: Answer, effects: Effects, *, is_deletion: bool = False) -> None:
    """Raise UpstreamError unless Salesforce took the record, or has the person already."""
    if _usage(answer) > 0.9:
        effects.warn("salesforce_api_usage_high")
    if answer.is_success:
        return
    code = _error_code(answer)
    if code in _KNOWN_ALREADY and not is_deletion:
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


def new_record_id(answer: Answer) -> str:
    """Return the id of a record that was just made; "" for one that was there."""
    made = answer.fields()
    record_id = str(made.get("id") or "")
    is_new = answer.status == 201 and re.fullmatch(r"[A-Za-z0-9]{15,18}", record_id)
    return record_id if is_new else ""


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
