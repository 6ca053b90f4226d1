"""Record sign-ups and logins in Segment, from where they reach every connected tool."""

from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from cognito_rules import Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.http import AFTER_LOGIN, Answer, Endpoint, basic_credentials, encode, post
from cognito_rules.login import format_time
from cognito_rules.people import person_id

# A workspace's data live in one of these places; Segment refuses what comes to the wrong one.
HOSTS = {"us": "api.segment.io", "eu": "events.eu1.segmentapis.com"}
PUBLIC_HOSTS = {"us": "api.segmentapis.com", "eu": "eu1.api.segmentapis.com"}

# Segment answers 200 and drops what is larger, so the limit is ours to keep.
MAX_EVENT_BYTES = 32 * 1024
NEVER_REPEATED = (501, 505)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Send one track call, before it an identify call of a sign-up if that is wished.

    Segment drops a message whose id it has seen in about a day, and warehouses do for longer. The
    id comes from pool, login and kind of event, so it is the same in every repetition and belongs
    to no other source: Segment compares ids across all of them.

    Reads:  ``login.event``, ``login.user`` (user_id, created_at, app_metadata.legacy_user_id),
            ``login.client.name``, ``login.connection.name``, ``login.transaction`` (user_pool_id,
            protocol), ``login.request`` (ip and user_agent, each sent only if wished).
            What is unknown is left out.
    Writes: nothing.
    Source: Auth0 rules, "send-events-segmentio"; Segment docs, "HTTP API" (limits, status codes,
            regions) and "Duplicate Data".
    """
    batch = [_identify(login), _track(login)] if _identifies(login) else [_track(login)]
    for message in batch:
        if len(encode(message)) >= MAX_EVENT_BYTES:
            raise UpstreamError(
                _endpoint(login.configuration).host,
                f"Segment takes no event of {MAX_EVENT_BYTES} bytes",
                code="event_too_large",
            )

    def authorize(refresh: bool) -> dict[str, str]:
        return basic_credentials(login.secret("SEGMENT_WRITE_KEY", refresh=refresh), "")

    # Segment subtracts timestamp from sentAt, so that an event sent late keeps its time. This
    # machine's clock decides nothing.
    envelope = {"batch": batch, "sentAt": format_time(datetime.now(UTC))}
    answer = post(
        _endpoint(login.configuration),
        encode(envelope),
        budget=AFTER_LOGIN,
        authorize=authorize,
        repeatable=True,
        busy=_asked_to_wait,
        about={"login_id": login.event.id or None},
    )
    _check(answer)


@rule.forget
def forget(login: Login, effects: Effects) -> None:
    """Ask for a regulation of the workspace, which Segment carries out within about a month.

    Asked twice, Segment makes two of them, of which the second finds nothing.

    Reads:  ``login.user`` (user_id, app_metadata.legacy_user_id).
    Source: Segment docs, "User Deletion and Suppression"; Public API, Create Workspace Regulation.
    """
    settings = login.configuration

    def authorize(refresh: bool) -> dict[str, str]:
        token = login.secret("SEGMENT_PUBLIC_API_TOKEN", refresh=refresh)
        return {"Authorization": f"Bearer {token}"}

    regulation = {
        "regulationType": settings["regulation"],
        "subjectType": "USER_ID",
        "subjectIds": [person_id(login, settings["user_id"])],
    }
    answer = post(
        vendor_endpoint(
            PUBLIC_HOSTS[settings["region"]], "/regulations", stand_in=settings["stand_in"]
        ),
        encode(regulation),
        budget=AFTER_LOGIN,
        authorize=authorize,
        repeatable=True,
        busy=_asked_to_wait,
        about={"login_id": login.event.id or None},
    )
    _check(answer)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a stand-in that is none."""
    _endpoint(configuration)


def _endpoint(settings: dict[str, Any]) -> Endpoint:
    host = HOSTS[settings["region"]]
    return vendor_endpoint(host, "/v1/batch", stand_in=settings["stand_in"])


def _identifies(login: Login) -> bool:
    return bool(login.configuration["identify_on_signup"] and login.event.first_login)


def _identify(login: Login) -> dict[str, Any]:
    traits = _known(createdAt=login.user.created_at, application=login.client.name)
    return _message(login, "identify", type="identify", traits=traits)


def _track(login: Login) -> dict[str, Any]:
    kind = "signup" if login.event.first_login else "login"
    properties = _known(
        application=login.client.name,
        connection=login.connection.name,
        protocol=login.transaction.protocol,
    )
    name = login.configuration["event_names"][kind]
    return _message(login, kind, type="track", event=name, properties=properties)


def _message(login: Login, kind: str, **fields: Any) -> dict[str, Any]:
    settings = login.configuration
    identity = f"{login.transaction.user_pool_id or ''}|{login.event.id}|{kind}"
    return {
        **fields,
        "userId": person_id(login, settings["user_id"]),
        "messageId": f"crs-{sha256(identity.encode()).hexdigest()}",
        "timestamp": login.event.occurred_at,
        **_known(
            # Segment takes no address of the sender for this one: absent means unknown.
            context=_known(
                ip=settings["send_context_ip"] and login.request.ip,
                userAgent=settings["send_user_agent"] and login.request.user_agent,
            ),
            integrations=settings["integrations"],
        ),
    }


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _asked_to_wait(answer: Answer) -> float | None:
    """Return the seconds until Segment's limit is reset, where it says so."""
    reset = answer.headers.get("X-RateLimit-Reset", "")
    if answer.status == 429 and reset.isdecimal():
        return float(reset)
    return None


def _check(answer: Answer) -> None:
    """Raise unless Segment received the batch, which is all that its 200 says."""
    if answer.is_success:
        return
    if answer.status == 460 or (answer.status >= 500 and answer.status not in NEVER_REPEATED):
        raise UpstreamError(
            answer.service,
            f"answered {answer.status}",
            status=answer.status,
            retryable=True,
            code="upstream_unavailable",
        )
    raise answer.refusal()
