"""Trigger events as Cognito sends them, for tests.

Shapes: AWS, "Pre sign-up Lambda trigger", "Post authentication Lambda trigger", "Post confirmation
Lambda trigger", "Pre token generation Lambda trigger" (V1_0, V3_0).
"""

from __future__ import annotations

from typing import Any

POOL = "eu-west-1_Example01"
CLIENT = "1example23456789clientid00"
SUB = "6f1c2d9e-0000-4000-8000-000000000001"


def _event(source: str, request: dict[str, Any], response: dict[str, Any], **changes: Any) -> Any:
    client_id = changes.pop("client_id", CLIENT)
    return {
        "version": "1",
        "triggerSource": source,
        "region": "eu-west-1",
        "userPoolId": POOL,
        "userName": "jane",
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": client_id},
        "request": request,
        "response": response,
    } | changes


def attributes(**changes: str) -> dict[str, str]:
    """Return the attributes of a confirmed local user."""
    return {
        "sub": SUB,
        "cognito:user_status": "CONFIRMED",
        "email": "jane@example.com",
        "email_verified": "true",
    } | changes


def pre_sign_up(
    source: str = "PreSignUp_SignUp",
    *,
    email: str | None = "jane@example.com",
    username: str = "6f1c2d9e-0000-4000-8000-000000000001",
    metadata: dict[str, str] | None = None,
    **changes: Any,
) -> Any:
    """Return a PreSignUp event; nobody has a ``sub`` or a verified address yet."""
    request: dict[str, Any] = {
        "userAttributes": {} if email is None else {"email": email},
        "validationData": None,
    }
    if metadata is not None:
        request["clientMetadata"] = metadata
    response = {"autoConfirmUser": False, "autoVerifyEmail": False, "autoVerifyPhone": False}
    return _event(source, request, response, userName=username, **changes)


def post_authentication(
    *,
    user: dict[str, str] | None = None,
    metadata: dict[str, str] | None = None,
    **changes: Any,
) -> Any:
    """Return a PostAuthentication_Authentication event."""
    request: dict[str, Any] = {"userAttributes": user or attributes(), "newDeviceUsed": False}
    if metadata is not None:
        request["clientMetadata"] = metadata
    return _event("PostAuthentication_Authentication", request, {}, **changes)


def post_confirmation(
    source: str = "PostConfirmation_ConfirmSignUp",
    *,
    user: dict[str, str] | None = None,
    **changes: Any,
) -> Any:
    """Return a PostConfirmation event; pass a federated user's attributes for a first sign-in."""
    return _event(source, {"userAttributes": user or attributes()}, {}, **changes)


def pre_token(
    source: str = "TokenGeneration_Authentication",
    *,
    user: dict[str, str] | None = None,
    groups: list[str] | None = None,
    roles: list[str] | None = None,
    scopes: list[str] | None = None,
    metadata: dict[str, str] | None = None,
    version: str = "3",
    **changes: Any,
) -> Any:
    """Return a PreTokenGeneration event, of V3_0 by default."""
    request: dict[str, Any] = {
        "userAttributes": user or attributes(),
        "groupConfiguration": {
            "groupsToOverride": groups or [],
            "iamRolesToOverride": roles or [],
            "preferredRole": None,
        },
    }
    response: dict[str, Any] = {"claimsOverrideDetails": None}
    if version != "1":
        request["scopes"] = scopes or ["aws.cognito.signin.user.admin"]
        response = {"claimsAndScopeOverrideDetails": None}
    if metadata is not None:
        request["clientMetadata"] = metadata
    return _event(source, request, response, version=version, **changes)


def client_credentials(*, scopes: list[str] | None = None, **changes: Any) -> Any:
    """Return the event of a machine's token request."""
    request = {"userAttributes": {}, "scopes": scopes or ["orders/read"], "groupConfiguration": {}}
    response = {"claimsAndScopeOverrideDetails": None}
    return _event(
        "TokenGeneration_ClientCredentials",
        request,
        response,
        userName="ClientCredentials",
        version="3",
        **changes,
    )


FEDERATED = {
    "cognito:user_status": "EXTERNAL_PROVIDER",
    "identities": (
        '[{"userId":"4711","providerName":"Acme","providerType":"OIDC","issuer":null,'
        '"primary":true,"dateCreated":1795300000000}]'
    ),
}
