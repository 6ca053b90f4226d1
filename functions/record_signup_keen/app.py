"""Record each sign-up as one event in a collection of Keen."""

from typing import Any

from cognito_rules import Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.http import AFTER_LOGIN, Answer, Endpoint, encode, post
from cognito_rules.people import check_cutoff, is_account_older

HOST = "api.keen.io"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Send one event for a person who signed up, whichever is told of first: the confirmed sign-up,
    or the first login of an account that somebody else made.

    Once for each person, for ever, is promised by the delivery. Keen drops no duplicates: after a
    timeout an event may be there twice, with the same ``event_id``, so count its distinct values.

    Reads:  ``login.event``, ``login.user`` (user_id, created_at), ``login.client.name``,
            ``login.connection.name``, ``login.request.ip`` (sent only with ``send_ip``).
            What is unknown is left out.
    Writes: nothing.
    Source: Auth0 rules, "send-events-keenio"; Keen docs, "Record a single event" (answers 201).
    """
    if not login.event.first_login:
        return
    if is_account_older(login, login.configuration["sign_up_cutoff"]):
        effects.warn("account_older_than_cutoff")
        return

    def authorize(refresh: bool) -> dict[str, str]:
        return {"Authorization": login.secret("KEEN_WRITE_KEY", refresh=refresh)}

    answer = post(
        _endpoint(login.configuration),
        encode(_event(login)),
        budget=AFTER_LOGIN,
        authorize=authorize,
        repeatable=True,
        about={"login_id": login.event.id or None},
    )
    _check(answer)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a day that is none, and a stand-in."""
    check_cutoff(configuration)
    _endpoint(configuration)


def _endpoint(settings: dict[str, Any]) -> Endpoint:
    path = f"/3.0/projects/{settings['project_id']}/events/{settings['collection']}"
    return vendor_endpoint(HOST, path, stand_in=settings["stand_in"])


def _event(login: Login) -> dict[str, Any]:
    facts = {
        "userId": login.user.user_id,
        "application": login.client.name,
        "connection": login.connection.name,
        "ip": login.configuration["send_ip"] and login.request.ip,
        "signed_up_at": login.event.occurred_at,
        "event_id": login.event.id,
    }
    known = {name: value for name, value in facts.items() if value}
    # Keen would put the time of its arrival there.
    return known | {"keen": {"timestamp": login.event.occurred_at}}


def _check(answer: Answer) -> None:
    """Raise unless Keen took the event; a project that is not there can be repaired."""
    if answer.is_success:
        return
    if answer.status == 404:
        message = "Keen knows no such project"
        raise UpstreamError(answer.service, message, status=404, code="misconfigured")
    raise answer.refusal()
