"""Add claims to tokens and change the scopes of the access token, without code."""

from typing import Any

from cognito_rules import (
    UNKNOWN,
    ConfigurationError,
    Effects,
    InvalidEffectError,
    Login,
    RuleError,
    claim_name,
    is_scope,
    lambda_rule,
)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set the configured claims, then keep, add, remove or replace scopes.

    A bad claim is left out with a warning, since a decoration never refuses a login. A fault of the
    whole rule does refuse it: with scopes left unreduced the token would grant too much.

    Reads:  ``login.user``, ``client``, ``connection``, ``authorization`` and
            ``transaction.audience``, as far as ``$paths`` name them;
            ``login.transaction.requested_scopes`` and ``scopes``.
    Writes: ``set_claim``, ``add_scope``, ``remove_scope``.
    Source: Auth0 docs, "Call your API using the Authorization Code Flow", sample use cases.
    """
    settings = login.configuration
    requested = login.transaction.requested_scopes or []
    if settings["when_scope"] is not None and settings["when_scope"] not in requested:
        return
    for token in ("id", "access"):
        for name, setting in settings[f"{token}_token_claims"].items():
            _set_claim(login, effects, token, name, setting)
    _change_scopes(login, effects)


def _set_claim(login: Login, effects: Effects, token: str, name: str, setting: Any) -> None:
    value = login.value_of(setting)
    if value is UNKNOWN:
        return
    try:
        effects.set_claim(token, _claim(login.configuration, name), value)
    except ConfigurationError:
        effects.warn("protected_claim")
    except InvalidEffectError as error:
        effects.warn(error.code)


def _claim(settings: dict[str, Any], name: str) -> str:
    unprefixed = name in settings["unprefixed"]
    return claim_name("" if unprefixed else settings["namespace"], name, unprefixed=unprefixed)


def _change_scopes(login: Login, effects: Effects) -> None:
    mode, values = login.configuration["scopes"]["mode"], login.configuration["scopes"]["values"]
    if mode == "replace":
        present = login.transaction.scopes
        if present is UNKNOWN:
            raise RuleError("the scopes of this login are unknown, so they cannot be replaced")
        protected = set(login.configuration["protected_scopes"])
        kept = {*values, *protected.intersection(login.transaction.requested_scopes or [])}
        for scope in present:
            if scope not in kept:
                effects.remove_scope(scope)
    if mode == "remove":
        for scope in values:
            effects.remove_scope(scope)
    if mode in ("add", "replace"):
        for scope in values:
            effects.add_scope(scope)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse illegal scopes, paths that the rule does not read, and names without a namespace."""
    for scope in (*configuration["scopes"]["values"], *configuration["protected_scopes"]):
        if not is_scope(scope):
            raise ConfigurationError(f"invalid_scope: {scope!r} is no scope")
    if (
        configuration["scopes"]["mode"] in ("add", "remove")
        and not (configuration["scopes"]["values"])
    ):
        raise ConfigurationError("scopes.values is empty, so there is nothing to add or remove")
    for token in ("id", "access"):
        for name, setting in configuration[f"{token}_token_claims"].items():
            if name not in configuration["unprefixed"] and ":" not in name:
                claim_name(configuration["namespace"], "any")
            is_path = isinstance(setting, str) and setting.startswith("$")
            if is_path and not setting.startswith("$$") and not rule.manifest.can_read(setting[1:]):
                raise ConfigurationError(f"{name}: the rule cannot read {setting}")


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims; a protected one stops the publication, and at a login is only left out."""
    return [
        (token, _claim(configuration, name))
        for token in ("id", "access")
        for name in configuration[f"{token}_token_claims"]
    ]
