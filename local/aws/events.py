"""The event that every user pool trigger gets.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
"""

from collections.abc import Mapping
from typing import Any

JsonObject = dict[str, Any]

SDK_VERSION = "aws-sdk-unknown-unknown"


def event(
    source: str,
    *,
    version: str,
    pool_id: str,
    client_id: str,
    username: str,
    request: JsonObject,
    response: JsonObject,
) -> JsonObject:
    """Return the event around ``request`` and the empty ``response`` that the function fills."""
    return {
        "version": version,
        "triggerSource": source,
        "region": pool_id.split("_")[0],
        "userPoolId": pool_id,
        "userName": username,
        "callerContext": {"awsSdkVersion": SDK_VERSION, "clientId": client_id},
        "request": request,
        "response": response,
    }


def user_attributes(user: Mapping[str, Any]) -> dict[str, str]:
    """Return ``request.userAttributes``: every attribute as a string, and the user's status."""
    attributes = {
        item["Name"]: str(item["Value"])
        for item in user.get("Attributes", [])
        if item.get("Value") is not None
    }
    return {**attributes, "cognito:user_status": str(user.get("UserStatus", "CONFIRMED"))}


def with_metadata(request: JsonObject, metadata: Mapping[str, str] | None) -> JsonObject:
    """Return ``request`` with ``clientMetadata`` when the caller sent some."""
    return {**request, "clientMetadata": dict(metadata)} if metadata else request
