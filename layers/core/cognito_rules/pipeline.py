"""The login function: from a trigger's event to a decision, and from the decision to tokens.

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
from typing import Any

from cognito_rules import decision
from cognito_rules.call import CHAIN_SECONDS, COMMIT_SECONDS, READ_SECONDS, TOTAL_SECONDS, Call
from cognito_rules.chain import Chain, Entry
from cognito_rules.commit import announcement_of, commit_of, memo_of
from cognito_rules.errors import InvalidEffectError, StoreError, TriggerEventError
from cognito_rules.executors import RuleExecutor, RuleInvoker
from cognito_rules.fields import Facts
from cognito_rules.logs import log_fault, log_record
from cognito_rules.planner import Answer, make_plan
from cognito_rules.protocol import Effect
from cognito_rules.rule import Rule
from cognito_rules.runner import MISCONFIGURED, UNAVAILABLE, Outcome, run_plan
from cognito_rules.store import Store
from cognito_rules.tokens import TokenPlan, beyond_version_1, token_response
from cognito_rules.triggers import Kind, Trigger


class LoginRefusedError(Exception):
    """Ends the trigger call; Cognito shows the text to the person and to the application."""


@dataclass(frozen=True)
class LoginFunction:
    """Everything that one execution environment keeps between trigger calls.

    roles : role key -> ARN, the closed list from template.yaml; nothing else can be granted.
    clock : seconds since the epoch; only tests replace it.
    """

    chain: Chain
    store: Store
    invoker: RuleInvoker
    inline: Mapping[str, Rule]
    threads: ThreadPoolExecutor
    roles: Mapping[str, str] = field(default_factory=dict)
    clock: Callable[[], float] = time.time

    def handle(self, event: Any, *, started: float | None = None) -> dict[str, Any]:
        """Return the event for Cognito, its response filled in at the token stage.

        ``started`` is when the call began on the monotonic clock; its time budget runs from there.

        Raises
        ------
        LoginRefusedError : the login is refused, or cannot be decided. Nothing else is raised:
            Cognito would show its text to the person.
        """
        try:
            return self._handle(event, time.monotonic() if started is None else started)
        except LoginRefusedError:
            raise
        except TriggerEventError as error:
            log_record("trigger event refused", {"reason": str(error)}, failed=True)
            raise LoginRefusedError(f"try_again: {UNAVAILABLE}") from error
        except Exception as error:
            log_fault(error)
            raise LoginRefusedError(f"try_again: {UNAVAILABLE}") from error

    def _handle(self, event: Any, started: float) -> dict[str, Any]:
        trigger = Trigger.parse(event)
        if trigger.kind is Kind.NOTHING:
            return dict(event)
        call = self._call(trigger, started)
        try:
            if trigger.kind is Kind.SIGNED_UP:
                self._announce_sign_up(call)
                return dict(event)
            self._refuse_unregistered(call)
            self._load(call)
            outcome = self._decide(call)
            self._refuse_denied(call, outcome)
            # Made before the login takes effect: a login without tokens is not announced.
            response = self._tokens(call, outcome) if trigger.is_token_stage else event["response"]
            call.record["outcome"] = "allow"
            self._keep(call, outcome)
            return {**event, "response": response}
        finally:
            self._log(call)

    def _call(self, trigger: Trigger, started: float) -> Call:
        application = self.chain.applications.get(trigger.client_id)
        facts = trigger.facts(application)
        transaction_id, now = str(uuid.uuid4()), self.clock()
        facts["transaction"]["id"] = transaction_id
        call = Call(
            trigger=trigger,
            facts=facts,
            entries=self._entries(trigger, facts),
            at=now,
            decided_at=now,
            deadline=started + TOTAL_SECONDS,
            event_id=transaction_id,
            transaction_id=transaction_id,
        )
        call.record = {
            "trigger": trigger.source,
            "client_id": trigger.client_id,
            "user_id": trigger.user_id or None,
            "chain": self.chain.version,
            "started": started,
        }
        return call

    def _entries(self, trigger: Trigger, facts: Facts) -> list[Entry]:
        """Return the entries that are on for this login, in document order."""

        def runs(entry: Entry) -> bool:
            if entry.mode == "off" or not entry.when.matches(facts):
                return False
            if trigger.kind is Kind.MACHINE and not entry.runs_on_client_credentials:
                return False
            if trigger.kind is Kind.REFRESH and not entry.runs_on_refresh:
                return False
            return entry.is_rolled_out_to(trigger.user_id or trigger.client_id)

        return [entry for entry in self.chain.entries if runs(entry)]

    def _refuse_unregistered(self, call: Call) -> None:
        known = call.trigger.client_id in self.chain.applications
        if self.chain.refuses_unregistered and not known:
            self._refuse(call, None, "application_not_registered", "access_denied", MISCONFIGURED)

    def _chain_entries(self, call: Call) -> list[Entry]:
        return [e for e in call.entries if e.manifest.stage in ("post_authentication", "token")]

    # Reading ----------------------------------------------------------------------------------

    def _load(self, call: Call) -> None:
        trigger = call.trigger
        if trigger.kind is Kind.MACHINE:
            return
        login_key = None
        if trigger.kind in (Kind.AUTHENTICATED, Kind.TOKEN):
            login_key = call.login_key()
            self._prepare_memo(call)
        try:
            call.loaded = self.store.load(
                trigger.user_id,
                memo_key=call.memo_key,
                login_key=login_key,
                timeout=call.left(READ_SECONDS),
            )
        except StoreError as error:
            # The profile stays unknown: rules that need it refuse or skip, as they declare.
            call.record["store"] = str(error)
            call.memo_key = None
            return
        call.know_profile()

    def _prepare_memo(self, call: Call) -> None:
        plan = make_plan(self._chain_entries(call), token_stage=False)
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
        if memo is not None and call.memo_key is not None:
            profile = decision.profile_digest(call.reads, call.facts)
            if decision.fits(memo, profile, call.at):
                given = decision.from_memo(memo)
                call.reused = True
                call.decided_at = float(memo["decided_at"])
                call.transaction_id = memo["transaction_id"]
                call.facts["transaction"]["id"] = call.transaction_id
        plan = make_plan(
            self._chain_entries(call), token_stage=call.trigger.is_token_stage, given=given
        )
        executor = RuleExecutor(self.invoker, self.inline, self.threads)
        deadline = time.monotonic() + call.left(CHAIN_SECONDS, reserved=COMMIT_SECONDS)
        outcome = run_plan(
            plan,
            call.facts,
            executor,
            now=call.now,
            deadline=deadline,
            check_answer=self._check_answer(call),
        )
        call.record |= {
            "decision": "reused" if call.reused else "taken",
            "deferred": dict(plan.deferred),
            "entries": [vars(record) for record in outcome.records],
        }
        return outcome

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
        denial = outcome.run.denial or self._interruption(outcome)
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

    def _interruption(self, outcome: Outcome) -> tuple[Entry, Effect] | None:
        """Return the denial for a proof or a page that nothing on this path can ask for."""
        for entry, answer in outcome.run.enforced():
            for effect in answer.effects:
                if effect["effect"] == "require_mfa":
                    return entry, _denial("mfa_required", "Please confirm your sign-in.")
                if effect["effect"] == "redirect":
                    return entry, _denial("interaction_required", "Please complete your sign-in.")
        return None

    def _refuse(
        self, call: Call, entry_id: str | None, code: str, public_code: str, reason: str
    ) -> None:
        call.record |= {"outcome": "deny", "code": code, "entry": entry_id}
        if call.trigger.kind is not Kind.MACHINE:
            self._record_denial(call, code)
        raise LoginRefusedError(f"{public_code}: {reason}")

    def _record_denial(self, call: Call, code: str) -> None:
        announcement = announcement_of(call, "LoginDenied", call.facts, code=code)
        self._announce(call, f"{call.login_key('denied')}#{code}", announcement)

    def _announce(self, call: Call, key: str, announcement: str | None) -> None:
        try:
            self.store.announce(key, announcement, at=call.at, timeout=call.left(COMMIT_SECONDS))
        except StoreError as error:
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
            call.record |= {"store": str(error), "commit": "failed"}
            if self.chain.refuses_uncommitted:
                self._refuse(call, None, "commit_failed", "try_again", UNAVAILABLE)

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

    def _log(self, call: Call) -> None:
        started = call.record.pop("started")
        call.record |= {"transaction_id": call.transaction_id, "event_id": call.event_id}
        call.record["duration_ms"] = round((time.monotonic() - started) * 1000, 1)
        failed = "store" in call.record or "outcome" not in call.record
        log_record("login decided", call.record, failed=failed)


def _denial(public_code: str, reason: str) -> Effect:
    return {
        "effect": "deny",
        "code": public_code,
        "public_code": public_code,
        "reason": reason,
    }
