"""Call the function behind a user pool trigger as Cognito does: permission, 5 seconds, checks.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html (the permission)
"""

import contextvars
import copy
import threading
import time
from typing import Any

from local.aws import faults, journal, refusals
from local.aws.emulator import cognito, functions, iam
from local.aws.events import JsonObject
from local.aws.refusals import TriggerRefused
from local.aws.settings import CURRENT

ANSWER_SECONDS = 5.0
PRINCIPAL = "cognito-idp.amazonaws.com"

# What Lambda answers Cognito while a test has the function down.
FAULTS = {
    "unavailable": "ServiceException",
    "throttled": "TooManyRequestsException",
    "denied": "AccessDeniedException",
}

# Triggers whose function is named by an object beside its event version, not by a plain ARN.
NESTED = {
    "PreTokenGeneration": "PreTokenGenerationConfig",
    "InboundFederation": "InboundFederation",
}


def function_arn(pool: JsonObject, trigger: str) -> str | None:
    """Return the ARN of the pool's function for ``trigger``, or None."""
    configured = pool.get("LambdaConfig") or {}
    if trigger in NESTED:
        nested = configured.get(NESTED[trigger])
        if isinstance(nested, dict) and nested.get("LambdaArn"):
            return str(nested["LambdaArn"])
    arn = configured.get(trigger)
    return arn if isinstance(arn, str) and arn else None


def call(
    trigger: str, pool: JsonObject, event: JsonObject
) -> tuple[JsonObject, journal.Call] | None:
    """Call the pool's function for ``trigger`` and return its ``response`` object.

    None when the pool has no such trigger. The journal entry comes along, for what the caller
    finds in the answer.

    Raises
    ------
    TriggerRefused : the function raised, could not be called, took more than 5 seconds, or gave
        no usable answer; the caller of Cognito gets exactly that error.
    """
    arn = function_arn(pool, trigger)
    if arn is None:
        return None
    for delivery in range(1, CURRENT.deliveries + 1):
        entry = journal.begin(
            journal.Call(
                trigger=trigger,
                source=event["triggerSource"],
                pool=event["userPoolId"],
                client=event["callerContext"]["clientId"],
                user=event["userName"],
                delivery=delivery,
            )
        )
        try:
            answer = _response_of(trigger, _invoke(trigger, arn, event))
            entry.outcome = "ok"
        except TriggerRefused as refusal:
            entry.outcome = refusal.code
            if delivery == CURRENT.deliveries:
                raise
    return answer, entry


def _invoke(trigger: str, arn: str, event: JsonObject) -> Any:
    record, config, name = functions._get_func_record_for_ref(arn)
    if record is None or config is None:
        raise refusals.not_called(trigger, "ResourceNotFoundException")
    if not _permitted(arn, name, event["userPoolId"]):
        raise refusals.not_called(trigger, "AccessDeniedException")
    fault = faults.mode_of("lambda", name)
    if fault == "slow":
        time.sleep(ANSWER_SECONDS)
        raise refusals.not_called(trigger, "Socket timeout while invoking Lambda function")
    if fault is not None:
        raise refusals.not_called(trigger, FAULTS[fault])
    execution = functions._execution_record_for_config(record, {**config, "FunctionArn": arn})
    results: list[Any] = []
    # A function that is late goes on running, as on Lambda: only Cognito stops waiting.
    context = contextvars.copy_context()
    thread = threading.Thread(
        target=lambda: results.append(
            context.run(
                functions._execute_function_with_config_scope, execution, copy.deepcopy(event)
            )
        ),
        daemon=True,
    )
    thread.start()
    thread.join(ANSWER_SECONDS)
    if not results:
        raise refusals.not_called(trigger, "Socket timeout while invoking Lambda function")
    result = results[0]
    if result.get("throttle"):
        raise refusals.not_called(trigger, "TooManyRequestsException")
    if result.get("error"):
        failure = result.get("body")
        message = failure.get("errorMessage", "") if isinstance(failure, dict) else str(failure)
        raise refusals.raised(trigger, message)
    return result.get("body")


def _permitted(arn: str, name: str, pool_id: str) -> bool:
    """Whether the function's resource policy lets Cognito call exactly this ARN for this pool."""
    base, _, _ = functions._get_base_func_record_for_ref(arn)
    pool_arn = cognito._pool_arn(pool_id)
    account = pool_arn.split(":")[4]
    context = iam.EvalContext(
        principal_arn=PRINCIPAL,
        principal_type="Service",
        principal_account=account,
        action="lambda:InvokeFunction",
        resource_arn=arn,
        region=pool_id.split("_")[0],
        service_context={"aws:sourcearn": pool_arn, "aws:sourceaccount": account},
    )
    decision = iam.evaluate_resource_policy(base["policy"], context, service=PRINCIPAL)
    return bool(decision.decision == "Allow")


def _response_of(trigger: str, answer: Any) -> JsonObject:
    """Return ``response`` of the event the function returned; it has to be the whole event."""
    if not isinstance(answer, dict):
        raise refusals.unusable(trigger, "the answer is not a JSON object")
    for part in ("request", "response"):
        if not isinstance(answer.get(part), dict):
            raise refusals.unusable(trigger, f"the answer has no object {part!r}")
    response: JsonObject = answer["response"]
    return response
