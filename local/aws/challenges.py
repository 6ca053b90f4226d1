"""The answers to NEW_PASSWORD_REQUIRED and to MFA challenges belong to the sign-in that was asked.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RespondToAuthChallenge.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-settings-policies.html

ministack gives tokens for such an answer to anyone who knows a name: it keeps no session of the
challenge. Here the session has to be the one that was handed out after the right password, for
this user, app client and challenge, within the app client's time.
"""

import json
import threading
import time
from dataclasses import dataclass
from typing import Any

from local.aws.emulator import Response, cognito, error, wrap
from local.aws.events import JsonObject

BOUND = frozenset(
    {"NEW_PASSWORD_REQUIRED", "SOFTWARE_TOKEN_MFA", "SMS_MFA", "EMAIL_OTP", "MFA_SETUP"}
)


@dataclass(frozen=True)
class Pending:
    """A challenge that waits for its answer until ``expires`` (monotonic seconds)."""

    challenge: str
    pool_id: str
    client_id: str
    username: str
    expires: float


_pending: dict[str, Pending] = {}
_lock = threading.Lock()


def remember(token: str, challenge: str, pool_id: str, client_id: str, username: str) -> None:
    """Remember a challenge under the session token that the client was given."""
    client = cognito._user_pools[pool_id]["_clients"][client_id]
    minutes = client.get("AuthSessionValidity") or 3
    now = time.monotonic()
    with _lock:
        for old in [name for name, pending in _pending.items() if pending.expires < now]:
            del _pending[old]
        _pending[token] = Pending(challenge, pool_id, client_id, username, now + minutes * 60)


def take(token: Any, challenge: str, client_id: str, username: Any, pool_id: Any) -> Pending | None:
    """Take the session's challenge away and return it, if it is this one and for this user.

    ``pool_id`` is None where the operation does not name the pool. Nothing is taken for another
    challenge, app client or user: the right person's session stays as it is.
    """
    with _lock:
        found = _pending.get(token) if isinstance(token, str) else None
        if found is None or found.expires < time.monotonic():
            return None
        user = cognito._resolve_user(cognito._user_pools[found.pool_id], username)[0]
        name = user["Username"] if user else username
        if (found.challenge, found.client_id, found.username) != (challenge, client_id, name):
            return None
        if pool_id not in (None, found.pool_id):
            return None
        return _pending.pop(token)


def put_back(token: str, taken: Pending) -> None:
    """Let the person try once more, after an answer that was wrong."""
    with _lock:
        _pending[token] = taken


def invalid_session() -> Response:
    """Return the refusal of an answer that no challenge waits for."""
    return error("NotAuthorizedException", "Invalid session for the user.")


def _password_result(
    original: Any,
    pool: JsonObject,
    pool_id: str,
    client_id: str,
    user: JsonObject,
    *rest: Any,
    **named: Any,
) -> Response:
    """After a right password: remember the challenge that ministack answers with, if it does."""
    response: Response = original(pool, pool_id, client_id, user, *rest, **named)
    answer = json.loads(response[2])
    if answer.get("ChallengeName") in BOUND:
        remember(answer["Session"], answer["ChallengeName"], pool_id, client_id, user["Username"])
    return response


def _respond(original: Any, data: JsonObject) -> Response:
    challenge = data.get("ChallengeName", "")
    if challenge not in BOUND:
        response: Response = original(data)
        return response
    answers = data.get("ChallengeResponses") or {}
    session, pool_id = data.get("Session"), data.get("UserPoolId")
    taken = take(session, challenge, data.get("ClientId", ""), answers.get("USERNAME"), pool_id)
    if taken is None:
        return invalid_session()
    response = _new_password_error(taken, answers) or original(data)
    # A trigger that refused raises, and the session stays taken: the sign-in begins anew.
    if response[0] != 200:
        put_back(str(session), taken)
    return response


def _new_password_error(taken: Pending, answers: JsonObject) -> Response | None:
    if taken.challenge != "NEW_PASSWORD_REQUIRED":
        return None
    new = answers.get("NEW_PASSWORD")
    if not new:
        return error("InvalidParameterException", "Missing required parameter NEW_PASSWORD")
    weak: Response | None = cognito._validate_password(cognito._user_pools[taken.pool_id], new)
    return weak


def install() -> None:
    """Bind challenges to sessions."""
    wrap(cognito, "_password_auth_result", _password_result)
    wrap(cognito, "_respond_to_auth_challenge", _respond)
    wrap(cognito, "_admin_respond_to_auth_challenge", _respond)
