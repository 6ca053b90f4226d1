"""The triggers before and after authentication.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-authentication.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-post-authentication.html
"""

from typing import Any

from local.aws import calls, invoke, user_migration
from local.aws.emulator import Response, cognito, error, wrap
from local.aws.events import JsonObject, event, user_attributes, with_metadata
from local.aws.refusals import TriggerRefused

PUBLIC_FLOWS = frozenset({"USER_PASSWORD_AUTH"})
ADMIN_FLOWS = frozenset({"ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"})
# Flow -> what the app client has to allow; ministack refuses the call when it does not.
GATED_FLOWS = {"USER_SRP_AUTH": "ALLOW_USER_SRP_AUTH", "CUSTOM_AUTH": "ALLOW_CUSTOM_AUTH"}
SIGN_IN_STATES = frozenset({"CONFIRMED", "FORCE_CHANGE_PASSWORD", "RESET_REQUIRED"})


def before(
    pool: JsonObject,
    client_id: str,
    username: str,
    user: JsonObject | None,
    metadata: dict[str, str],
) -> None:
    """Call the pre authentication trigger; TriggerRefused stops the sign-in.

    ``user`` is None for a name that does not exist; AWS calls the trigger for such a name only
    when the app client hides whether users exist. ``metadata`` arrives as ``validationData``.
    """
    request: JsonObject = {"userAttributes": user_attributes(user) if user else {}}
    if metadata:
        request["validationData"] = metadata
    if user is None:
        request["userNotFound"] = True
    invoke.call(
        "PreAuthentication",
        pool,
        event(
            "PreAuthentication_Authentication",
            version="1",
            pool_id=pool["Id"],
            client_id=client_id,
            username=username,
            request=request,
            response={},
        ),
    )


def after(
    pool: JsonObject, client_id: str, user: JsonObject, metadata: dict[str, str] | None
) -> None:
    """Call the post authentication trigger; TriggerRefused means no tokens."""
    request: JsonObject = {"userAttributes": user_attributes(user), "newDeviceUsed": False}
    invoke.call(
        "PostAuthentication",
        pool,
        event(
            "PostAuthentication_Authentication",
            version="1",
            pool_id=pool["Id"],
            client_id=client_id,
            username=user["Username"],
            request=with_metadata(request, metadata),
            response={},
        ),
    )


def attempt(pool: JsonObject, client_id: str, username: Any, metadata: dict[str, str]) -> None:
    """Call the pre authentication trigger for a name somebody typed, if AWS would."""
    user = cognito._resolve_user(pool, username)[0]
    if user is None:
        if username and cognito._hides_user_existence(pool, client_id):
            before(pool, client_id, str(username), None, metadata)
        return
    # A disabled or unconfirmed user is refused as such, before any trigger.
    if user.get("Enabled", True) and user.get("UserStatus") in SIGN_IN_STATES:
        before(pool, client_id, user["Username"], user, metadata)


def _initiate(original: Any, data: JsonObject) -> Response:
    """(Admin)InitiateAuth: the triggers come before the password is looked at."""
    client_id = data.get("ClientId", "")
    pool = cognito._user_pools.get(data.get("UserPoolId")) or cognito._pool_for_client(client_id)[0]
    refused = None
    if pool is not None and client_id in pool["_clients"] and _allowed(pool, client_id, data):
        refused = _before_the_password(pool, client_id, data)
    response: Response = refused or original(data)
    return response


def _before_the_password(pool: JsonObject, client_id: str, data: JsonObject) -> Response | None:
    parameters = data.get("AuthParameters") or {}
    username, metadata = parameters.get("USERNAME"), calls.current().metadata
    if "PASSWORD" in data["AuthFlow"] or data["AuthFlow"] == "ADMIN_NO_SRP_AUTH":
        password = str(parameters.get("PASSWORD") or "")
        try:
            user_migration.migrate(
                pool, user_migration.SIGN_IN, client_id, username, password, metadata
            )
        except TriggerRefused as refusal:
            unknown = error(refusal.code, refusal.message)
            hidden: Response = cognito._hidden_user_error(pool, client_id, unknown)
            return hidden
    attempt(pool, client_id, username, metadata)
    user = cognito._resolve_user(pool, username)[0]
    if user is None or data["AuthFlow"] == "CUSTOM_AUTH":
        return None
    if not user.get("_password") and user.get("UserStatus") != "RESET_REQUIRED":
        # Somebody from an identity provider has no password, so none is right.
        return error("NotAuthorizedException", "Incorrect username or password.")
    return None


def _allowed(pool: JsonObject, client_id: str, data: JsonObject) -> bool:
    """Whether ministack will take this flow; it has refused a password flow by now."""
    flow = data.get("AuthFlow")
    if flow in (ADMIN_FLOWS if "UserPoolId" in data else PUBLIC_FLOWS):
        return True
    allowed = pool["_clients"][client_id].get("ExplicitAuthFlows") or []
    return flow in GATED_FLOWS and (
        GATED_FLOWS[flow] in allowed or not any(name.startswith("ALLOW_") for name in allowed)
    )


def install() -> None:
    """Call the pre authentication trigger from the two operations that begin a sign-in."""
    wrap(cognito, "_initiate_auth", _initiate)
    wrap(cognito, "_admin_initiate_auth", _initiate)
