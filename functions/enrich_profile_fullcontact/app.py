"""Ask FullContact about a person, for the rules that come after."""

from dataclasses import replace
from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, UpstreamError, lambda_rule
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.enrichment import keep_failed, keep_found, keep_pending, may_ask
from cognito_rules.errors import UpstreamTimeoutError
from cognito_rules.http import AFTER_LOGIN, Answer, Budget, Endpoint, encode, post
from cognito_rules.late_answers import callback_url

SOURCE = "fullcontact"
HOST = "api.fullcontact.com"
PATH = "/v3/person.enrich"

# Of these, and of a connection that was never made, FullContact says that nothing was looked up.
NOT_BILLED = (None, 429, 503)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Look the person up by address, unless an answer is kept, and keep the wished fields.

    Every call can be billed, and FullContact knows no duplicates. So one is repeated only when it
    surely was not made; after a timeout nothing is known of the person for a day. With
    ``use_webhook`` FullContact may also call with its answer (``cognito_rules.webhooks_door``).

    Reads:  ``login.user`` (user_id, email, which is verified or unknown, enrichment.fullcontact),
            ``login.event``.
    Writes: ``set_enrichment`` of the source ``fullcontact``; a count of the day's calls; with
            ``use_webhook`` what that call is to be known by.
    Source: Auth0 rules, "get-fullcontact-profile"; FullContact docs, "Person Enrich", "Webhooks",
            "Rate limits" (a request is delayed before it is refused with 429).
    """
    if not may_ask(login, effects, SOURCE):
        return
    try:
        answer = _ask(login)
    except UpstreamTimeoutError:
        if login.configuration["retry_after_timeout"]:
            raise
        effects.warn("fullcontact_timeout")
        keep_failed(effects, SOURCE)
        return
    except UpstreamError as error:
        if error.status in NOT_BILLED:
            raise
        effects.warn(f"fullcontact_http_{error.status}")
        keep_failed(effects, SOURCE)
        return
    settings = login.configuration
    if answer.status == 202 and settings["use_webhook"]:
        keep_pending(effects, SOURCE)
    elif answer.status == 202:
        # It would call back. Asking again may be billed, so nothing is known until tomorrow.
        effects.warn("fullcontact_queued")
        keep_failed(effects, SOURCE)
    elif answer.status == 404:
        keep_found(settings, effects, SOURCE, {})
    elif answer.status == 200:
        keep_found(settings, effects, SOURCE, _profile(answer))
    else:
        raise answer.refusal()


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a stand-in that is none, and answers that there is no endpoint for."""
    _endpoint(configuration)
    if configuration["use_webhook"] and not configuration["webhook_url"]:
        raise ConfigurationError(
            "use_webhook needs the endpoint that FullContact calls: deploy with "
            "EnableFullContactWebhook=true"
        )


def _endpoint(settings: dict[str, Any]) -> Endpoint:
    return vendor_endpoint(HOST, PATH, stand_in=settings["stand_in"])


def _ask(login: Login) -> Answer:
    settings = login.configuration
    budget = _budget(settings)
    asked = {"email": login.user.email, "confidence": settings["confidence"]}
    if settings["use_webhook"]:
        kept = {name: settings[name] for name in ("fields", "ttl_days")}
        asked["webhookUrl"] = callback_url(login, settings["webhook_url"], SOURCE, kept)
    try:
        return _post(login, budget, asked)
    except UpstreamError as error:
        if error.status != 429:
            raise
        # It was made to wait already, and may be repeated at once.
        return _post(login, budget, asked)


def _budget(settings: dict[str, Any]) -> Budget:
    seconds = settings["timeout_ms"] / 1000
    return replace(AFTER_LOGIN, seconds=seconds, read=seconds, tries=1)


def _post(login: Login, budget: Budget, asked: dict[str, Any]) -> Answer:
    settings = login.configuration

    def authorize(refresh: bool) -> dict[str, str]:
        return {"Authorization": f"Bearer {login.secret('FULLCONTACT_API_KEY', refresh=refresh)}"}

    reporting = {"Reporting-Key": settings["reporting_key"]} if settings["reporting_key"] else {}
    return post(
        _endpoint(settings),
        encode({name: value for name, value in asked.items() if value}),
        budget=budget,
        headers=reporting,
        authorize=authorize,
        repeatable=settings["retry_after_timeout"],
        about={"login_id": login.event.id or None},
    )


def _profile(answer: Answer) -> dict[str, Any]:
    """Return the profile in an answer, which was billed: nothing is asked for again."""
    try:
        profile = answer.json()
    except UpstreamError:
        return {}
    return profile if isinstance(profile, dict) else {}
