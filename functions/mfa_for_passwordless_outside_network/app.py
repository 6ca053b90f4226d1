"""Ask people who sign in with a texted or mailed code from outside for a second factor."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from cognito_rules import (
    UNKNOWN,
    Effects,
    Login,
    Network,
    is_in,
    lambda_rule,
    parse_address,
    parse_network,
)

# RFC 8176 and Cognito's words -> the channel that a code travels on.
_CHANNELS = {"sms": "sms", "sms_otp": "sms", "email": "email", "email_otp": "email"}
_PROVIDERS = ("totp", "webauthn", "sms", "email", "duo")
# Cognito's longest time for the steps of one sign-in (AuthSessionValidity).
_ONE_SIGN_IN = timedelta(minutes=15)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Require a second factor unless the person is inside a network, or proved one already.

    Until a flow can ask for the factor, the login is refused with ``mfa_required``. No trigger sees
    the codes of a native ``USER_AUTH`` sign-in: there ``on_unknown_method`` decides.

    Reads:  ``login.authentication.methods``, ``login.request.ip`` (known from a signed source
            only), ``login.transaction.prompt``, ``login.now``.
    Writes: ``require_mfa``; ``deny`` with code ``interaction_required`` or ``mfa_not_possible``.
    Source: Auth0 docs, "Sample use cases: rules with passwordless authentication"; Auth0, security
            bulletin of 2019-01-10.
    """
    settings = login.configuration
    methods = login.authentication.methods
    if methods is UNKNOWN:
        if settings["on_unknown_method"] == "skip":
            return
        used: set[str] = set()
    else:
        used = {channel for method in methods for channel in _channels(method)}
        if used.isdisjoint(settings["methods"]) or _has_second_factor(login, methods):
            return
    address = parse_address(login.request.ip)
    is_inside = address is not None and is_in(address, _networks(settings))
    if is_inside or (address is None and settings["on_unknown_ip"] == "skip"):
        return
    wanted = _PROVIDERS if settings["provider"] == "any" else (settings["provider"],)
    # A code to the same mailbox proves nothing new.
    possible = [name for name in wanted if not (settings["forbid_same_channel"] and name in used)]
    if not possible:
        effects.deny(settings["enrol_message"], code="mfa_not_possible", public_code="mfa_required")
    elif login.transaction.prompt == "none":
        effects.deny(
            settings["message"], code="interaction_required", public_code="interaction_required"
        )
    else:
        effects.require_mfa(possible, remember_device=settings["remember_device"])


def _channels(method: dict[str, Any]) -> Iterable[str]:
    return {
        _CHANNELS[word] for word in (method.get("name"), method.get("type")) if word in _CHANNELS
    }


def _has_second_factor(login: Login, methods: list[dict[str, Any]]) -> bool:
    """Say whether this sign-in, or a remembered device, holds another proof than one code."""
    current = [
        method
        for method in methods
        if login.configuration["remember_device"] or _is_of_this_sign_in(login, method)
    ]
    channels = {channel for method in current for channel in _channels(method)}
    return len(channels) > 1 or any(method.get("name") == "mfa" for method in current)


def _is_of_this_sign_in(login: Login, method: dict[str, Any]) -> bool:
    try:
        moment = datetime.fromisoformat(str(method.get("timestamp")))
    except ValueError:
        return False
    return moment.tzinfo is not None and abs(login.now - moment) <= _ONE_SIGN_IN


def _networks(settings: dict[str, Any]) -> list[Network]:
    return [parse_network(text) for text in settings["networks"]]


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse what is no network, and networks that hold every address."""
    _networks(configuration)
