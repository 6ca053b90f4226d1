"""CUSTOM_AUTH: define, create and verify, then the triggers at the end of every sign-in.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-challenge.html
"""

from typing import Any

import pytest

from local.sign_in import App, SignInRefused
from tests.local.user_pool import PASSWORD, Probe, UserPool

PRE = "PreAuthentication_Authentication"
DEFINE = "DefineAuthChallenge_Authentication"
CREATE = "CreateAuthChallenge_Authentication"
VERIFY = "VerifyAuthChallengeResponse_Authentication"
POST = "PostAuthentication_Authentication"
TOKEN = "TokenGeneration_Authentication"

ASK: dict[str, Any] = {"challengeName": "CUSTOM_CHALLENGE"}
ISSUE: dict[str, Any] = {"issueTokens": True}


@pytest.fixture(scope="module")
def app(pool: UserPool) -> App:
    return pool.app()


@pytest.fixture(scope="module")
def person(pool: UserPool) -> str:
    return pool.person()


def one_challenge(app: App, person: str, probe: Probe, **metadata: str) -> Any:
    """Sign in with one challenge, told to the probe step by step."""
    probe.answer(DEFINE, response=ASK)
    probe.answer(
        CREATE,
        response={
            "publicChallengeParameters": {"hint": "green"},
            "privateChallengeParameters": {"answer": "frog"},
            "challengeMetadata": "FROG",
        },
    )
    probe.answer(VERIFY, response={"answerCorrect": True})
    challenge = app._initiate("CUSTOM_AUTH", person, {}, metadata)
    probe.answer(DEFINE, response=ISSUE)
    return app._finish(
        person, app._respond(person, challenge, {"ANSWER": "frog"}, metadata, False), metadata
    )


def test_the_triggers_run_in_this_order(app: App, person: str, probe: Probe) -> None:
    tokens = one_challenge(app, person, probe)

    assert probe.sources == [PRE, DEFINE, CREATE, VERIFY, DEFINE, POST, TOKEN]
    assert tokens.access_claims["username"] == person


def test_the_events_tell_the_round(app: App, person: str, probe: Probe) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-define-auth-challenge.html"""
    one_challenge(app, person, probe)

    first, second = (e for e in probe.events if e["triggerSource"] == DEFINE)
    assert first["request"]["session"] == []
    assert second["request"]["session"] == [
        {
            "challengeName": "CUSTOM_CHALLENGE",
            "challengeResult": True,
            "challengeMetadata": "FROG",
        }
    ]
    verify = probe.event(VERIFY)["request"]
    assert verify["challengeAnswer"] == "frog"
    assert verify["privateChallengeParameters"] == {"answer": "frog"}


def test_metadata_comes_with_the_answers_only(app: App, person: str, probe: Probe) -> None:
    """https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html"""
    one_challenge(app, person, probe, tenant="blue")

    first, second = (e for e in probe.events if e["triggerSource"] == DEFINE)
    assert "clientMetadata" not in first["request"]
    assert second["request"]["clientMetadata"] == {"tenant": "blue"}
    assert probe.event(VERIFY)["request"]["clientMetadata"] == {"tenant": "blue"}
    assert probe.event(POST)["request"]["clientMetadata"] == {"tenant": "blue"}
    assert probe.event(TOKEN)["request"]["clientMetadata"] == {"tenant": "blue"}


@pytest.mark.parametrize("source", [PRE, DEFINE, CREATE, VERIFY, POST, TOKEN])
def test_each_trigger_can_refuse(source: str, app: App, person: str, probe: Probe) -> None:
    probe.answer(DEFINE, response=ASK)
    probe.answer(CREATE, response={"publicChallengeParameters": {}})
    probe.answer(VERIFY, response={"answerCorrect": True})
    probe.answer(source, raise_="no")

    def to_the_end() -> None:
        challenge = app._initiate("CUSTOM_AUTH", person, {}, None)
        if source != DEFINE:
            probe.answer(DEFINE, response=ISSUE)
        app._respond(person, challenge, {"ANSWER": "frog"}, None, False)

    with pytest.raises(SignInRefused, match="failed with error no") as refused:
        to_the_end()

    assert refused.value.code == "UserLambdaValidationException"


def test_tokens_at_once_still_call_the_last_two(app: App, person: str, probe: Probe) -> None:
    probe.answer(DEFINE, response=ISSUE)

    app.custom_auth(person, [])

    assert probe.sources == [PRE, DEFINE, POST, TOKEN]


def test_failed_authentication_calls_neither(app: App, person: str, probe: Probe) -> None:
    probe.answer(DEFINE, response={"failAuthentication": True})

    with pytest.raises(SignInRefused, match="NotAuthorizedException"):
        app.custom_auth(person, [])

    assert probe.sources == [PRE, DEFINE]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"returns": None}, id="null"),
        pytest.param({"response": {"challengeName": None}}, id="no decision"),
        pytest.param({"response": {"challengeName": "OTHER"}}, id="an unknown challenge"),
    ],
)
def test_a_definition_that_decides_nothing_is_unusable(
    answer: dict[str, Any], app: App, person: str, probe: Probe
) -> None:
    probe.answer(DEFINE, **answer)

    with pytest.raises(SignInRefused, match="InvalidLambdaResponseException"):
        app.custom_auth(person, [])


def test_after_an_srp_proof_the_custom_challenge_follows(
    app: App, person: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-authentication-flow-methods.html"""
    srp = app._srp(person, PASSWORD)
    probe.answer(DEFINE, response={"challengeName": "PASSWORD_VERIFIER"})
    first = {"CHALLENGE_NAME": "SRP_A", **srp.first}
    answer = app._initiate("CUSTOM_AUTH", person, first, None)
    assert answer["ChallengeName"] == "PASSWORD_VERIFIER"

    probe.answer(DEFINE, response=ASK)
    answer = app._respond(person, answer, srp.proof(answer["ChallengeParameters"]), None, False)
    probe.answer(VERIFY, response={"answerCorrect": True})
    probe.answer(DEFINE, response=ISSUE)
    answer = app._respond(person, answer, {"ANSWER": "frog"}, None, False)

    assert app._finish(person, answer, None).access_claims["username"] == person
    assert probe.sources == [PRE, DEFINE, DEFINE, CREATE, VERIFY, DEFINE, POST, TOKEN]
    *_, last = (event for event in probe.events if event["triggerSource"] == DEFINE)
    assert [item["challengeName"] for item in last["request"]["session"]] == [
        "SRP_A",
        "PASSWORD_VERIFIER",
        "CUSTOM_CHALLENGE",
    ]


def test_an_alias_is_told_by_its_user_name(aws: Any, probe: Probe) -> None:
    pool = UserPool.create(aws, probe.arn, AliasAttributes=["email"])
    name = pool.person()
    probe.reset()
    probe.answer(DEFINE, response=ISSUE)

    pool.app().custom_auth(f"{name}@example.com", [])

    assert {event["userName"] for event in probe.events} == {name}
