"""The endpoint that puts tokens onto the deny-list, lists it, and takes entries off.

Behind an HTTP API (payload format 2.0) whose route asks for IAM authorization: who may call it is
decided by policies on ``execute-api:Invoke``.

Source: AWS, "Create AWS Lambda proxy integrations for HTTP APIs", "Control access to HTTP APIs with
IAM authorization"; Auth0 docs, "Blacklists and application grants".
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from cognito_rules import http_api
from cognito_rules.errors import RuleError, StoreError, UpstreamError
from cognito_rules.http_api import Answer, answer
from cognito_rules.logs import log_fault, logger
from cognito_rules.token_denylist import (
    KINDS,
    MAX_LIMIT,
    Entry,
    InvalidRequestError,
    Name,
    TokenDenylist,
    parse_entry,
    parse_name,
)
from cognito_rules.user_pools import UserPools

MAX_BODY_BYTES = 8 * 1024
_DEFAULT_LIMIT = 50
_COGNITO_SECONDS = 3.0
_ASSUMED_ROLE = re.compile(r"arn:[^:]+:sts::\d{12}:assumed-role/([^/]+)/")

REMINDER = (
    "New tokens of this app client are accepted: remove its scopes or the client itself to end "
    "its access."
)


@dataclass(frozen=True)
class DenylistDoor:
    """The endpoint.

    Attributes
    ----------
    cascade : whether a person on the list is signed out at Cognito as well.
    clock : seconds since the epoch; only tests replace it.
    """

    denylist: TokenDenylist
    pools: UserPools
    user_pool_id: str
    cascade: bool = False
    clock: Callable[[], float] = time.time

    def handle(self, event: Mapping[str, Any]) -> Answer:
        """Return the answer to a request; never raises."""
        context = event.get("requestContext") or {}
        caller = ((context.get("authorizer") or {}).get("iam")) or {}
        if not caller.get("accessKey"):
            # The route asks for IAM; without it this would be open to everybody.
            return answer(403, {"error": "forbidden"})
        method = (context.get("http") or {}).get("method")
        act = {"POST": self._add, "GET": self._list, "DELETE": self._remove}.get(str(method))
        if act is None:
            return answer(405, {"error": "method_not_allowed"}, Allow="DELETE, GET, POST")
        try:
            return act(event, _who(caller))
        except InvalidRequestError as error:
            fields = [{"field": name, "problem": text} for name, text in error.fields.items()]
            return answer(400, {"error": "invalid_request", "fields": fields})
        except StoreError as error:
            logger().error("denylist unavailable", reason=str(error))
            return answer(503, {"error": "denylist_unavailable"})
        except (RuleError, LookupError, TypeError, ValueError) as error:
            log_fault(error)
            return answer(500, {"error": "internal_error"})

    def _add(self, event: Mapping[str, Any], who: dict[str, str]) -> Answer:
        now = self.clock()
        entry = parse_entry(_body(event), now=now)
        self.denylist.add(entry, now=now)
        _log("token denied", entry.name, who, not_before=entry.not_before)
        if not self.cascade:
            return answer(204)
        if entry.name.kind == "client_id":
            return answer(200, {"reminder": REMINDER})
        return self._sign_out(entry) if entry.name.kind == "sub" else answer(204)

    def _sign_out(self, entry: Entry) -> Answer:
        """Revoke what Cognito gave to a person; the entry stands whatever comes of it."""
        try:
            signed_out = self._global_sign_out(entry.name.value)
        except UpstreamError as error:
            logger().error("sign-out failed", code=error.code, sub=entry.name.value)
            return answer(502, {"error": "sign_out_failed", "listed": True})
        logger().info("signed out", sub=entry.name.value, found=signed_out)
        return answer(204)

    def _global_sign_out(self, sub: str) -> bool:
        # A pool may have user names of its own, and then takes no sub in their place.
        wanted = {"UserPoolId": self.user_pool_id, "Filter": f'sub = "{sub}"', "Limit": 1}
        found = self.pools.call("ListUsers", wanted, timeout=_COGNITO_SECONDS).get("Users") or []
        for user in found:
            who = {"UserPoolId": self.user_pool_id, "Username": user["Username"]}
            self.pools.call("AdminUserGlobalSignOut", who, timeout=_COGNITO_SECONDS)
        return bool(found)

    def _list(self, event: Mapping[str, Any], who: dict[str, str]) -> Answer:
        query = event.get("queryStringParameters") or {}
        problems = {
            name: "is unknown" for name in query if name not in ("client_id", "cursor", "limit")
        }
        text = query.get("limit", str(_DEFAULT_LIMIT))
        limit = int(text) if re.fullmatch(r"[0-9]{1,3}", text) else 0
        if not 1 <= limit <= MAX_LIMIT:
            problems["limit"] = f"must be a number from 1 to {MAX_LIMIT}"
        if "client_id" in query:
            parse_name({"client_id": query["client_id"]}, problems)
        if problems:
            raise InvalidRequestError(problems)
        entries, following = self.denylist.page(
            now=self.clock(),
            limit=limit,
            client_id=query.get("client_id"),
            cursor=query.get("cursor"),
        )
        return answer(200, {"entries": entries, "next": following})

    def _remove(self, event: Mapping[str, Any], who: dict[str, str]) -> Answer:
        query = event.get("queryStringParameters") or {}
        problems = {name: "is unknown" for name in query if name not in KINDS}
        name = parse_name(query, problems)
        if problems or name is None:
            raise InvalidRequestError(problems)
        removed = self.denylist.remove(name)
        _log("token allowed again", name, who, found=removed)
        return answer(204) if removed else answer(404, {"error": "not_listed"})


def _body(event: Mapping[str, Any]) -> Any:
    try:
        return json.loads(http_api.body(event, max_bytes=MAX_BODY_BYTES))
    except (ValueError, RecursionError):
        problem = f"must be JSON of at most {MAX_BODY_BYTES} bytes"
        raise InvalidRequestError({"body": problem}) from None


def _who(caller: Mapping[str, Any]) -> dict[str, str]:
    """Return who called, without a person's name: a role session's often is an e-mail address.

    CloudTrail tells by the access key who that was.
    """
    who = {"access_key": str(caller["accessKey"]), "account": str(caller.get("accountId"))}
    role = _ASSUMED_ROLE.match(str(caller.get("userArn")))
    return who | ({"role": role[1]} if role else {})


def _log(message: str, name: Name, who: Mapping[str, str], **facts: Any) -> None:
    """Write the audit line of a change."""
    known = {key: value for key, value in facts.items() if value is not None}
    logger().info(message, kind=name.kind, value=name.value, caller=dict(who), **known)


@cache
def _door() -> DenylistDoor:
    from cognito_rules.aws import Aws

    aws = Aws()
    return DenylistDoor(
        TokenDenylist(aws, os.environ["PROFILES_TABLE"]),
        UserPools(aws),
        os.environ["USER_POOL_ID"],
        cascade=os.environ.get("CASCADE") == "true",
    )


def handler(event: Mapping[str, Any], context: Any) -> Answer:
    """Answer a request of the HTTP API."""
    return _door().handle(event)
