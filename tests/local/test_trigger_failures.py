"""How a trigger that cannot be called, or answers nonsense, shows itself.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html
"""

import json
import time
from typing import Any

import pytest

from local.server import ACCOUNT_ID, REGION, EmbeddedAws
from local.sign_in import SignInRefused
from tests.local.user_pool import (
    PASSWORD,
    PROBE,
    Probe,
    UserPool,
    create_function,
    let_cognito_call,
    zipped,
)

POST = "PostAuthentication_Authentication"
ANY_POOL = f"arn:aws:cognito-idp:{REGION}:{ACCOUNT_ID}:userpool/*"
ECHO = "def handler(event, context):\n    return event\n"


def refusal(aws: EmbeddedAws, arn: str) -> SignInRefused:
    """Return how a sign-in is refused whose post authentication function is ``arn``."""
    pool = UserPool.create(
        aws, arn, triggers=("PostAuthentication",), pre_token_version=None, inbound=False
    )
    name = pool.person()
    with pytest.raises(SignInRefused) as refused:
        pool.app().password(name, PASSWORD)
    return refused.value


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="null"),
        pytest.param("text", id="a string"),
        pytest.param([], id="a list"),
        pytest.param({}, id="an empty object"),
        pytest.param({"response": {}}, id="no request"),
        pytest.param({"request": {}}, id="no response"),
        pytest.param({"request": {}, "response": None}, id="a null response"),
    ],
)
def test_an_answer_that_is_not_the_event_is_unusable(
    answer: Any, pool: UserPool, probe: Probe
) -> None:
    probe.answer(POST, returns=answer)
    app, name = pool.app(), pool.person()

    with pytest.raises(SignInRefused) as refused:
        app.password(name, PASSWORD)

    assert refused.value.code == "InvalidLambdaResponseException"


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("access_denied: \u4f60\u597d", id="unicode"),
        pytest.param("line one\nline two\ttab", id="control characters"),
        pytest.param('<b>bold</b> & "quoted"', id="markup"),
        pytest.param("", id="no text"),
    ],
)
def test_the_text_of_an_exception_reaches_the_caller_as_it_is(
    text: str, pool: UserPool, probe: Probe
) -> None:
    probe.answer(POST, raise_=text)
    app, name = pool.app(), pool.person()

    with pytest.raises(SignInRefused) as refused:
        app.password(name, PASSWORD)

    assert refused.value.code == "UserLambdaValidationException"
    assert refused.value.message == f"PostAuthentication failed with error {text}."


def test_a_function_that_takes_longer_than_five_seconds_is_not_waited_for(
    pool: UserPool, probe: Probe
) -> None:
    probe.answer(POST, sleep=8)
    app, name = pool.app(), pool.person()
    began = time.monotonic()

    with pytest.raises(SignInRefused) as refused:
        app.password(name, PASSWORD)

    assert 4.9 < time.monotonic() - began < 8
    assert refused.value.code == "UnexpectedLambdaException"
    assert (
        refused.value.message == "PostAuthentication invocation failed due to error "
        "Socket timeout while invoking Lambda function."
    )


def test_a_function_that_reaches_its_own_timeout_has_failed(aws: EmbeddedAws, probe: Probe) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-timeout.html"""
    arn = create_function(aws, PROBE, timeout=1, PROBE_FOLDER=str(probe.folder))
    let_cognito_call(aws, arn, ANY_POOL)
    probe.answer(POST, sleep=3)

    refused = refusal(aws, arn)

    assert refused.code == "UserLambdaValidationException"
    assert "Task timed out after 1" in refused.message


def test_a_function_that_dies_has_failed(aws: EmbeddedAws, pool: UserPool, probe: Probe) -> None:
    probe.answer(POST, exit=3)
    app, name = pool.app(), pool.person()

    with pytest.raises(SignInRefused) as refused:
        app.password(name, PASSWORD)

    assert refused.value.code == "UserLambdaValidationException"


def test_a_function_that_cannot_be_imported_has_failed(aws: EmbeddedAws) -> None:
    arn = create_function(aws, "import there_is_no_such_module\n")
    let_cognito_call(aws, arn, ANY_POOL)

    refused = refusal(aws, arn)

    assert refused.code == "UserLambdaValidationException"
    assert "there_is_no_such_module" in refused.message


def test_a_function_that_does_not_exist_cannot_be_called(aws: EmbeddedAws) -> None:
    refused = refusal(aws, f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:gone")

    assert refused.code == "UnexpectedLambdaException"
    assert refused.message.endswith("due to error ResourceNotFoundException.")


class TestPermission:
    """https://docs.aws.amazon.com/lambda/latest/dg/access-control-resource-based.html"""

    def test_is_needed(self, aws: EmbeddedAws) -> None:
        refused = refusal(aws, create_function(aws, ECHO))

        assert refused.code == "UnexpectedLambdaException"
        assert refused.message.endswith("due to error AccessDeniedException.")

    @pytest.mark.parametrize(
        ("source", "condition"),
        [
            pytest.param(
                f"arn:aws:cognito-idp:{REGION}:{ACCOUNT_ID}:userpool/other", {}, id="another pool"
            ),
            pytest.param(ANY_POOL, {"SourceAccount": "111111111111"}, id="another account"),
        ],
    )
    def test_for_somebody_else_does_not_count(
        self, source: str, condition: dict[str, str], aws: EmbeddedAws
    ) -> None:
        arn = create_function(aws, ECHO)
        let_cognito_call(aws, arn, source, **condition)

        assert refusal(aws, arn).message.endswith("AccessDeniedException.")

    def test_for_another_service_does_not_count(self, aws: EmbeddedAws) -> None:
        arn = create_function(aws, ECHO)
        aws.client("lambda").add_permission(
            FunctionName=arn,
            StatementId="events",
            Action="lambda:InvokeFunction",
            Principal="events.amazonaws.com",
        )

        assert refusal(aws, arn).message.endswith("AccessDeniedException.")

    def test_is_given_for_an_alias_by_itself(self, aws: EmbeddedAws) -> None:
        functions = aws.client("lambda")
        arn = create_function(aws, ECHO)
        version = functions.publish_version(FunctionName=arn)["Version"]
        alias = functions.create_alias(FunctionName=arn, Name="live", FunctionVersion=version)
        # The unqualified function's permission is not the alias's.
        let_cognito_call(aws, arn, ANY_POOL)
        assert refusal(aws, alias["AliasArn"]).message.endswith("AccessDeniedException.")

        functions.add_permission(
            FunctionName=arn,
            Qualifier="live",
            StatementId="cognito-live",
            Action="lambda:InvokeFunction",
            Principal="cognito-idp.amazonaws.com",
            SourceArn=ANY_POOL,
            SourceAccount=ACCOUNT_ID,
        )
        pool = UserPool.create(
            aws, alias["AliasArn"], triggers=("PostAuthentication",), pre_token_version=None
        )
        assert pool.app().password(pool.person(), PASSWORD).access_token


def test_a_throttled_function_cannot_be_called(aws: EmbeddedAws) -> None:
    """https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html"""
    arn = create_function(aws, ECHO)
    let_cognito_call(aws, arn, ANY_POOL)
    aws.client("lambda").put_function_concurrency(FunctionName=arn, ReservedConcurrentExecutions=0)

    refused = refusal(aws, arn)

    assert refused.code == "UnexpectedLambdaException"
    assert refused.message.endswith("due to error TooManyRequestsException.")


def test_an_exception_keeps_the_execution_environment(aws: EmbeddedAws) -> None:
    """https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html"""
    arn = create_function(
        aws,
        "COUNT = [0]\n\n\ndef handler(event, context):\n"
        "    COUNT[0] += 1\n    raise ValueError(f'call {COUNT[0]}')\n",
    )
    functions = aws.client("lambda")

    answers = [functions.invoke(FunctionName=arn, Payload=b"{}") for _ in range(3)]

    bodies = [json.load(answer["Payload"]) for answer in answers]
    assert [body["errorMessage"] for body in bodies] == ["call 1", "call 2", "call 3"]
    # https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
    assert bodies[0]["errorType"] == "ValueError"
    assert "handler" in bodies[0]["stackTrace"][0]
    assert answers[0]["FunctionError"] == "Unhandled"


def test_new_code_is_what_the_next_sign_in_calls(aws: EmbeddedAws) -> None:
    arn = create_function(aws, ECHO)
    let_cognito_call(aws, arn, ANY_POOL)
    pool = UserPool.create(aws, arn, triggers=("PostAuthentication",), pre_token_version=None)
    app, name = pool.app(), pool.person()
    assert app.password(name, PASSWORD).access_token

    changed = "def handler(event, context):\n    raise Exception('closed')\n"
    aws.client("lambda").update_function_code(FunctionName=arn, ZipFile=zipped(changed))

    with pytest.raises(SignInRefused, match="closed"):
        app.password(name, PASSWORD)
