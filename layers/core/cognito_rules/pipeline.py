"""The trigger functions: from a trigger's event to a decision, and from the decision to tokens.

PostAuthentication and PreTokenGeneration are called in an order that Cognito does not promise, and
sometimes only one of them is. So each decides with all that it knows, the token stage never answers
without a decision, and a memo lets the later call reuse what the earlier one decided.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cognito_rules import decision
from cognito_rules.call import CHAIN_SECONDS, COMMIT_SECONDS, READ_SECONDS, TOTAL_SECONDS, Call
from cognito_rules.chain import Chain, Entry
from cognito_rules.commit import announcement_of, commit_of, memo_of, password_reset_of
from cognito_rules.errors import InvalidEffectError, StoreError, TriggerEventError
from cognito_rules.executors import RuleExecutor, RuleInvoker
from cognito_rules.fields import meets
from cognito_rules.logs import log_fault, log_record
from cognito_rules.password_changes import LAST_PASSWORD_RESET
from cognito_rules.planner import Answer, make_plan
from cognito_rules.protocol import Effect
from cognito_rules.request_context import RequestContext
from cognito_rules.rule import Rule
from cognito_rules.runner import MISCONFIGURED, UNAVAILABLE, Outcome, run_plan
from cognito_rules.selection import run_by_login, select
from cognito_rules.store import Store
from cognito_rules.tokens import TokenPlan, beyond_version_1, token_response
from cognito_rules.trace import Tracer
from cognito_rules.triggers import Kind, Trigger
from cognito_rules.verdict import admits_application, denial_of

if TYPE_CHECKING:
    from cognito_rules.recordings import Recorder

# A machine has no profile, an account that is made has none yet, and the others need none.
_READS_TABLES = (Kind.AUTHENTICATED, Kind.TOKEN, Kind.REFRESH)


class LoginRefusedError(Exception):
    """Ends the trigger call; Cognito shows the text to the person and to the application.

    ``code`` and ``entry``, of the chain, are for tools: Cognito sees neither.
    """

    def __init__(self, text: str, *, code: str = "", entry: str | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.entry = entry


def _nothing_newer() -> None:
    """Say that no other chain was published meanwhile."""


@dataclass(frozen=True)
class LoginFunction:
    """Everything that one execution environment keeps between trigger calls.

    context : what requests are known by; without it nobody vouches for an address.
    roles : role key -> ARN, the closed list from template.yaml; nothing else can be granted.
    chain_source : where the chain came from: published, kept or packaged (``live_chain``).
    clock : seconds since the epoch; only tests replace it.
    tracer : writes the trace of each call.
    recorder : records logins for a replay; None records nothing.
    """

    chain: Chain
    store: Store
    invoker: RuleInvoker
    inline: Mapping[str, Rule]
    threads: ThreadPoolExecutor
    context: RequestContext | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    chain_source: str = "packaged"
    clock: Callable[[], float] = time.time
    tracer: Tracer = field(default_factory=Tracer)
    recorder: Recorder | None = None

    def handle(
        self,
        event: Any,
        *,
        started: float | None = None,
        newer: Callable[[], LoginFunction | None] = _nothing_newer,
    ) -> dict[str, Any]:
        """Return the event for Cognito, its response filled in at the token stage.

        ``started`` is when the call began on the monotonic clock; its time budget runs from there.
        ``newer`` is asked once the tables are read, before anything is decided: what it returns,
        the same with another chain, takes the call over from its beginning.

        Raises
        ------
        LoginRefusedError : the login is refused, or cannot be decided. Nothing else is raised:
            Cognito would show its text to the person.
        """
        try:
            return self._handle(event, time.monotonic() if started is None else started, newer)
        except LoginRefusedError:
            raise
        except TriggerEventError as error:
            log_record("trigger event refused", {"reason": str(error)}, failed=True)
            raise LoginRefusedError(f"try_again: {UNAVAILABLE}") from error
        except Exception as error:
            log_fault(error)
            raise LoginRefusedError(f"try_again: {UNAVAILABLE}") from error

    def _handle(
        self, event: Any, started: float, newer: Callable[[], LoginFunction | None]
    ) -> dict[str, Any]:
        trigger = Trigger.parse(event)
        call = self._call(trigger, started)
        if trigger.kind in _READS_TABLES and self._is_registered(trigger):
            self._load(call)
        if (successor := newer()) is not None:
            return successor._handle(event, started, _nothing_newer)
        try:
            if trigger.kind is Kind.PASSWORD_RESET:
                self._record_password_reset(call)
                return dict(event)
            if trigger.kind is Kind.SIGNED_UP:
                self._announce_sign_up(call)
                return dict(event)
            self._refuse_unregistered(call)
            if trigger.kind is Kind.SIGN_UP:
                self._refuse_denied(call, self._decide(call))
                call.record["outcome"] = "allow"
                return dict(event)
            outcome = self._decide(call)
            if self.recorder is not None:
                call.recording = self.recorder.start(call, self.chain)
            self._refuse_denied(call, outcome)
            # Made before the login takes effect: a login without tokens is not announced.
            response = self._tokens(call, outcome) if trigger.is_token_stage else event["response"]
            call.record["outcome"] = "allow"
            self._keep(call, outcome)
            return {**event, "response": response}
        finally:
            if self.recorder is not None and call.recording is not None:
                self.recorder.finish(call, call.recording)
            self.tracer.write(call)

    def _call(self, trigger: Trigger, started: float) -> Call:
        application = self.chain.applications.get(trigger.client_id)
        facts = trigger.facts(application)
        transaction_id, now = str(uuid.uuid4()), self.clock()
        facts["transaction"]["id"] = transaction_id
        who = trigger.user_id or trigger.client_id
        selection = select(self.chain, trigger.kind, facts, who=who)
        call = Call(
            trigger=trigger,
            facts=facts,
            entries=selection.entries,
            skipped=selection.skipped,
            at=now,
            started=started,
            began_before=time.monotonic() - started,
            decided_at=now,
            deadline=started + TOTAL_SECONDS,
            event_id=transaction_id,
            transaction_id=transaction_id,
        )
        call.record = {"chain": self.chain.version, "chain_source": self.chain_source}
        self._know_request(call)
        return call

    def _know_request(self, call: Call) -> None:
        """Add the address that a backend vouches for, which it does for people only."""
        trigger = call.trigger
        if self.context is None or trigger.kind is Kind.MACHINE:
            return
        refused = self.context.learn(
            call.facts,
            client_id=trigger.client_id,
            username=trigger.username,
            at=call.at,
            needs_place=lambda: any(
                entry.region_override is not None
                or any(meets(read.path, ("request", "geoip")) for read in entry.manifest.reads)
                for entry in call.entries
            ),
        )
        if refused is not None:
            call.record["request_context"] = refused

    def _is_registered(self, trigger: Trigger) -> bool:
        return admits_application(self.chain, trigger.client_id) or trigger.is_of_an_administrator

    def _refuse_unregistered(self, call: Call) -> None:
        if not self._is_registered(call.trigger):
            self._refuse(call, None, "application_not_registered", "access_denied", MISCONFIGURED)

    # Reading ----------------------------------------------------------------------------------

    def _load(self, call: Call) -> None:
        trigger = call.trigger
        login_key = None
        if trigger.kind in (Kind.AUTHENTICATED, Kind.TOKEN):
            login_key = call.login_key()
            self._prepare_memo(call)
        call.begin("read")
        try:
            call.loaded = self.store.load(
                trigger.user_id,
                memo_key=call.memo_key,
                login_key=login_key,
                timeout=call.left(READ_SECONDS),
                # Only the token stage announces a login.
                once=[entry.id for entry in call.entries if entry.once_per_user]
                if trigger.kind is Kind.TOKEN
                else (),
            )
        except StoreError as error:
            # The profile stays unknown: rules that need it refuse or skip, as they declare.
            call.record["store"] = str(error)
            call.memo_key = None
            return
        call.know_profile()

    def _prepare_memo(self, call: Call) -> None:
        plan = make_plan(run_by_login(call.entries), token_stage=False)
        if not plan.steps:
            return
        call.shared = frozenset(step.entry.id for step in plan.steps)
        call.reads = plan.reads
        trigger = call.trigger
        who = (trigger.pool_id, trigger.user_id, trigger.client_id)
        under = (self.chain.version, self._deployment, *sorted(call.shared))
        call.memo_key = decision.memo_key(*who, *under, reads=call.reads, facts=call.facts)

    @cached_property
    def _deployment(self) -> str:
        """What answers are checked against, besides the chain: a memo holds under the same only."""
        return json.dumps(sorted(self.roles.items()))

    # Deciding ---------------------------------------------------------------------------------

    def _decide(self, call: Call) -> Outcome:
        given: dict[str, Answer] = {}
        memo = call.loaded.memo
        if memo is not None and call.memo_key is not None and decision.is_recent(memo, call.at):
            # Of this login, even where the profile has changed since and the decision is not used.
            call.transaction_id = memo["transaction_id"]
            call.facts["transaction"]["id"] = call.transaction_id
            profile = decision.profile_digest(call.reads, call.facts)
            if decision.fits(memo, profile, call.at):
                given = decision.from_memo(memo)
                call.reused = True
                call.decided_at = float(memo["decided_at"])
        # Nothing is deferred but from the first trigger of a login to the next.
        is_last = call.trigger.kind is not Kind.AUTHENTICATED
        call.plan = make_plan(run_by_login(call.entries), token_stage=is_last, given=given)
        call.begin("chain")
        executor = RuleExecutor(self.invoker, self.inline, self.threads)
        deadline = time.monotonic() + call.left(CHAIN_SECONDS, reserved=COMMIT_SECONDS)
        call.outcome = run_plan(
            call.plan,
            call.facts,
            executor,
            now=call.now,
            deadline=deadline,
            check_answer=self._check_answer(call),
        )
        call.begin("finish")
        return call.outcome

    def _check_answer(self, call: Call) -> Callable[[Entry, Sequence[Effect]], None]:
        """Return the check of what only the deployment can judge; rules are not trusted with it.

        A role is granted when template.yaml lists it, or when Cognito's own groups carry it.
        """
        carried = call.facts.get("aws", {}).get("roles", ())
        grantable = {*self.roles.values(), *carried}

        def check(entry: Entry, effects: Sequence[Effect]) -> None:
            for effect in effects:
                if effect["effect"] != "set_aws_role":
                    continue
                for arn in (*effect["role_arns"], *filter(None, [effect.get("preferred")])):
                    if arn not in grantable:
                        raise InvalidEffectError("unknown_role", f"{arn} is not in the role table")

        return check

    # Finishing --------------------------------------------------------------------------------

    def _refuse_denied(self, call: Call, outcome: Outcome) -> None:
        denial = denial_of(outcome.run)
        if denial is not None:
            entry, effect = denial
            self._refuse(call, entry.id, effect["code"], effect["public_code"], effect["reason"])

    def _keep(self, call: Call, outcome: Outcome) -> None:
        """Make the decision last: as a memo before the token stage, committed at it."""
        if call.trigger.kind is Kind.MACHINE:
            return
        if call.trigger.kind is Kind.AUTHENTICATED:
            self._remember(call, outcome)
        else:
            self._commit(call, outcome)

    def _refuse(
        self, call: Call, entry_id: str | None, code: str, public_code: str, reason: str
    ) -> None:
        call.record |= {"outcome": "deny", "code": code, "entry": entry_id}
        if call.trigger.kind not in (Kind.MACHINE, Kind.SIGN_UP):
            self._record_denial(call, code)
        raise LoginRefusedError(f"{public_code}: {reason}", code=code, entry=entry_id)

    def _record_denial(self, call: Call, code: str) -> None:
        announcement = announcement_of(call, "LoginDenied", call.facts, code=code)
        self._announce(call, f"{call.login_key('denied')}#{code}", announcement)

    def _announce(self, call: Call, key: str, announcement: str | None) -> None:
        try:
            self.store.announce(key, announcement, at=call.at, timeout=call.left(COMMIT_SECONDS))
        except StoreError as error:
            call.record.pop("told", None)
            call.record["store"] = str(error)

    def _remember(self, call: Call, outcome: Outcome) -> None:
        memo = None if call.reused else memo_of(call, outcome.run)
        if memo is None:
            return
        try:
            self.store.remember(memo, timeout=call.left(COMMIT_SECONDS))
        except StoreError as error:
            # The token stage finds no memo and decides by itself.
            call.record["store"] = str(error)

    def _commit(self, call: Call, outcome: Outcome) -> None:
        """Make the login take effect in one write."""
        try:
            self.store.commit(commit_of(call, outcome.run), timeout=call.left(COMMIT_SECONDS))
        except StoreError as error:
            call.record.pop("told", None)
            call.record |= {"store": str(error), "commit": "failed"}
            if self.chain.refuses_uncommitted:
                self._refuse(call, None, "commit_failed", "try_again", UNAVAILABLE)

    def _record_password_reset(self, call: Call) -> None:
        """Note the date for rules that ask for it; Cognito itself tells nobody."""
        path = ("user", "app_metadata", LAST_PASSWORD_RESET)
        call.record["outcome"] = "nothing"
        if not any(
            meets(read.path, path) for entry in self.chain.entries for read in entry.manifest.reads
        ):
            return
        call.record["outcome"] = "recorded"
        try:
            self.store.commit(password_reset_of(call), timeout=call.left(COMMIT_SECONDS))
        except StoreError as error:
            # The new password is good all the same.
            call.record["store"] = str(error)

    def _announce_sign_up(self, call: Call) -> None:
        call.record["outcome"] = "announced"
        announcement = announcement_of(call, "SignUpConfirmed", call.facts, first_login=True)
        if announcement is not None:
            self._announce(call, call.login_key("signup"), announcement)

    # Answering --------------------------------------------------------------------------------

    def _tokens(self, call: Call, outcome: Outcome) -> dict[str, Any]:
        plan = TokenPlan.of(outcome.run.enforced(), self.roles)
        version = call.trigger.token_version
        if version == "V1_0":
            if plan.restricts_access:
                # What a rule took away would be in the token after all.
                self._refuse(call, None, "needs_essentials", "access_denied", MISCONFIGURED)
            plan.warnings += [f"needs_essentials:{lost}" for lost in beyond_version_1(plan)]
        response = token_response(plan, call.trigger.request, version=version)
        if plan.warnings:
            call.record["warnings"] = plan.warnings
        return response
