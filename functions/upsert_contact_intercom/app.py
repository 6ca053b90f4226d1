"""Keep each person as a contact in Intercom, with when they were last seen."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from cognito_rules import ConfigurationError, Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.http import AFTER_LOGIN, Answer, Budget, Endpoint, code_of, encode, send
from cognito_rules.people import person_id

# A workspace's data live in one of these places.
HOSTS = {"us": "api.intercom.io", "eu": "api.eu.intercom.io", "au": "api.au.intercom.io"}

# Four calls at most have to fit into the rule's time.
LOOK_UP = AFTER_LOGIN.within(2.5)
WRITE = AFTER_LOGIN.within(3.0)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Find the contact by its external id, create it or note when the person was seen.

    Nothing is remembered here: what Intercom says of the contact decides, so every delivery can be
    repeated. A contact that has the address and belongs to another external id is left alone.

    Reads:  ``login.event``, ``login.user`` (user_id, email, which is verified or unknown, name,
            created_at, app_metadata.legacy_user_id), ``login.client.name``,
            ``login.connection.name``.
    Writes: nothing.
    Source: Auth0 rules, "intercom-user"; Intercom docs, "Contacts" and "Rate limiting".
    """
    contact = _find(login)
    if contact is None:
        contact = _create(login)
        if contact is None:
            return
    if _was_seen_lately(login, contact):
        return
    changes: dict[str, Any] = {"last_seen_at": _seconds(login.event.occurred_at)}
    if not contact.get("external_id"):
        changes["external_id"] = _external_id(login)
    _check(_call(login, "PUT", f"/contacts/{quote(str(contact['id']), safe='')}", changes, WRITE))


@rule.forget
def forget(login: Login, effects: Effects) -> None:
    """Delete the contact with the person's external id; Intercom destroys it after seven days.

    Reads:  ``login.user`` (user_id, app_metadata.legacy_user_id).
    Source: Intercom docs, "Delete a contact".
    """
    contact = _find(login)
    if contact is None:
        return
    path = f"/contacts/{quote(str(contact['id']), safe='')}"
    answer = _call(login, "DELETE", path, None, WRITE)
    if answer.status != 404:
        _check(answer)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse attributes that the rule may not read, and a stand-in that is none."""
    for name, path in configuration["custom_attributes"].items():
        if not rule.manifest.can_read(path):
            raise ConfigurationError(f"custom_attributes.{name}: this rule does not read {path}")
    _endpoint(configuration, "/")


def _endpoint(settings: dict[str, Any], path: str) -> Endpoint:
    return vendor_endpoint(HOSTS[settings["region"]], path, stand_in=settings["stand_in"])


def _call(login: Login, method: str, path: str, value: Any, budget: Budget) -> Answer:
    def authorize(refresh: bool) -> dict[str, str]:
        token = login.secret("INTERCOM_ACCESS_TOKEN", refresh=refresh)
        return {"Authorization": f"Bearer {token}"}

    return send(
        method,
        _endpoint(login.configuration, path),
        b"" if value is None else encode(value),
        budget=budget,
        headers={
            "Accept": "application/json",
            "Intercom-Version": login.configuration["api_version"],
        },
        authorize=authorize,
        repeatable=True,
        busy=_asked_to_wait,
        about={"login_id": login.event.id or None},
    )


def _external_id(login: Login) -> str:
    return person_id(login, login.configuration["external_id"])


def _find(login: Login) -> dict[str, Any] | None:
    path = f"/contacts/find_by_external_id/{quote(_external_id(login), safe='')}"
    answer = _call(login, "GET", path, None, LOOK_UP)
    if answer.status == 404:
        return None
    _check(answer)
    return _contact(answer)


def _create(login: Login) -> dict[str, Any] | None:
    """Create the contact and return None, or return the one that has the address already."""
    created = login.user.created_at
    facts = {
        "role": "user",
        "external_id": _external_id(login),
        "email": login.user.email,
        "name": login.user.name,
        "signed_up_at": _seconds(created) if created else None,
        "last_seen_at": _seconds(login.event.occurred_at),
        "custom_attributes": _attributes(login),
    }
    known = {name: value for name, value in facts.items() if value}
    answer = _call(login, "POST", "/contacts", known, WRITE)
    if answer.status != 409:
        _check(answer)
        return None
    found = re.search(r"\bid=([0-9a-f]{8,64})\b", _error(answer).get("message") or "")
    if found is None:
        raise _rejection(answer, "conflict")
    answer = _call(login, "GET", f"/contacts/{found[1]}", None, LOOK_UP)
    _check(answer)
    contact = _contact(answer)
    if contact.get("external_id") not in (None, "", _external_id(login)):
        raise _rejection(answer, "conflict")
    return contact


def _attributes(login: Login) -> dict[str, Any]:
    chosen = login.configuration["custom_attributes"]
    found = {name: login.at(path, None) for name, path in chosen.items()}
    return {name: value for name, value in found.items() if value is not None}


def _was_seen_lately(login: Login, contact: dict[str, Any]) -> bool:
    """Say whether Intercom knows of a login shortly before this one, or after it."""
    seen = contact.get("last_seen_at")
    if not isinstance(seen, (int, float)) or not contact.get("external_id"):
        return False
    interval = int(login.configuration["min_interval_minutes"]) * 60
    return _seconds(login.event.occurred_at) < seen + interval


def _seconds(time: str) -> int:
    return int(datetime.fromisoformat(time).timestamp())


def _asked_to_wait(answer: Answer) -> float | None:
    """Return the seconds until Intercom's limit is reset, which it tells as a Unix time."""
    reset = answer.headers.get("X-RateLimit-Reset", "")
    if answer.status != 429 or not reset.isdecimal():
        return None
    return max(0.0, int(reset) - datetime.now(UTC).timestamp())


def _check(answer: Answer) -> None:
    if answer.is_success:
        return
    if answer.status in (400, 404, 409, 422):
        raise _rejection(answer, str(_error(answer).get("code") or answer.status))
    raise answer.refusal()


def _rejection(answer: Answer, code: str) -> UpstreamError:
    return UpstreamError(
        answer.service,
        f"Intercom refused the contact: {code}",
        status=answer.status,
        code="intercom_" + code_of(code),
    )


def _contact(answer: Answer) -> dict[str, Any]:
    contact = answer.fields()
    if not contact.get("id"):
        raise UpstreamError(
            answer.service,
            "the answer is no contact",
            status=answer.status,
            retryable=True,
            code="upstream_protocol",
        )
    return contact


def _error(answer: Answer) -> dict[str, Any]:
    errors = answer.fields().get("errors")
    first = errors[0] if isinstance(errors, list) and errors else None
    return first if isinstance(first, dict) else {}
