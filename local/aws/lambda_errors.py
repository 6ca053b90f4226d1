"""A Python function that raises keeps its environment, and its error has a type and a stack trace.

https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
(only a crash, a timeout or an error during initialization ends the environment)

ministack ends the worker process of a function that raised, so each refused sign-in would make the
next one cold. Here the worker answers with the error and stays.
"""

from typing import Any

from local.aws.emulator import functions, workers, wrap
from local.aws.events import JsonObject

RAISED = "__raised__"

# One statement of ministack's worker script, and ours in its place.
_BEFORE = (
    '_real_stdout.write(json.dumps({"status": "error", "error": str(e), '
    '"trace": traceback.format_exc()}) + "\\n")'
)
_AFTER = (
    '_real_stdout.write(json.dumps({"status": "ok", "result": {"__raised__": {'
    '"errorMessage": str(e), "errorType": type(e).__name__, '
    '"requestId": context.aws_request_id, '
    '"stackTrace": traceback.format_tb(e.__traceback__)[1:]}}}) + "\\n"); '
    "traceback.print_exc()"
)


def _execute(original: Any, function: JsonObject, event: Any, request_id: str) -> JsonObject:
    result: JsonObject = original(function, event, request_id)
    body = result.get("body")
    if isinstance(body, dict) and list(body) == [RAISED]:
        return {**result, "body": body[RAISED], "error": True}
    return result


def install() -> None:
    """Change the script of the Python workers and what reads its answers."""
    script = workers._PYTHON_WORKER_SCRIPT
    if script.count(_BEFORE) != 1:
        raise AttributeError("ministack's Python worker script has changed: look at lambda_errors")
    workers._PYTHON_WORKER_SCRIPT = script.replace(_BEFORE, _AFTER)
    wrap(functions, "_execute_function_warm", _execute)
