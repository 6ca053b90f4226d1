"""The parts of ministack that the completions build on, and the one way to replace one of them.

ministack is untyped and only installed in the emulator's environment, hence ``Any``.
"""

from collections.abc import Callable
from importlib import import_module
from typing import Any

app: Any = import_module("ministack.app")
concurrency: Any = import_module("ministack.core.concurrency")
event_bus: Any = import_module("ministack.services.eventbridge")
cognito: Any = import_module("ministack.services.cognito")
functions: Any = import_module("ministack.services.lambda_svc")
workers: Any = import_module("ministack.core.lambda_runtime")
iam: Any = import_module("ministack.core.iam_evaluator")
secrets_manager: Any = import_module("ministack.services.secretsmanager")
responses: Any = import_module("ministack.core.responses")

Response = tuple[int, dict[str, str], bytes]


def wrap(module: Any, name: str, around: Callable[..., Any]) -> None:
    """Replace ``module.name`` by a function that calls ``around(original, *arguments)``.

    AttributeError when the pinned ministack has no such function: then a completion has to be
    looked at again, and silently doing without it would hide a difference from AWS.
    """
    original = getattr(module, name)

    def replaced(*arguments: Any, **named: Any) -> Any:
        return around(original, *arguments, **named)

    setattr(module, name, replaced)


def error(code: str, message: str, status: int = 400) -> Response:
    """Return an error as the Cognito API does."""
    answer: Response = responses.error_response_json(code, message, status)
    return answer
