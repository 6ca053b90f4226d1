"""Record sign-ups, logins and refused logins in Splunk, one event each."""

from datetime import datetime
from typing import Any

from cognito_rules import Effects, Login, UpstreamError, lambda_rule
from cognito_rules.http import AFTER_LOGIN, Answer, Endpoint, encode, post


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Send one event to the HTTP Event Collector (HEC).

    HEC drops no duplicates: after a timeout an event may be recorded twice, with the same
    ``loginId``, so that a search can ``dedup loginId``.

    Reads:  ``login.event``, ``login.user`` (id, name), ``login.client``, ``login.connection.name``,
            ``login.request`` (ip, user_agent), ``login.transaction`` (protocol, user_pool_id),
            ``login.authentication.methods``. What is unknown is left out.
    Writes: nothing.
    Source: Auth0 rules, "splunk-HEC-track-event"; Splunk docs, "Format events for HTTP Event
            Collector" and "Troubleshoot HTTP Event Collector" (status codes).
    """

    def authorize(refresh: bool) -> dict[str, str]:
        return {"Authorization": f"Splunk {login.secret('SPLUNK_HEC_TOKEN', refresh=refresh)}"}

    answer = post(
        _endpoint(login.configuration),
        encode(_envelope(login)),
        budget=AFTER_LOGIN,
        authorize=authorize,
        refresh_on=(401, 403),
        repeatable=True,
        ca_bundle=login.configuration["ca_bundle"],
        about={"login_id": login.event.id or None},
    )
    _check(answer)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse an endpoint that may not be called."""
    _endpoint(configuration)


def _endpoint(settings: dict[str, Any]) -> Endpoint:
    return Endpoint.parse(
        settings["endpoint"].rstrip("/") + settings["path"],
        allowed_hosts=settings["allowed_hosts"],
        allow_private_network=settings["allow_private_network"],
    )


def _envelope(login: Login) -> dict[str, Any]:
    settings = login.configuration
    return _known(
        # When it happened, however late it is sent.
        time=round(datetime.fromisoformat(login.event.occurred_at).timestamp(), 3),
        host=settings["host"] or login.transaction.user_pool_id,
        source=settings["source"],
        sourcetype=settings["sourcetype"],
        index=settings["index"],
        event=_event(login),
        fields={"login_id": login.event.id},
    )


def _event(login: Login) -> dict[str, Any]:
    denied = login.event.type == "LoginDenied"
    message = "LoginDenied" if denied else "SignUp" if login.event.first_login else "Login"
    return _known(
        message=message,
        code=login.event.code if denied else None,
        application=login.client.name,
        clientId=login.client.client_id,
        clientIP=login.request.ip,
        userAgent=login.request.user_agent,
        protocol=login.transaction.protocol,
        userName=login.user.name,
        userId=login.user.user_id,
        connection=login.connection.name,
        methods=[method["name"] for method in login.authentication.methods or ()],
        loginId=login.event.id,
    )


def _known(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _check(answer: Answer) -> None:
    """Raise what the collector's status and code mean, unless it took the event.

    A busy collector (429, 500, 503) never comes here. Wrong tokens (401, 403) are for an operator,
    400 refuses this event for good; its code says why, such as 7 for an unknown index.
    """
    code = _code(answer)
    if answer.status == 400 and code is not None:
        message = f"the collector refused the event with code {code}"
        raise UpstreamError(answer.service, message, status=400, code=f"hec_{code}")
    if not answer.is_success:
        raise answer.refusal()
    if code != 0:
        raise UpstreamError(
            answer.service,
            "the answer is not that of an HTTP Event Collector",
            status=answer.status,
            retryable=True,
            code="upstream_protocol",
        )


def _code(answer: Answer) -> int | None:
    try:
        body = answer.json()
    except UpstreamError:
        return None
    code = body.get("code") if isinstance(body, dict) else None
    return code if isinstance(code, int) else None
