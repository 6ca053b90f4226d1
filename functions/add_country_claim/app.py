"""Tell the application the country and time zone that a login comes from."""

from typing import Any

from cognito_rules import ConfigurationError, Effects, Login, claim_name, lambda_rule

_REMEMBERED = "last_place"
_REFRESH = "oauth2-refresh-token"
_FIELDS = frozenset(
    {
        "country_code",
        "country_name",
        "continent_code",
        "city_name",
        "latitude",
        "longitude",
        "time_zone",
    }
)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set a claim for each field of the place that is known; never a reason to decide anything.

    A refresh carries no address. With ``last_known`` the values of the last login are kept in the
    person's app_metadata, written when they change, and shown again.

    Reads:  ``login.request.geoip`` (of a signed address), ``login.transaction.protocol``,
            ``login.user.app_metadata.last_place``.
    Writes: ``set_claim`` on the ID token; ``set_app_metadata`` for ``last_place``.
    Source: Auth0 rules, "add-country".
    """
    settings = login.configuration
    remembers = settings["on_refresh"] == "last_known"
    kept = (login.user.app_metadata or {}).get(_REMEMBERED)
    if login.transaction.protocol == _REFRESH:
        place = kept if remembers and isinstance(kept, dict) else {}
    else:
        wanted = settings["fields"].values()
        place = {
            field: value
            for field, value in (login.request.geoip or {}).items()
            if field in wanted and value not in (None, "")
        }
        if remembers and place and place != kept:
            effects.set_app_metadata(_REMEMBERED, place)
    for claim, field in settings["fields"].items():
        effects.set_claim("id", claim_name(settings["namespace"], claim), place.get(field))


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a missing namespace and fields that no database has."""
    claims(configuration)
    for claim, field in configuration["fields"].items():
        if field not in _FIELDS:
            raise ConfigurationError(
                f"fields.{claim}: {field!r} is none of {', '.join(sorted(_FIELDS))}"
            )


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    return [
        ("id", claim_name(configuration["namespace"], claim)) for claim in configuration["fields"]
    ]
