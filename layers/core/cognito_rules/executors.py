"""Where rules run: each in its own Lambda function, or pure ones inside the login function."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from cognito_rules.chain import Entry
from cognito_rules.envelope import fault_response
from cognito_rules.errors import UpstreamError, UpstreamTimeoutError
from cognito_rules.fields import copy_json
from cognito_rules.runner import MAX_AT_ONCE

if TYPE_CHECKING:
    from cognito_rules.aws import Aws
    from cognito_rules.rule import Rule

# A throttled invocation is tried once more after this long, when the entry's time allows it.
_THROTTLE_PAUSE = (0.025, 0.075)
# Calls that a refusal or a shadow left behind keep their thread for a while: others need one too.
_THREADS = 4 * MAX_AT_ONCE
_MAX_ANSWER_BYTES = 1024 * 1024
_FAULT_OF_STATUS = {403: "not_authorized", 404: "function_missing", 429: "throttled"}


class RuleInvoker:
    """Invokes rule functions by name, ``<prefix><rule>``; safe to use from many threads."""

    def __init__(self, aws: Aws, prefix: str) -> None:
        self._aws = aws
        self._base = f"{aws.endpoint('lambda')}/2015-03-31/functions/{prefix}"

    def invoke(
        self, rule: str, request: dict[str, Any], timeout: float, *, repeatable: bool = False
    ) -> Any:
        """Return the rule's response, or a response with the fault that kept it from answering.

        A ``repeatable`` rule changes nothing elsewhere: it is invoked again when its connection
        breaks before an answer.
        """
        body = json.dumps(request, separators=(",", ":")).encode()
        ends = time.monotonic() + timeout
        try:
            response = self._post(rule, body, timeout, repeatable)
            pause = random.uniform(*_THROTTLE_PAUSE)
            left = ends - time.monotonic() - pause
            if response.status == 429 and left > 0:
                time.sleep(pause)
                response = self._post(rule, body, left, repeatable)
        except UpstreamTimeoutError:
            return _fault("timeout", "no answer in time")
        except UpstreamError as error:
            return _fault("lambda_unavailable", str(error))
        return _read(response)

    def _post(self, rule: str, body: bytes, timeout: float, repeatable: bool) -> Any:
        headers = {"Content-Type": "application/json"}
        url = f"{self._base}{rule}/invocations"
        return self._aws.post("lambda", url, body, headers, timeout=timeout, repeatable=repeatable)


def _read(response: Any) -> Any:
    if response.status != 200:
        code = _FAULT_OF_STATUS.get(response.status, "lambda_unavailable")
        return _fault(code, f"Lambda answered {response.status}")
    if response.headers.get("X-Amz-Function-Error"):
        return _fault("rule_crashed", "the function ended without an answer")
    if len(response.data) > _MAX_ANSWER_BYTES:
        return _fault("invalid_answer", f"the answer is larger than {_MAX_ANSWER_BYTES} bytes")
    try:
        return json.loads(response.data)
    except (ValueError, RecursionError):
        return _fault("invalid_answer", "the function did not answer JSON")


def _fault(code: str, message: str) -> dict[str, Any]:
    return fault_response(code, message, retryable=True)


class RuleExecutor:
    """The executor of one run: remote rules on threads, inline rules on the calling thread."""

    def __init__(
        self, invoker: RuleInvoker, inline: Mapping[str, Rule], threads: ThreadPoolExecutor
    ) -> None:
        self._invoker = invoker
        self._inline = inline
        self._threads = threads
        self._answers: SimpleQueue[tuple[int, Any]] = SimpleQueue()

    def now(self) -> float:
        """Return seconds on the monotonic clock."""
        return time.monotonic()

    def start(self, index: int, entry: Entry, request: dict[str, Any], timeout: float) -> Any:
        """Run an inline rule and return its response; start a remote one and return None."""
        if entry.placement == "inline":
            rule = self._inline.get(entry.manifest.name)
            if rule is None:
                return _fault(
                    "function_missing", "the rule is not packaged with the login function"
                )
            # A rule that changes its settings must not change them for the next person.
            own = {**request, "configuration": copy_json(request["configuration"])}
            return rule.answer_inline(own)
        self._threads.submit(self._invoke, index, entry, request, timeout)
        return None

    def _invoke(self, index: int, entry: Entry, request: dict[str, Any], timeout: float) -> None:
        repeatable = not entry.manifest.external
        try:
            response = self._invoker.invoke(
                entry.manifest.name, request, timeout, repeatable=repeatable
            )
        except Exception as error:  # must answer, or the run would wait until its deadline
            response = _fault("lambda_unavailable", type(error).__name__)
        self._answers.put((index, response))

    def wait(self, until: float) -> list[tuple[int, Any]]:
        """Return the responses that have come, waiting for the first one until ``until``."""
        answered: list[tuple[int, Any]] = []
        try:
            answered.append(self._answers.get(timeout=max(0.0, until - time.monotonic())))
            while True:
                answered.append(self._answers.get_nowait())
        except Empty:
            return answered


def invoker_threads() -> ThreadPoolExecutor:
    """Return the threads of one execution environment, one for each invocation under way."""
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="rule")
