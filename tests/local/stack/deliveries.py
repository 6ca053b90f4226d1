"""The functions and the queue behind Splunk's rule on the deployed stack, for a test to change."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.stack import Stack
from tests.local.stack.rule_functions import function_of

RULE = "record_events_splunk"
CHAIN_OF_IT = f'[[rules]]\nrule = "{RULE}"\n'


def queue_url(stack: Stack, ending: str = "") -> str:
    name = f"{stack.name}-{RULE}{ending}"
    return str(stack.aws.client("sqs").get_queue_url(QueueName=name)["QueueUrl"])


@contextmanager
def function_with(stack: Stack, name: str, **changes: Any) -> Iterator[None]:
    """Change the configuration of a function for a while."""
    client = stack.aws.client("lambda")
    before = client.get_function_configuration(FunctionName=name)
    client.update_function_configuration(FunctionName=name, **changes)
    try:
        yield
    finally:
        client.update_function_configuration(
            FunctionName=name, **{key: before[key] for key in changes}
        )


@contextmanager
def sending_to(stack: Stack, url: str) -> Iterator[None]:
    """Let Splunk's rule send to another collector for a while."""
    name = function_of(stack, RULE)
    found = stack.aws.client("lambda").get_function_configuration(FunctionName=name)
    variables = found["Environment"]["Variables"]
    settings = json.loads(variables["RULE_SETTINGS"]) | {"endpoint": url}
    changed = {"Variables": variables | {"RULE_SETTINGS": json.dumps(settings)}}
    with function_with(stack, name, Environment=changed):
        yield


@contextmanager
def queue_with(stack: Stack, **attributes: str) -> Iterator[None]:
    """Change attributes of the rule's queue for a while."""
    sqs, url = stack.aws.client("sqs"), queue_url(stack)
    before = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=list(attributes))["Attributes"]
    sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    try:
        yield
    finally:
        sqs.set_queue_attributes(QueueUrl=url, Attributes=before)


def kill(stack: Stack, name: str) -> int:
    """Kill the emulator's workers of a function in the middle of whatever they do."""
    group, killed = stack.aws._process.pid, 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            pid = int(folder.name)
            mine = os.getpgid(pid) == group
            variables = (folder / "environ").read_bytes().split(b"\0") if mine else []
        except OSError:
            continue
        if f"AWS_LAMBDA_FUNCTION_NAME={name}".encode() in variables:
            os.kill(pid, signal.SIGKILL)
            killed += 1
    return killed
