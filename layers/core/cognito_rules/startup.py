"""Build the login function of one execution environment from its surroundings."""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path as FilePath

from cognito_rules.aws import Aws
from cognito_rules.chain import Chain
from cognito_rules.executors import RuleInvoker, invoker_threads
from cognito_rules.manifest import catalogue
from cognito_rules.pipeline import LoginFunction
from cognito_rules.rule import Rule
from cognito_rules.store import Store


def login_function(folder: FilePath) -> LoginFunction:
    """Return the login function whose code, chain and inline rules lie in ``folder``.

    Raises
    ------
    ChainError : the packaged chain document is refused.
    """
    aws = Aws()
    inline = {rule.manifest.name: rule for rule in _packaged_rules(folder)}
    token_version = os.environ.get("PRE_TOKEN_VERSION", "V3_0")
    chain = Chain.parse_toml(
        (folder / "chain.toml").read_text(encoding="utf-8"),
        catalogue(),
        rules=inline,
        token_version=token_version,
    )
    return LoginFunction(
        chain=chain,
        store=Store(
            aws, profiles=os.environ["PROFILES_TABLE"], sessions=os.environ["SESSIONS_TABLE"]
        ),
        invoker=RuleInvoker(aws, os.environ["RULE_FUNCTION_PREFIX"]),
        inline=inline,
        threads=invoker_threads(),
        roles=json.loads(os.environ.get("AWS_ROLE_TABLE", "{}")),
    )


def _packaged_rules(folder: FilePath) -> Iterator[Rule]:
    """Import the pure rules that the build has put beside the login function."""
    for manifest in sorted(folder.glob("functions/*/rule.toml")):
        yield importlib.import_module(f"functions.{manifest.parent.name}.app").rule


class CallClock:
    """Tells when a trigger call began, on the monotonic clock.

    Cognito's five seconds run from its call. A cold environment was started by that call, so its
    first call began with the process; SnapStart and provisioned environments were started earlier.
    """

    def __init__(self) -> None:
        on_demand = os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "on-demand"
        self._first = _process_started() if on_demand else None

    def started(self) -> float:
        """Return the start of the call that is handled now."""
        first, self._first = self._first, None
        return time.monotonic() if first is None else first


def _process_started() -> float:
    """Return when this process started, on the monotonic clock (proc(5), field 22)."""
    try:
        fields = FilePath("/proc/self/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return time.monotonic()
    since_boot = int(fields[19]) / os.sysconf("SC_CLK_TCK")
    age = time.clock_gettime(time.CLOCK_BOOTTIME) - since_boot
    return time.monotonic() - age
