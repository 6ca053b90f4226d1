"""The Lambda authorizer: is the access token good, not cancelled, and good for this route?

It serves REST APIs (TOKEN and REQUEST) and HTTP APIs (both payload formats; of format 2.0 the
simple response). Imports PyJWT, so its function has the net layer.

Source: AWS, API Gateway, "Use API Gateway Lambda authorizers", "Control access to HTTP APIs with
AWS Lambda authorizers".
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any

from cognito_rules.access_token import (
    POOL_SETTINGS,
    TokenRefusedError,
    Verifier,
    bearer_token,
    pool_verifier,
)
from cognito_rules.api_routes import RequiredScopes
from cognito_rules.configuration import Settings
from cognito_rules.errors import ConfigurationError, StoreError
from cognito_rules.logs import logger
from cognito_rules.token_denylist import TokenDenylist

if TYPE_CHECKING:
    from cognito_rules.aws import Aws

_TABLE_SECONDS = 2.0

SETTINGS = Settings.parse(
    {
        **POOL_SETTINGS,
        "allowed_clients": {"type": "list[string]", "required": True, "min_items": 1},
        "audience": {"type": "string", "default": ""},
        "required_scopes": {"type": "map[string, list[string]]", "default": {}},
        "token_id_claim": {"type": "string", "default": ""},
        "leeway_seconds": {"type": "integer", "minimum": 0, "maximum": 60, "default": 5},
        "on_table_failure": {"type": "string", "choices": ["deny", "allow"], "default": "deny"},
    }
)


class UnauthorizedError(Exception):
    """What a REST API turns into 401, by this very text."""

    def __init__(self) -> None:
        super().__init__("Unauthorized")


@dataclass(frozen=True)
class ApiRequest:
    """What an authorizer event asks.

    ``arn`` : of the method; ``route`` : the path of the chosen route, None where it is not told.
    ``form`` : ``rest`` for a REST API, ``http_1`` and ``http_2`` for the formats of an HTTP API.
    """

    form: str
    authorization: str
    arn: str
    method: str
    path: str
    route: str | None

    @classmethod
    def parse(cls, event: Mapping[str, Any]) -> ApiRequest:
        """Return the request in an event; KeyError or ValueError when it is no authorizer's."""
        is_second = event.get("version") == "2.0"
        arn = event["routeArn"] if is_second else event["methodArn"]
        # arn:aws:execute-api:<region>:<account>:<api>/<stage>/<METHOD>/<path>
        _, _, method, path = (arn.split(":", 5)[5] + "///").split("/", 3)
        path = "/" + path.rstrip("/")
        if is_second:
            route = event["routeKey"].partition(" ")[2] or None
            return cls("http_2", _authorization(event), arn, method, path, route)
        if event["type"] == "TOKEN":
            return cls("rest", event.get("authorizationToken") or "", arn, method, path, None)
        form = "http_1" if event.get("version") == "1.0" else "rest"
        return cls(form, _authorization(event), arn, method, path, event.get("resource"))


@dataclass(frozen=True)
class Authorizer:
    """The authorizer of one user pool's access tokens.

    Attributes
    ----------
    token_id_claim : the claim that set_access_token_id writes; empty when it is not used.
    allows_unread : whether a token passes while the deny-list cannot be read.
    """

    verifier: Verifier
    denylist: TokenDenylist
    scopes: RequiredScopes = field(default_factory=lambda: RequiredScopes({}))
    token_id_claim: str = ""
    allows_unread: bool = False
    clock: Callable[[], float] = time.perf_counter

    def handle(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return the answer to an authorizer event.

        Raises
        ------
        UnauthorizedError : a REST API shall answer 401.
        """
        started = self.clock()
        facts: dict[str, Any] = {}
        try:
            request = ApiRequest.parse(event)
        except (KeyError, TypeError, ValueError, AttributeError):
            logger().error("token checked", outcome="refused", code="malformed_event")
            raise UnauthorizedError from None
        try:
            context = self._check(request, facts)
        except TokenRefusedError as refusal:
            facts |= {"outcome": "refused", "code": refusal.code, **refusal.facts}
            return self._refuse(request, refusal)
        else:
            facts["outcome"] = "allowed"
            return self._allow(request, context)
        finally:
            facts["duration_ms"] = round((self.clock() - started) * 1000, 1)
            logger().info("token checked", **facts)

    def _check(self, request: ApiRequest, facts: dict[str, Any]) -> dict[str, str]:
        claims = self.verifier.verify(bearer_token(request.authorization))
        facts |= {"user_id": claims["sub"], "client_id": claims["client_id"]}
        token_id = claims.get(self.token_id_claim) if self.token_id_claim else None
        if token_id is not None and not isinstance(token_id, str):
            raise TokenRefusedError("malformed_token")
        if not claims.get("jti"):
            # The app client has token revocation off: only its other names can be listed.
            logger().warning("token_without_jti", client_id=claims["client_id"])
        self._look_up(claims, token_id)
        granted = str(claims.get("scope") or "").split()
        needed = self.scopes.of(request.method, route=request.route, path=request.path)
        if not needed <= set(granted):
            raise TokenRefusedError("insufficient_scope", status=403)
        if self._is_ambiguous(request):
            raise TokenRefusedError("ambiguous_path", status=403)
        context = {
            "sub": claims["sub"],
            "client_id": claims["client_id"],
            "scopes": " ".join(granted),
            "token_id": token_id,
        }
        return {name: value for name, value in context.items() if value is not None}

    def _look_up(self, claims: Mapping[str, Any], token_id: str | None) -> None:
        try:
            kind = self.denylist.denies(claims, token_id=token_id, timeout=_TABLE_SECONDS)
        except StoreError as error:
            if not self.allows_unread:
                logger().error("denylist unavailable", reason=str(error))
                raise TokenRefusedError("denylist_unavailable", status=403) from None
            logger().warning("denylist unavailable, token allowed", reason=str(error))
            return
        if kind is not None:
            raise TokenRefusedError("token_denied", status=403, by=kind)

    def _is_ambiguous(self, request: ApiRequest) -> bool:
        """Whether a policy for this very path would hold for others: it has no escape character."""
        return self._names_the_route(request) and ("*" in request.arn or "?" in request.arn)

    def _names_the_route(self, request: ApiRequest) -> bool:
        return self.scopes.differ_by_route and request.form != "http_2"

    def _allow(self, request: ApiRequest, context: dict[str, str]) -> dict[str, Any]:
        if request.form == "http_2":
            return {"isAuthorized": True, "context": context}
        # A cached answer is used for every method of the stage, so it names all of them, unless
        # they need different scopes.
        stage = "/".join(request.arn.split("/", 2)[:2])
        resource = request.arn if self._names_the_route(request) else f"{stage}/*"
        return _policy(context["sub"], "Allow", resource, context)

    def _refuse(self, request: ApiRequest, refusal: TokenRefusedError) -> dict[str, Any]:
        if request.form == "http_2":
            return {"isAuthorized": False}
        if refusal.status == 401 and request.form == "rest":
            raise UnauthorizedError from None
        # HTTP APIs know one answer to a refusal, 403. The resource is this request alone: a cached
        # refusal for want of a scope must not close the rest of the API.
        return _policy("refused", "Deny", request.arn, {"error": refusal.code})


def _policy(
    principal: str, effect: str, resource: str, context: Mapping[str, str]
) -> dict[str, Any]:
    statement = {"Action": "execute-api:Invoke", "Effect": effect, "Resource": resource}
    return {
        "principalId": principal,
        "policyDocument": {"Version": "2012-10-17", "Statement": [statement]},
        "context": dict(context),
    }


def _authorization(event: Mapping[str, Any]) -> str:
    headers = event.get("headers") or {}
    return next((str(v) for name, v in headers.items() if name.lower() == "authorization"), "")


def authorizer(settings: Mapping[str, Any], aws: Aws, table: str) -> Authorizer:
    """Return the authorizer that ``settings`` (see ``SETTINGS``) describe.

    Raises
    ------
    ConfigurationError : a setting is missing or wrong.
    """
    given = SETTINGS.check(settings, {})
    if not all(given["allowed_clients"]):
        raise ConfigurationError("allowed_clients must hold ids of app clients")
    return Authorizer(
        pool_verifier(
            given["user_pool_id"],
            given["allowed_clients"],
            url_suffix=given["url_suffix"],
            is_updated_issuer=given["issuer_type"] == "UPDATED",
            audience=given["audience"] or None,
            leeway=given["leeway_seconds"],
        ),
        TokenDenylist(aws, table),
        RequiredScopes(given["required_scopes"]),
        token_id_claim=given["token_id_claim"],
        allows_unread=given["on_table_failure"] == "allow",
    )


@cache
def _authorizer() -> Authorizer:
    from cognito_rules.aws import Aws

    try:
        settings = json.loads(os.environ["AUTHORIZER_SETTINGS"])
    except ValueError as error:
        raise ConfigurationError("AUTHORIZER_SETTINGS in template.yaml is no JSON") from error
    clients = os.environ["AUTHORIZER_CLIENTS"].split(",")
    settings["allowed_clients"] = [client for client in clients if client]
    return authorizer(settings, Aws(), os.environ["PROFILES_TABLE"])


def handler(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Answer an authorizer event of API Gateway."""
    return _authorizer().handle(event)
