"""Build the login function of one execution environment from its surroundings."""

from __future__ import annotations

import importlib
import json
import os
import re
import time
from collections.abc import Iterator
from pathlib import Path as FilePath

from cognito_rules.aws import Aws
from cognito_rules.chain import Chain
from cognito_rules.errors import ConfigurationError
from cognito_rules.executors import RuleInvoker, invoker_threads
from cognito_rules.iam import is_role_arn
from cognito_rules.manifest import catalogue
from cognito_rules.pipeline import LoginFunction
from cognito_rules.rule import Rule
from cognito_rules.store import Store

_ROLE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Lambda hands over the call that a cold start is for within milliseconds of its end.
_HANDED_OVER_SECONDS = 0.5


def login_function(folder: FilePath) -> LoginFunction:
    """Return the login function whose code, chain and inline rules lie in ``folder``.

    Raises
    ------
    ChainError : the packaged chain document is refused.
    ConfigurationError : the role table in template.yaml is refused.
    """
    aws = Aws()
    inline = {rule.manifest.name: rule for rule in _packaged_rules(folder)}
    token_version = os.environ.get("PRE_TOKEN_VERSION", "V3_0")
    chain = Chain.parse_toml(
        (folder / "chain.toml").read_text(encoding="utf-8"),
        catalogue(),
        rules=inline,
        token_version=token_version,
        privileged=frozenset(os.environ.get("PRIVILEGED_RULES", "").split(",")),
    )
    return LoginFunction(
        chain=chain,
        store=Store(
            aws, profiles=os.environ["PROFILES_TABLE"], sessions=os.environ["SESSIONS_TABLE"]
        ),
        invoker=RuleInvoker(aws, os.environ["RULE_FUNCTION_PREFIX"]),
        inline=inline,
        threads=invoker_threads(),
        roles=_role_table(os.environ.get("AWS_ROLE_TABLE") or "{}"),
    )


def _role_table(text: str) -> dict[str, str]:
    """Return role key -> ARN; keys become parts of a tag, and must not look like several."""
    try:
        table = json.loads(text)
    except ValueError as error:
        raise ConfigurationError("AWS_ROLE_TABLE is no JSON") from error
    if not isinstance(table, dict):
        raise ConfigurationError("AWS_ROLE_TABLE is no JSON object")
    for key, arn in table.items():
        if not _ROLE_KEY.fullmatch(key) or not is_role_arn(arn):
            raise ConfigurationError(f"AWS_ROLE_TABLE: {key!r} is no key, or has no role's ARN")
    if len(set(table.values())) < len(table):
        raise ConfigurationError("AWS_ROLE_TABLE: a role stands under two keys")
    return table


def _packaged_rules(folder: FilePath) -> Iterator[Rule]:
    """Import the pure rules that the build has put beside the login function."""
    for manifest in sorted(folder.glob("functions/*/rule.toml")):
        yield importlib.import_module(f"functions.{manifest.parent.name}.app").rule


class CallClock:
    """Tells when a trigger call began, on the monotonic clock. Make it last in a cold start.

    Cognito's five seconds run from its call. A cold environment was started by that call, so its
    first call began with the process; SnapStart and provisioned environments were started earlier,
    and now and then Lambda starts others ahead of any call, which shows by the wait for one.
    """

    def __init__(self) -> None:
        on_demand = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "on-demand"
        self._first = _process_started() if on_demand else None
        self._ready = time.monotonic()

    def started(self) -> float:
        """Return the start of the call that is handled now."""
        first, self._first = self._first, None
        now = time.monotonic()
        return now if first is None or now - self._ready > _HANDED_OVER_SECONDS else first


def _process_started() -> float:
    """Return when this process started, on the monotonic clock (proc(5), field 22)."""
    try:
        fields = FilePath("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot
    return time.monotonic() - age
