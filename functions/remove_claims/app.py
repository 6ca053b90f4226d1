"""Keep chosen attributes and claims out of the tokens."""

from fnmatch import fnmatchcase
from typing import Any

from cognito_rules import ConfigurationError, Effects, InvalidEffectError, Login, lambda_rule

_GROUPS = "cognito:groups"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Take each configured claim out of the tokens, whichever rule sets it.

    ``/oauth2/userInfo`` still answers with an attribute: take it out of the client's ReadAttributes
    too. Nested metadata never get into a token by themselves.

    Reads:  ``login.user.attributes``, for patterns.
    Writes: ``remove_claim`` on the tokens in ``targets``.
    Source: Auth0 rules, "remove-attributes".
    """
    settings = login.configuration
    names = dict.fromkeys(name for name in settings["claims"] if "*" not in name)
    for name in login.user.attributes or {}:
        if any(fnmatchcase(name, pattern) for pattern in settings["claims"] if "*" in pattern):
            names[name] = None
    for token in settings["targets"]:
        for name in names:
            try:
                effects.remove_claim(token, name)
            except InvalidEffectError:
                # A pattern such as * meets what Cognito itself puts into every token.
                continue


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse protected claims, and groups unless somebody says that they are meant."""
    trial = Effects(rule.manifest.writes)
    for name in configuration["claims"]:
        if name == _GROUPS and not configuration["confirm_groups"]:
            raise ConfigurationError(
                "claims: AWS roles leave the token with cognito:groups: "
                "write confirm_groups = true when this is meant"
            )
        if "*" in name:
            continue
        try:
            trial.remove_claim("id", name)
        except InvalidEffectError as error:
            raise ConfigurationError(f"claims: {name!r} cannot be removed") from error
