"""USER_AUTH: the client asks which ways to sign in there are, or names the one it prefers.

https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flows-selection-sdk.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RespondToAuthChallenge.html

Offered are PASSWORD and PASSWORD_SRP. One-time passwords and passkeys are not there.
"""

import base64
import secrets
from typing import Any

from local.aws import authentication, calls, challenges
from local.aws.emulator import Response, cognito, error, responses, wrap
from local.aws.events import JsonObject

SELECT = "SELECT_CHALLENGE"
OFFERED = ("PASSWORD_SRP", "PASSWORD")


def _initiate(original: Any, data: JsonObject) -> Response:
    if data.get("AuthFlow") != "USER_AUTH":
        response: Response = original(data)
        return response
    client_id = data.get("ClientId", "")
    pool = cognito._user_pools.get(data.get("UserPoolId")) or cognito._pool_for_client(client_id)[0]
    if pool is None or client_id not in pool["_clients"]:
        return error("ResourceNotFoundException", f"Client {client_id} not found.")
    if "ALLOW_USER_AUTH" not in (pool["_clients"][client_id].get("ExplicitAuthFlows") or []):
        return error("InvalidParameterException", "USER_AUTH is not enabled for the client.")
    parameters = data.get("AuthParameters") or {}
    username = parameters.get("USERNAME")
    if not username:
        return error("InvalidParameterException", "Missing required parameter USERNAME")
    user, unknown = cognito._resolve_user(pool, username)
    if user is None and not cognito._hides_user_existence(pool, client_id):
        refusal: Response = unknown
        return refusal
    authentication.attempt(pool, client_id, username, calls.current().metadata)
    preferred = parameters.get("PREFERRED_CHALLENGE")
    if preferred in OFFERED and _has_proof(preferred, parameters):
        return _prove(pool, client_id, username, preferred, parameters, data)
    name = preferred if preferred in OFFERED else SELECT
    return _ask(name, pool, client_id, user["Username"] if user else username)


def _respond(original: Any, data: JsonObject) -> Response:
    challenge = data.get("ChallengeName")
    if challenge not in (SELECT, *OFFERED):
        response: Response = original(data)
        return response
    answers = data.get("ChallengeResponses") or {}
    username, client_id = str(answers.get("USERNAME", "")), data.get("ClientId", "")
    chosen = answers.get("ANSWER") if challenge == SELECT else challenge
    if chosen not in OFFERED:
        return error("InvalidParameterException", f"Challenge {chosen} is not available.")
    if not _has_proof(chosen, answers):
        missing = "PASSWORD" if chosen == "PASSWORD" else "SRP_A"
        return error("InvalidParameterException", f"Missing required parameter {missing}")
    taken = challenges.take(
        data.get("Session"), challenge, client_id, username, data.get("UserPoolId")
    )
    if taken is None:
        return challenges.invalid_session()
    pool = cognito._user_pools[taken.pool_id]
    return _prove(pool, client_id, username, chosen, answers, data)


def _has_proof(challenge: str, given: JsonObject) -> bool:
    return bool(given.get("PASSWORD" if challenge == "PASSWORD" else "SRP_A"))


def _ask(name: str, pool: JsonObject, client_id: str, username: str) -> Response:
    session = base64.b64encode(secrets.token_bytes(48)).decode()
    challenges.remember(session, name, pool["Id"], client_id, username)
    answer: JsonObject = {
        "ChallengeName": name,
        "Session": session,
        "ChallengeParameters": {"USERNAME": username},
    }
    if name == SELECT:
        answer["AvailableChallenges"] = list(OFFERED)
    response: Response = responses.json_response(answer)
    return response


def _prove(
    pool: JsonObject,
    client_id: str,
    username: str,
    challenge: str,
    given: JsonObject,
    data: JsonObject,
) -> Response:
    """Look at the password, or begin the SRP exchange."""
    user = cognito._resolve_user(pool, username)[0]
    wrong = error("NotAuthorizedException", "Incorrect username or password.")
    if user is not None:
        refusal = _state_refusal(user)
        if refusal is not None:
            return refusal
    if challenge == "PASSWORD_SRP":
        return _begin_srp(pool, client_id, user, username, str(given["SRP_A"]))
    if user is None or not user.get("_password") or user["_password"] != given["PASSWORD"]:
        return wrong
    if user.get("UserStatus") == "RESET_REQUIRED":
        reset: Response = cognito._password_reset_required()
        return reset
    response: Response = cognito._password_auth_result(
        pool, pool["Id"], client_id, user, user["Username"], data=data
    )
    return response


def _state_refusal(user: JsonObject) -> Response | None:
    if not user.get("Enabled", True):
        return error("NotAuthorizedException", "User is disabled.")
    if user.get("UserStatus") == "UNCONFIRMED":
        return error("UserNotConfirmedException", "User is not confirmed.")
    refused: Response | None = cognito._password_signin_refused(user)
    return refused


def _begin_srp(
    pool: JsonObject, client_id: str, user: JsonObject | None, username: str, srp_a: str
) -> Response:
    if not cognito._SRP_A_RE.match(srp_a):
        return error("InvalidParameterException", "SRP_A is not a hexadecimal number.")
    name = user["Username"] if user else username
    token, session = cognito._create_challenge_session(pool["Id"], client_id, name)
    session["auth_flow"] = "USER_SRP_AUTH"
    # A user without a password, from an identity provider, gets a challenge nobody can answer.
    known = user if user is not None and user.get("_password") else None
    parameters, session["srp"] = cognito._srp_challenge(pool["Id"], known, name, srp_a, token)
    response: Response = responses.json_response(
        {
            "ChallengeName": "PASSWORD_VERIFIER",
            "Session": token,
            "ChallengeParameters": parameters,
        }
    )
    return response


def install() -> None:
    """Add the flow to the operations that begin and continue a sign-in."""
    wrap(cognito, "_initiate_auth", _initiate)
    wrap(cognito, "_admin_initiate_auth", _initiate)
    wrap(cognito, "_respond_to_auth_challenge", _respond)
    wrap(cognito, "_admin_respond_to_auth_challenge", _respond)
