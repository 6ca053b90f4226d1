"""Which calls an outage of the embedded AWS meets, and what they are answered."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.aws import admin, faults

GUARD = "/2015-03-31/functions/stack-rule-require_group/invocations"
GUARD_ARN = (
    "/2015-03-31/functions/"
    "arn%3Aaws%3Alambda%3Aeu-west-1%3A000000000000%3Afunction%3Astack-rule-require_group/invocations"
)


@pytest.fixture(autouse=True)
def nothing_down(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(faults, "SLOW_SECONDS", 0.01)
    yield
    faults.change({})


def call(
    service: str, path: str = "/", *, session: bool = True
) -> tuple[int, dict[str, Any], list[str]]:
    """Send one signed request; return status, body and the paths that the service itself saw."""
    sent: list[dict[str, Any]] = []
    reached: list[str] = []

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        reached.append(scope["path"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"{}"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    credential = f"AWS4-HMAC-SHA256 Credential=AKIA/20261127/eu-west-1/{service}/aws4_request, ..."
    headers = [(b"Authorization", credential.encode())]
    if session:
        headers.append((b"X-Amz-Security-Token", b"t"))
    scope = {"type": "http", "path": path, "headers": headers}
    asyncio.run(faults.before(application)(scope, None, send))
    return sent[0]["status"], json.loads(sent[1]["body"]), reached


@pytest.mark.parametrize(
    ("service", "mode", "status", "code"),
    [
        pytest.param("dynamodb", "unavailable", 500, "InternalServerError", id="repeatable"),
        pytest.param("dynamodb", "throttled", 400, "ThrottlingException", id="throttled"),
        pytest.param("dynamodb", "denied", 400, "AccessDeniedException", id="denied"),
        pytest.param("events", "unavailable", 503, "ServiceUnavailable", id="another service"),
        pytest.param("lambda", "throttled", 429, "TooManyRequestsException", id="Lambda's own"),
    ],
)
def test_a_service_that_is_down_answers_as_aws_does(
    service: str, mode: str, status: int, code: str
) -> None:
    faults.change({service: mode})

    answered, body, reached = call(service)

    assert (answered, body["__type"], reached) == (status, code, [])


def test_a_slow_service_answers_in_the_end() -> None:
    faults.change({"dynamodb": "slow"})

    assert call("dynamodb") == (200, {}, ["/"])


@pytest.mark.parametrize(
    ("service", "session"),
    [
        pytest.param("sqs", True, id="another service"),
        pytest.param("dynamodb", False, id="the root key, by which a test looks"),
    ],
)
def test_other_calls_are_spared(service: str, session: bool) -> None:
    faults.change({"dynamodb": "denied"})

    assert call(service, session=session)[0] == 200


@pytest.mark.parametrize(
    ("fault", "path", "status"),
    [
        pytest.param("lambda:stack-rule-require_group", GUARD, 429, id="by name"),
        pytest.param("lambda:stack-rule-require_group", GUARD_ARN, 429, id="called by its ARN"),
        pytest.param("lambda:stack-rule-*", GUARD, 429, id="by pattern"),
        pytest.param("lambda", GUARD, 429, id="all functions"),
        pytest.param("lambda:stack-login", GUARD, 200, id="another function"),
    ],
)
def test_a_fault_meets_the_functions_that_it_names(fault: str, path: str, status: int) -> None:
    faults.change({fault: "throttled"})

    assert call("lambda", path)[0] == status


@pytest.mark.parametrize(
    ("given", "says"),
    [
        pytest.param({"s3": "slow"}, "no fault 's3'", id="a service that nobody needs"),
        pytest.param({"sqs:queue": "slow"}, "no fault 'sqs:queue'", id="a part of a service"),
        pytest.param({"lambda:": "slow"}, "no fault 'lambda:'", id="no function"),
        pytest.param({"sqs": "gone"}, "sqs is one of unavailable, slow", id="an unknown mode"),
        pytest.param({"sqs": True}, "sqs is one of", id="no text"),
    ],
)
def test_a_wrong_fault_is_refused_and_changes_nothing(given: dict[str, Any], says: str) -> None:
    faults.change({"events": "slow"})

    status, answer = admin.answer("PUT", "/_local/faults", json.dumps(given).encode())

    assert status == 400
    assert says in answer["message"]
    assert admin.answer("GET", "/_local/faults", b"") == (200, {"events": "slow"})
