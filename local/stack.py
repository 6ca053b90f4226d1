"""The deployed stack in the hands of a demo or a test: its people, applications and chain."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from local.chain import use_chain
from local.deployment import deploy
from local.oidc_provider import OidcProvider
from local.server import EmbeddedAws
from local.sign_in import CALLBACK, App, Tokens
from local.warm import warm_up

EVERY_FLOW = (
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_USER_AUTH",
    "ALLOW_CUSTOM_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
)


@dataclass(frozen=True)
class Person:
    """Somebody with a password in the stack's user pool, where people sign in by e-mail."""

    name: str
    username: str
    password: str
    user_id: str


@dataclass(frozen=True)
class Stack:
    """A deployed stack; ``outputs`` are those of the template."""

    aws: EmbeddedAws
    outputs: Mapping[str, str]

    @classmethod
    def deployed(
        cls,
        aws: EmbeddedAws,
        *,
        parameters: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda line: None,
    ) -> Stack:
        """Deploy the project into ``aws``; the web client takes codes at the callback of tests."""
        urls = {"CallbackUrls": CALLBACK, "LogoutUrls": CALLBACK}
        return cls(aws, deploy(aws, parameters=urls | dict(parameters or {}), say=say))

    @property
    def pool_id(self) -> str:
        """Id of the user pool."""
        return self.outputs["UserPoolId"]

    @property
    def login_function(self) -> str:
        """Name of the login function."""
        return self.outputs["LoginFunctionAlias"].split(":")[6]

    @property
    def name(self) -> str:
        """Name of the stack, which its functions and queues begin with."""
        return self.login_function.removesuffix("-login")

    @property
    def web(self) -> App:
        """The application whose users can get AWS roles."""
        return App(self.aws, self.pool_id, self.outputs["UserPoolClientId"])

    @property
    def machine(self) -> App:
        """The application that uses client credentials."""
        client_id = self.outputs["MachineClientId"]
        described = self.aws.client("cognito-idp").describe_user_pool_client(
            UserPoolId=self.pool_id, ClientId=client_id
        )["UserPoolClient"]
        return App(self.aws, self.pool_id, client_id, described["ClientSecret"])

    def application(
        self,
        name: str,
        *,
        flows: Iterable[str] = EVERY_FLOW,
        providers: Iterable[str] = ("COGNITO",),
        scopes: Iterable[str] = ("openid", "email", "profile"),
    ) -> App:
        """Make another application of the pool."""
        created = self.aws.client("cognito-idp").create_user_pool_client(
            UserPoolId=self.pool_id,
            ClientName=name,
            ExplicitAuthFlows=list(flows),
            SupportedIdentityProviders=list(providers),
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthFlows=["code"],
            AllowedOAuthScopes=list(scopes),
            CallbackURLs=[CALLBACK],
            EnableTokenRevocation=True,
        )["UserPoolClient"]
        return App(self.aws, self.pool_id, created["ClientId"])

    def person(
        self,
        name: str,
        /,
        *,
        groups: Iterable[str] = (),
        app_metadata: Mapping[str, Any] | None = None,
        temporary: bool = False,
        **attributes: str,
    ) -> Person:
        """Make a person with a password, in ``groups``, with more attributes."""
        cognito = self.aws.client("cognito-idp")
        username = f"{name}@example.com"
        given = {"email": username, "email_verified": "true"} | attributes
        created = cognito.admin_create_user(
            UserPoolId=self.pool_id,
            Username=username,
            MessageAction="SUPPRESS",
            UserAttributes=[{"Name": name, "Value": value} for name, value in given.items()],
        )["User"]
        password = f"Aa1-{secrets.token_urlsafe(12)}"
        cognito.admin_set_user_password(
            UserPoolId=self.pool_id,
            Username=username,
            Password=password,
            Permanent=not temporary,
        )
        user_id = next(a["Value"] for a in created["Attributes"] if a["Name"] == "sub")
        for group in groups:
            self.add_to_group(created["Username"], group)
        if app_metadata is not None:
            self.set_app_metadata(user_id, app_metadata)
        return Person(name, username, password, user_id)

    def add_to_group(self, username: str, group: str) -> None:
        """Put a person into a group, making the group when it is not there."""
        cognito = self.aws.client("cognito-idp")
        with contextlib.suppress(cognito.exceptions.GroupExistsException):
            cognito.create_group(UserPoolId=self.pool_id, GroupName=group)
        cognito.admin_add_user_to_group(UserPoolId=self.pool_id, Username=username, GroupName=group)

    def remove_from_group(self, username: str, group: str) -> None:
        """Take a person out of a group."""
        self.aws.client("cognito-idp").admin_remove_user_from_group(
            UserPoolId=self.pool_id, Username=username, GroupName=group
        )

    def set_app_metadata(self, user_id: str, values: Mapping[str, Any]) -> None:
        """Write app_metadata as an administrator does, leaving the rest of the profile alone."""
        from boto3.dynamodb.types import TypeSerializer

        self.aws.client("dynamodb").update_item(
            TableName=self.outputs["ProfilesTable"],
            Key={"pk": {"S": f"USER#{user_id}"}},
            UpdateExpression="SET app_metadata = :values",
            ExpressionAttributeValues={":values": TypeSerializer().serialize(dict(values))},
        )

    def profile(self, user_id: str) -> dict[str, Any]:
        """Return what the profiles table knows of a person."""
        from cognito_rules.dynamodb_json import from_item

        found = self.aws.client("dynamodb").get_item(
            TableName=self.outputs["ProfilesTable"],
            Key={"pk": {"S": f"USER#{user_id}"}},
            ConsistentRead=True,
        )
        return from_item(found.get("Item", {}))

    def use_chain(self, document: str) -> None:
        """Let the triggers decide by another chain document (TOML) from now on.

        Raises
        ------
        botocore.exceptions.ClientError : the document is refused, and nothing changed.
        """
        use_chain(self.aws, self.outputs, document)
        warm_up(self.aws, self.name, document)

    def add_identity_provider(self, name: str, provider: OidcProvider) -> None:
        """Let people sign in at an OpenID provider, through the web application too."""
        cognito = self.aws.client("cognito-idp")
        cognito.create_identity_provider(
            UserPoolId=self.pool_id,
            ProviderName=name,
            ProviderType="OIDC",
            ProviderDetails=provider.details,
            AttributeMapping={"email": "email", "name": "name", "username": "sub"},
        )

    def credentials(self, tokens: Tokens, *, role_arn: str | None = None) -> dict[str, Any]:
        """Exchange an ID token for AWS credentials, as an application does."""
        identity = self.aws.client("cognito-identity")
        login = f"cognito-idp.{self.aws.environment['AWS_REGION']}.amazonaws.com/{self.pool_id}"
        logins = {login: tokens.id_token}
        identity_id = identity.get_id(IdentityPoolId=self.outputs["IdentityPoolId"], Logins=logins)[
            "IdentityId"
        ]
        request = {"IdentityId": identity_id, "Logins": logins}
        if role_arn is not None:
            request["CustomRoleArn"] = role_arn
        answer: dict[str, Any] = identity.get_credentials_for_identity(**request)
        return {**answer["Credentials"], "IdentityId": identity_id}

    @property
    def role_of_group(self) -> dict[str, str]:
        """The template's table: group -> role ARN."""
        table: dict[str, str] = json.loads(self.outputs["GroupRoleTable"])
        return table
