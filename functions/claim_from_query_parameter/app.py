"""Turn a value that the application sends along with the sign-in into a claim."""

from typing import Any

from cognito_rules import UNKNOWN, ConfigurationError, Effects, Login, claim_name, lambda_rule

REFRESH = "oauth2-refresh-token"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set the claim that the parameter's value stands for, when it is one of the allowed.

    Whoever makes the request chooses the value: the claim says what was asked for, never who
    somebody is or what they may do. Managed login hands no parameters of its own to triggers, so
    ``request.query`` is known only where something in front of it vouches for it.

    Reads:  ``login.request`` (query, client_metadata), ``login.client.client_id``,
            ``login.transaction.protocol``, ``login.user.app_metadata.request_values``.
    Writes: ``set_claim`` on the ID token; with ``sticky``, ``app_metadata.request_values``.
    Source: Auth0 rules, "querystring".
    """
    settings = login.configuration
    given = _given(login, settings["parameter"])
    if settings["sticky"]:
        given = _kept(login, effects, given)
    if isinstance(given, str) and given in settings["allowed_values"]:
        effects.set_claim("id", settings["claim"], settings["allowed_values"][given])


def _given(login: Login, name: str) -> Any:
    """Return the parameter's value; UNKNOWN without one, and where it is there more than once."""
    sources = (login.request.query, login.request.client_metadata)
    found = [source[name] for source in sources if isinstance(source, dict) and name in source]
    if not found or not isinstance(found[0], str) or found != found[:1] * len(found):
        return UNKNOWN
    return found[0]


def _kept(login: Login, effects: Effects, given: Any) -> Any:
    """Return what counts now, and keep it: at a refresh the value of the sign-in before."""
    stored = login.at("user.app_metadata.request_values", {})
    kept = stored if isinstance(stored, dict) else {}
    client, name = str(login.client.client_id), login.configuration["parameter"]
    own = kept.get(client)
    mine = own if isinstance(own, dict) else {}
    if given is UNKNOWN and login.transaction.protocol == REFRESH:
        return mine.get(name, UNKNOWN)
    values = {key: value for key, value in mine.items() if key != name}
    # Only what is allowed is kept: the profile is no place for what a caller makes up.
    if given is not UNKNOWN and given in login.configuration["allowed_values"]:
        values[name] = given
    if values != mine:
        rest = {key: value for key, value in kept.items() if key != client}
        changed = {**rest, client: values} if values else rest
        effects.set_app_metadata("request_values", changed or None)
    return given


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse protected claims, short names, and a null, which would be no claim."""
    claims(configuration)
    for given, value in configuration["allowed_values"].items():
        if value is None:
            raise ConfigurationError(f"allowed_values.{given} is null: leave it out")


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claim that this configuration writes."""
    return [("id", claim_name("", configuration["claim"]))]
