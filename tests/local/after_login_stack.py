"""The after_login path for tests, made through the AWS API: table, stream, bus, queues, functions.

The roles may do what the roles in template.yaml may, and the functions are the project's own, with
their dependencies in a layer: the emulator's interpreter has others.
"""

import contextlib
import io
import json
import time
import tomllib
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any
from uuid import uuid4

from local.server import ACCOUNT_ID, REGION, EmbeddedAws

PROJECT = Path(__file__).resolve().parents[2]
RULE = "record_events_splunk"
TOKEN = "hec-0123456789"
MAX_RECEIVES = 12

# What the functions import from the layers, as locked there; boto3 comes with the runtime.
PACKAGES = (
    "aws-lambda-powertools",
    "fastjsonschema",
    "jmespath",
    "typing-extensions",
    "requests",
    "urllib3",
    "certifi",
    "idna",
    "charset-normalizer",
)
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "lambda.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
    ],
}


@cache
def layer() -> bytes:
    """Return both layers as one archive."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_STORED) as package:
        for name in PACKAGES:
            distribution = metadata.distribution(name)
            for file in distribution.files or ():
                path = Path(str(distribution.locate_file(file)))
                if ".." not in file.parts and path.suffix != ".pyc" and path.is_file():
                    package.write(path, f"python/{file}")
        source = PROJECT / "layers" / "core" / "cognito_rules"
        for path in source.glob("*.py"):
            package.write(path, f"python/cognito_rules/{path.name}")
        rules = {
            path.parent.name: tomllib.loads(path.read_text())
            for path in (PROJECT / "functions").glob("*/rule.toml")
        }
        package.writestr("python/cognito_rules/catalogue.json", json.dumps(rules))
    return archive.getvalue()


def folder(name: str) -> bytes:
    """Return the deployment package of a function."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        for path in (PROJECT / "functions" / name).iterdir():
            if path.is_file():
                package.write(path, path.name)
    return archive.getvalue()


@dataclass(frozen=True)
class AfterLogin:
    """The deployed path. ``announce`` is where a login enters it."""

    aws: EmbeddedAws
    name: str
    table: str
    queue_url: str
    queue_arn: str
    dead_url: str
    announce_dead_url: str
    deliver_mapping: str

    @classmethod
    def deployed(cls, aws: EmbeddedAws, collector_url: str) -> "AfterLogin":
        return _deploy(aws, f"after-{uuid4().hex[:6]}", collector_url)

    def announce(self, login_id: str, *, key: str | None = None, **changes: Any) -> None:
        """Write what the login function writes when it commits a login."""
        self.write(json.dumps(an_announcement(login_id, **changes)), key=key or login_id)

    def write(self, announcement: str, *, key: str) -> None:
        """Write an item with this announcement."""
        item = {"pk": {"S": f"login#pool#{key}#client"}, "announcement": {"S": announcement}}
        self.aws.client("dynamodb").put_item(TableName=self.table, Item=item)

    def forget(self, login_id: str) -> None:
        """Remove an item, as its time to live does."""
        self.aws.client("dynamodb").delete_item(
            TableName=self.table, Key={"pk": {"S": f"login#pool#{login_id}#client"}}
        )

    def send(self, body: str) -> None:
        """Put a message on the rule's queue."""
        self.aws.client("sqs").send_message(QueueUrl=self.queue_url, MessageBody=body)

    def dead_letters(self, url: str | None = None) -> list[dict[str, Any]]:
        """Return the messages on a dead-letter queue."""
        answer = self.aws.client("sqs").receive_message(
            QueueUrl=url or self.dead_url,
            MaxNumberOfMessages=10,
            MessageAttributeNames=["All"],
            VisibilityTimeout=1,
        )
        found: list[dict[str, Any]] = answer.get("Messages", [])
        return found

    @contextlib.contextmanager
    def deliver_stopped(self) -> Iterator[None]:
        """Keep messages on the queue for a while."""
        functions = self.aws.client("lambda")
        functions.update_event_source_mapping(UUID=self.deliver_mapping, Enabled=False)
        time.sleep(1.5)  # a poll that was under way may still take a message
        try:
            yield
        finally:
            functions.update_event_source_mapping(UUID=self.deliver_mapping, Enabled=True)


def an_announcement(login_id: str, **changes: Any) -> dict[str, Any]:
    """Return an announcement as the login function writes it, for two rules."""
    event = {
        "id": login_id,
        "type": "LoginCompleted",
        "occurred_at": "2026-11-22T09:30:00.123Z",
        "first_login": False,
    } | changes
    login = {"event": event, "user": {"user_id": f"user-of-{login_id}"}, "unknown": []}
    request = {"version": 1, "login": login, "configuration": {}}
    views = {
        rule: {
            "event_id": login_id,
            "rule": rule,
            "deliveries": [{"entry": rule, "request": request}],
        }
        for rule in (RULE, "another_rule")
    }
    return {"schema": 1, **event, "rules": sorted(views), "views": views}


def _deploy(aws: EmbeddedAws, name: str, collector_url: str) -> AfterLogin:
    sqs, functions = aws.client("sqs"), aws.client("lambda")
    dead_url, dead_arn = _queue(sqs, f"{name}-dead")
    announce_dead_url, announce_dead_arn = _queue(sqs, f"{name}-announce-dead")
    redrive = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": MAX_RECEIVES}
    queue_url, queue_arn = _queue(
        sqs, f"{name}-splunk", VisibilityTimeout="180", RedrivePolicy=json.dumps(redrive)
    )
    table_arn, stream_arn = _table(aws, name)
    bus_arn = _bus(aws, name, queue_arn)
    secret = aws.client("secretsmanager").create_secret(Name=f"{name}/splunk", SecretString=TOKEN)
    layer_arn = functions.publish_layer_version(LayerName=name, Content={"ZipFile": layer()})

    def function(
        folder_name: str, called: str, handler: str, *, statements: Any, **env: str
    ) -> str:
        created = functions.create_function(
            FunctionName=called,
            Runtime="python3.13",
            Role=_role(aws, called, statements),
            Handler=handler,
            Code={"ZipFile": folder(folder_name)},
            Layers=[layer_arn["LayerVersionArn"]],
            Timeout=30,
            Environment={"Variables": env},
        )
        return str(created["FunctionArn"])

    rule_arn = function(
        RULE,
        f"{name}-rule-{RULE}",
        "app.rule",
        statements=[("secretsmanager:GetSecretValue", secret["ARN"])],
        SECRET_NAMES=json.dumps({"SPLUNK_HEC_TOKEN": f"{name}/splunk"}),
        RULE_SETTINGS=json.dumps({"endpoint": collector_url, "allow_private_network": True}),
    )
    announce_arn = function(
        "flow_announce",
        f"{name}-announce",
        "app.handler",
        statements=[
            (["dynamodb:DescribeStream", "dynamodb:GetRecords"], stream_arn),
            (["dynamodb:GetShardIterator", "dynamodb:ListStreams"], stream_arn),
            ("events:PutEvents", bus_arn),
            ("sqs:SendMessage", announce_dead_arn),
        ],
        EVENT_BUS_NAME=name,
        DEAD_LETTER_QUEUE_ARN=announce_dead_arn,
    )
    deliver_arn = function(
        "flow_deliver",
        f"{name}-deliver",
        "app.handler",
        statements=[
            (["dynamodb:DeleteItem", "dynamodb:GetItem", "dynamodb:PutItem"], table_arn),
            ("dynamodb:UpdateItem", table_arn),
            ("lambda:InvokeFunction", rule_arn),
            (["sqs:ChangeMessageVisibility", "sqs:DeleteMessage"], queue_arn),
            (["sqs:GetQueueAttributes", "sqs:ReceiveMessage"], queue_arn),
            ("sqs:SendMessage", dead_arn),
        ],
        PROFILES_TABLE=name,
        SESSIONS_TABLE=name,
        RULE_FUNCTION_PREFIX=f"{name}-rule-",
    )
    pattern = {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"NewImage": {"announcement": {"S": [{"exists": True}]}}},
    }
    functions.create_event_source_mapping(
        EventSourceArn=stream_arn,
        FunctionName=announce_arn,
        StartingPosition="TRIM_HORIZON",
        BatchSize=100,
        FunctionResponseTypes=["ReportBatchItemFailures"],
        FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]},
    )
    mapping = functions.create_event_source_mapping(
        EventSourceArn=queue_arn,
        FunctionName=deliver_arn,
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )
    return AfterLogin(
        aws, name, name, queue_url, queue_arn, dead_url, announce_dead_url, mapping["UUID"]
    )


def _queue(sqs: Any, name: str, **attributes: str) -> tuple[str, str]:
    url = sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    return url, f"arn:aws:sqs:{REGION}:{ACCOUNT_ID}:{name}"


def _table(aws: EmbeddedAws, name: str) -> tuple[str, str]:
    table = aws.client("dynamodb").create_table(
        TableName=name,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )["TableDescription"]
    return table["TableArn"], table["LatestStreamArn"]


def _bus(aws: EmbeddedAws, name: str, queue_arn: str) -> str:
    events = aws.client("events")
    bus = events.create_event_bus(Name=name)["EventBusArn"]
    pattern = {"source": ["cognito.rules"], "detail": {"rules": [RULE]}}
    events.put_rule(Name=name, EventBusName=name, EventPattern=json.dumps(pattern))
    target = {"Id": "queue", "Arn": queue_arn, "InputPath": f"$.detail.views.{RULE}"}
    events.put_targets(Rule=name, EventBusName=name, Targets=[target])
    return str(bus)


def _role(aws: EmbeddedAws, name: str, statements: list[tuple[Any, str]]) -> str:
    iam = aws.client("iam")
    logs = ("logs:*", "*")
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": action, "Resource": resource}
            for action, resource in [logs, *statements]
        ],
    }
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    iam.put_role_policy(RoleName=name, PolicyName=name, PolicyDocument=json.dumps(policy))
    return str(role["Arn"])
