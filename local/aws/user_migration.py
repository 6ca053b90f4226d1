"""The user migration trigger: somebody unknown signs in, or asks for a new password.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-migrate-user.html
"""

import time
import uuid
from typing import Any

from local.aws import calls, invoke
from local.aws.emulator import Response, cognito, error, wrap
from local.aws.events import JsonObject, event, with_metadata
from local.aws.refusals import TriggerRefused

SIGN_IN = "UserMigration_Authentication"
FORGOTTEN = "UserMigration_ForgotPassword"


def migrate(
    pool: JsonObject,
    source: str,
    client_id: str,
    username: Any,
    password: str,
    metadata: dict[str, str],
) -> None:
    """Ask for a user that the pool does not have, and create who comes back.

    Nothing happens for a known user and for a pool without the trigger. TriggerRefused with
    UserNotFoundException when the function raised or named no attributes.
    """
    if not username or cognito._resolve_user(pool, username)[0] is not None:
        return
    if invoke.function_arn(pool, "UserMigration") is None:
        return
    request: JsonObject = {"password": password, "validationData": metadata or None}
    try:
        answer = invoke.call(
            "UserMigration",
            pool,
            event(
                source,
                version="1",
                pool_id=pool["Id"],
                client_id=client_id,
                username=str(username),
                request=with_metadata(request, metadata),
                response={
                    "userAttributes": None,
                    "finalUserStatus": None,
                    "messageAction": None,
                    "desiredDeliveryMediums": None,
                    "forceAliasCreation": None,
                    "enableSMSMFA": None,
                },
            ),
        )
    except TriggerRefused as refusal:
        raise _not_migrated(client_id) from refusal
    attributes = answer[0].get("userAttributes") if answer else None
    if not isinstance(attributes, dict) or not attributes:
        raise _not_migrated(client_id)
    confirmed = answer is not None and answer[0].get("finalUserStatus") == "CONFIRMED"
    _create(pool, str(username), attributes, password if confirmed else "")


def _not_migrated(client_id: str) -> TriggerRefused:
    message = f"Exception migrating user in app client {client_id}"
    return TriggerRefused("UserNotFoundException", message)


def _create(pool: JsonObject, username: str, given: JsonObject, password: str) -> None:
    """Create the user; without a password that may stay, a new one has to be set."""
    attributes = {str(name): str(value) for name, value in given.items() if name != "username"}
    subject = str(uuid.uuid4())
    alias = cognito._username_alias_attribute(pool, username)
    if alias:
        attributes.setdefault(alias, username)
    now = time.time()
    name = subject if alias else username
    pool["_users"][name] = {
        "Username": name,
        "Attributes": cognito._dict_to_attr_list({**attributes, "sub": subject}),
        "UserCreateDate": now,
        "UserLastModifiedDate": now,
        "Enabled": True,
        "UserStatus": "CONFIRMED" if password else "RESET_REQUIRED",
        "MFAOptions": [],
        "_password": password,
        "_groups": [],
        "_tokens": [],
    }
    pool["EstimatedNumberOfUsers"] = len(pool["_users"])


def _forgot_password(original: Any, data: JsonObject) -> Response:
    client_id = data.get("ClientId", "")
    pool = cognito._pool_for_client(client_id)[0]
    if pool is not None:
        try:
            migrate(pool, FORGOTTEN, client_id, data.get("Username"), "", calls.current().metadata)
        except TriggerRefused as refusal:
            if not cognito._hides_user_existence(pool, client_id):
                return error(refusal.code, refusal.message)
    response: Response = original(data)
    return response


def install() -> None:
    """Call the trigger for a forgotten password; the sign-ins call ``migrate`` themselves."""
    wrap(cognito, "_forgot_password", _forgot_password)
