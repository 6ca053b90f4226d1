"""GetClientToken: a machine's token by the API.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GetClientToken.html

How a refusing trigger shows itself here AWS does not say: it is UserLambdaValidationException.
"""

import hmac
from typing import Any

from local.aws import tokens
from local.aws.emulator import Response, cognito, concurrency, error, iam, responses, wrap
from local.aws.events import JsonObject

FLOW = "ALLOW_CLIENT_TOKEN_AUTH"


async def _dispatch(original: Any, action: str, data: JsonObject) -> Any:
    if action != "GetClientToken":
        return await original(action, data)
    return await concurrency.run_reentrant(
        cognito._run_idp_handler, _get_client_token, action, data
    )


def _get_client_token(data: JsonObject) -> Response:
    client_id = data.get("ClientId", "")
    pool = cognito._pool_for_client(client_id)[0]
    if pool is None:
        return error("ResourceNotFoundException", f"Client {client_id} not found.")
    client = pool["_clients"][client_id]
    if FLOW not in (client.get("ExplicitAuthFlows") or []):
        return error("OperationNotEnabledException", f"{FLOW} is not enabled for the client.")
    secret = str(client.get("ClientSecret") or "")
    if not secret or not hmac.compare_digest(secret.encode(), str(data.get("Secret")).encode()):
        return error("NotAuthorizedException", "Invalid client credentials.")
    configured = [scope for scope in client.get("AllowedOAuthScopes") or [] if "/" in scope]
    wanted = data.get("Scopes") or configured
    if not set(wanted) <= set(configured):
        return error("InvalidParameterException", "The scopes cannot be granted.")
    metadata = {str(n): str(v) for n, v in (data.get("ClientMetadata") or {}).items()}
    result = {
        "AccessToken": tokens.machine_token(pool, client_id, " ".join(wanted), metadata),
        "ExpiresIn": cognito._token_validity(pool["Id"], client_id, "access"),
        "TokenType": "Bearer",
    }
    answer: Response = responses.json_response({"ClientAuthenticationResult": result})
    return answer


def _unsigned(original: Any, service: str, action: str) -> bool:
    """The emulator's botocore is too old to know that this operation is never signed."""
    return action == "cognito-idp:GetClientToken" or bool(original(service, action))


def install() -> None:
    """Add the operation."""
    cognito._UNSIGNED_IDP_ACTIONS.add("GetClientToken")
    wrap(iam, "_served_unsigned", _unsigned)
    wrap(cognito, "_dispatch_idp", _dispatch)
