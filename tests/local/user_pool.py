"""User pools, app clients and a probe function behind their triggers, made through the AWS API."""

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.server import ACCOUNT_ID, REGION, EmbeddedAws
from local.sign_in import CALLBACK, App

PASSWORD = "Correct-horse-1"

TRIGGERS = (
    "PreSignUp",
    "PostConfirmation",
    "PreAuthentication",
    "PostAuthentication",
    "DefineAuthChallenge",
    "CreateAuthChallenge",
    "VerifyAuthChallengeResponse",
    "UserMigration",
)

ALL_FLOWS = [
    "ALLOW_USER_PASSWORD_AUTH",
    "ALLOW_ADMIN_USER_PASSWORD_AUTH",
    "ALLOW_USER_SRP_AUTH",
    "ALLOW_CUSTOM_AUTH",
    "ALLOW_REFRESH_TOKEN_AUTH",
]

# Runs in the emulator on this machine, so it can leave its records in a folder.
PROBE = """
import json, os, pathlib, time

FOLDER = pathlib.Path(os.environ["PROBE_FOLDER"])


def handler(event, context):
    print("called")  # the emulator waits 50 ms for a line of log
    with (FOLDER / "events.jsonl").open("a") as record:
        record.write(json.dumps(event) + "\\n")
    told = json.loads((FOLDER / "answers.json").read_text())
    answer = told.get(event["triggerSource"]) or told.get("*") or {}
    time.sleep(answer.get("sleep", 0))
    if "exit" in answer:
        os._exit(answer["exit"])
    if "raise" in answer:
        raise RuntimeError(answer["raise"])
    if "return" in answer:
        return answer["return"]
    event["response"].update(answer.get("response", {}))
    return event
"""


def zipped(source: str) -> bytes:
    """Return a deployment package whose ``app.py`` is ``source``."""
    package = io.BytesIO()
    with zipfile.ZipFile(package, "w") as archive:
        archive.writestr("app.py", source)
    return package.getvalue()


def create_function(aws: EmbeddedAws, source: str, *, timeout: int = 20, **variables: str) -> str:
    """Create a Lambda function with a role of its own and return its ARN."""
    name = f"probe-{uuid4().hex[:8]}"
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "lambda.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    role = aws.client("iam").create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    created = aws.client("lambda").create_function(
        FunctionName=name,
        Runtime="python3.13",
        Role=role["Role"]["Arn"],
        Handler="app.handler",
        Code={"ZipFile": zipped(source)},
        Timeout=timeout,
        Environment={"Variables": variables},
    )
    return str(created["FunctionArn"])


def let_cognito_call(aws: EmbeddedAws, arn: str, source_arn: str, **condition: str) -> None:
    """Give user pools like ``source_arn`` the permission to call the function."""
    aws.client("lambda").add_permission(
        FunctionName=arn,
        StatementId=f"cognito-{uuid4().hex[:8]}",
        Action="lambda:InvokeFunction",
        Principal="cognito-idp.amazonaws.com",
        SourceArn=source_arn,
        **condition,
    )


@dataclass(frozen=True)
class Probe:
    """A function that records every event and answers as told."""

    aws: EmbeddedAws
    arn: str
    folder: Path

    @classmethod
    def deploy(cls, aws: EmbeddedAws, folder: Path) -> "Probe":
        arn = create_function(aws, PROBE, PROBE_FOLDER=str(folder))
        let_cognito_call(aws, arn, f"arn:aws:cognito-idp:{REGION}:{ACCOUNT_ID}:userpool/*")
        probe = cls(aws, arn, folder)
        probe.reset()
        return probe

    def reset(self) -> None:
        """Forget the events and answer every event unchanged."""
        (self.folder / "events.jsonl").write_text("")
        (self.folder / "answers.json").write_text("{}")
        self.aws.forget_trigger_calls()

    def answer(self, source: str, **answer: Any) -> None:
        """Answer events of ``source`` (``*`` for all others) in one of these ways.

        ``raise_`` : raise with this text. ``returns`` : return this instead of the event.
        ``response`` : update the event's response. ``sleep`` : seconds before that. ``exit`` : die.
        """
        told = json.loads((self.folder / "answers.json").read_text())
        names = {"raise_": "raise", "returns": "return"}
        told[source] = {names.get(name, name): value for name, value in answer.items()}
        (self.folder / "answers.json").write_text(json.dumps(told))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events received since the last ``reset``, oldest first."""
        lines = (self.folder / "events.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def sources(self) -> list[str]:
        """Their trigger sources."""
        return [event["triggerSource"] for event in self.events]

    def event(self, source: str) -> dict[str, Any]:
        """The one event of this source; AssertionError when there is none or more."""
        found = [event for event in self.events if event["triggerSource"] == source]
        assert len(found) == 1, f"{len(found)} events of {source}: {self.sources}"
        return found[0]


@dataclass(frozen=True)
class UserPool:
    """One user pool."""

    aws: EmbeddedAws
    id: str
    arn: str
    trigger_arn: str

    @classmethod
    def create(
        cls,
        aws: EmbeddedAws,
        trigger_arn: str,
        *,
        triggers: tuple[str, ...] = TRIGGERS,
        pre_token_version: str | None = "V3_0",
        inbound: bool = True,
        **settings: Any,
    ) -> "UserPool":
        """Create a pool that calls ``trigger_arn`` for the named triggers."""
        configured: dict[str, Any] = dict.fromkeys(triggers, trigger_arn)
        if pre_token_version:
            configured["PreTokenGenerationConfig"] = {
                "LambdaArn": trigger_arn,
                "LambdaVersion": pre_token_version,
            }
        if inbound:
            configured["InboundFederation"] = {"LambdaArn": trigger_arn, "LambdaVersion": "V1_0"}
        created = aws.client("cognito-idp").create_user_pool(
            PoolName="people", LambdaConfig=configured, **settings
        )["UserPool"]
        return cls(aws, created["Id"], created["Arn"], trigger_arn)

    @property
    def api(self) -> Any:
        """A client of the user pools API with the account's root key."""
        return self.aws.client("cognito-idp")

    def app(self, flows: list[str] | None = None, *, secret: bool = False, **settings: Any) -> App:
        """Create an app client and return it; by default it allows every flow but USER_AUTH."""
        created = self.api.create_user_pool_client(
            UserPoolId=self.id,
            ClientName=f"app-{uuid4().hex[:6]}",
            ExplicitAuthFlows=ALL_FLOWS if flows is None else flows,
            GenerateSecret=secret,
            **settings,
        )["UserPoolClient"]
        return App(self.aws, self.id, created["ClientId"], created.get("ClientSecret"))

    def web_app(self, *providers: str, scopes: tuple[str, ...] = ("openid",), **more: Any) -> App:
        """Create an app client for the sign-in page and the named identity providers."""
        return self.app(
            AllowedOAuthFlows=["code"],
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthScopes=list(scopes),
            CallbackURLs=[CALLBACK],
            SupportedIdentityProviders=["COGNITO", *providers],
            **more,
        )

    def person(self, *, password: str = PASSWORD, temporary: bool = False, **more: str) -> str:
        """Create a confirmed user, or one with a temporary password; return the user name."""
        name = f"person-{uuid4().hex[:8]}"
        attributes = {"email": f"{name}@example.com", "email_verified": "true", **more}
        self.api.admin_create_user(
            UserPoolId=self.id,
            Username=name,
            MessageAction="SUPPRESS",
            TemporaryPassword=password,
            UserAttributes=[{"Name": n, "Value": v} for n, v in attributes.items()],
        )
        if not temporary:
            self.api.admin_set_user_password(
                UserPoolId=self.id, Username=name, Password=password, Permanent=True
            )
        return name

    def group(self, name: str, *members: str, **settings: Any) -> str:
        """Create a group with members; ``settings`` as CreateGroup takes them."""
        self.api.create_group(UserPoolId=self.id, GroupName=name, **settings)
        for member in members:
            self.api.admin_add_user_to_group(UserPoolId=self.id, GroupName=name, Username=member)
        return name
