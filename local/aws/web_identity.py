"""A web identity, whether its role's trust policy admits it, and the session that it then has.

https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html
https://docs.aws.amazon.com/cognito/latest/developerguide/role-trust-and-permissions.html

``GetCredentialsForIdentity`` does what ``GetOpenIdToken`` and ``AssumeRoleWithWebIdentity`` do
together, so both completions come through here.
"""

import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from typing import Any

from local.aws.emulator import iam, responses, wrap
from local.aws.policy_variables import SESSION_KEYS, expand_conditions

sts: Any = import_module("ministack.services.sts")
roles: Any = import_module("ministack.services.iam")

IDENTITY_POOLS = "cognito-identity.amazonaws.com"

# The character sets and sizes of STS's Tag type.
_TAG_CHARACTERS = re.compile(r"[\w .:/=+@-]*")
TAG_KEY_SIZE, TAG_VALUE_SIZE, TAG_COUNT = 128, 256, 50


@dataclass(frozen=True)
class WebIdentity:
    """Who asks for a role, as the provider's verified token says.

    provider : what a trust policy names under ``Principal.Federated``: a host name, or the ARN of
        an OpenID Connect provider.
    host : prefix of the provider's condition keys, e.g. ``cognito-identity.amazonaws.com``.
    tags : session tags, key -> value.
    """

    provider: str
    host: str
    subject: str
    audience: str
    amr: tuple[str, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    def condition_keys(self) -> dict[str, Any]:
        """Return the provider's condition keys, in lower case."""
        keys: dict[str, Any] = {f"{self.host}:sub": self.subject, f"{self.host}:aud": self.audience}
        if self.amr:
            keys[f"{self.host}:amr"] = list(self.amr)
        return {key.lower(): value for key, value in keys.items()}


def role_of(role_arn: str) -> Any | None:
    """Return the stored role with exactly this ARN, its path included, or None."""
    parts = role_arn.split(":")
    if len(parts) != 6 or not parts[5].startswith("role/"):
        return None
    role = roles._roles.get_scoped(parts[4], None, role_arn.rsplit("/", 1)[-1])
    return role if role is not None and role.get("Arn") == role_arn else None


def denied_action(role_arn: str, identity: WebIdentity, session_name: str) -> str | None:
    """Return the action that the role's trust policy denies to ``identity``, None if it admits it.

    A session with tags also needs ``sts:TagSession``. A role that does not exist admits nobody.
    """
    role = role_of(role_arn)
    if role is None:
        return "sts:AssumeRoleWithWebIdentity"
    context = iam.EvalContext(
        principal_arn=identity.provider,
        principal_type="WebIdentityUser",
        principal_account=role_arn.split(":")[4],
        action="sts:AssumeRoleWithWebIdentity",
        resource_arn=role_arn,
        region=responses.get_region(),
        request_tags=dict(identity.tags),
        tag_keys=list(identity.tags),
        service_context=identity.condition_keys()
        | {
            "aws:federatedprovider": identity.provider,
            "sts:rolesessionname": session_name,
            # A request without tags has no aws:TagKeys, it does not have an empty one.
            "aws:tagkeys": list(identity.tags) or None,
        },
    )
    document = role.get("AssumeRolePolicyDocument", "{}")
    for action in ("sts:AssumeRoleWithWebIdentity", *(["sts:TagSession"] if identity.tags else [])):
        if not iam.evaluate_trust_policy(
            document, identity.provider, replace(context, action=action)
        ):
            return action
    return None


def unusable_tags(tags: Mapping[str, str]) -> str | None:
    """Return what STS would say against these session tags, or None."""
    if len(tags) > TAG_COUNT:
        return f"{len(tags)} session tags are more than {TAG_COUNT}"
    if len({key.lower() for key in tags}) < len(tags):
        return "two session tag keys differ only in upper and lower case"
    for key, value in tags.items():
        if not 1 <= len(key) <= TAG_KEY_SIZE or not _TAG_CHARACTERS.fullmatch(key):
            return f"the session tag key {key!r} is not allowed"
        if key.lower().startswith("aws:"):
            return f"the session tag key {key!r} is reserved"
        if len(value) > TAG_VALUE_SIZE or not _TAG_CHARACTERS.fullmatch(value):
            return f"the value of the session tag {key} is not allowed"
    return None


@dataclass(frozen=True)
class RoleSession:
    """The temporary credentials of one assumed role; ``expires_at`` in seconds since 1970."""

    access_key_id: str
    secret_access_key: str
    session_token: str
    expires_at: int
    role_id: str
    arn: str


def open_session(
    role_arn: str,
    session_name: str,
    identity: WebIdentity,
    seconds: int,
    **fields: Any,
) -> RoleSession:
    """Issue credentials that act as the role for ``seconds``, with the identity's tags and keys.

    ``fields`` are further members of ministack's session record, e.g. ``SessionPolicies``.
    """
    arn, problem = sts._assumed_role_arn(role_arn, session_name)
    if problem:
        raise ValueError(f"not a role ARN: {role_arn}")
    session = RoleSession(
        access_key_id=sts._gen_session_access_key(),
        secret_access_key=sts._gen_secret(),
        session_token=sts._gen_session_token(),
        expires_at=int(time.time()) + seconds,
        role_id=sts._role_id(role_arn),
        arn=arn,
    )
    sts.register_session(
        session.access_key_id,
        {
            "Arn": arn,
            "UserId": f"{session.role_id}:{session_name}",
            "SecretAccessKey": session.secret_access_key,
            "SessionToken": session.session_token,
            "Expiration": session.expires_at,
            "AccountId": role_arn.split(":")[4],
            "PrincipalType": "AssumedRole",
            "SessionTags": [{"Key": key, "Value": value} for key, value in identity.tags.items()],
            SESSION_KEYS: identity.condition_keys() | {"aws:federatedprovider": identity.provider},
            **fields,
        },
    )
    return session


def _federated_principal(original: Any, principal: Any, caller: str, federated: bool) -> bool:
    """Compare a ``Federated`` principal for every action of a provider, sts:TagSession included."""
    is_provider = ":oidc-provider/" in caller or not caller.startswith("arn:")
    return bool(original(principal, caller, federated or is_provider))


def _trust_policy(original: Any, document: Any, caller: str, context: Any = None) -> bool:
    """Replace variables in the conditions of a trust policy too."""
    text = document if isinstance(document, str) else json.dumps(document)
    if context is not None and "${" in text:
        statements = json.loads(text).get("Statement", [])
        listed = [statements] if isinstance(statements, dict) else statements
        document = {
            "Statement": [
                {**one, "Condition": expand_conditions(one.get("Condition", {}), context)}
                for one in listed
            ]
        }
    return bool(original(document, caller, context))


def install() -> None:
    """Complete the evaluation of trust policies."""
    wrap(iam, "_trust_principal_matches", _federated_principal)
    wrap(iam, "evaluate_trust_policy", _trust_policy)
