"""From Cognito's trigger events to what a login knows.

Source: AWS, "Customizing user pool workflows with Lambda triggers", "Pre sign-up Lambda trigger",
"Post authentication Lambda trigger", "Pre token generation Lambda trigger". Cognito may add fields
at any time, so unknown ones are ignored; an unknown TokenGeneration source is treated as a person's
login.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cognito_rules.chain import Application
from cognito_rules.errors import TriggerEventError
from cognito_rules.fields import Facts


class Kind(Enum):
    """What a trigger call is about."""

    SIGN_UP = "sign_up"  # an account is about to be made
    AUTHENTICATED = "authenticated"  # PostAuthentication, or a federated person's first sign-in
    SIGNED_UP = "signed_up"  # a local account was confirmed; nobody logs in
    TOKEN = "token"
    REFRESH = "refresh"
    MACHINE = "machine"
    PASSWORD_RESET = "password_reset"  # a forgotten password was replaced; nobody logs in


_EXTERNAL_SIGN_UP = "PreSignUp_ExternalProvider"
# What Cognito calls the application of an administrator who makes a user.
_NO_CLIENT = "CLIENT_ID_NOT_APPLICABLE"
_KINDS = {
    "PreSignUp_SignUp": Kind.SIGN_UP,
    "PreSignUp_AdminCreateUser": Kind.SIGN_UP,
    _EXTERNAL_SIGN_UP: Kind.SIGN_UP,
    "PostAuthentication_Authentication": Kind.AUTHENTICATED,
    "PostConfirmation_ConfirmForgotPassword": Kind.PASSWORD_RESET,
    "TokenGeneration_RefreshTokens": Kind.REFRESH,
    "TokenGeneration_ClientCredentials": Kind.MACHINE,
}
_PROTOCOLS = {
    "TokenGeneration_HostedAuth": "oauth2",
    "TokenGeneration_RefreshTokens": "oauth2-refresh-token",
    "TokenGeneration_ClientCredentials": "client_credentials",
}
_SOCIAL = frozenset({"Facebook", "Google", "SignInWithApple", "LoginWithAmazon"})
_TEXTS = (
    "email",
    "phone_number",
    "name",
    "given_name",
    "family_name",
    "nickname",
    "picture",
)


@dataclass(frozen=True)
class Trigger:
    """One trigger call, with the parts that decisions depend on."""

    kind: Kind
    source: str
    pool_id: str
    client_id: str
    user_id: str
    username: str
    request: dict[str, Any]
    version: str = "1"

    @classmethod
    def parse(cls, event: Any) -> Trigger:
        """Return the trigger call that ``event`` describes.

        Raises
        ------
        TriggerEventError : it is no event of a trigger that this function serves.
        """
        if not isinstance(event, dict):
            raise TriggerEventError("the event is no JSON object")
        source = event.get("triggerSource")
        context, request = event.get("callerContext"), event.get("request")
        if not isinstance(source, str) or not isinstance(context, dict):
            raise TriggerEventError("the event has no triggerSource or callerContext")
        if not isinstance(request, dict) or not isinstance(event.get("response"), dict):
            raise TriggerEventError("the event has no request or response")
        attributes = request.get("userAttributes") or {}
        if not isinstance(attributes, dict):
            raise TriggerEventError("the event's userAttributes are no JSON object")
        kind = _kind(source, attributes)
        user_id = attributes.get("sub") or event.get("userName")
        needed = {
            "userPoolId": event.get("userPoolId"),
            "callerContext.clientId": context.get("clientId"),
        }
        if kind is not Kind.MACHINE:
            needed["userName"] = user_id
        for name, value in needed.items():
            if not isinstance(value, str) or not value:
                raise TriggerEventError(f"the event has no {name}")
        return cls(
            kind=kind,
            source=source,
            pool_id=event["userPoolId"],
            client_id=context["clientId"],
            # Nobody has an id before the account exists, and a chosen name may be an address.
            user_id="" if kind in (Kind.MACHINE, Kind.SIGN_UP) else str(user_id),
            username=str(event.get("userName") or ""),
            request=request,
            version=str(event.get("version")),
        )

    @property
    def is_of_an_administrator(self) -> bool:
        """Whether an administrator makes a user, which belongs to no application."""
        return self.client_id == _NO_CLIENT

    @property
    def is_token_stage(self) -> bool:
        """Whether tokens are about to be made."""
        return self.kind in (Kind.TOKEN, Kind.REFRESH, Kind.MACHINE)

    @property
    def token_version(self) -> str:
        """The shape in which Cognito takes this pre token generation response.

        The event says it, not the template: a parameter that changed may not have reached the
        deployed version of this function yet. V2_0 and V3_0 are of one shape.
        """
        return "V1_0" if self.version == "1" else "V3_0"

    def facts(self, application: Application | None) -> Facts:
        """Return what this trigger knows of the login, in the words of ``fields.FIELDS``."""
        client: Facts = {"client_id": self.client_id}
        if application is not None:
            client |= {"name": application.name, "metadata": dict(application.metadata)}
        facts: Facts = {"client": client, "transaction": self._transaction()}
        metadata = self.request.get("clientMetadata")
        if isinstance(metadata, dict):
            facts["request"] = {"client_metadata": metadata}
        if self.kind is Kind.MACHINE:
            return facts
        facts["user"] = self._user()
        identities = facts["user"]["identities"]
        if len(identities) == 1:
            identity = identities[0]
            strategy = identity["provider"].lower()
            facts["connection"] = {"name": identity["connection"], "strategy": strategy}
        configuration = self.request.get("groupConfiguration")
        if isinstance(configuration, dict):
            facts["user"]["groups"] = list(configuration.get("groupsToOverride") or [])
            facts["aws"] = {"roles": list(configuration.get("iamRolesToOverride") or [])}
            if configuration.get("preferredRole"):
                facts["aws"]["preferred"] = configuration["preferredRole"]
        return facts

    def _transaction(self) -> Facts:
        transaction: Facts = {"user_pool_id": self.pool_id, "trigger": self.source}
        if self.source in _PROTOCOLS:
            transaction["protocol"] = _PROTOCOLS[self.source]
        scopes = self.request.get("scopes")
        if isinstance(scopes, list):
            transaction["requested_scopes"] = list(scopes)
            transaction["scopes"] = list(scopes)
        return transaction

    def _user(self) -> Facts:
        attributes = dict(self.request.get("userAttributes") or {})
        user: Facts = {"username": self.username, "attributes": attributes}
        if self.source == _EXTERNAL_SIGN_UP:
            user["identities"] = [_identity_of_name(self.username)]
        else:
            user["identities"] = _identities(self.user_id, attributes)
        if self.user_id:
            user["user_id"] = self.user_id
        user |= {name: attributes[name] for name in _TEXTS if attributes.get(name)}
        for name in ("email_verified", "phone_number_verified"):
            if name in attributes:
                # Cognito sends the text "true" or "false"; bool("false") would be true.
                user[name] = str(attributes[name]).lower() == "true"
        return user


def _kind(source: str, attributes: dict[str, Any]) -> Kind:
    if source in _KINDS:
        return _KINDS[source]
    if source == "PostConfirmation_ConfirmSignUp":
        return Kind.AUTHENTICATED if _is_federated(attributes) else Kind.SIGNED_UP
    if source.startswith("TokenGeneration_"):
        return Kind.TOKEN
    raise TriggerEventError(f"{source} is no trigger of the login function")


def _is_federated(attributes: dict[str, Any]) -> bool:
    status = attributes.get("cognito:user_status")
    return status == "EXTERNAL_PROVIDER" or (not status and bool(attributes.get("identities")))


def _identities(user_id: str, attributes: dict[str, Any]) -> list[Facts]:
    """Return the person's identities; a local account is one of them, under COGNITO."""
    try:
        linked = json.loads(attributes.get("identities") or "[]")
    except (TypeError, ValueError, RecursionError):
        linked = []
    identities = [
        {
            "provider": str(identity.get("providerType") or identity.get("providerName")),
            "connection": str(identity.get("providerName")),
            "user_id": str(identity.get("userId")),
            "is_social": identity.get("providerType") in _SOCIAL,
        }
        for identity in (linked if isinstance(linked, list) else [])
        if isinstance(identity, dict)
    ]
    if not _is_federated(attributes):
        identities.insert(
            0,
            {
                "provider": "cognito",
                "connection": "COGNITO",
                "user_id": user_id,
                "is_social": False,
            },
        )
    return identities


def _identity_of_name(username: str) -> Facts:
    """Return the identity for which Cognito is about to make an account, ``Google_1234``.

    Pools that ignore case write the whole name in lower case; a provider's name that holds ``_``
    cannot be told from the id behind it.
    """
    connection, _, user_id = username.partition("_")
    connection = next((n for n in _SOCIAL if n.lower() == connection.lower()), connection)
    return {
        "provider": connection,
        "connection": connection,
        "user_id": user_id,
        "is_social": connection in _SOCIAL,
    }
