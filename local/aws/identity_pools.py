"""Identity pools: who gets an identity, which role its credentials have, and their session tags.

https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flow.html (enhanced, basic)
https://docs.aws.amazon.com/cognito/latest/developerguide/role-based-access-control.html (``roles``)
https://docs.aws.amazon.com/cognito/latest/developerguide/role-trust-and-permissions.html
https://docs.aws.amazon.com/cognito/latest/developerguide/using-afac-with-cognito-identity-pools.html
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_GetCredentialsForIdentity.html
https://docs.aws.amazon.com/cognitoidentity/latest/APIReference/API_SetIdentityPoolRoles.html

Identities, their linking and merging stay ministack's. Only logins of user pools are possible
here: there is nothing that could verify the token of another provider.
"""

import time
from collections.abc import Mapping
from typing import Any

from local.aws import login_tokens, web_identity
from local.aws.emulator import Response, cognito, error, responses, wrap
from local.aws.login_tokens import Claims, TokenRefused
from local.aws.roles import Choice, choose_role, mapping_from_api
from local.aws.web_identity import IDENTITY_POOLS, WebIdentity

SESSION_NAME = "CognitoIdentityCredentials"
CREDENTIALS_SECONDS = 3600
OPEN_ID_TOKEN_SECONDS = 600

# Session tags in a token, as AssumeRoleWithWebIdentity reads them.
TAGS_CLAIM = "https://aws.amazon.com/tags"
# What UseDefaults stands for with a user pool: tag key -> claim.
DEFAULT_TAGS = {"username": "sub", "client": "aud"}

JsonObject = dict[str, Any]


class Refused(Exception):
    """The call fails with ``code`` and ``message``."""

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code
        self.message = message


def get_id(_original: Any, data: JsonObject) -> Response:
    """GetId: find or make the identity of the person that the tokens name."""
    try:
        pool = _pool(data.get("IdentityPoolId"))
        logins = data.get("Logins") or {}
        _verified(pool, logins)
        _check_identity(pool, None, logins)
        _check_guests(pool, logins)
    except Refused as refused:
        return error(refused.code, refused.message)
    owner = cognito._link_logins(pool, None, logins)
    if owner is None:
        owner = cognito._identity_id(pool["IdentityPoolId"])
        now = cognito._now_epoch()
        pool["_identities"][owner] = {
            "IdentityId": owner,
            "Logins": logins,
            "CreationDate": now,
            "LastModifiedDate": now,
        }
    return _json({"IdentityId": owner})


def get_credentials(_original: Any, data: JsonObject) -> Response:
    """GetCredentialsForIdentity: choose the role, ask its trust policy, let it act for an hour."""
    try:
        pool, identity_id, logins, verified = _enter(data)
        role_arn = _role(pool, verified, data.get("CustomRoleArn"))
        identity = _web_identity(pool, identity_id, logins, verified)
        # One message for a missing role, a trust policy that refuses and tags that STS refuses.
        if web_identity.unusable_tags(identity.tags) or web_identity.denied_action(
            role_arn, identity, SESSION_NAME
        ):
            raise Refused(
                "InvalidIdentityPoolConfigurationException",
                "Invalid identity pool configuration. Check assigned IAM roles for this pool.",
            )
    except Refused as refused:
        return error(refused.code, refused.message)
    session = web_identity.open_session(
        role_arn,
        SESSION_NAME,
        identity,
        CREDENTIALS_SECONDS,
        **_fields_for_api_gateway(pool, identity_id, logins),
    )
    return _json(
        {
            "IdentityId": identity_id,
            "Credentials": {
                "AccessKeyId": session.access_key_id,
                "SecretKey": session.secret_access_key,
                "SessionToken": session.session_token,
                "Expiration": session.expires_at,
            },
        }
    )


def get_open_id_token(_original: Any, data: JsonObject) -> Response:
    """GetOpenIdToken, the basic flow: a token for AssumeRoleWithWebIdentity, if the pool allows it.

    The enhanced flow is documented as this one and AssumeRoleWithWebIdentity together, so the
    principal tags are in the token as well.
    """
    try:
        # An absent AllowClassicFlow allows it: https://github.com/aws/aws-cli/issues/7652
        if _pool_of_identity(data.get("IdentityId")).get("AllowClassicFlow", True) is not True:
            raise Refused(
                "InvalidParameterException",
                "Basic (classic) flow is not enabled, please use enhanced flow.",
            )
        pool, identity_id, logins, verified = _enter(data)
        identity = _web_identity(pool, identity_id, logins, verified)
    except Refused as refused:
        return error(refused.code, refused.message)
    now = int(time.time())
    claims: Claims = {
        "iss": f"https://{IDENTITY_POOLS}",
        "sub": identity.subject,
        "aud": identity.audience,
        "amr": list(identity.amr),
        "iat": now,
        "exp": now + OPEN_ID_TOKEN_SECONDS,
    }
    if identity.tags:
        values = {key: [value] for key, value in identity.tags.items()}
        claims[TAGS_CLAIM] = {"principal_tags": values, "transitive_tag_keys": []}
    return _json({"IdentityId": identity_id, "Token": cognito._signed_jwt(claims)})


def create_pool(original: Any, data: JsonObject) -> Response:
    """CreateIdentityPool: keep an absent ``AllowClassicFlow`` absent: that is not false on AWS."""
    response: Response = original(data)
    if response[0] == 200 and "AllowClassicFlow" not in data:
        pool = cognito._identity_pools[cognito.json.loads(response[2])["IdentityPoolId"]]
        del pool["AllowClassicFlow"]
        return _json(cognito._identity_pool_out(pool))
    return response


def set_roles(original: Any, data: JsonObject) -> Response:
    """SetIdentityPoolRoles: refuse a mapping that is incomplete or of an unknown provider.

    CloudFormation gives mappings any name and the provider as ``IdentityProvider``.
    """
    pool = cognito._identity_pools.get(data.get("IdentityPoolId"))
    mappings: JsonObject = {}
    for name, given in (data.get("RoleMappings") or {}).items():
        mapping = dict(given)
        provider = mapping.pop("IdentityProvider", name)
        try:
            mapping_from_api(mapping)
        except ValueError as problem:
            return error("InvalidParameterException", str(problem))
        if pool is not None and provider not in _mappable(pool):
            return error(
                "InvalidParameterException",
                f"{provider} is not a valid RoleMapping ProviderName or is not a configured "
                "provider.",
            )
        mappings[provider] = mapping
    response: Response = original({**data, "RoleMappings": mappings})
    return response


def principal_tags(pool: Mapping[str, Any], provider: str, claims: Claims) -> dict[str, str]:
    """Return the session tags that the pool's map makes of the claims.

    Only strings, numbers and booleans have one value; a claim that is absent or anything else
    makes no tag.
    """
    configured = (pool.get("_principal_tags") or {}).get(provider)
    if configured is None:
        return {}
    use_defaults = str(configured.get("UseDefaults", False)).lower() == "true"
    sources = DEFAULT_TAGS if use_defaults else configured.get("PrincipalTags") or {}
    tags = {}
    for key, claim in sources.items():
        value = claims.get(claim)
        if isinstance(value, bool):
            tags[key] = str(value).lower()
        elif isinstance(value, str | int | float):
            tags[key] = str(value)
    return tags


def _enter(data: JsonObject) -> tuple[Any, str, dict[str, str], dict[str, Claims]]:
    """Return pool, identity id, logins and verified claims by provider of an existing identity."""
    pool = _pool_of_identity(data.get("IdentityId"))
    logins = data.get("Logins") or {}
    verified = _verified(pool, logins)
    _check_identity(pool, data["IdentityId"], logins)
    _check_guests(pool, logins)
    return pool, cognito._link_logins(pool, data["IdentityId"], logins), logins, verified


def _role(pool: Any, verified: dict[str, Claims], custom_role_arn: str | None) -> str:
    """Return the chosen role's ARN."""
    defaults = pool.get("_roles") or {}
    if not verified:
        # A guest has no token, so nothing grants the role that the request names.
        choice = choose_role(
            {},
            mapping=None,
            authenticated_role=defaults.get("unauthenticated"),
            custom_role_arn=custom_role_arn,
        )
        return _chosen(choice, "")
    mappings = pool.get("_role_mappings") or {}
    keys = [f"{provider}:{claims['aud']}" for provider, claims in verified.items()]
    # Of several logins the first with a mapping decides; without any the default role applies.
    key = next((one for one in keys if one in mappings), keys[0])
    given = mappings.get(key)
    choice = choose_role(
        verified[key.rpartition(":")[0]],
        mapping=None if given is None else mapping_from_api(given),
        authenticated_role=defaults.get("authenticated"),
        custom_role_arn=custom_role_arn,
    )
    return _chosen(choice, key)


def _chosen(choice: Choice, mapping_key: str) -> str:
    if choice.role_arn is not None:
        return choice.role_arn
    if choice.refusal == "ambiguous":
        raise Refused(
            "NotAuthorizedException",
            f"The ambiguous role mapping rules for: {mapping_key} denied this request.",
        )
    if choice.refusal == "custom_role_not_granted":
        raise Refused("NotAuthorizedException", "Access to the role in CustomRoleArn is forbidden.")
    raise Refused(
        "InvalidIdentityPoolConfigurationException",
        "Invalid identity pool configuration. Check assigned IAM roles for this pool.",
    )


def _web_identity(
    pool: Any, identity_id: str, logins: dict[str, str], verified: dict[str, Claims]
) -> WebIdentity:
    tags: dict[str, str] = {}
    for provider, claims in verified.items():
        tags |= principal_tags(pool, provider, claims)
    return WebIdentity(
        provider=IDENTITY_POOLS,
        host=IDENTITY_POOLS,
        subject=identity_id,
        audience=pool["IdentityPoolId"],
        amr=tuple(cognito._identity_login_fields(logins)[0]),
        tags=tags,
    )


def _verified(pool: Any, logins: Any) -> dict[str, Claims]:
    if not isinstance(logins, dict):
        raise Refused("InvalidParameterException", "Logins is a map of provider to token.")
    try:
        return {
            provider: login_tokens.user_pool_login(pool, provider, token)
            for provider, token in logins.items()
        }
    except TokenRefused as refused:
        raise Refused("NotAuthorizedException", str(refused)) from refused


def _check_identity(pool: Any, identity_id: str | None, logins: dict[str, str]) -> None:
    """Refuse logins that are not those of the identity (ministack's own check)."""
    response = cognito._identity_logins_error(pool, identity_id, logins)
    if response is not None:
        problem = cognito.json.loads(response[2])
        raise Refused("NotAuthorizedException", problem["message"])


def _check_guests(pool: Any, logins: dict[str, str]) -> None:
    if not logins and str(pool.get("AllowUnauthenticatedIdentities", False)).lower() != "true":
        raise Refused(
            "NotAuthorizedException",
            "Unauthenticated access is not supported for this identity pool.",
        )


def _pool(identity_pool_id: Any) -> Any:
    pool = cognito._identity_pools.get(identity_pool_id)
    if pool is None:
        raise Refused("ResourceNotFoundException", f"IdentityPool '{identity_pool_id}' not found.")
    return pool


def _pool_of_identity(identity_id: Any) -> Any:
    for pool in cognito._identity_pools.values():
        if identity_id in pool["_identities"]:
            return pool
    raise Refused("ResourceNotFoundException", f"Identity '{identity_id}' not found.")


def _mappable(pool: Any) -> set[str]:
    """Return the providers that a role mapping of this pool may name."""
    user_pools = pool.get("CognitoIdentityProviders") or []
    return {
        *(f"{entry.get('ProviderName')}:{entry.get('ClientId')}" for entry in user_pools),
        *(pool.get("SupportedLoginProviders") or {}),
        *(pool.get("SamlProviderARNs") or []),
        *(pool.get("OpenIdConnectProviderARNs") or []),
    }


def _fields_for_api_gateway(pool: Any, identity_id: str, logins: dict[str, str]) -> JsonObject:
    """Return what ministack's API Gateway tells about the caller, as ministack records it."""
    amr, providers = cognito._identity_login_fields(logins)
    return {
        "_identity_id": identity_id,
        "_identity_pool_id": pool["IdentityPoolId"],
        "_logins": logins,
        "_cognito_auth_type": "authenticated" if logins else "unauthenticated",
        "_cognito_auth_provider": ",".join(providers) or None,
        "_cognito_amr": amr,
    }


def _json(body: JsonObject) -> Response:
    response: Response = responses.json_response(body)
    return response


def install() -> None:
    """Complete the identity pools."""
    wrap(cognito, "_get_id", get_id)
    wrap(cognito, "_get_credentials_for_identity", get_credentials)
    wrap(cognito, "_get_open_id_token", get_open_id_token)
    wrap(cognito, "_create_identity_pool", create_pool)
    wrap(cognito, "_set_identity_pool_roles", set_roles)
