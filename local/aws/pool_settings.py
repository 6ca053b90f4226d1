"""A user pool's settings: UpdateUserPool resets what it is not told, DescribeUserPool tells them.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UserPoolType.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_PasswordPolicyType.html
(``TemporaryPasswordValidityDays`` takes the place of ``UnusedAccountValidityDays``)
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_LambdaConfigType.html
https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html
(tags of the prefix ``aws:``, such as those of CloudFormation, are AWS's to write and to delete)
"""

import json
from copy import deepcopy
from typing import Any

from local.aws.emulator import Response, cognito, error, wrap
from local.aws.events import JsonObject

# Every pool has it, also one that was made without a word of it.
_TEMPLATE = {"DefaultEmailOption": "CONFIRM_WITH_CODE"}
# What CreateUserPool makes of a setting that it is not told, and so UpdateUserPool too. Those of
# None are not part of the answer of DescribeUserPool then.
DEFAULTS: JsonObject = {
    "Policies": {
        "PasswordPolicy": {
            "MinimumLength": 8,
            "RequireUppercase": True,
            "RequireLowercase": True,
            "RequireNumbers": True,
            "RequireSymbols": True,
            "TemporaryPasswordValidityDays": 7,
        }
    },
    "DeletionProtection": "INACTIVE",
    "LambdaConfig": {},
    "AutoVerifiedAttributes": [],
    "SmsVerificationMessage": None,
    "EmailVerificationMessage": None,
    "EmailVerificationSubject": None,
    "VerificationMessageTemplate": _TEMPLATE,
    "SmsAuthenticationMessage": None,
    "UserAttributeUpdateSettings": None,
    "MfaConfiguration": "OFF",
    "DeviceConfiguration": None,
    "EmailConfiguration": {"EmailSendingAccount": "COGNITO_DEFAULT"},
    "SmsConfiguration": None,
    "UserPoolTags": {},
    "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False},
    "UserPoolAddOns": None,
    "AccountRecoverySetting": None,
    "UserPoolTier": "ESSENTIALS",
    "KeyConfiguration": None,
    "IssuerConfiguration": None,
    "AcrConfiguration": None,
}
# ministack does not keep these.
_NOT_KEPT = ("KeyConfiguration", "IssuerConfiguration", "AcrConfiguration")
# GetUserPoolMfaConfig tells these, DescribeUserPool does not.
_OF_MFA = frozenset(
    {
        "SmsMfaConfiguration",
        "SoftwareTokenMfaConfiguration",
        "EmailMfaConfiguration",
        "WebAuthnConfiguration",
    }
)


def _create(original: Any, data: JsonObject) -> Response:
    refusal = refused(data)
    if refusal is not None:
        return refusal
    response: Response = original(data)
    if response[0] == 200:
        pool = cognito._user_pools[json.loads(response[2])["UserPool"]["Id"]]
        pool |= {name: data[name] for name in _NOT_KEPT if data.get(name)}
        pool.setdefault("VerificationMessageTemplate", dict(_TEMPLATE))
    return response


def _update(original: Any, data: JsonObject) -> Response:
    pool = cognito._user_pools.get(data.get("UserPoolId"))
    refusal = refused(data)
    if pool is None or refusal is not None:
        response: Response = refusal or original(data)
        return response
    told = {**deepcopy(DEFAULTS), **data}
    told["UserPoolTags"] = {**_of_aws(pool.get("UserPoolTags")), **told["UserPoolTags"]}
    response = original(told)
    if response[0] == 200:
        for name in DEFAULTS:
            if told[name] is None:
                pool.pop(name, None)
            else:
                pool[name] = told[name]
        pool["Name"] = data.get("PoolName") or pool["Name"]
    return response


def _of_aws(tags: JsonObject | None) -> JsonObject:
    return {key: value for key, value in (tags or {}).items() if key.startswith("aws:")}


def refused(data: JsonObject) -> Response | None:
    """Return the refusal of settings that contradict each other, None where they do not."""
    policy = (data.get("Policies") or {}).get("PasswordPolicy") or {}
    creation = data.get("AdminCreateUserConfig") or {}
    if creation.get("UnusedAccountValidityDays") and policy.get("TemporaryPasswordValidityDays"):
        return error(
            "InvalidParameterException",
            "Please use TemporaryPasswordValidityDays in PasswordPolicy instead of "
            "UnusedAccountValidityDays",
        )
    triggers = data.get("LambdaConfig") or {}
    versioned = (triggers.get("PreTokenGenerationConfig") or {}).get("LambdaArn")
    if versioned and triggers.get("PreTokenGeneration") not in (None, versioned):
        return error(
            "InvalidParameterException",
            "PreTokenGeneration and the LambdaArn of PreTokenGenerationConfig must be identical",
        )
    return None


def _described(original: Any, pool: JsonObject) -> JsonObject:
    out = {
        name: value
        for name, value in original(pool).items()
        # ministack tells what was never set as an empty text or block.
        if name not in _OF_MFA and (value or DEFAULTS.get(name, value) is not None)
    }
    policy = (out.get("Policies") or {}).get("PasswordPolicy") or {}
    days = policy.get("TemporaryPasswordValidityDays")
    if days:
        # The name that it had before is told as well.
        creation = out.get("AdminCreateUserConfig") or {}
        out["AdminCreateUserConfig"] = {**creation, "UnusedAccountValidityDays": days}
    return out


def install() -> None:
    """Reset what UpdateUserPool is not told, and tell what DescribeUserPool tells."""
    wrap(cognito, "_create_user_pool", _create)
    wrap(cognito, "_update_user_pool", _update)
    wrap(cognito, "_pool_out", _described)
