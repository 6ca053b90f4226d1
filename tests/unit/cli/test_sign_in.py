"""A sign-in answers what Cognito asks, whatever that is."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Any

import boto3
import jwt
import pytest
import typer

from cli.sign_in import AppClient, SignInRefused, Tokens
from tests.loopback import Server, reply

POOL = "eu-west-1_abc123DEF"
KEY = "k" * 32
VERIFIER = {
    "ChallengeName": "PASSWORD_VERIFIER",
    "ChallengeParameters": {
        "USER_ID_FOR_SRP": "6f1c2d9e",
        "USERNAME": "6f1c2d9e",
        "SRP_B": "0f" * 384,
        "SALT": "ab" * 16,
        "SECRET_BLOCK": base64.b64encode(b"block").decode(),
    },
}


def allowed(**more: Any) -> dict[str, Any]:
    tokens = {
        "IdToken": jwt.encode({"sub": "6f1c2d9e"}, KEY),
        "AccessToken": jwt.encode({"scope": "openid"}, KEY),
        "ExpiresIn": 900,
    }
    return {"AuthenticationResult": tokens | more}


def refused(code: str, message: str) -> Any:
    return reply(400, {"__type": code, "message": message})


@dataclass
class Typed:
    """A person who types these answers, and what they were asked."""

    answers: list[str]
    asked: list[str] = field(default_factory=list)

    def text(self, text: str) -> str:
        self.asked.append(text)
        return self.answers.pop(0)

    secret = text


def sign_in(amazon: Server, *challenges: Any, answers: list[str] | None = None) -> Tokens:
    amazon.replies = [
        item if not isinstance(item, dict) else reply(200, item) for item in challenges
    ]
    cognito = boto3.Session().client("cognito-idp")
    return AppClient(cognito, POOL, "client", "secret").sign_in(
        "ada@example.com", "password", Typed(answers or [])
    )


def sent(amazon: Server, index: int) -> dict[str, Any]:
    request: dict[str, Any] = amazon.received[index].json()
    return request


def test_the_password_is_never_sent(amazon: Server) -> None:
    tokens = sign_in(amazon, VERIFIER, allowed(RefreshToken="r"))

    assert tokens.id_claims == {"sub": "6f1c2d9e"}
    assert tokens.access_claims == {"scope": "openid"}
    assert tokens.refresh_token == "r"
    assert not any(b'"password"' in received.body for received in amazon.received)
    proof = sent(amazon, 1)["ChallengeResponses"]
    assert proof["USERNAME"] == "6f1c2d9e"
    assert proof["SECRET_HASH"] != sent(amazon, 0)["AuthParameters"]["SECRET_HASH"]


@pytest.mark.parametrize(
    ("challenge", "response", "asked"),
    [
        pytest.param("SOFTWARE_TOKEN_MFA", "SOFTWARE_TOKEN_MFA_CODE", "authenticator", id="totp"),
        pytest.param("SMS_MFA", "SMS_MFA_CODE", "text message to +***99", id="text message"),
        pytest.param("EMAIL_OTP", "EMAIL_OTP_CODE", "e-mail to +***99", id="e-mail"),
    ],
)
def test_a_second_factor_is_asked_for(
    amazon: Server, challenge: str, response: str, asked: str
) -> None:
    parameters = {"CODE_DELIVERY_DESTINATION": "+***99"} if "TOKEN" not in challenge else {}
    code = {"ChallengeName": challenge, "ChallengeParameters": parameters, "Session": "s" * 20}
    amazon.replies = [reply(200, item) for item in (VERIFIER, code, allowed())]
    typed = Typed(["123456"])

    AppClient(boto3.Session().client("cognito-idp"), POOL, "client").sign_in("ada", "pw", typed)

    assert asked in typed.asked[0]
    answer = sent(amazon, 2)
    assert answer["ChallengeResponses"] == {response: "123456", "USERNAME": "6f1c2d9e"}
    assert answer["Session"] == "s" * 20


def test_a_factor_is_chosen_and_then_proven(amazon: Server) -> None:
    choice = {
        "ChallengeName": "SELECT_MFA_TYPE",
        "ChallengeParameters": {"MFAS_CAN_CHOOSE": '["SMS_MFA","SOFTWARE_TOKEN_MFA"]'},
    }
    code = {"ChallengeName": "SOFTWARE_TOKEN_MFA", "ChallengeParameters": {}}

    sign_in(amazon, VERIFIER, choice, code, allowed(), answers=["SOFTWARE_TOKEN_MFA", "1"])

    assert sent(amazon, 2)["ChallengeResponses"]["ANSWER"] == "SOFTWARE_TOKEN_MFA"


def test_a_temporary_password_is_replaced_with_what_is_required(amazon: Server) -> None:
    new = {
        "ChallengeName": "NEW_PASSWORD_REQUIRED",
        "ChallengeParameters": {"requiredAttributes": json.dumps(["userAttributes.name"])},
    }

    sign_in(amazon, VERIFIER, new, allowed(), answers=["new", "new", "Ada"])

    answer = sent(amazon, 2)["ChallengeResponses"]
    assert (answer["NEW_PASSWORD"], answer["userAttributes.name"]) == ("new", "Ada")


def test_two_different_new_passwords_change_nothing(
    amazon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    new = {"ChallengeName": "NEW_PASSWORD_REQUIRED", "ChallengeParameters": {}}

    with pytest.raises(typer.Exit):
        sign_in(amazon, VERIFIER, new, answers=["new", "other"])

    assert "nothing was changed" in capsys.readouterr().err
    assert len(amazon.received) == 2


@pytest.mark.parametrize(
    ("challenge", "said"),
    [
        pytest.param("MFA_SETUP", "set it up on the sign-in page", id="no factor yet"),
        pytest.param("DEVICE_SRP_AUTH", "asks for DEVICE_SRP_AUTH", id="a device"),
    ],
)
def test_what_cannot_be_answered_here_is_said(
    amazon: Server, capsys: pytest.CaptureFixture[str], challenge: str, said: str
) -> None:
    with pytest.raises(typer.Exit) as ended:
        sign_in(amazon, VERIFIER, {"ChallengeName": challenge, "ChallengeParameters": {}})

    assert ended.value.exit_code == 2
    assert said in capsys.readouterr().err


def test_a_refusal_is_told_as_the_application_gets_it(amazon: Server) -> None:
    text = "PreTokenGeneration failed with error access_denied: No."

    with pytest.raises(SignInRefused) as caught:
        sign_in(amazon, VERIFIER, refused("UserLambdaValidationException", text))

    assert (caught.value.code, caught.value.message) == ("UserLambdaValidationException", text)


def test_challenges_without_end_end(amazon: Server) -> None:
    code = {"ChallengeName": "SOFTWARE_TOKEN_MFA", "ChallengeParameters": {}}

    with pytest.raises(SignInRefused, match="without end"):
        sign_in(amazon, VERIFIER, code, answers=["1"] * 20)


def refresh(amazon: Server, *replies: Any) -> Tokens:
    amazon.replies = list(replies)
    return AppClient(boto3.Session().client("cognito-idp"), POOL, "client").refresh("old")


def test_a_refresh_is_told_as_one_to_the_triggers(amazon: Server) -> None:
    tokens = refresh(amazon, reply(200, allowed()))

    assert sent(amazon, 0)["AuthFlow"] == "REFRESH_TOKEN_AUTH"
    assert tokens.refresh_token is None


def test_a_client_that_replaces_refresh_tokens_is_asked_as_it_wants(amazon: Server) -> None:
    no = refused("InvalidParameterException", "The client replaces refresh tokens")

    tokens = refresh(amazon, no, reply(200, allowed(RefreshToken="new")))

    assert "GetTokensFromRefreshToken" in amazon.received[1].headers["x-amz-target"]
    assert tokens.refresh_token == "new"


def test_an_expired_refresh_token_is_refused(amazon: Server) -> None:
    with pytest.raises(SignInRefused, match="expired"):
        refresh(amazon, refused("NotAuthorizedException", "Refresh Token has expired"))
