"""Signed calls to AWS: where they go, what they carry, what comes of a connection that fails."""

from __future__ import annotations

import socket

import pytest

from cognito_rules.aws import Aws, error_code
from cognito_rules.errors import UpstreamError, UpstreamTimeoutError
from tests.loopback import Reply, Server
from tests.moments import SILENCE, ends_soon


def post(aws: Aws, url: str, *, timeout: float = 1.0, repeatable: bool = True) -> int:
    body, headers = b'{"a":1}', {"Content-Type": "application/json"}
    answer = aws.post("lambda", url, body, headers, timeout=timeout, repeatable=repeatable)
    return answer.status


# Failures -------------------------------------------------------------------------------------


def test_without_credentials_nothing_is_sent(
    amazon: Server, aws_environment: pytest.MonkeyPatch
) -> None:
    aws_environment.delenv("AWS_ACCESS_KEY_ID")
    aws_environment.delenv("AWS_SECRET_ACCESS_KEY")

    with pytest.raises(UpstreamError, match="there are no AWS credentials"):
        post(Aws(), amazon.url)

    assert amazon.received == []


def test_a_refused_connection_is_an_error_at_once(aws_environment: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}"

        with pytest.raises(UpstreamError) as failed:
            post(Aws(), url)

    assert failed.value.retryable
    assert not isinstance(failed.value, UpstreamTimeoutError)


def test_a_slow_answer_is_a_timeout(aws: Aws, amazon: Server) -> None:
    amazon.replies = [Reply(delay=SILENCE)]

    with ends_soon(), pytest.raises(UpstreamTimeoutError):
        post(aws, amazon.url, timeout=0.1)


@pytest.mark.parametrize("timeout", [0.0, -1.0])
def test_without_time_nothing_is_sent(aws: Aws, amazon: Server, timeout: float) -> None:
    with pytest.raises(UpstreamTimeoutError):
        post(aws, amazon.url, timeout=timeout)

    assert amazon.received == []


def test_a_call_is_repeated_once_when_its_connection_broke(aws: Aws, amazon: Server) -> None:
    amazon.replies = [Reply(reset=True), Reply()]

    assert post(aws, amazon.url) == 200
    assert len(amazon.received) == 2


def test_a_call_is_not_repeated_twice(aws: Aws, amazon: Server) -> None:
    amazon.replies = [Reply(reset=True)]

    with pytest.raises(UpstreamError) as failed:
        post(aws, amazon.url)

    assert failed.value.retryable
    assert len(amazon.received) == 2


def test_a_call_that_may_act_is_not_repeated(aws: Aws, amazon: Server) -> None:
    amazon.replies = [Reply(reset=True), Reply()]

    with pytest.raises(UpstreamError):
        post(aws, amazon.url, repeatable=False)

    assert len(amazon.received) == 1


def test_a_connection_that_died_while_idle_is_replaced(aws: Aws, amazon: Server) -> None:
    post(aws, amazon.url)
    amazon.close_connections()

    assert post(aws, amazon.url, repeatable=False) == 200
    assert amazon.connections == 2


def test_an_answer_that_breaks_off_is_an_error(aws: Aws, amazon: Server) -> None:
    amazon.replies = [Reply(body=b"{}", says_length=100)]

    with pytest.raises(UpstreamError):
        post(aws, amazon.url, repeatable=False)


def test_errors_carry_no_address_and_no_body(aws: Aws, amazon: Server) -> None:
    amazon.replies = [Reply(reset=True)]

    with pytest.raises(UpstreamError) as failed:
        post(aws, amazon.url + "/secret-path")

    assert str(failed.value) == "ConnectionResetError on the connection"


# Calls ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 400, 403, 404, 429, 500, 503])
def test_every_status_is_an_answer(aws: Aws, amazon: Server, status: int) -> None:
    amazon.replies = [Reply(status)]

    assert post(aws, amazon.url) == status
    assert len(amazon.received) == 1


def test_a_call_is_signed_for_its_service_and_region(aws: Aws, amazon: Server) -> None:
    post(aws, amazon.url)

    [request] = amazon.received
    authorization = request.headers["authorization"]
    assert "Credential=AKIAEXAMPLE/" in authorization
    assert "/eu-west-1/lambda/aws4_request" in authorization
    assert "secret-of-nobody" not in str(request.headers)
    assert request.body == b'{"a":1}'


def test_temporary_credentials_send_their_token(
    amazon: Server, aws_environment: pytest.MonkeyPatch
) -> None:
    aws_environment.setenv("AWS_SESSION_TOKEN", "token-of-nobody")

    post(Aws(), amazon.url)

    assert amazon.received[0].headers["x-amz-security-token"] == "token-of-nobody"


def test_connections_are_kept(aws: Aws, amazon: Server) -> None:
    for _ in range(5):
        post(aws, amazon.url)

    assert amazon.connections == 1


def test_a_proxy_of_the_environment_is_not_asked(
    amazon: Server, aws_environment: pytest.MonkeyPatch
) -> None:
    aws_environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")

    assert post(Aws(), amazon.url) == 200


# Endpoints ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("region", "service", "endpoint"),
    [
        ("eu-west-1", "lambda", "https://lambda.eu-west-1.amazonaws.com"),
        ("eu-west-1", "dynamodb", "https://dynamodb.eu-west-1.amazonaws.com"),
        ("cn-north-1", "dynamodb", "https://dynamodb.cn-north-1.amazonaws.com.cn"),
        ("cn-north-1", "lambda", "https://lambda.cn-north-1.amazonaws.com.cn"),
        ("us-gov-west-1", "lambda", "https://lambda.us-gov-west-1.amazonaws.com"),
        ("us-gov-west-1", "dynamodb", "https://dynamodb.us-gov-west-1.amazonaws.com"),
        ("eu-central-9", "lambda", "https://lambda.eu-central-9.amazonaws.com"),
    ],
)
def test_an_endpoint_follows_from_the_region(
    aws_environment: pytest.MonkeyPatch, region: str, service: str, endpoint: str
) -> None:
    aws_environment.setenv("AWS_DEFAULT_REGION", region)

    assert Aws().endpoint(service) == endpoint


def test_a_region_that_is_none_has_no_endpoint(aws_environment: pytest.MonkeyPatch) -> None:
    aws_environment.setenv("AWS_DEFAULT_REGION", "nowhere")

    with pytest.raises(UpstreamError, match="there is no lambda in region nowhere"):
        Aws().endpoint("lambda")


def test_the_environment_may_name_an_endpoint(aws_environment: pytest.MonkeyPatch) -> None:
    aws_environment.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1/")
    aws_environment.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:2/")
    aws = Aws()

    assert aws.endpoint("dynamodb") == "http://127.0.0.1:1"
    assert aws.endpoint("lambda") == "http://127.0.0.1:2"


# Error types ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({"__type": "com.amazonaws.dynamodb.v20120810#ThrottlingException"}, "ThrottlingException"),
        ({"__type": "ThrottlingException"}, "ThrottlingException"),
        ({"Type": "User"}, "User"),
        ({"__type": None}, "unknown"),
        ({}, "unknown"),
        ([], "unknown"),
        ("x", "unknown"),
        (None, "unknown"),
    ],
)
def test_an_error_has_a_short_name(document: object, code: str) -> None:
    assert error_code(document) == code
