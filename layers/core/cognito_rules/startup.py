"""Build the login function of one execution environment from its surroundings."""

from __future__ import annotations

import json
import os
import re
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path as FilePath
from typing import TYPE_CHECKING

from cognito_rules.app_config import ConfigurationSession
from cognito_rules.aws import Aws
from cognito_rules.chain import Chain
from cognito_rules.chain_terms import ChainTerms
from cognito_rules.errors import ChainError, ConfigurationError
from cognito_rules.executors import RuleInvoker, invoker_threads
from cognito_rules.geoip import GeoDatabase
from cognito_rules.iam import is_role_arn
from cognito_rules.live_chain import KeptChain, LiveLogin
from cognito_rules.logs import log_record
from cognito_rules.pipeline import LoginFunction
from cognito_rules.request_context import RequestContext
from cognito_rules.secrets import Secrets
from cognito_rules.secrets_manager import SecretsManager
from cognito_rules.store import Store
from cognito_rules.trace import Tracer

if TYPE_CHECKING:
    from cognito_rules.recordings import Recorder

# As template.yaml names them, in an application that is named after the stack.
CHAIN_ENVIRONMENT = "live"
CHAIN_PROFILE = "chain"

_ROLE_KEY = re.compile(r"[A-Za-z0-9_-]+")
# Lambda hands over the call that a cold start is for within milliseconds of its end.
_HANDED_OVER_SECONDS = 0.5


def login_function(folder: FilePath) -> LoginFunction:
    """Return the login function whose code, chain and inline rules lie in ``folder``.

    Raises
    ------
    ChainError : the packaged chain document is refused.
    ConfigurationError : the role table in template.yaml is refused, or the layer holds other rules
        than the function was built with.
    """
    start = _Start(folder)
    return start.login_function(start.packaged_chain())


def live_login(folder: FilePath, *, keeps: bool) -> LiveLogin:
    """Return the login function that follows what is published; ``folder`` as above.

    ``keeps`` says whether it may write the last good document into the profiles table.

    Raises
    ------
    ChainError : the packaged document is refused while a version of the function is published,
        which ends the deployment. In an environment that a login waits for it is only logged.
    ConfigurationError : as above.
    """
    start = _Start(folder)
    packaged = None
    try:
        packaged = start.login_function(start.packaged_chain())
    except ChainError as error:
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            raise
        refused = {"chain_source": "packaged", "problems": list(error.problems)}
        log_record("chain refused", refused, failed=True)
    return LiveLogin(
        packaged=packaged,
        read=lambda document: start.login_function(start.terms.read(document)),
        session=ConfigurationSession(
            start.aws, os.environ["CHAIN_APPLICATION"], CHAIN_ENVIRONMENT, CHAIN_PROFILE
        ),
        kept=KeptChain(start.aws, os.environ["PROFILES_TABLE"]),
        keeps=keeps,
        threads=start.threads,
    )


class _Start:
    """What a login function is built from, whatever its chain."""

    def __init__(self, folder: FilePath) -> None:
        self._document = folder / "chain.toml"
        self.aws = Aws()
        self.terms = ChainTerms.of_the_environment(folder)
        self.threads = invoker_threads()
        self._store = Store(
            self.aws, profiles=os.environ["PROFILES_TABLE"], sessions=os.environ["SESSIONS_TABLE"]
        )
        self._invoker = RuleInvoker(self.aws, os.environ["RULE_FUNCTION_PREFIX"])
        self._context = _request_context(self.aws)
        self._roles = _role_table(os.environ.get("AWS_ROLE_TABLE") or "{}")
        stack = os.environ["RULE_FUNCTION_PREFIX"].removesuffix("-rule-")
        self._tracer = Tracer(stack, of_rules=os.environ.get("RULE_METRICS") != "false")
        self._recorder = _recorder(self.aws, self.threads, stack)

    def packaged_chain(self) -> Chain:
        """Return the chain that the build put beside the function, or raise ChainError."""
        return self.terms.read_toml(self._document.read_text(encoding="utf-8"))

    def login_function(self, chain: Chain) -> LoginFunction:
        """Return the login function that decides by ``chain``."""
        return LoginFunction(
            chain=chain,
            store=self._store,
            invoker=self._invoker,
            inline=self.terms.rules,
            threads=self.threads,
            context=self._context,
            roles=self._roles,
            tracer=self._tracer,
            recorder=self._recorder,
        )


def _recorder(aws: Aws, threads: ThreadPoolExecutor, stack: str) -> Recorder | None:
    """Return what records logins, or None when template.yaml names no key for it."""
    key_id = os.environ.get("RECORDING_KEY")
    if not key_id:
        return None
    from cognito_rules.recordings import Recorder

    return Recorder(
        aws,
        threads,
        sessions=os.environ["SESSIONS_TABLE"],
        key_id=key_id,
        stack=stack,
        days=int(os.environ["RECORD_LOGINS_DAYS"]),
    )


def _request_context(aws: Aws) -> RequestContext | None:
    """Return what requests are known by, or None when template.yaml names no key."""
    secret_id = os.environ.get("REQUEST_CONTEXT_SECRET")
    if not secret_id:
        return None
    secrets = Secrets(SecretsManager(aws), {"REQUEST_CONTEXT_KEY": secret_id})
    places = os.environ.get("GEO_DATABASE")
    return RequestContext(
        key=lambda: secrets.read("REQUEST_CONTEXT_KEY"),
        places=GeoDatabase(FilePath(places)) if places else None,
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
