"""A rule's queue and what Lambda does with it, for tests of deliver; rules answer as told."""

import json
import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

from aws_lambda_powertools.utilities.circuit_breaker.persistence import (
    CircuitBreakerDynamoDBPersistence,
)
from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

from cognito_rules.deliver import Deliverer
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.manifest import Manifest
from cognito_rules.markers import Markers
from cognito_rules.queues import Queues
from cognito_rules.second_hop import SecondHop
from cognito_rules.testing import a_context
from local.server import EmbeddedAws
from tests.unit.core.chains import a_manifest

OK = {"version": 1, "effects": []}
MAX_RECEIVES = 3


def a_fault(code: str, *, retryable: bool, **more: Any) -> dict[str, Any]:
    return {"version": 1, "fault": {"code": code, "message": "", "retryable": retryable, **more}}


BUSY = a_fault("upstream_unavailable", retryable=True)


class Rule:
    """Stands where the rule functions are: answers in turn, the last answer again and again."""

    def __init__(self) -> None:
        self.answers: list[Any] = [OK]
        self.answers_of: dict[str, Any] = {}
        self.requests: list[dict[str, Any]] = []
        self.invoked: list[tuple[str, str, float]] = []
        self.before_answer: Callable[[], None] = lambda: None
        self._lock = threading.Lock()

    def invoke(self, rule: str, request: dict[str, Any], timeout: float) -> Any:
        with self._lock:
            self.invoked.append((rule, request["login"]["event"]["id"], timeout))
            self.requests.append(request)
            answer = self.answers_of.get(rule)
            if answer is None:
                answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.before_answer()
        return answer

    @property
    def delivered(self) -> list[str]:
        """Ids of the events that rules were invoked with."""
        return [event_id for _, event_id, _ in self.invoked]


class Post:
    """A queue with its dead letters, and the deliverer that Lambda would call for it."""

    def __init__(self, aws: EmbeddedAws, rule: Rule, *others: Manifest) -> None:
        self.others = others
        self.now = time.time
        self._sqs, self._dynamodb = aws.client("sqs"), aws.client("dynamodb")
        self.hidden_for: list[int] = []
        self._sqs.meta.events.register(
            "provide-client-params.sqs.ChangeMessageVisibility",
            lambda params, **_: self.hidden_for.append(params["VisibilityTimeout"]),
        )
        name = f"deliver-{uuid4().hex[:8]}"
        self.rule_name = name.replace("-", "_")
        self.dead_url, dead_arn = self._queue(f"{name}-dead")
        policy = {"deadLetterTargetArn": dead_arn, "maxReceiveCount": MAX_RECEIVES}
        self.url, self.arn = self._queue(name, RedrivePolicy=json.dumps(policy))
        self.table = name
        self._dynamodb.create_table(
            TableName=name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        self.rule = rule
        self.deliverer = self.another_environment()

    def _queue(self, name: str, **attributes: str) -> tuple[str, str]:
        url = self._sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def another_environment(self) -> Deliverer:
        """Return a deliverer that shares nothing but the table and the queues."""
        options: Any = {
            "key_attr": "pk",
            "expiry_attr": "expires_at",
            "boto3_client": self._dynamodb,
        }
        manifest = a_manifest(
            self.rule_name,
            stage="after_login",
            on_error="continue",
            timeout_ms=1000,
            events=["LoginCompleted"],
        )
        manifests = (manifest, *self.others)
        return Deliverer(
            self.rule,
            Queues(self._sqs),
            DynamoDBPersistenceLayer(self.table, **options),
            CircuitBreakerDynamoDBPersistence(self.table, **options),
            {manifest.name: manifest for manifest in manifests},
            Markers(self._dynamodb, self.table, clock=lambda: self.now()),
            SecondHop(
                self._dynamodb,
                profiles=self.table,
                sessions=self.table,
                clock=lambda: self.now(),
            ),
        )

    def send(self, event_id: str, *entries: str, **changes: Any) -> None:
        """Put a view on the queue, as the bus does."""
        request = {"version": 1, "login": {"event": {"id": event_id}}, "configuration": {}}
        view = {
            "schema": 1,
            "rule": self.rule_name,
            "event_id": event_id,
            "type": "LoginCompleted",
            "occurred_at": "2026-11-22T09:30:00.000Z",
            "deliveries": [{"entry": name, "request": request} for name in entries or ("one",)],
            **changes,
        }
        self.send_text(json.dumps(view))

    def send_text(self, body: str) -> None:
        self._sqs.send_message(QueueUrl=self.url, MessageBody=body)

    def receive(self, count: int = 10, *, url: str | None = None) -> list[dict[str, Any]]:
        """Return the messages that are visible now, as records of a Lambda event."""
        answer = self._sqs.receive_message(
            QueueUrl=url or self.url,
            MaxNumberOfMessages=count,
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return [
            {
                "messageId": message["MessageId"],
                "receiptHandle": message["ReceiptHandle"],
                "body": message["Body"],
                "attributes": message["Attributes"],
                "messageAttributes": message.get("MessageAttributes", {}),
                "eventSource": "aws:sqs",
                "eventSourceARN": self.arn,
            }
            for message in answer.get("Messages", [])
        ]

    def run(self, *, seconds: float = 30.0, deliverer: Deliverer | None = None) -> list[str]:
        """Do what Lambda does: receive, deliver, delete what did not fail; return what failed."""
        records = self.receive()
        assert records, "nothing is visible on the queue"
        return self.deliver(records, seconds=seconds, deliverer=deliverer)

    def deliver(
        self,
        records: list[dict[str, Any]],
        *,
        seconds: float = 30.0,
        deliverer: Deliverer | None = None,
    ) -> list[str]:
        context = a_context(remaining_ms=int(seconds * 1000))
        response = (deliverer or self.deliverer).handle({"Records": records}, context)
        failed = [item["itemIdentifier"] for item in response["batchItemFailures"]]
        for record in records:
            if record["messageId"] not in failed:
                self._sqs.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])
        return failed

    def hurry(self, record: dict[str, Any]) -> None:
        """Make a hidden message visible now."""
        self._sqs.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0
        )

    @property
    def dead(self) -> list[tuple[dict[str, Any], dict[str, str]]]:
        """Body and attributes of the dead letters."""
        letters = self.receive(url=self.dead_url)
        return [
            (
                json.loads(letter["body"]),
                {name: value["StringValue"] for name, value in letter["messageAttributes"].items()},
            )
            for letter in letters
        ]

    @property
    def items(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._dynamodb.scan(TableName=self.table)["Items"]
        return found

    def put(self, item: dict[str, Any]) -> None:
        """Put an item."""
        self._dynamodb.put_item(TableName=self.table, Item=to_item(item))

    def forget(self, key: str) -> None:
        """Delete an item."""
        self._dynamodb.delete_item(TableName=self.table, Key={"pk": {"S": key}})

    def kept(self, prefix: str) -> dict[str, dict[str, Any]]:
        """Return the items whose keys begin with ``prefix``, by what follows it."""
        items = map(from_item, self.items)
        return {i["pk"].removeprefix(prefix): i for i in items if i["pk"].startswith(prefix)}
