"""The systems outside of the deployed stack: their secrets, and what they hear of a person."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from boto3.dynamodb.types import TypeSerializer

from local.stack import Person, Stack
from tests.loopback import Received, Server


def stack_name(stack: Stack) -> str:
    """Return the name that the names of secrets and queues begin with."""
    return stack.outputs["SplunkSecret"].partition(":secret:")[2].partition("/")[0]


def put_secrets(stack: Stack, secrets: Mapping[str, Mapping[str, str]]) -> None:
    """Put credentials into the secrets of these integrations."""
    for integration, values in secrets.items():
        stack.aws.client("secretsmanager").put_secret_value(
            SecretId=f"{stack_name(stack)}/{integration}", SecretString=json.dumps(values)
        )


def consent(stack: Stack, person: Person, *purposes: str) -> None:
    """Record that the person agreed to these purposes."""
    granted = {"granted": True, "at": "2026-11-20T08:00:00Z"}
    said = {"consent": dict.fromkeys(purposes, granted)}
    stack.aws.client("dynamodb").update_item(
        TableName=stack.outputs["ProfilesTable"],
        Key={"pk": {"S": f"USER#{person.user_id}"}},
        UpdateExpression="SET user_metadata = :values",
        ExpressionAttributeValues={":values": TypeSerializer().serialize(said)},
    )


def embedded_url(stack: Stack, url: str) -> str:
    """Return where the embedded AWS serves a URL of the stack's HTTP API."""
    parts = urlsplit(url)
    api = parts.netloc.partition(".")[0]
    return f"{stack.aws.endpoint}/_aws/execute-api/{api}/$default{parts.path}"


def about(person: Person, vendors: Server) -> list[Received]:
    """Return the requests that name the person, in any of the ways that the systems know them."""
    names = (person.username, person.user_id)
    return [
        received
        for received in list(vendors.received)
        if any(name in f"{unquote(received.path)} {received.body!r}" for name in names)
    ]
