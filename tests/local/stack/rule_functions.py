"""The functions of the deployed rules, in the hands of a test."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from local.deployment import BUILT, packed
from local.stack import Stack
from tests.local.user_pool import zipped


def function_of(stack: Stack, rule: str) -> str:
    return f"{stack.name}-rule-{rule}"


@contextmanager
def code(stack: Stack, rule: str, source: str | None) -> Iterator[None]:
    """Give a rule's function other code, or make it refuse every call, for a while."""
    client = stack.aws.client("lambda")
    name = function_of(stack, rule)
    pascal = "".join(word.capitalize() for word in rule.split("_")) + "Rule"
    if source is None:
        client.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    else:
        client.update_function_code(FunctionName=name, ZipFile=zipped(source))
    try:
        yield
    finally:
        if source is None:
            client.delete_function_concurrency(FunctionName=name)
        else:
            folder = BUILT.parent / pascal
            client.update_function_code(FunctionName=name, ZipFile=packed(folder))
            client.invoke(FunctionName=name, Payload=b"{}")


def restart(stack: Stack, rule: str) -> None:
    """Let a rule's function go on in a new environment, which has read nothing yet."""
    client, name = stack.aws.client("lambda"), function_of(stack, rule)
    found = client.get_function_configuration(FunctionName=name)
    # Its configuration was changed, if only into the same: environments with the old one end.
    client.update_function_configuration(FunctionName=name, Environment=found["Environment"])
    client.invoke(FunctionName=name, Payload=b"{}")
