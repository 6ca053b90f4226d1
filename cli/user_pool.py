"""The settings of a user pool, read and written as a whole.

UpdateUserPool sets what it is not told to a default, so every setting is written back with each
change, and a setting that this module does not know stops it instead of being lost.

Source: https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_UpdateUserPool.html
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from cli.stack import one_line_errors
from cli.terminal import stop

# UpdateUserPool takes these as DescribeUserPool tells them.
AS_READ = frozenset(
    {
        "AccountRecoverySetting",
        "AcrConfiguration",
        "AutoVerifiedAttributes",
        "DeletionProtection",
        "DeviceConfiguration",
        "EmailConfiguration",
        "EmailVerificationMessage",
        "EmailVerificationSubject",
        "IssuerConfiguration",
        "KeyConfiguration",
        "LambdaConfig",
        "MfaConfiguration",
        "Policies",
        "SmsAuthenticationMessage",
        "SmsConfiguration",
        "SmsVerificationMessage",
        "UserAttributeUpdateSettings",
        "UserPoolAddOns",
        "UserPoolTier",
        "VerificationMessageTemplate",
    }
)
# These need a word: see UserPool.request.
TRANSLATED = frozenset({"AdminCreateUserConfig", "PoolName", "UserPoolId", "UserPoolTags"})
# DescribeUserPool tells these as well; UpdateUserPool neither takes nor changes them.
FIXED = frozenset(
    {
        "AliasAttributes",
        "Arn",
        "CreationDate",
        "CustomDomain",
        "Domain",
        "EmailConfigurationFailure",
        "EstimatedNumberOfUsers",
        "Id",
        "LastModifiedDate",
        "Name",
        "SchemaAttributes",
        "SmsConfigurationFailure",
        "Status",
        "UsernameAttributes",
        "UsernameConfiguration",
    }
)
# What SetUserPoolMfaConfig takes as GetUserPoolMfaConfig tells it.
OF_MFA = frozenset(
    {
        "EmailMfaConfiguration",
        "MfaConfiguration",
        "SmsMfaConfiguration",
        "SoftwareTokenMfaConfiguration",
        "WebAuthnConfiguration",
    }
)
# These change without anybody changing a setting.
_MOVING = frozenset({"EstimatedNumberOfUsers", "LastModifiedDate", "Status"})
# Tags that AWS makes; nobody else may write them, and no update takes them away.
_OF_AWS = "aws:"


@dataclass(frozen=True)
class UserPool:
    """A user pool as it was read.

    settings : the ``UserPool`` of DescribeUserPool.
    mfa : the answer of GetUserPoolMfaConfig.
    may_reset : names of settings that are not known here, and that an update may reset.
    """

    settings: Mapping[str, Any]
    mfa: Mapping[str, Any]
    may_reset: Collection[str] = ()

    @property
    def id(self) -> str:
        """The pool's id."""
        return str(self.settings["Id"])

    @property
    def triggers(self) -> Mapping[str, Any]:
        """Its LambdaConfig, without the legacy name of a trigger that stands under both names."""
        return _without_twin(self.settings.get("LambdaConfig") or {})

    @property
    def tags(self) -> Mapping[str, str]:
        """Its tags."""
        return self.settings.get("UserPoolTags") or {}

    @classmethod
    def read(cls, cognito: Any, pool_id: str, may_reset: Collection[str] = ()) -> UserPool:
        """Read all settings; ends the command when one is not known here, or there is no pool."""
        with one_line_errors():
            refuse_unknown(unknown_settings(cognito.meta.service_model) - set(may_reset))
            with _watched(cognito, "DescribeUserPool") as strange:
                settings = cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]
            with _watched(cognito, "GetUserPoolMfaConfig") as more:
                mfa = cognito.get_user_pool_mfa_config(UserPoolId=pool_id)
        refuse_unknown((strange | more) - set(may_reset))
        mfa.pop("ResponseMetadata", None)
        return cls(settings, mfa, may_reset)

    def changed(self, triggers: Mapping[str, Any], tags: Mapping[str, str]) -> UserPool:
        """Return the pool as it is to be, with other triggers and tags."""
        settings = {**self.settings, "LambdaConfig": dict(triggers), "UserPoolTags": dict(tags)}
        return UserPool(settings, self.mfa, self.may_reset)

    def request(self) -> dict[str, Any]:
        """Return the parameters of UpdateUserPool that leave every setting as it is here."""
        request = {name: deepcopy(self.settings.get(name)) for name in AS_READ}
        creation = dict(self.settings.get("AdminCreateUserConfig") or {})
        policy = (self.settings.get("Policies") or {}).get("PasswordPolicy") or {}
        if policy.get("TemporaryPasswordValidityDays"):
            # The older name of the same; told both, UpdateUserPool refuses.
            creation.pop("UnusedAccountValidityDays", None)
        request["AdminCreateUserConfig"] = creation
        request["UserPoolTags"] = {
            key: value for key, value in self.tags.items() if not key.startswith(_OF_AWS)
        }
        return {
            "UserPoolId": self.id,
            "PoolName": self.settings["Name"],
            # Nothing is told of by leaving it out: an empty text or block is refused.
            **{name: value for name, value in request.items() if value not in (None, "", {}, [])},
        }

    def differences(self, other: UserPool) -> list[str]:
        """Return the names of the settings in which the two are not equal."""
        mine, others = ({**_comparable(pool), "MFA": pool.mfa} for pool in (self, other))
        names = sorted(mine.keys() | others.keys())
        return [name for name in names if (mine.get(name) or None) != (others.get(name) or None)]


def write(cognito: Any, before: UserPool, wanted: UserPool) -> list[str]:
    """Make the pool that was read as ``before`` the ``wanted`` one.

    Returns the names of the settings in which it is not as wanted afterwards. Ends the command,
    with nothing changed, when somebody changed the pool after it was read.
    """
    now = UserPool.read(cognito, before.id, before.may_reset)
    moved = before.differences(now)
    if moved or before.settings["LastModifiedDate"] != now.settings["LastModifiedDate"]:
        what = f" ({', '.join(moved)})" if moved else ""
        stop(f"Somebody changed the pool meanwhile{what}: nothing was written, run it again.")
    with one_line_errors():
        cognito.update_user_pool(**wanted.request())
        after = UserPool.read(cognito, before.id, before.may_reset)
        if after.mfa != wanted.mfa:
            # The kinds of MFA have an operation of their own, and hang on what was written.
            mfa = {name: value for name, value in wanted.mfa.items() if value}
            cognito.set_user_pool_mfa_config(UserPoolId=before.id, **mfa)
            after = UserPool.read(cognito, before.id, before.may_reset)
    return wanted.differences(after)


def refuse_lost(pool_id: str, names: list[str]) -> None:
    """End the command when a written pool is not as it should be."""
    if names:
        stop(
            f"The pool was written, and is not as it should be in {', '.join(names)}: somebody "
            "wrote at the same time, or Cognito does not keep it. Look at it with "
            f"`aws cognito-idp describe-user-pool --user-pool-id {pool_id}`."
        )


def unknown_settings(model: Any) -> set[str]:
    """Return the settings of botocore's model of the service that this module does not know."""
    known = {
        "UpdateUserPool": AS_READ | TRANSLATED,
        "DescribeUserPool": (AS_READ | TRANSLATED | FIXED) - {"PoolName", "UserPoolId"},
        "SetUserPoolMfaConfig": OF_MFA | {"UserPoolId"},
    }
    shapes = {
        "UpdateUserPool": model.operation_model("UpdateUserPool").input_shape,
        "DescribeUserPool": model.shape_for("UserPoolType"),
        "SetUserPoolMfaConfig": model.operation_model("SetUserPoolMfaConfig").input_shape,
    }
    return {
        name
        for operation, shape in shapes.items()
        for name in shape.members.keys() - known[operation]
    }


def refuse_unknown(names: set[str]) -> None:
    """End the command when there are settings that an update would lose."""
    if names:
        stop(
            f"Cognito has settings that this version does not know ({', '.join(sorted(names))}) "
            "and would reset: nothing was changed. Update Cognito Rules, and boto3 by "
            "`make setup`; --may-reset NAME lets Cognito reset one."
        )


class _watched:
    """Collects the names in an operation's answer that botocore's model does not know.

    botocore drops them without a word, and what is not read cannot be written back.
    """

    def __init__(self, client: Any, operation: str) -> None:
        self._events = client.meta.events
        self._event = f"before-parse.cognito-idp.{operation}"
        self._names: set[str] = set()

    def __enter__(self) -> set[str]:
        self._events.register(self._event, self._look)
        return self._names

    def __exit__(self, *_: object) -> None:
        self._events.unregister(self._event, self._look)

    def _look(self, operation_model: Any, response_dict: Mapping[str, Any], **_: Any) -> None:
        if response_dict["status_code"] == 200:
            answer = json.loads(response_dict["body"])
            self._names |= set(strange_names(answer, operation_model.output_shape))


def strange_names(value: Any, shape: Any) -> Iterator[str]:
    """Yield the keys of a JSON answer for which its shape in botocore's model has no member."""
    if shape.type_name == "structure" and isinstance(value, dict):
        for name, item in value.items():
            if name not in shape.members:
                yield name
            else:
                yield from strange_names(item, shape.members[name])
    elif shape.type_name == "map" and isinstance(value, dict):
        for item in value.values():
            yield from strange_names(item, shape.value)
    elif shape.type_name == "list" and isinstance(value, list):
        for item in value:
            yield from strange_names(item, shape.member)


def _comparable(pool: UserPool) -> dict[str, Any]:
    settings = {name: v for name, v in pool.settings.items() if name not in _MOVING}
    return settings | {"LambdaConfig": pool.triggers}


def _without_twin(triggers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the triggers without a PreTokenGeneration that PreTokenGenerationConfig repeats."""
    versioned = (triggers.get("PreTokenGenerationConfig") or {}).get("LambdaArn")
    twin = triggers.get("PreTokenGeneration")
    if versioned is None or twin != versioned:
        return dict(triggers)
    return {name: value for name, value in triggers.items() if name != "PreTokenGeneration"}
