"""CUSTOM_AUTH: the three challenge triggers get AWS's events, and fail as AWS says.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-challenge.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-define-auth-challenge.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-create-auth-challenge.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-verify-auth-challenge-response.html
"""

from typing import Any

from local.aws import calls, invoke
from local.aws.emulator import cognito, wrap
from local.aws.events import JsonObject, event, user_attributes, with_metadata

Answer = tuple[JsonObject | None, None]


def _define(
    original: Any,
    pool_id: str,
    client_id: str,
    username: str,
    attributes: Any,
    session: JsonObject,
    metadata: Any = None,
) -> Answer:
    return _call(
        "DefineAuthChallenge",
        pool_id,
        client_id,
        username,
        {"session": cognito._build_session_list(session)},
        {"challengeName": None, "issueTokens": False, "failAuthentication": False},
    )


def _create(
    original: Any,
    pool_id: str,
    client_id: str,
    username: str,
    attributes: Any,
    session: JsonObject,
    metadata: Any,
) -> Answer:
    return _call(
        "CreateAuthChallenge",
        pool_id,
        client_id,
        username,
        {
            "challengeName": "CUSTOM_CHALLENGE",
            "session": cognito._build_session_list(session),
        },
        {
            "publicChallengeParameters": None,
            "privateChallengeParameters": None,
            "challengeMetadata": None,
        },
    )


def _verify(
    original: Any,
    pool_id: str,
    client_id: str,
    username: str,
    attributes: Any,
    session: JsonObject,
    answer: str,
    metadata: Any,
) -> Answer:
    asked = session["challenges"][-1] if session["challenges"] else {}
    return _call(
        "VerifyAuthChallengeResponse",
        pool_id,
        client_id,
        username,
        {
            "challengeAnswer": answer,
            "privateChallengeParameters": asked.get("privateChallengeParameters", {}),
        },
        {"answerCorrect": None},
    )


def _call(
    trigger: str,
    pool_id: str,
    client_id: str,
    username: str,
    request: JsonObject,
    response: JsonObject,
) -> Answer:
    """Return the answer as ministack expects it, or None for a pool without this trigger."""
    pool = cognito._user_pools[pool_id]
    user = cognito._resolve_user(pool, username)[0]
    request = {"userAttributes": user_attributes(user), **request, "userNotFound": False}
    answer = invoke.call(
        trigger,
        pool,
        event(
            f"{trigger}_Authentication",
            version="1",
            pool_id=pool_id,
            client_id=client_id,
            username=user["Username"],
            # InitiateAuth's metadata does not come this far, that of the later answers does.
            request=with_metadata(request, calls.current().token_metadata),
            response=response,
        ),
    )
    return (None if answer is None else {"response": answer[0]}), None


def install() -> None:
    """Call the three triggers here."""
    wrap(cognito, "_invoke_define_auth_challenge_trigger", _define)
    wrap(cognito, "_invoke_create_auth_challenge_trigger", _create)
    wrap(cognito, "_invoke_verify_auth_challenge_trigger", _verify)
