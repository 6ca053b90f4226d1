"""The queues of a stack's after_login rules, read and written from a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from cli.rules import manifests
from cli.stack import DeployedStack, one_line_errors
from cli.terminal import stop
from cognito_rules.manifest import Manifest

# How long a message that was taken off a queue stays hidden from everybody else.
HIDDEN_SECONDS = 900
_BATCH = 10


class RuleQueues:
    """SQS, with the names that template.yaml gives the queues of a rule."""

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack
        self._sqs = stack.client("sqs")

    def url(self, rule: str) -> str | None:
        """Return the URL of the queue that deliver takes a rule's messages from."""
        return self._url(f"{self._stack.name}-{rule}")

    def dead_letters_url(self, rule: str) -> str | None:
        """Return the URL of a rule's dead-letter queue; None when the stack has none."""
        return self._url(f"{self._stack.name}-{rule}-dead")

    def _url(self, name: str) -> str | None:
        with one_line_errors():
            try:
                return str(self._sqs.get_queue_url(QueueName=name)["QueueUrl"])
            except self._sqs.exceptions.QueueDoesNotExist:
                return None

    def count(self, url: str) -> int:
        """Return about how many messages could be received now."""
        with one_line_errors():
            return int(self._attribute(url, "ApproximateNumberOfMessages"))

    def received(self, url: str, *, patience: int = 1) -> Iterator[list[dict[str, Any]]]:
        """Yield the messages in small lists, hidden, until none comes for ``patience`` seconds."""
        seen: set[str] = set()
        while True:
            with one_line_errors():
                answer = self._sqs.receive_message(
                    QueueUrl=url,
                    MaxNumberOfMessages=_BATCH,
                    MessageAttributeNames=["All"],
                    VisibilityTimeout=HIDDEN_SECONDS,
                    WaitTimeSeconds=patience,
                )
            new = [m for m in answer.get("Messages", []) if m["MessageId"] not in seen]
            if not new:
                return
            seen |= {message["MessageId"] for message in new}
            yield new

    def release(self, url: str, receipts: Iterable[str]) -> None:
        """Let everybody see received messages again."""
        waiting = list(receipts)
        for start in range(0, len(waiting), _BATCH):
            entries = [
                {"Id": str(number), "ReceiptHandle": receipt, "VisibilityTimeout": 0}
                for number, receipt in enumerate(waiting[start : start + _BATCH])
            ]
            with one_line_errors():
                self._sqs.change_message_visibility_batch(QueueUrl=url, Entries=entries)

    def send(self, url: str, body: str, **facts: str) -> None:
        """Send a message with facts as attributes."""
        attributes = {
            name: {"DataType": "String", "StringValue": value} for name, value in facts.items()
        }
        with one_line_errors():
            self._sqs.send_message(QueueUrl=url, MessageBody=body, MessageAttributes=attributes)

    def make(self, name: str, *, like: str) -> str:
        """Make a queue for a while, encrypted as the queue ``like`` is, and return its URL."""
        key = self._attribute(like, "KmsMasterKeyId")
        safe = {"KmsMasterKeyId": key} if key else {"SqsManagedSseEnabled": "true"}
        kept = {"MessageRetentionPeriod": str(24 * 3600)}
        return str(self._sqs.create_queue(QueueName=name, Attributes=safe | kept)["QueueUrl"])

    def admit(self, url: str, rule_arn: str) -> str:
        """Let a rule of the bus send to a queue, and return the queue's ARN."""
        arn = self._attribute(url, "QueueArn")
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "events.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
            "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self._sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        return arn

    def remove(self, url: str) -> None:
        """Remove a queue with all that is on it."""
        self._sqs.delete_queue(QueueUrl=url)

    def _attribute(self, url: str, name: str) -> str:
        found = self._sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])
        return str(found.get("Attributes", {}).get(name, ""))

    def delete(self, url: str, receipt: str) -> None:
        """Delete a received message."""
        with one_line_errors():
            self._sqs.delete_message(QueueUrl=url, ReceiptHandle=receipt)


def after_login_rules() -> dict[str, Manifest]:
    """Return the manifests of this checkout's after_login rules by name."""
    return {m.name: m for m in manifests() if m.stage == "after_login"}


def after_login_rule(name: str) -> Manifest:
    """Return the manifest of an after_login rule, or end the command."""
    rules = after_login_rules()
    if name not in rules:
        stop(f"{name} is no after_login rule: there are {', '.join(rules)}.")
    return rules[name]
