"""API calls to the user pool service: what they asked for, and triggers' refusals as API errors.

https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/Welcome.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html
(``ClientMetadata``: which triggers get it depends on the operation that carries it)
"""

from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

from local.aws.emulator import Response, cognito, error, wrap
from local.aws.events import JsonObject
from local.aws.refusals import TriggerRefused

# Operations whose ClientMetadata reaches post authentication and pre token generation.
METADATA_REACHES_TOKENS = frozenset(
    {"RespondToAuthChallenge", "AdminRespondToAuthChallenge", "GetTokensFromRefreshToken"}
)


@dataclass(frozen=True)
class ApiCall:
    """The API operation that is being served, and its request."""

    action: str
    data: JsonObject

    @property
    def metadata(self) -> dict[str, str]:
        """ClientMetadata of the request, whoever gets it."""
        return {
            str(name): str(value) for name, value in (self.data.get("ClientMetadata") or {}).items()
        }

    @property
    def token_metadata(self) -> dict[str, str]:
        """ClientMetadata for the triggers at the end of a sign-in."""
        return self.metadata if self.action in METADATA_REACHES_TOKENS else {}


_current: ContextVar[ApiCall | None] = ContextVar("api_call", default=None)


def current() -> ApiCall:
    """Return the call that is being served; outside of the API one without name and data."""
    return _current.get() or ApiCall("", {})


def _run(original: Any, handler: Any, action: str, data: JsonObject) -> Response:
    token = _current.set(ApiCall(action, data))
    try:
        response: Response = original(handler, action, data)
        return response
    except TriggerRefused as refusal:
        return error(refusal.code, refusal.message)
    finally:
        _current.reset(token)


def install() -> None:
    """Put every API call of the user pool service through here."""
    wrap(cognito, "_run_idp_handler", _run)
