"""Logins to measure: the two trigger events of one sign-in, and a login function to take them.

Every sign-in is another person's. A second one by the same person within a minute would find the
decision of the first, and would measure nothing.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from cognito_rules.aws import Aws
from cognito_rules.chain import Chain
from cognito_rules.executors import RuleInvoker, invoker_threads
from cognito_rules.manifest import Manifest
from cognito_rules.pipeline import LoginFunction
from cognito_rules.rule import Rule
from cognito_rules.store import Store
from cognito_rules.trace import Tracer

PROFILES, SESSIONS = "bench-profiles", "bench-sessions"
CLIENT = "1example23456789clientid00"
APPLICATIONS = {
    CLIENT: {"name": "payroll", "metadata": {"audience": "https://api.example.com"}},
    "2example23456789clientid00": {"name": "closed"},
}

Event = dict[str, Any]
Handler = Callable[[Event], Event]

_numbers = itertools.count()


def new_user_id() -> str:
    """Return the sub of a person who was never seen before."""
    return f"{next(_numbers):08x}-{str(uuid4())[9:]}"


def events(user_id: str) -> tuple[Event, Event]:
    """Return the PostAuthentication and the PreTokenGeneration event of one sign-in (V3_0).

    Shapes: AWS, "Post authentication Lambda trigger", "Pre token generation Lambda trigger".
    """
    attributes = {
        "sub": user_id,
        "cognito:user_status": "CONFIRMED",
        "email": "jane@example.com",
        "email_verified": "true",
        "name": "Jane Doe",
        "given_name": "Jane",
        "family_name": "Doe",
        "custom:groups": '["staff","finance"]',
        "custom:department": "research",
    }
    common: Event = {
        "region": "eu-west-1",
        "userPoolId": "eu-west-1_Example01",
        "userName": "jane",
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": CLIENT},
    }
    authenticated = {
        **common,
        "version": "1",
        "triggerSource": "PostAuthentication_Authentication",
        "request": {"userAttributes": attributes, "newDeviceUsed": False},
        "response": {},
    }
    groups = {
        "groupsToOverride": ["staff", "finance"],
        "iamRolesToOverride": [],
        "preferredRole": None,
    }
    token = {
        **common,
        "version": "3",
        "triggerSource": "TokenGeneration_Authentication",
        "request": {
            "userAttributes": attributes,
            "groupConfiguration": groups,
            "scopes": ["openid", "email", "aws.cognito.signin.user.admin"],
        },
        "response": {"claimsAndScopeOverrideDetails": None},
    }
    return authenticated, token


def sign_in(handler: Handler, user_id: str | None = None) -> Event:
    """Take one person through both triggers; return the response that makes the tokens."""
    authenticated, token = events(user_id or new_user_id())
    handler(authenticated)
    response: Event = handler(token)["response"]
    return response


def login_function(
    entries: list[dict[str, Any]],
    catalogue: Mapping[str, Manifest],
    *,
    inline: Mapping[str, Rule] | None = None,
    prefix: str = "none-",
) -> LoginFunction:
    """Return a login function as ``cognito_rules.startup`` makes it, for the chain ``entries``.

    prefix : of the names under which the remote rules are invoked.
    """
    aws = Aws()
    document = {"applications": APPLICATIONS, "rules": entries}
    return LoginFunction(
        chain=Chain.parse(document, catalogue, rules=inline or {}),
        store=Store(aws, profiles=PROFILES, sessions=SESSIONS),
        invoker=RuleInvoker(aws, prefix),
        inline=inline or {},
        threads=invoker_threads(),
        tracer=Tracer("bench"),
    )


def surroundings(environment: Mapping[str, str]) -> None:
    """Make ``environment`` this process's own, and take away what else leads to an AWS."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ.update(environment)
