"""Track each login, and if wished each sign-up, as an event in Mixpanel."""

from datetime import datetime
from hashlib import sha256
from typing import Any
from urllib.parse import quote

from cognito_rules import ConfigurationError, Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.http import (
    AFTER_LOGIN,
    Answer,
    Endpoint,
    basic_credentials,
    code_of,
    encode,
    post,
)
from cognito_rules.people import person_id

# A project's data live in one of these places.
HOSTS = {"us": "api.mixpanel.com", "eu": "api-eu.mixpanel.com", "in": "api-in.mixpanel.com"}
DELETION_HOSTS = {"us": "mixpanel.com", "eu": "eu.mixpanel.com", "in": "in.mixpanel.com"}

# Ids that Mixpanel takes for nobody, in any case of letters.
NOBODY = frozenset(
    {
        *("anon", "anonymous", "nil", "none", "null", "n/a", "na", "undefined", "unknown"),
        *("0", "-1", "true", "false", "[]", "{}", "00000000-0000-0000-0000-000000000000"),
    }
)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Import one event for the login, and one more for a sign-up.

    Mixpanel drops an event that it has: the same name, time, person and ``$insert_id``. All four
    come from the login, so a repeated delivery is not counted twice.

    Reads:  ``login.event``, ``login.user`` (user_id, app_metadata.legacy_user_id),
            ``login.client``, ``login.connection.name``, ``login.stats.logins_count``,
            ``login.authentication.methods``, ``login.transaction.protocol``, ``login.request.ip``
            (sent only with ``send_ip``). What is unknown is left out.
    Writes: nothing.
    Source: Auth0 rules, "mixpanel-track-event"; Mixpanel docs, "Import Events" and "Track Events"
            (refused ids, ``ip``).
    """
    person = person_id(login, login.configuration["distinct_id"])
    if not person or person.lower() in NOBODY:
        effects.warn("mixpanel_takes_this_id_for_nobody")
        return
    events = [_event(login, person, name) for name in _names(login)]

    def authorize(refresh: bool) -> dict[str, str]:
        if login.configuration["auth_mode"] == "project_token":
            return basic_credentials(login.secret("MIXPANEL_PROJECT_TOKEN", refresh=refresh), "")
        user = login.secret("MIXPANEL_SERVICE_ACCOUNT_USERNAME", refresh=refresh)
        return basic_credentials(
            user, login.secret("MIXPANEL_SERVICE_ACCOUNT_SECRET", refresh=refresh)
        )

    answer = post(
        _endpoint(login.configuration),
        encode(events),
        budget=AFTER_LOGIN,
        authorize=authorize,
        repeatable=True,
        about={"login_id": login.event.id or None},
    )
    _check(answer)


@rule.forget
def forget(login: Login, effects: Effects) -> None:
    """Ask for the deletion of all that the project holds under the person's id; it takes weeks.

    Asked twice, Mixpanel makes two tasks of it, of which the second finds nothing.

    Reads:  ``login.user`` (user_id, app_metadata.legacy_user_id).
    Source: Mixpanel docs, "GDPR and CCPA API (v3)", Create Deletion.
    """
    person = person_id(login, login.configuration["distinct_id"])
    if not person or person.lower() in NOBODY:
        return  # of whom nothing was ever sent

    def authorize(refresh: bool) -> dict[str, str]:
        token = login.secret("MIXPANEL_GDPR_TOKEN", refresh=refresh)
        return {"Authorization": f"Bearer {token}"}

    project = quote(login.secret("MIXPANEL_PROJECT_TOKEN"), safe="")
    answer = post(
        vendor_endpoint(
            DELETION_HOSTS[login.configuration["region"]],
            f"/api/app/data-deletions/v3.0/?token={project}",
            stand_in=login.configuration["stand_in"],
        ),
        encode({"distinct_ids": [person], "compliance_type": "GDPR"}),
        budget=AFTER_LOGIN,
        authorize=authorize,
        repeatable=True,
        about={"login_id": login.event.id or None},
    )
    if not answer.is_success:
        raise answer.refusal()


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a missing project, and properties that the rule may not read."""
    if configuration["auth_mode"] == "service_account" and not configuration["project_id"]:
        raise ConfigurationError("project_id is missing: a service account may have many projects")
    for name, path in configuration["properties"].items():
        if not rule.manifest.can_read(path):
            raise ConfigurationError(f"properties.{name}: this rule does not read {path}")
    _endpoint(configuration)


def _endpoint(settings: dict[str, Any]) -> Endpoint:
    # strict: an event that is not right is refused, with the reason, and not dropped in silence.
    query = "strict=1"
    if settings["auth_mode"] == "service_account":
        query += f"&project_id={settings['project_id']}"
    host = HOSTS[settings["region"]]
    return vendor_endpoint(host, f"/import?{query}", stand_in=settings["stand_in"])


def _names(login: Login) -> list[str]:
    settings = login.configuration
    signed_up = settings["signup_event_name"] if login.event.first_login else None
    return [name for name in (signed_up, settings["event_name"]) if name]


def _event(login: Login, person: str, name: str) -> dict[str, Any]:
    settings = login.configuration
    chosen = {key: login.at(path, None) for key, path in settings["properties"].items()}
    # When it happened, however late it is sent: with another time it would be another event.
    at = datetime.fromisoformat(login.event.occurred_at)
    properties = {
        **{key: value for key, value in chosen.items() if value not in (None, "", [])},
        "time": round(at.timestamp() * 1000),
        "distinct_id": person,
        "$insert_id": sha256(f"{login.event.id}|{name}".encode()).hexdigest()[:36],
        # Never absent: Mixpanel would take the address of this function for the person's.
        "ip": (settings["send_ip"] and login.request.ip) or 0,
    }
    return {"event": name, "properties": properties}


def _check(answer: Answer) -> None:
    """Raise what Mixpanel's answer means, unless it took all events.

    400 names what is wrong with an event, and the good ones are in: it is never sent again.
    """
    if answer.status == 400:
        field = _failed_field(answer)
        message = f"Mixpanel refused the event: {field}"
        raise UpstreamError(answer.service, message, status=400, code=f"mixpanel_{field}")
    if not answer.is_success:
        raise answer.refusal()
    body = answer.json()
    if not isinstance(body, dict) or body.get("code") != 200:
        raise UpstreamError(
            answer.service,
            "the answer is not that of Mixpanel",
            status=answer.status,
            retryable=True,
            code="upstream_protocol",
        )


def _failed_field(answer: Answer) -> str:
    """Return the name of the field that Mixpanel complains of, as a part of a code."""
    try:
        field = answer.json()["failed_records"][0]["field"]
    except (UpstreamError, LookupError, TypeError):
        return "http_400"
    return code_of(str(field)) or "http_400"
