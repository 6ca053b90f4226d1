"""Secrets over the login path's own transport; Secrets Manager is a server on loopback."""

from __future__ import annotations

import json

import pytest

from cognito_rules.aws import Aws
from cognito_rules.errors import SecretError
from cognito_rules.secrets import PREVIOUS, Secrets
from cognito_rules.secrets_manager import SecretsManager
from tests.loopback import Reply, Server, reply


@pytest.fixture
def secrets(aws: Aws) -> Secrets:
    return Secrets(SecretsManager(aws), {"KEY": "stack/key"})


def test_a_secret_is_asked_for_once(secrets: Secrets, amazon: Server) -> None:
    amazon.replies = [reply(200, {"SecretString": "abc\n"})]

    assert [secrets.read("KEY"), secrets.read("KEY")] == ["abc", "abc"]

    [request] = amazon.received
    assert request.headers["x-amz-target"] == "secretsmanager.GetSecretValue"
    assert request.headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/")
    assert "/eu-west-1/secretsmanager/aws4_request" in request.headers["authorization"]
    assert json.loads(request.body) == {"SecretId": "stack/key"}


def test_the_version_before_is_asked_for(aws: Aws, amazon: Server) -> None:
    amazon.replies = [reply(200, {"SecretString": "old"})]

    assert Secrets(SecretsManager(aws), {"KEY": "k"}, version=PREVIOUS).read("KEY") == "old"

    [request] = amazon.received
    assert json.loads(request.body) == {"SecretId": "k", "VersionStage": "AWSPREVIOUS"}


@pytest.mark.parametrize(
    ("answer", "retryable"),
    [
        pytest.param(
            reply(400, {"__type": "com.amazonaws#ResourceNotFoundException"}), False, id="no secret"
        ),
        pytest.param(reply(400, {"__type": "AccessDeniedException"}), False, id="no permission"),
        pytest.param(reply(500, {"__type": "InternalServiceError"}), True, id="an outage"),
        pytest.param(Reply(status=200, body=b"no JSON"), True, id="no answer of Secrets Manager"),
        pytest.param(reply(200, ["no object"]), True, id="a list"),
    ],
)
def test_what_it_refuses(secrets: Secrets, amazon: Server, answer: Reply, retryable: bool) -> None:
    amazon.replies = [answer]

    with pytest.raises(SecretError) as refused:
        secrets.read("KEY")

    assert refused.value.retryable is retryable


def test_nobody_there(aws: Aws, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    secrets = Secrets(SecretsManager(aws), {"KEY": "stack/key"})

    with pytest.raises(SecretError) as refused:
        secrets.read("KEY")

    assert refused.value.retryable
