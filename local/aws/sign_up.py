"""The triggers around sign-up: before it, and after an account or a new password is confirmed.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-sign-up.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-post-confirmation.html
"""

import json
from typing import Any

from local.aws import calls, invoke
from local.aws.emulator import Response, cognito, error, wrap
from local.aws.events import JsonObject, event, user_attributes, with_metadata

NO_CLIENT = "CLIENT_ID_NOT_APPLICABLE"
ANSWERS = ("autoConfirmUser", "autoVerifyEmail", "autoVerifyPhone")


def before(
    pool: JsonObject,
    source: str,
    client_id: str,
    username: str,
    attributes: dict[str, str],
    validation_data: dict[str, str],
    metadata: dict[str, str],
) -> dict[str, bool]:
    """Call the pre sign-up trigger and return its three answers; TriggerRefused stops."""
    request: JsonObject = {"userAttributes": attributes, "validationData": validation_data}
    answer = invoke.call(
        "PreSignUp",
        pool,
        event(
            source,
            version="1",
            pool_id=pool["Id"],
            client_id=client_id,
            username=username,
            request=with_metadata(request, metadata),
            response=dict.fromkeys(ANSWERS, False),
        ),
    )
    response = answer[0] if answer else {}
    return {name: response.get(name) is True for name in ANSWERS}


def confirmed(
    pool: JsonObject, source: str, client_id: str, user: JsonObject, metadata: dict[str, str]
) -> None:
    """Call the post confirmation trigger. TriggerRefused is an error; the user stays confirmed."""
    invoke.call(
        "PostConfirmation",
        pool,
        event(
            source,
            version="1",
            pool_id=pool["Id"],
            client_id=client_id,
            username=user["Username"],
            request=with_metadata({"userAttributes": user_attributes(user)}, metadata),
            response={},
        ),
    )


def _pre_sign_up(
    original: Any,
    pool_id: str,
    client_id: str,
    username: str,
    attributes: dict[str, str],
    trigger_source: str = "PreSignUp_ExternalProvider",
) -> dict[str, bool]:
    call = calls.current()
    validation = {
        item["Name"]: item.get("Value", "") for item in call.data.get("ValidationData") or []
    }
    pool = cognito._user_pools[pool_id]
    return before(
        pool, trigger_source, client_id, username, dict(attributes), validation, call.metadata
    )


def _sign_up(original: Any, data: JsonObject) -> Response:
    """SignUp: an account that pre sign-up confirmed is confirmed, so that trigger follows."""
    response: Response = original(data)
    if response[0] == 200 and json.loads(response[2]).get("UserConfirmed"):
        _after(data, "PostConfirmation_ConfirmSignUp", data["Username"])
    return response


def _confirm_sign_up(original: Any, data: JsonObject) -> Response:
    response: Response = original(data)
    if response[0] == 200:
        _after(data, "PostConfirmation_ConfirmSignUp", data["Username"])
    return response


def _admin_confirm_sign_up(original: Any, data: JsonObject) -> Response:
    """AdminConfirmSignUp: only somebody who waits for it can be confirmed, and only once."""
    pool = cognito._user_pools.get(data.get("UserPoolId"))
    user = cognito._resolve_user(pool, data.get("Username"))[0] if pool else None
    status = user.get("UserStatus") if user else "UNCONFIRMED"
    if status != "UNCONFIRMED":
        message = f"User cannot be confirmed. Current status is {status}"
        return error("NotAuthorizedException", message)
    return _confirm_sign_up(original, data)


def _confirm_forgot_password(original: Any, data: JsonObject) -> Response:
    response: Response = original(data)
    if response[0] == 200:
        _after(data, "PostConfirmation_ConfirmForgotPassword", data["Username"])
    return response


def _after(data: JsonObject, source: str, username: str) -> None:
    pool = (
        cognito._user_pools.get(data.get("UserPoolId"))
        or cognito._pool_for_client(data.get("ClientId"))[0]
    )
    user = cognito._resolve_user(pool, username)[0]
    confirmed(pool, source, data.get("ClientId") or NO_CLIENT, user, calls.current().metadata)


def _admin_create_user(original: Any, data: JsonObject) -> Response:
    """AdminCreateUser: pre sign-up may stop it or verify attributes, but not confirm the user."""
    pool = cognito._user_pools.get(data.get("UserPoolId"))
    name = data.get("Username")
    if pool is None or not name or str(data.get("MessageAction", "")).upper() == "RESEND":
        response: Response = original(data)
        return response
    given = {item["Name"]: item.get("Value", "") for item in data.get("UserAttributes") or []}
    validation = {item["Name"]: item.get("Value", "") for item in data.get("ValidationData") or []}
    metadata = calls.current().metadata
    if cognito._resolve_user(pool, name)[0] is None:
        source = "PreSignUp_AdminCreateUser"
        answer = before(pool, source, NO_CLIENT, name, given, validation, metadata)
        for asked, attribute in (
            ("autoVerifyEmail", "email"),
            ("autoVerifyPhone", "phone_number"),
        ):
            if answer[asked] and attribute in given:
                given[f"{attribute}_verified"] = "true"
        data = {**data, "UserAttributes": [{"Name": n, "Value": v} for n, v in given.items()]}
    response = original(data)
    return response


def install() -> None:
    """Call the triggers from the operations that sign up and confirm."""
    wrap(cognito, "_apply_presignup_trigger", _pre_sign_up)
    wrap(cognito, "_sign_up", _sign_up)
    wrap(cognito, "_admin_create_user", _admin_create_user)
    wrap(cognito, "_confirm_sign_up", _confirm_sign_up)
    wrap(cognito, "_admin_confirm_sign_up", _admin_confirm_sign_up)
    wrap(cognito, "_confirm_forgot_password", _confirm_forgot_password)
