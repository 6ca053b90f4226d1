"""SQS as the after_login path uses it: hide a message for a while, set one aside for good."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageAttributeValueTypeDef

# A message can be hidden for twelve hours, counted from when it was received.
MAX_HIDDEN = 12 * 3600 - 300


@dataclass(frozen=True, slots=True)
class Redrive:
    """Where a queue's dead letters go, and after how many receives SQS moves them by itself."""

    dead_letters: str
    max_receives: int


class Queues:
    """The queues of one stack, named by ARN. What is asked about a queue is asked once."""

    def __init__(self, client: SQSClient) -> None:
        self._client = client
        self._redrives: dict[str, Redrive] = {}

    def url(self, arn: str) -> str:
        """Return a queue's URL, which its ARN determines in this region."""
        *_, account, name = arn.split(":")
        return f"{self._client.meta.endpoint_url.rstrip('/')}/{account}/{name}"

    def redrive(self, arn: str) -> Redrive:
        """Return the redrive policy of a queue; raises KeyError when it has none.

        Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueAttributes.html
        """
        if arn not in self._redrives:
            answer = self._client.get_queue_attributes(
                QueueUrl=self.url(arn), AttributeNames=["RedrivePolicy"]
            )
            policy = json.loads(answer["Attributes"]["RedrivePolicy"])
            self._redrives[arn] = Redrive(
                policy["deadLetterTargetArn"], int(policy["maxReceiveCount"])
            )
        return self._redrives[arn]

    def hide(self, arn: str, receipt_handle: str, seconds: float) -> None:
        """Let a received message come back after ``seconds``, at most nearly twelve hours."""
        self._client.change_message_visibility(
            QueueUrl=self.url(arn),
            ReceiptHandle=receipt_handle,
            VisibilityTimeout=int(min(seconds, MAX_HIDDEN)),
        )

    def set_aside(self, arn: str, body: str, facts: Mapping[str, Any]) -> None:
        """Put a copy of a message into the dead-letter queue of ``arn``, with facts as attributes.

        At most ten facts; those that are None are left out.
        """
        self.send(self.redrive(arn).dead_letters, body, facts)

    def send(self, arn: str, body: str, facts: Mapping[str, Any]) -> None:
        """Send a message with facts as attributes."""
        attributes: dict[str, MessageAttributeValueTypeDef] = {
            name: {"DataType": "String", "StringValue": str(value)}
            for name, value in facts.items()
            if value not in (None, "")
        }
        self._client.send_message(
            QueueUrl=self.url(arn), MessageBody=body, MessageAttributes=attributes
        )
