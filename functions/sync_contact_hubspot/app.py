"""Make each person a HubSpot contact once, and if wished a member of a list."""

import re
from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.http import AFTER_LOGIN, Answer, Budget, Endpoint, code_of, encode, send
from cognito_rules.people import check_cutoff, is_account_older, unknown_person

HOST = "api.hubapi.com"

# Contact, look-up and list have to fit into the rule's time.
CONTACT = AFTER_LOGIN.within(4.5)
LOOK_UP = AFTER_LOGIN.within(2.0)
LIST = AFTER_LOGIN.within(4.5)

# What a 429 calls the limit that was hit -> seconds until it can be over. A day's limit is asked
# about again after half a day: HubSpot counts days by the account's own time zone.
WAITS = {"SECONDLY": 1.0, "TEN_SECONDLY_ROLLING": 10.0, "DAILY": 12 * 3600.0}


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Create the contact, or find the one that has the address, and put it on the list.

    Once for each person, for ever, is promised by the delivery. Both steps can be repeated without
    harm: HubSpot has one contact for an address, and a list holds a contact once. So a delivery
    that failed at the list finds the contact again, changes nothing in it, and goes on.

    Reads:  ``login.user`` (user_id, email, which is verified or unknown, given_name, family_name,
            created_at), ``login.client.name``, ``login.connection.name``, ``login.event``.
    Writes: nothing.
    Source: Auth0 rules, "create-new-contact-add-to-contact-list-hubspot"; HubSpot docs, "CRM API,
            Contacts", "CRM API, Lists", "API usage guidelines" (429).
    """
    settings = login.configuration
    if is_account_older(login, settings["sign_up_cutoff"]):
        effects.warn("account_older_than_cutoff")
        return
    record_id = _upsert(login) if settings["overwrite"] else _create(login) or _find(login)
    effects.remember_as(record_id)
    if settings["list_id"]:
        _add_to_list(login, record_id)


@rule.forget
def forget(login: Login, effects: Effects) -> None:
    """Delete the contact for good, with all that HubSpot holds of them.

    Known by the id that HubSpot gave, by the property that takes the user id, or by the address,
    which HubSpot then blocks from being used again when there is no such contact.

    Reads:  ``login.user`` (known_as, user_id, email, which is verified or unknown,
            app_metadata.hubSpotContactId).
    Source: HubSpot docs, "Permanently delete a contact (GDPR-compliant)".
    """
    key = login.configuration["external_id_property"]
    imported = login.at("user.app_metadata.hubSpotContactId", None)
    record_id = login.user.known_as or imported or (key and _find_by(login, key))
    if record_id:
        wanted = {"objectId": str(record_id)}
    elif login.user.email:
        wanted = {"objectId": login.user.email, "idProperty": "email"}
    else:
        raise unknown_person(HOST)
    answer = _call(login, "POST", f"{_contacts(login)}/gdpr-delete", wanted, budget=CONTACT)
    if answer.status != 404:
        _check(answer)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse properties that the rule may not read, and an upsert that HubSpot does not do."""
    for name, path in configuration["properties"].items():
        if not rule.manifest.can_read(path):
            raise ConfigurationError(f"properties.{name}: this rule does not read {path}")
    if "email" not in configuration["properties"]:
        raise ConfigurationError("properties.email is missing: it is what HubSpot tells people by")
    if configuration["overwrite"] and not configuration["external_id_property"]:
        raise ConfigurationError(
            "overwrite needs external_id_property: HubSpot changes a part of a contact "
            "only by a unique property of your own"
        )
    check_cutoff(configuration)
    _endpoint(configuration, "/")


def _endpoint(settings: dict[str, Any], path: str) -> Endpoint:
    return vendor_endpoint(HOST, path, stand_in=settings["stand_in"])


def _call(login: Login, method: str, path: str, value: Any, *, budget: Budget) -> Answer:
    def authorize(refresh: bool) -> dict[str, str]:
        return {"Authorization": f"Bearer {login.secret('HUBSPOT_ACCESS_TOKEN', refresh=refresh)}"}

    return send(
        method,
        _endpoint(login.configuration, path),
        encode(value),
        budget=budget,
        authorize=authorize,
        repeatable=True,
        busy=_asked_to_wait,
        about={"login_id": login.event.id or None},
    )


def _contacts(login: Login) -> str:
    return f"/crm/objects/{login.configuration['api_version']}/contacts"


def _properties(login: Login) -> dict[str, Any]:
    settings = login.configuration
    chosen = {name: login.at(path) for name, path in settings["properties"].items()}
    chosen["hs_legal_basis"] = settings["legal_basis"]
    if settings["external_id_property"]:
        chosen[settings["external_id_property"]] = login.user.user_id
    # An empty text would erase what somebody in sales has typed.
    return {name: value for name, value in chosen.items() if value}


def _create(login: Login) -> str | None:
    """Return the id of a new contact or, from what HubSpot says, of the one that is there."""
    contact = {"properties": _properties(login)}
    answer = _call(login, "POST", _contacts(login), contact, budget=CONTACT)
    if answer.status == 409:
        found = re.search(r"Existing ID: *([0-9]+)", str(answer.fields().get("message")))
        return found[1] if found else None
    _check(answer)
    return _id_of(answer, answer.json())


def _find(login: Login) -> str:
    """Return the id of the contact that has the address; asked by POST, to keep it out of URLs."""
    wanted = {
        "idProperty": "email",
        "inputs": [{"id": login.user.email}],
        "properties": ["email"],
    }
    answer = _call(login, "POST", f"{_contacts(login)}/batch/read", wanted, budget=LOOK_UP)
    _check(answer)
    return _id_of(answer, _first_result(answer))


def _find_by(login: Login, key: str) -> str | None:
    """Return the id of the contact with the user id in the property ``key``, None without one."""
    wanted = {"idProperty": key, "inputs": [{"id": login.user.user_id}], "properties": [key]}
    answer = _call(login, "POST", f"{_contacts(login)}/batch/read", wanted, budget=LOOK_UP)
    _check(answer)
    found = _first_result(answer)
    return None if found is None else _id_of(answer, found)


def _upsert(login: Login) -> str:
    key = login.configuration["external_id_property"]
    contact = {
        "idProperty": key,
        "id": login.user.user_id,
        "properties": _properties(login),
        "objectWriteTraceId": login.event.id,
    }
    path = f"{_contacts(login)}/batch/upsert"
    answer = _call(login, "POST", path, {"inputs": [contact]}, budget=CONTACT)
    _check(answer)
    body = answer.fields()
    if answer.status == 207 and body.get("errors"):
        raise _rejection(answer, body["errors"][0])
    return _id_of(answer, _first_result(answer))


def _add_to_list(login: Login, record_id: str) -> None:
    settings = login.configuration
    path = f"/crm/lists/{settings['api_version']}/{settings['list_id']}/memberships/add"
    answer = _call(login, "PUT", path, [record_id], budget=LIST)
    if answer.status in (400, 404):
        hint = "only manual and snapshot lists take members, and ids of the old API have changed"
        message = f"HubSpot puts nobody on the list {settings['list_id']}: {hint}"
        raise UpstreamError(answer.service, message, status=answer.status, code="misconfigured")
    _check(answer)
    if record_id in map(str, answer.fields().get("recordIdsMissing") or ()):
        message = "HubSpot does not find the contact yet"
        raise _later(answer, message, code="hubspot_contact_missing")


def _asked_to_wait(answer: Answer) -> float | None:
    return WAITS.get(str(answer.fields().get("policyName"))) if answer.status == 429 else None


def _check(answer: Answer) -> None:
    """Raise what an answer means that is no success; a category says why HubSpot refuses."""
    if answer.is_success:
        return
    if answer.status in (400, 409, 422):
        raise _rejection(answer, answer.fields())
    raise answer.refusal()


def _rejection(answer: Answer, error: Any) -> UpstreamError:
    category = str(error.get("category") or "") if isinstance(error, dict) else ""
    code = code_of(category)
    return UpstreamError(
        answer.service,
        f"HubSpot refused the contact: {category or answer.status}",
        status=answer.status,
        code=f"hubspot_{code or answer.status}",
    )


def _later(answer: Answer, message: str, *, code: str) -> UpstreamError:
    return UpstreamError(answer.service, message, status=answer.status, retryable=True, code=code)


def _id_of(answer: Answer, record: Any) -> str:
    record_id = record.get("id") if isinstance(record, dict) else None
    if not isinstance(record_id, (int, str)) or not record_id:
        raise _later(answer, "the answer names no contact", code="upstream_protocol")
    return str(record_id)


def _first_result(answer: Answer) -> Any:
    results = answer.fields().get("results")
    return results[0] if isinstance(results, list) and results else None
