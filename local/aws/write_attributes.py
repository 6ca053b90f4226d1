"""What people may write of themselves: the attributes that their app client may write.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-attributes.html
(attribute permissions: an app client without a list writes the standard attributes)
"""

from typing import Any

from local.aws.emulator import Response, cognito, error, wrap
from local.aws.events import JsonObject

STANDARD = frozenset(
    {
        *("address", "birthdate", "email", "family_name", "gender", "given_name", "locale"),
        *("middle_name", "name", "nickname", "phone_number", "picture", "preferred_username"),
        *("profile", "updated_at", "website", "zoneinfo"),
    }
)


def refused(client: JsonObject, names: list[str]) -> Response | None:
    """Return the refusal of a call that writes ``names``, None where all may be written."""
    if set(names) <= set(client.get("WriteAttributes") or STANDARD):
        return None
    return error("NotAuthorizedException", "A client attempted to write unauthorized attribute")


def _sign_up(original: Any, data: JsonObject) -> Response:
    pool = cognito._pool_for_client(data.get("ClientId"))[0]
    return _checked(original, data, pool, data.get("ClientId"))


def _update(original: Any, data: JsonObject) -> Response:
    token = data.get("AccessToken", "")
    pool = cognito._user_pool_for_access_token(token)[1]
    return _checked(original, data, pool, cognito._token_claims(token).get("client_id"))


def _checked(
    original: Any, data: JsonObject, pool: JsonObject | None, client_id: str | None
) -> Response:
    client = pool["_clients"].get(client_id) if pool else None
    names = [item.get("Name") for item in data.get("UserAttributes") or []]
    refusal = refused(client, names) if client else None
    response: Response = refusal or original(data)
    return response


def install() -> None:
    """Check the calls by which people write attributes of their own."""
    wrap(cognito, "_sign_up", _sign_up)
    wrap(cognito, "_update_user_attributes", _update)
