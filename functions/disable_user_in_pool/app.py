"""Do in the user pool what follows from a refusal."""

from typing import Any

from cognito_rules import Effects, Login, UpstreamError, lambda_rule
from cognito_rules.user_pools import function_user_pools

_CALL_SECONDS = 2.0


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Disable, sign out, or ask for a new password, as the settings say for the refusal's code.

    Off the login path, and never undone: to let a disabled person in again, take the reason away
    and enable the user. Each step can be repeated; who is disabled, or was asked for a new password
    already, is left alone, so that a person gets one message only.

    Reads:  ``login.event.code``, ``login.user.username``, ``login.transaction.user_pool_id``.
    Writes: nothing into the login; AdminDisableUser, AdminUserGlobalSignOut or
            AdminResetUserPassword in the pool.
    Source: AWS, user pools API, "AdminDisableUser", "AdminResetUserPassword" (sends the person a
            code; their status is RESET_REQUIRED until they used it).
    """
    action = login.configuration["on_codes"].get(login.event.code)
    if action is None:
        return
    person = {"UserPoolId": login.transaction.user_pool_id, "Username": login.user.username}
    try:
        found = _call("AdminGetUser", person)
    except UpstreamError as error:
        if error.code != "user_not_found":
            raise
        effects.warn("user_not_found")
        return
    if action == "reset_password":
        if found.get("UserStatus") == "CONFIRMED":  # nobody of an identity provider
            _call("AdminResetUserPassword", person)
    elif action == "sign_out":
        _call("AdminUserGlobalSignOut", person)
    elif found.get("Enabled"):
        _call("AdminUserGlobalSignOut", person)
        # Last, since it is what a repetition goes by.
        _call("AdminDisableUser", person)


def _call(operation: str, person: dict[str, Any]) -> dict[str, Any]:
    return function_user_pools().call(operation, person, timeout=_CALL_SECONDS)
