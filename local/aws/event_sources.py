"""What Lambda and EventBridge do again when it did not work: streams, and queues that are down.

- A stream's batch is repeated from the first record that the function names in
  ``batchItemFailures`` (whose mapping has to ask for them: here all of streams do); ministack takes
  such a batch for done.
  https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html
- EventBridge tries for 24 hours to put an event on a queue; here until SQS is up again.
  https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-rule-retry-policy.html
- While SQS is down, nothing is received from queues.
"""

import contextvars
import threading
import time
from typing import Any

from local.aws import faults
from local.aws.emulator import event_bus, functions, wrap

_TRY_AGAIN_SECONDS = 0.2
# Function -> the sequence number from which on its stream is to be repeated.
_repeat_from: dict[str, int] = {}


def install() -> None:
    """Put the repetitions in place."""
    wrap(functions, "_execute_function", _with_partial_failures)
    wrap(functions, "_poll_sqs", _when_queues_are_up)
    wrap(event_bus, "_dispatch_to_sqs", _as_soon_as_queues_are_up)


def _with_partial_failures(
    original: Any, function: Any, event: Any, *rest: Any, **named: Any
) -> Any:
    records = event.get("Records") if isinstance(event, dict) else None
    if not records or records[0].get("eventSource") != "aws:dynamodb":
        return original(function, event, *rest, **named)
    name = function["config"]["FunctionArn"]
    first = _repeat_from.get(name, 0)
    left = [record for record in records if _sequence_number(record) >= first]
    result = original(function, {**event, "Records": left}, *rest, **named)
    body = result.get("body")
    failures = body.get("batchItemFailures") if isinstance(body, dict) else None
    if result.get("error"):
        return result
    if not failures:
        _repeat_from.pop(name, None)
        return result
    # Without an identifier all of the batch comes again.
    _repeat_from[name] = min(int(failure.get("itemIdentifier") or 0) for failure in failures)
    # The poller leaves a batch that failed where it is, and comes back to it a second later.
    return {**result, "error": True, "body": {"errorType": "ReportBatchItemFailures"}}


def _sequence_number(record: dict[str, Any]) -> int:
    return int(record["dynamodb"]["SequenceNumber"])


def _when_queues_are_up(original: Any) -> Any:
    return False if faults.mode_of("sqs") else original()


def _as_soon_as_queues_are_up(original: Any, *arguments: Any) -> None:
    if not faults.mode_of("sqs"):
        original(*arguments)
        return

    def try_again() -> None:
        while faults.mode_of("sqs"):
            time.sleep(_TRY_AGAIN_SECONDS)
        original(*arguments)

    context = contextvars.copy_context()
    threading.Thread(target=context.run, args=(try_again,), daemon=True).start()
