"""Refuse sign-ins that sent a password to the API instead of the login page."""

from collections.abc import Collection

from cognito_rules import UNKNOWN, Effects, Login, UpstreamError, lambda_rule
from cognito_rules.app_clients import app_client

# What Cognito tells of every sign-in by its API, which cannot ask for scopes.
_API_SCOPES = ["aws.cognito.signin.user.admin"]
_LOCAL = "COGNITO"
_REFRESH = "oauth2-refresh-token"
# Who knows better than the triggers' events says so in transaction.protocol.
_API_PROTOCOLS = {
    "sdk_password": {"sdk_password", "sdk_any"},
    "sdk_srp": {"sdk_srp", "sdk_any"},
    "sdk_any": {"sdk_any"},
}
_PASSWORD_FLOWS = {
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_USER_AUTH",
    "USER_PASSWORD_AUTH",
    "ADMIN_NO_SRP_AUTH",
}
_SRP_FLOWS = {"ALLOW_USER_SRP_AUTH", "ALLOW_USER_AUTH"}


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny a login by the API whose way of signing in is blocked.

    The first remedy is another one: take the password flows out of the app client. A trigger is not
    told how a person proved who they are. It sees a login page by its trigger source or by scopes
    that only a login page can be asked for. Plain passwords and SRP look the same, so where an app
    client allows both, either is refused when one is blocked. A login page that was asked for the
    self-service scope alone looks like the API.

    Reads:  ``login.transaction.protocol``, ``requested_scopes`` (unknown to a V1 trigger, which
            allows with a warning), ``user_pool_id``; ``login.client.client_id``;
            ``login.connection.name`` (who came by an identity provider sent no password).
    Writes: ``deny`` with code ``password_grant_disabled``.
    Source: Auth0 rules, "disable-resource-owner"; AWS, "Pre token generation Lambda trigger".
    """
    if _is_blocked(login, effects):
        effects.deny(login.configuration["message"], code="password_grant_disabled")


def _is_blocked(login: Login, effects: Effects) -> bool:
    blocked = set(login.configuration["blocked"])
    if login.connection.name and login.connection.name != _LOCAL:
        return False
    if login.transaction.protocol and login.transaction.protocol != _REFRESH:
        return bool(_API_PROTOCOLS.get(login.transaction.protocol, set()) & blocked)
    if login.transaction.requested_scopes is UNKNOWN:
        effects.warn("protocol_unknown")
        return False
    if list(login.transaction.requested_scopes) != _API_SCOPES:
        return False
    if "sdk_any" in blocked:
        return True
    try:
        client = app_client(login.transaction.user_pool_id, login.client.client_id)
    except UpstreamError:
        effects.warn("app_client_unreadable")
        return False
    return bool(blocked & _possible(client.get("ExplicitAuthFlows") or ["ALLOW_USER_SRP_AUTH"]))


def _possible(flows: Collection[str]) -> set[str]:
    """Return the ways to sign in by the API that an app client allows."""
    ways = {"sdk_password": _PASSWORD_FLOWS, "sdk_srp": _SRP_FLOWS}
    return {way for way, allowing in ways.items() if allowing.intersection(flows)}
