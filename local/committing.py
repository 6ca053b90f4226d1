"""Logins in numbers: the login function in this process, with the tables of a deployed stack.

A sign-in on the embedded AWS takes a tenth of a second, most of it arithmetic. What happens after a
login begins with what the login function commits, and that is the same here.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from unittest.mock import patch

from cognito_rules.aws import Aws
from cognito_rules.chain import Chain
from cognito_rules.executors import RuleInvoker, invoker_threads
from cognito_rules.manifest import catalogue
from cognito_rules.pipeline import LoginFunction
from cognito_rules.store import Store
from local.stack import Stack


class Committing:
    """Commits logins of people at an application of the stack's pool."""

    def __init__(self, stack: Stack, function: LoginFunction) -> None:
        self._stack = stack
        self._function = function

    @classmethod
    @contextmanager
    def to(cls, stack: Stack, chain: str) -> Iterator[Committing]:
        """Yield one that decides by the chain document ``chain`` (TOML) of after_login rules."""
        aws_alone = {
            name: value for name, value in stack.aws.environment.items() if name.startswith("AWS_")
        }
        with patch.dict(os.environ, aws_alone):
            aws = Aws()
            function = LoginFunction(
                chain=Chain.parse_toml(chain, catalogue()),
                store=Store(
                    aws,
                    profiles=stack.outputs["ProfilesTable"],
                    sessions=stack.outputs["SessionsTable"],
                ),
                invoker=RuleInvoker(aws, f"{stack.name}-rule-"),
                inline={},
                threads=invoker_threads(),
                context=None,
                roles={},
                clock=time.time,
            )
            yield cls(stack, function)

    def commit(self, user: Mapping[str, str]) -> None:
        """Commit a login of somebody with these attributes, ``sub`` among them."""
        event = {
            "version": "3",
            "triggerSource": "TokenGeneration_Authentication",
            "region": self._stack.aws.environment["AWS_REGION"],
            "userPoolId": self._stack.pool_id,
            "userName": user["sub"],
            "callerContext": {
                "awsSdkVersion": "aws-sdk-unknown-unknown",
                "clientId": self._stack.outputs["UserPoolClientId"],
            },
            "request": {
                "userAttributes": {"cognito:user_status": "CONFIRMED", **user},
                "groupConfiguration": {
                    "groupsToOverride": [],
                    "iamRolesToOverride": [],
                    "preferredRole": None,
                },
                "scopes": ["aws.cognito.signin.user.admin"],
            },
            "response": {},
        }
        self._function.handle(event)
