"""Sign a person in by SRP, and refresh, as an application does; the password is never sent.

Source: AWS, "Authentication flows", API_RespondToAuthChallenge.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cli.terminal import stop

# Challenge -> name of the answer, and what the person is asked.
_CODES = {
    "SMS_MFA": ("SMS_MFA_CODE", "Code from the text message"),
    "SOFTWARE_TOKEN_MFA": ("SOFTWARE_TOKEN_MFA_CODE", "Code of the authenticator app"),
    "EMAIL_OTP": ("EMAIL_OTP_CODE", "Code from the e-mail"),
}
_NOT_THIS_WAY = frozenset({"InvalidParameterException", "UnsupportedOperationException"})
_LONGEST = 10


class Asks(Protocol):
    """Who is asked for what a challenge wants."""

    def secret(self, text: str) -> str:
        """Return what a person types unseen."""

    def text(self, text: str) -> str:
        """Return what a person types."""


class SignInRefused(Exception):
    """Cognito gave no tokens; ``code`` is the API's, ``message`` what the person would read."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message


@dataclass(frozen=True)
class Tokens:
    """What a sign-in gives; a refresh brings a refresh token only where it is replaced."""

    id_token: str
    access_token: str
    refresh_token: str | None
    expires_in: int

    @property
    def id_claims(self) -> dict[str, Any]:
        """Claims of the ID token; it came from Cognito itself a moment ago, so is not checked."""
        return _claims(self.id_token)

    @property
    def access_claims(self) -> dict[str, Any]:
        """Claims of the access token, as those of the ID token."""
        return _claims(self.access_token)


def _claims(token: str) -> dict[str, Any]:
    import jwt

    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@dataclass(frozen=True)
class AppClient:
    """One app client of a user pool.

    cognito : a boto3 client of the user pools API; its credentials are not used.
    secret : of the app client, if it has one.
    """

    cognito: Any
    pool_id: str
    client_id: str
    secret: str | None = None

    def sign_in(self, username: str, password: str, asks: Asks) -> Tokens:
        """Sign in with USER_SRP_AUTH; ``asks`` answers what Cognito wants besides the password.

        Raises
        ------
        SignInRefused : wrong name, password or code, a rule refused, or the flow is off.
        """
        from cli.srp import SrpClient

        srp = SrpClient(self.pool_id, self.client_id, username, password)
        answer = self._call(
            "initiate_auth",
            AuthFlow="USER_SRP_AUTH",
            AuthParameters={"USERNAME": username, **srp.first, **self._proof(username)},
        )
        for _ in range(_LONGEST):
            if "AuthenticationResult" in answer:
                return _tokens(answer)
            name, parameters = answer["ChallengeName"], answer.get("ChallengeParameters") or {}
            if name == "PASSWORD_VERIFIER":
                responses = srp.proof(parameters)
                # Who typed an alias is known by the real name from here on.
                username = responses["USERNAME"]
            else:
                responses = _answer(name, parameters, asks)
            session = {"Session": answer["Session"]} if answer.get("Session") else {}
            answer = self._call(
                "respond_to_auth_challenge",
                ChallengeName=name,
                ChallengeResponses={
                    **responses,
                    "USERNAME": username,
                    **self._proof(username),
                },
                **session,
            )
        raise SignInRefused("challenge", "Cognito asks without end")

    def refresh(self, refresh_token: str) -> Tokens:
        """Return new tokens of a public client; as a refresh, not as a login, where it lets one.

        Raises
        ------
        SignInRefused : the token is expired or revoked, or a rule refused.
        """
        try:
            answer = self._call(
                "initiate_auth",
                AuthFlow="REFRESH_TOKEN_AUTH",
                AuthParameters={"REFRESH_TOKEN": refresh_token},
            )
        except SignInRefused as refused:
            if refused.code not in _NOT_THIS_WAY:
                raise
            # A client that replaces refresh tokens takes this operation only.
            answer = self._call("get_tokens_from_refresh_token", RefreshToken=refresh_token)
        return _tokens(answer)

    def _proof(self, username: str) -> dict[str, str]:
        from pycognito.aws_srp import AWSSRP

        if not self.secret:
            return {}
        return {"SECRET_HASH": AWSSRP.get_secret_hash(username, self.client_id, self.secret)}

    def _call(self, operation: str, **parameters: Any) -> dict[str, Any]:
        from botocore.exceptions import ClientError

        try:
            answer: dict[str, Any] = getattr(self.cognito, operation)(
                ClientId=self.client_id, **parameters
            )
        except ClientError as error:
            said = error.response.get("Error", {})
            code, message = said.get("Code", ""), said.get("Message", "")
            raise SignInRefused(code, message) from error
        return answer


def _answer(name: str, parameters: Mapping[str, str], asks: Asks) -> dict[str, str]:
    """Return what the person answers to a challenge."""
    if name in _CODES:
        response, text = _CODES[name]
        sent_to = parameters.get("CODE_DELIVERY_DESTINATION")
        return {response: asks.text(f"{text} to {sent_to}" if sent_to else text)}
    if name == "SELECT_MFA_TYPE":
        kinds = parameters.get("MFAS_CAN_CHOOSE", "")
        return {"ANSWER": asks.text(f"Which second factor, of {kinds}")}
    if name == "NEW_PASSWORD_REQUIRED":
        return _new_password(parameters, asks)
    if name == "MFA_SETUP":
        stop("The account needs a second factor first: set it up on the sign-in page.")
    stop(f"Cognito asks for {name}, which only an application can answer.")


def _new_password(parameters: Mapping[str, str], asks: Asks) -> dict[str, str]:
    password = asks.secret("New password, since this one is temporary")
    if asks.secret("Once more") != password:
        stop("The two are not the same: nothing was changed.")
    attributes = json.loads(parameters.get("requiredAttributes") or "[]")
    return {"NEW_PASSWORD": password} | {
        name: asks.text(name.removeprefix("userAttributes.")) for name in attributes
    }


def _tokens(answer: Mapping[str, Any]) -> Tokens:
    result = answer["AuthenticationResult"]
    return Tokens(
        id_token=result["IdToken"],
        access_token=result["AccessToken"],
        refresh_token=result.get("RefreshToken"),
        expires_in=int(result["ExpiresIn"]),
    )
