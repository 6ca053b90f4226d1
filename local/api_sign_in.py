"""Sign-ins by the user pools API, each flow as an application's SDK does it.

https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flows-selection-sdk.html
"""

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from botocore.exceptions import ClientError

from cli.srp import SrpClient
from local.tokens import AppClient, SignInRefused, Tokens, claims_of


class ApiSignIn(AppClient):
    """Every method returns ``Tokens`` or raises ``SignInRefused``.

    ``client_metadata`` goes along with each API call of the flow; which trigger sees it is up to
    Cognito.
    """

    def password(
        self,
        username: str,
        password: str,
        *,
        client_metadata: Mapping[str, str] | None = None,
        new_password: str | None = None,
    ) -> Tokens:
        """Sign in with USER_PASSWORD_AUTH; ``new_password`` replaces a temporary one."""
        return self._finish(
            username,
            self._initiate("USER_PASSWORD_AUTH", username, {"PASSWORD": password}, client_metadata),
            client_metadata,
            new_password=new_password,
        )

    def admin(
        self,
        username: str,
        password: str,
        *,
        client_metadata: Mapping[str, str] | None = None,
        new_password: str | None = None,
    ) -> Tokens:
        """Sign in with AdminInitiateAuth and ADMIN_USER_PASSWORD_AUTH, as a server does."""
        return self._finish(
            username,
            self._initiate(
                "ADMIN_USER_PASSWORD_AUTH", username, {"PASSWORD": password}, client_metadata
            ),
            client_metadata,
            new_password=new_password,
            admin=True,
        )

    def srp(
        self,
        username: str,
        password: str,
        *,
        client_metadata: Mapping[str, str] | None = None,
        new_password: str | None = None,
    ) -> Tokens:
        """Sign in with USER_SRP_AUTH: the password never leaves this process."""
        srp = self._srp(username, password)
        answer = self._initiate("USER_SRP_AUTH", username, srp.first, client_metadata)
        return self._finish(username, answer, client_metadata, new_password=new_password, srp=srp)

    def user_auth(
        self,
        username: str,
        password: str,
        *,
        preferred: str | None = "PASSWORD",
        select: str | None = None,
        client_metadata: Mapping[str, str] | None = None,
        admin: bool = False,
    ) -> Tokens:
        """Sign in with USER_AUTH.

        Parameters
        ----------
        preferred : PREFERRED_CHALLENGE, ``PASSWORD`` or ``PASSWORD_SRP``; None to be asked.
        select : the answer to SELECT_CHALLENGE, the same names.
        admin : use the admin operations.
        """
        srp = self._srp(username, password)
        parameters: dict[str, str] = {}
        if preferred:
            parameters["PREFERRED_CHALLENGE"] = preferred
        if preferred == "PASSWORD":
            parameters["PASSWORD"] = password
        if preferred == "PASSWORD_SRP":
            parameters |= srp.first
        answer = self._initiate("USER_AUTH", username, parameters, client_metadata, admin=admin)
        if answer.get("ChallengeName") == "SELECT_CHALLENGE" and select:
            chosen = {"ANSWER": select}
            chosen |= {"PASSWORD": password} if select == "PASSWORD" else srp.first
            answer = self._respond(username, answer, chosen, client_metadata, admin)
        return self._finish(username, answer, client_metadata, srp=srp, admin=admin)

    def custom_auth(
        self,
        username: str,
        answers: Sequence[str],
        *,
        client_metadata: Mapping[str, str] | None = None,
        admin: bool = False,
    ) -> Tokens:
        """Sign in with CUSTOM_AUTH, giving ``answers`` to its challenges one after the other."""
        answer = self._initiate("CUSTOM_AUTH", username, {}, client_metadata, admin=admin)
        for given in answers:
            if answer.get("ChallengeName") != "CUSTOM_CHALLENGE":
                break
            answer = self._respond(username, answer, {"ANSWER": given}, client_metadata, admin)
        return self._finish(username, answer, client_metadata, admin=admin)

    def refresh_by_initiate_auth(
        self, refresh_token: str, *, client_metadata: Mapping[str, str] | None = None
    ) -> Tokens:
        """Refresh with InitiateAuth and REFRESH_TOKEN_AUTH."""
        request: dict[str, Any] = {
            "ClientId": self.client_id,
            "AuthFlow": "REFRESH_TOKEN_AUTH",
            "AuthParameters": {"REFRESH_TOKEN": refresh_token},
        }
        if self.client_secret:
            username = claims_of(refresh_token)["sub"]
            request["AuthParameters"]["SECRET_HASH"] = self._secret_hash(username)
        if client_metadata:
            request["ClientMetadata"] = dict(client_metadata)
        return self._tokens(self._call("initiate_auth", request))

    def refresh_by_get_tokens(
        self, refresh_token: str, *, client_metadata: Mapping[str, str] | None = None
    ) -> Tokens:
        """Refresh with GetTokensFromRefreshToken."""
        request: dict[str, Any] = {"ClientId": self.client_id, "RefreshToken": refresh_token}
        if self.client_secret:
            request["ClientSecret"] = self.client_secret
        if client_metadata:
            request["ClientMetadata"] = dict(client_metadata)
        return self._tokens(self._call("get_tokens_from_refresh_token", request))

    # The calls behind the flows.

    def _finish(
        self,
        username: str,
        answer: dict[str, Any],
        client_metadata: Mapping[str, str] | None,
        *,
        new_password: str | None = None,
        srp: SrpClient | None = None,
        admin: bool = False,
    ) -> Tokens:
        """Answer password and new-password challenges until there are tokens."""
        while "AuthenticationResult" not in answer:
            name = answer["ChallengeName"]
            if name == "PASSWORD_VERIFIER" and srp is not None:
                responses = srp.proof(answer["ChallengeParameters"])
            elif name == "NEW_PASSWORD_REQUIRED" and new_password is not None:
                responses = {"NEW_PASSWORD": new_password}
                new_password = None
            else:
                raise SignInRefused("challenge", name)
            answer = self._respond(username, answer, responses, client_metadata, admin)
        return self._tokens(answer)

    def _initiate(
        self,
        flow: str,
        username: str,
        parameters: Mapping[str, str],
        client_metadata: Mapping[str, str] | None,
        *,
        admin: bool = False,
    ) -> dict[str, Any]:
        admin = admin or flow.startswith("ADMIN_")
        request: dict[str, Any] = {
            "ClientId": self.client_id,
            "AuthFlow": flow,
            "AuthParameters": {"USERNAME": username, **parameters, **self._proof(username)},
        }
        if client_metadata:
            request["ClientMetadata"] = dict(client_metadata)
        return self._call("admin_initiate_auth" if admin else "initiate_auth", request)

    def _respond(
        self,
        username: str,
        challenge: dict[str, Any],
        responses: Mapping[str, str],
        client_metadata: Mapping[str, str] | None,
        admin: bool,
    ) -> dict[str, Any]:
        # The SRP challenge told the real user name of somebody who typed an alias.
        name = responses.get("USERNAME", username)
        request: dict[str, Any] = {
            "ClientId": self.client_id,
            "ChallengeName": challenge["ChallengeName"],
            "ChallengeResponses": {**responses, "USERNAME": name, **self._proof(name)},
        }
        if challenge.get("Session"):
            request["Session"] = challenge["Session"]
        if client_metadata:
            request["ClientMetadata"] = dict(client_metadata)
        operation = "admin_respond_to_auth_challenge" if admin else "respond_to_auth_challenge"
        return self._call(operation, request)

    def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        if operation.startswith("admin_"):
            client = self.aws.client("cognito-idp")
            request["UserPoolId"] = self.pool_id
        else:
            client = self.aws.public_client("cognito-idp")
        try:
            answer: dict[str, Any] = getattr(client, operation)(**request)
        except ClientError as error:
            failure = error.response["Error"]
            raise SignInRefused(failure["Code"], failure["Message"]) from error
        return answer

    def _tokens(self, answer: dict[str, Any]) -> Tokens:
        result = answer.get("AuthenticationResult")
        if result is None:
            raise SignInRefused("challenge", answer.get("ChallengeName", ""))
        return Tokens(
            access_token=result["AccessToken"],
            id_token=result.get("IdToken"),
            refresh_token=result.get("RefreshToken"),
            expires_in=result["ExpiresIn"],
        )

    def _srp(self, username: str, password: str) -> SrpClient:
        return SrpClient(self.pool_id, self.client_id, username, password)

    def _proof(self, username: str) -> dict[str, str]:
        return {"SECRET_HASH": self._secret_hash(username)} if self.client_secret else {}

    def _secret_hash(self, username: str) -> str:
        key = (self.client_secret or "").encode()
        digest = hmac.new(key, (username + self.client_id).encode(), hashlib.sha256).digest()
        return base64.b64encode(digest).decode()
