"""A stack with what the replay commands ask for and no function: queues, tables, a pool, a bus.

Names and outputs are those of template.yaml, which tests/contract holds them to.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from typer.testing import CliRunner, Result

from cli.main import app
from local.server import EmbeddedAws

OUTPUTS = ("UserPoolId", "ProfilesTable", "SessionsTable", "EventBus")
AT = "2026-11-22T09:30:00.123Z"


def _table() -> dict[str, Any]:
    return {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        },
    }


@dataclass(frozen=True)
class QueuesStack:
    """The stack ``name``, with the queues of ``rules``."""

    aws: EmbeddedAws
    name: str
    outputs: dict[str, str]

    @classmethod
    def deployed(cls, aws: EmbeddedAws, rules: tuple[str, ...]) -> "QueuesStack":
        name = f"queues-{uuid4().hex[:6]}"
        resources: dict[str, Any] = {
            "UserPool": {"Type": "AWS::Cognito::UserPool", "Properties": {}},
            "ProfilesTable": _table(),
            "SessionsTable": _table(),
            "EventBus": {"Type": "AWS::Events::EventBus", "Properties": {"Name": name}},
        }
        for number, rule in enumerate(rules):
            for ending in ("", "-dead"):
                resources[f"Queue{number}{ending.strip('-')}"] = {
                    "Type": "AWS::SQS::Queue",
                    "Properties": {"QueueName": f"{name}-{rule}{ending}"},
                }
        outputs = {output: {"Value": {"Ref": output.removesuffix("Id")}} for output in OUTPUTS}
        formation = aws.client("cloudformation")
        formation.create_stack(
            StackName=name, TemplateBody=json.dumps({"Resources": resources, "Outputs": outputs})
        )
        formation.get_waiter("stack_create_complete").wait(
            StackName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30}
        )
        [stack] = formation.describe_stacks(StackName=name)["Stacks"]
        found = {output["OutputKey"]: output["OutputValue"] for output in stack["Outputs"]}
        return cls(aws, name, found)

    def run(self, *arguments: str) -> Result:
        """Run ``cognito-rules`` on this stack."""
        environment: dict[str, str | None] = {
            **self.aws.environment,
            "COGNITO_RULES_STACK": self.name,
            "COLUMNS": "250",
        }
        return CliRunner().invoke(app, list(arguments), env=environment)

    def person(self, **consent: bool) -> str:
        """Make somebody with these answers, and return their id."""
        cognito = self.aws.client("cognito-idp")
        made = cognito.admin_create_user(
            UserPoolId=self.outputs["UserPoolId"], Username=f"person-{uuid4().hex}"
        )["User"]
        user_id = next(str(a["Value"]) for a in made["Attributes"] if a["Name"] == "sub")
        self.answers(user_id, **consent)
        return user_id

    def answers(self, user_id: str, **consent: bool) -> None:
        """Record what a person answered, and nothing else."""
        said = {purpose: {"BOOL": granted} for purpose, granted in consent.items()}
        item = {"pk": {"S": f"USER#{user_id}"}, "user_metadata": {"M": {"consent": {"M": said}}}}
        self.aws.client("dynamodb").put_item(TableName=self.outputs["ProfilesTable"], Item=item)

    def queue(self, rule: str, ending: str = "") -> str:
        found = self.aws.client("sqs").get_queue_url(QueueName=f"{self.name}-{rule}{ending}")
        return str(found["QueueUrl"])

    def set_aside(
        self,
        rule: str,
        login_id: str,
        reason: str | None,
        *,
        user_id: str | None = None,
        code: str = "http_500",
        occurred_at: str = AT,
        sent_at: str | None = None,
        entry: str = "one",
    ) -> None:
        """Put a letter into a rule's dead-letter queue, as deliver does; sent as it happened."""
        sent = datetime.fromisoformat(sent_at or occurred_at).timestamp()
        body = json.dumps(a_view(rule, login_id, user_id, occurred_at, entry))
        facts = {
            "reason": reason,
            "code": code,
            "rule": rule,
            "entry": entry,
            "login_id": login_id,
            "occurred_at": occurred_at,
            "attempts": "1",
            "first_sent_ms": str(round(sent * 1000)),
        }
        self.put(rule, body, {} if reason is None else facts)

    def put(self, rule: str, body: str, facts: dict[str, str | None]) -> None:
        """Put a message into a rule's dead-letter queue."""
        attributes = {n: {"DataType": "String", "StringValue": v} for n, v in facts.items()}
        self.aws.client("sqs").send_message(
            QueueUrl=self.queue(rule, "-dead"), MessageBody=body, MessageAttributes=attributes
        )

    def messages(self, rule: str, ending: str = "") -> list[dict[str, Any]]:
        """Take all that can be received off a queue."""
        sqs, url = self.aws.client("sqs"), self.queue(rule, ending)
        found: list[dict[str, Any]] = []
        while some := sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        ).get("Messages"):
            found += some
            for message in some:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return found

    def ids(self, rule: str, ending: str = "") -> list[str]:
        """Return the events of all that can be received, in their order by id."""
        return sorted(json.loads(m["Body"])["event_id"] for m in self.messages(rule, ending))


def a_view(
    rule: str, login_id: str, user_id: str | None, occurred_at: str = AT, entry: str = "one"
) -> dict[str, Any]:
    """Return what a rule's queue gets of a login."""
    user = {"name": "Ann Doe"} if user_id is None else {"name": "Ann Doe", "user_id": user_id}
    login = {"event": {"id": login_id, "occurred_at": occurred_at}, "user": user}
    return {
        "schema": 1,
        "rule": rule,
        "event_id": login_id,
        "type": "LoginCompleted",
        "occurred_at": occurred_at,
        "deliveries": [
            {"entry": entry, "request": {"version": 1, "login": login, "configuration": {}}}
        ],
    }


def minutes_ago(minutes: float) -> str:
    """Return a moment before now as events tell it."""
    at = datetime.fromtimestamp(datetime.now(UTC).timestamp() - minutes * 60, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.000Z")
