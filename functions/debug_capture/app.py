"""Keep a picture of what a rule could see of a login, for a developer to look at."""

from datetime import UTC, datetime, timedelta
from typing import Any

from cognito_rules import UNKNOWN, ConfigurationError, Effects, Login, lambda_rule
from cognito_rules.captures import function_captures
from cognito_rules.errors import StoreError
from cognito_rules.login import parse_time

LONGEST = timedelta(hours=24)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Write the listed fields into the capture store of this stack; nothing leaves the account.

    ``cognito-rules captures`` prints a capture as an event that ``cognito-rules try`` takes. A
    field that the login does not know is a null in it.

    Reads:  what ``fields`` lists.
    Writes: an item in the table of sessions; no effect.
    Source: Auth0 rules, "requestbin"; Auth0 docs, security bulletin of 2019-01-10 (a login's
            tokens at a debugging service).
    """
    settings = login.configuration
    if login.now >= parse_time(settings["enabled_until"]):
        # An operator reads it in the trace of every login until the entry is gone.
        effects.warn("debug_capture_expired")
        return
    if settings["only_sub"] not in (None, login.user.user_id):
        return
    try:
        function_captures().record(_picture(login), at=login.now, keep_hours=settings["keep_hours"])
    except StoreError:
        effects.warn("debug_capture_failed")


def _picture(login: Login) -> dict[str, Any]:
    """Return section -> field -> value of what is listed; a path may lead into a map."""
    picture: dict[str, Any] = {}
    for path in login.configuration["fields"]:
        *parents, name = path.split(".")
        place = picture
        for parent in parents:
            place = place.setdefault(parent, {})
        value = login.at(path)
        place[name] = None if value is UNKNOWN else value
    return picture


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse production, an end that is too far away, and what must never be captured."""
    if configuration["stage"] == "prod":
        raise ConfigurationError(
            "debug_capture does not run in production: take the entry out of the chain, "
            "or deploy with DeploymentStage=dev or test"
        )
    try:
        end = parse_time(configuration["enabled_until"])
    except (TypeError, ValueError):
        raise ConfigurationError("enabled_until must be a time like 2026-11-23T18:00:00Z") from None
    if end - datetime.now(UTC) > LONGEST:
        raise ConfigurationError("enabled_until is more than 24 hours ahead")
    fields = configuration["fields"]
    for path in fields:
        if not rule.manifest.can_read(path):
            raise ConfigurationError(f"fields: {path} is not captured by this rule")
        if any(other.startswith(f"{path}.") for other in fields):
            raise ConfigurationError(f"fields: {path} holds another one of them")
