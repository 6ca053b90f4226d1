"""A small identity stack for tests: user pools, an identity pool, roles and a bucket, by API alone.

Nothing of the product is in it. A pre token trigger answers what the signing-in person's attribute
``custom:answer`` says, so each test decides what "the rules" granted.
"""

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.server import REGION, EmbeddedAws
from tests.local.user_pool import create_function, let_cognito_call

PASSWORD = "Correct-horse-7"

# Answers with the JSON of the person's own attribute; without one, with nothing.
TRIGGER = """
import json

def handler(event, context):
    answer = event["request"]["userAttributes"].get("custom:answer")
    if answer:
        event["response"]["claimsAndScopeOverrideDetails"] = json.loads(answer)
    return event
"""

# The ID token claims of somebody to whom the rules granted ``reader`` in the project ``apollo``.
READ_ONE = {"aws_tag_granted": ":reader:", "aws_tag_project": "apollo"}

JsonObject = dict[str, Any]


def granting(
    *roles: str, preferred: str | None = None, claims: Mapping[str, Any] | None = None
) -> JsonObject:
    """Return the trigger answer of a chain that granted ``roles`` and set ID token ``claims``."""
    return {
        "idTokenGeneration": {"claimsToAddOrOverride": dict(claims or {})},
        "groupOverrideDetails": {
            "groupsToOverride": ["staff"],
            "iamRolesToOverride": list(roles),
            "preferredRole": preferred,
        },
    }


@dataclass(frozen=True)
class Person:
    """A signed-in person: the tokens, and where they came from."""

    username: str
    provider: str
    tokens: Mapping[str, str]

    @property
    def logins(self) -> dict[str, str]:
        """``Logins`` of the identity pool's operations."""
        return {self.provider: self.tokens["IdToken"]}


class Directory:
    """One user pool with app clients for password sign-in."""

    def __init__(self, aws: EmbeddedAws, trigger_arn: str):
        self.aws = aws
        self.cognito = aws.client("cognito-idp")
        pool = self.cognito.create_user_pool(
            PoolName=_unique("people"),
            UserPoolTier="ESSENTIALS",
            Schema=[{"Name": "answer", "AttributeDataType": "String", "Mutable": True}],
            LambdaConfig={
                "PreTokenGenerationConfig": {"LambdaVersion": "V3_0", "LambdaArn": trigger_arn}
            },
        )["UserPool"]
        self.pool_id: str = pool["Id"]
        self.provider = f"cognito-idp.{REGION}.amazonaws.com/{self.pool_id}"
        let_cognito_call(aws, trigger_arn, pool["Arn"])

    def client(self) -> str:
        """Add an app client and return its id."""
        added = self.cognito.create_user_pool_client(
            UserPoolId=self.pool_id,
            ClientName=_unique("app"),
            ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
            EnableTokenRevocation=True,
        )["UserPoolClient"]
        client_id: str = added["ClientId"]
        return client_id

    def user(self, answer: JsonObject | None = None) -> str:
        """Add a confirmed person for whom the trigger gives ``answer``; return the username."""
        username = _unique("ana")
        attributes = [{"Name": "email", "Value": f"{username}@example.com"}]
        if answer is not None:
            attributes.append({"Name": "custom:answer", "Value": json.dumps(answer)})
        self.cognito.admin_create_user(
            UserPoolId=self.pool_id,
            Username=username,
            UserAttributes=attributes,
            MessageAction="SUPPRESS",
        )
        self.cognito.admin_set_user_password(
            UserPoolId=self.pool_id, Username=username, Password=PASSWORD, Permanent=True
        )
        return username

    def sign_in(self, username: str, client_id: str) -> Person:
        """Sign the person in with the password."""
        result = self.cognito.admin_initiate_auth(
            UserPoolId=self.pool_id,
            ClientId=client_id,
            AuthFlow="ADMIN_USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": username, "PASSWORD": PASSWORD},
        )["AuthenticationResult"]
        return Person(username, self.provider, result)


@dataclass
class IdentityStack:
    """The whole of it.

    client_id : app client that the identity pool lists and has a role mapping for.
    unmapped_client_id : one that it lists only. foreign_client_id : one it does not even list.
    roles : short name -> ARN.
    """

    aws: EmbeddedAws
    people: Directory
    client_id: str
    unmapped_client_id: str
    foreign_client_id: str
    identity_pool_id: str
    bucket: str
    trigger_arn: str
    roles: dict[str, str] = field(default_factory=dict)
    clients: dict[str, Any] = field(default_factory=dict)

    def root(self, service: str) -> Any:
        """Return the account's own client of a service; making one costs 0.1 s, so it is kept."""
        if service not in self.clients:
            self.clients[service] = self.aws.client(service)
        return self.clients[service]

    def person(self, answer: JsonObject | None = None, client_id: str = "") -> Person:
        """Add a person for whom the trigger gives ``answer``, and sign them in."""
        return self.people.sign_in(self.people.user(answer), client_id or self.client_id)

    def identity(self, logins: Mapping[str, str], pool_id: str = "") -> str:
        """GetId."""
        answer = self.root("cognito-identity").get_id(
            IdentityPoolId=pool_id or self.identity_pool_id, Logins=dict(logins)
        )
        identity_id: str = answer["IdentityId"]
        return identity_id

    def credentials(self, person: Person, pool_id: str = "", **request: Any) -> dict[str, Any]:
        """GetId and GetCredentialsForIdentity, the enhanced flow."""
        answer = self.root("cognito-identity").get_credentials_for_identity(
            IdentityId=self.identity(person.logins, pool_id), Logins=person.logins, **request
        )
        credentials: dict[str, Any] = answer["Credentials"]
        return credentials

    def role_name(self, credentials: Mapping[str, str]) -> str:
        """Return the name of the role that the credentials act as, by GetCallerIdentity."""
        arn: str = self.aws.client("sts", credentials).get_caller_identity()["Arn"]
        assumed, role, _session = arn.split(":", 5)[5].split("/")
        assert assumed == "assumed-role"
        return role

    def add_role(
        self, name: str, trust: JsonObject, policy: JsonObject | None = None, path: str = "/"
    ) -> str:
        """Create a role, remember it as ``name``, and return its ARN."""
        iam = self.root("iam")
        role_name = _unique(name)
        arn: str = iam.create_role(
            RoleName=role_name, Path=path, AssumeRolePolicyDocument=json.dumps(trust)
        )["Role"]["Arn"]
        if policy is not None:
            iam.put_role_policy(
                RoleName=role_name, PolicyName="own", PolicyDocument=json.dumps(policy)
            )
        self.roles[name] = arn
        return arn

    def set_roles(self, pool_id: str, mapping: JsonObject, roles: Mapping[str, str]) -> None:
        """Set the default roles of an identity pool, and the mapping of ``client_id``."""
        self.root("cognito-identity").set_identity_pool_roles(
            IdentityPoolId=pool_id,
            Roles=dict(roles),
            RoleMappings={f"{self.people.provider}:{self.client_id}": mapping},
        )

    def add_identity_pool(
        self,
        mapping: JsonObject | None,
        *,
        authenticated: str | None = None,
        tags: Mapping[str, str] | None = None,
        use_default_tags: bool = False,
        **settings: Any,
    ) -> str:
        """Create an identity pool on the same user pool; ``mapping`` is for ``client_id``."""
        identity = self.root("cognito-identity")
        pool_id: str = identity.create_identity_pool(
            IdentityPoolName=_unique("identities"),
            AllowUnauthenticatedIdentities=settings.pop("guests", False),
            CognitoIdentityProviders=[
                {
                    "ProviderName": self.people.provider,
                    "ClientId": client_id,
                    "ServerSideTokenCheck": True,
                }
                for client_id in (self.client_id, self.unmapped_client_id)
            ],
            **({"AllowClassicFlow": False} | settings),
        )["IdentityPoolId"]
        key = f"{self.people.provider}:{self.client_id}"
        identity.set_identity_pool_roles(
            IdentityPoolId=pool_id,
            Roles={"authenticated": authenticated} if authenticated else {},
            RoleMappings={} if mapping is None else {key: mapping},
        )
        if tags is not None or use_default_tags:
            identity.set_principal_tag_attribute_map(
                IdentityPoolId=pool_id,
                IdentityProviderName=self.people.provider,
                UseDefaults=use_default_tags,
                PrincipalTags=dict(tags or {}),
            )
        return pool_id


def refused_with(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """Return the error code of a call that has to fail."""
    with pytest.raises(ClientError) as caught:
        call(*arguments, **named)
    return str(caught.value.response["Error"]["Code"])


TOKEN_MAPPING = {"Type": "Token", "AmbiguousRoleResolution": "Deny"}
TAGS = {"Project": "aws_tag_project", "granted": "aws_tag_granted"}


def trust(
    identity_pool_id: str,
    *,
    amr: str = "authenticated",
    granted: str | None = None,
    tag_session: bool = True,
) -> JsonObject:
    """Return a trust policy for one identity pool; with ``granted`` it asks for that tag too."""
    conditions: JsonObject = {
        "StringEquals": {"cognito-identity.amazonaws.com:aud": identity_pool_id},
        "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": amr},
    }
    if granted is not None:
        conditions["StringLike"] = {"aws:RequestTag/granted": f"*:{granted}:*"}
    actions = ["sts:AssumeRoleWithWebIdentity", *(["sts:TagSession"] if tag_session else [])]
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Federated": "cognito-identity.amazonaws.com"},
                "Action": actions,
                "Condition": conditions,
            }
        ],
    }


def build(aws: EmbeddedAws) -> IdentityStack:
    """Create everything: roles ``none`` (default), ``reader``, ``developer``, ``administrator``."""
    trigger_arn = create_function(aws, TRIGGER)
    people = Directory(aws, trigger_arn)
    stack = IdentityStack(
        aws=aws,
        people=people,
        client_id=people.client(),
        unmapped_client_id=people.client(),
        foreign_client_id=people.client(),
        identity_pool_id="",
        bucket=_unique("data"),
        trigger_arn=trigger_arn,
    )
    aws.client("s3").create_bucket(
        Bucket=stack.bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
    )
    # The pool's id is in the trust policies, the default role's ARN in the pool's roles.
    pool_id = stack.identity_pool_id = stack.add_identity_pool(None, tags=TAGS)
    stack.add_role("none", trust(pool_id))
    stack.add_role(
        "reader", trust(pool_id, granted="reader"), _own_files(stack.bucket, "s3:GetObject")
    )
    stack.add_role(
        "developer",
        trust(pool_id, granted="developer"),
        _own_files(stack.bucket, "s3:GetObject", "s3:PutObject"),
    )
    stack.add_role(
        "administrator",
        trust(pool_id, granted="administrator"),
        {
            "Version": "2012-10-17",
            "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
        },
    )
    aws.client("cognito-identity").set_identity_pool_roles(
        IdentityPoolId=pool_id,
        Roles={"authenticated": stack.roles["none"]},
        RoleMappings={f"{people.provider}:{stack.client_id}": TOKEN_MAPPING},
    )
    return stack


def _own_files(bucket: str, *actions: str) -> JsonObject:
    """Return a policy for a folder of each person, and one of each project."""
    own = "${cognito-identity.amazonaws.com:sub}"
    return {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": list(actions),
                "Resource": f"arn:aws:s3:::{bucket}/users/{own}/*",
            },
            {
                "Effect": "Allow",
                "Action": list(actions),
                "Resource": f"arn:aws:s3:::{bucket}/projects/${{aws:PrincipalTag/Project}}/*",
                "Condition": {"StringLike": {"aws:PrincipalTag/Project": "?*"}},
            },
            {
                "Effect": "Allow",
                "Action": "s3:ListBucket",
                "Resource": f"arn:aws:s3:::{bucket}",
                "Condition": {"StringLike": {"s3:prefix": f"users/{own}/*"}},
            },
        ],
    }


def _unique(name: str) -> str:
    return f"{name}-{uuid.uuid4().hex[:10]}"
