"""From a rule's queue to the rule: each delivery once, later when not now, and never lost.

One message is the view of one rule on one event, with a delivery for each entry of the chain. A
delivery that was made is remembered for 15 days, and for ever when it is made once for each person.
What can be tried again stays on the queue, hidden for a growing while; what cannot is copied to the
queue's dead-letter queue with the reason.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any, Protocol

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType
from aws_lambda_powertools.utilities.circuit_breaker import (
    CircuitBreakerConfig,
    CircuitBreakerOpenError,
    CircuitTransition,
    circuit_breaker,
)
from aws_lambda_powertools.utilities.idempotency import IdempotencyConfig, idempotent_function
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
)
from botocore.exceptions import BotoCoreError, ClientError

from cognito_rules.delivery import (
    MEMORY_PREFIX,
    Fault,
    Message,
    VendorDown,
    View,
    check_response,
    known_as,
)
from cognito_rules.logs import logger
from cognito_rules.manifest import USER_DELETED, Manifest, catalogue

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.circuit_breaker.persistence import (
        CircuitBreakerDynamoDBPersistence,
    )
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer

    from cognito_rules.markers import Markers
    from cognito_rules.protocol import Effect
    from cognito_rules.queues import Queues
    from cognito_rules.second_hop import SecondHop

REMEMBERED_SECONDS = 15 * 24 * 3600
# Of the function's own time: what it keeps for itself after a rule, and gives a rule's cold start.
RESERVE = 3.0
COLD_START = 5.0

FAILURES_TO_OPEN = 5
RECOVERY_SECONDS = 30


# The tables do not answer, or refuse.
_STORE_ERRORS = (
    BotoCoreError,
    ClientError,
    IdempotencyInconsistentStateError,
    IdempotencyPersistenceLayerError,
)


class Invoker(Protocol):
    """Invokes a rule's function and returns its response, or one that holds a fault."""

    def invoke(self, rule: str, request: dict[str, Any], timeout: float) -> Any:
        """Return the response to a protocol request; ``timeout`` in seconds."""


class Deliverer:
    """Delivers the messages of all after_login queues.

    Parameters
    ----------
    invoker : invokes rule functions.
    queues : the queues that messages come from.
    memory : Powertools' idempotency records, in SessionsTable.
    circuits : Powertools' circuit states, in the same table.
    rules : every manifest by rule name.
    markers : who is done, of entries that run once for each person.
    hop : what entries that read each other's answers know of them.
    """

    def __init__(
        self,
        invoker: Invoker,
        queues: Queues,
        memory: DynamoDBPersistenceLayer,
        circuits: CircuitBreakerDynamoDBPersistence,
        rules: Mapping[str, Manifest],
        markers: Markers,
        hop: SecondHop,
    ) -> None:
        self._invoker = invoker
        self._queues = queues
        self._memory = memory
        self._circuits = circuits
        self._rules = rules
        self._markers = markers
        self._hop = hop
        self._once = IdempotencyConfig(
            event_key_jmespath="[entry, event_id]",
            expires_after_seconds=REMEMBERED_SECONDS,
            hash_function="sha256",
            raise_on_no_idempotency_key=True,
        )
        self._circuit = CircuitBreakerConfig(
            failure_threshold=FAILURES_TO_OPEN,
            recovery_timeout=RECOVERY_SECONDS,
            success_threshold=1,  # a quiet pool would else stay half open for hours
            handled_exceptions=(VendorDown,),
        )

    def handle(self, event: dict[str, Any], context: Any) -> Any:
        """Deliver a batch of messages and say which ones are to come back."""
        # An interrupted delivery is free again when this call's time is over.
        self._once.register_lambda_context(context)
        processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
        with processor(event["Records"], self._deliver_record, context):
            processor.process()
        return processor.response()

    def _deliver_record(self, record: SQSRecord, lambda_context: Any) -> None:
        """Deliver one message; raises, and so reports it as failed, when it is to come back."""
        message = Message.of(record)
        try:
            self._deliver_message(message, _remaining(lambda_context))
        except Fault:
            raise
        except Exception:
            logger().exception("message failed", queue=message.queue)
            raise

    def _deliver_message(self, message: Message, remaining: Callable[[], float]) -> None:
        try:
            view = View.parse(message.body, self._rules)
        except Fault as fault:
            logger().error("message set aside", queue=message.queue, code=fault.code)
            self._queues.set_aside(message.queue, message.body, {"reason": fault.reason})
            return
        faults: list[Fault] = []
        for delivery in view.deliveries:
            try:
                self._deliver(message, view, delivery, remaining)
            except Fault as fault:
                faults.append(fault)
        if faults:
            # The deliveries that were made are remembered; the message is for the others.
            delay = max(message.delay_after(fault) for fault in faults)
            self._queues.hide(message.queue, message.receipt_handle, delay)
            raise faults[0]

    def _deliver(
        self, message: Message, view: View, delivery: dict[str, Any], remaining: Callable[[], float]
    ) -> None:
        """Make one delivery unless it was made before; raises Fault when it is to come again."""
        facts = {
            "rule": view.rule.name,
            "entry": delivery["entry"],
            "login_id": view.facts["event_id"],
            "attempts": message.attempts,
        }
        made_now = False

        def make(*, delivery_id: dict[str, str]) -> dict[str, str]:
            nonlocal made_now
            made_now = True
            try:
                return {"outcome": self._make(message, view, delivery, remaining)}
            except Fault as fault:
                if not fault.is_rejection:
                    raise
                self._set_aside(message, view, delivery, fault)
                return {"outcome": "rejected", "code": fault.code}

        once = idempotent_function(
            make,
            data_keyword_argument="delivery_id",
            persistence_store=self._memory,
            config=self._once,
            key_prefix=MEMORY_PREFIX,
        )
        try:
            result = once(
                delivery_id={"entry": delivery["entry"], "event_id": view.facts["event_id"]}
            )
        except Fault as fault:
            self._defer_or_set_aside(message, view, delivery, fault, facts)
        except IdempotencyAlreadyInProgressError:
            self._defer(message, Fault("in_progress", retryable=True, counts=False), facts)
        except _STORE_ERRORS as error:
            logger().error("deliveries cannot be remembered", code=type(error).__name__, **facts)
            raise Fault("store_unavailable", retryable=True, counts=False) from error
        else:
            if view.rule.enriches:
                self._answered(view, delivery)
            outcome = result["outcome"] if made_now else "duplicate"
            logger().info("delivery finished", outcome=outcome, code=result.get("code"), **facts)

    def _defer_or_set_aside(
        self,
        message: Message,
        view: View,
        delivery: dict[str, Any],
        fault: Fault,
        facts: Mapping[str, Any],
    ) -> None:
        """Set a delivery aside so that it can be replayed, when nothing else can come of it."""
        if not self._is_last(message, fault):
            self._defer(message, fault, facts)
        if view.rule.enriches:
            self._answered(view, delivery)
        self._set_aside(message, view, delivery, fault)
        logger().error("delivery set aside", reason=fault.reason, code=fault.code, **facts)

    def _is_last(self, message: Message, fault: Fault) -> bool:
        """Say whether nothing is tried after this fault."""
        last = message.attempts >= self._queues.redrive(message.queue).max_receives
        return not fault.retryable or (fault.counts and last)

    @staticmethod
    def _defer(message: Message, fault: Fault, facts: Mapping[str, Any]) -> None:
        seconds = message.delay_after(fault)
        logger().warning("delivery deferred", code=fault.code, delay=seconds, **facts)
        raise fault

    def _set_aside(
        self, message: Message, view: View, delivery: dict[str, Any], fault: Fault
    ) -> None:
        facts = {
            "reason": fault.reason,
            "code": fault.code,
            "rule": view.rule.name,
            "entry": delivery["entry"],
            "login_id": view.facts["event_id"],
            "occurred_at": view.facts["occurred_at"],
            "attempts": message.attempts,
            "first_sent_ms": message.sent_at,
        }
        self._queues.set_aside(message.queue, view.only(delivery), facts)

    def _answered(self, view: View, delivery: dict[str, Any]) -> None:
        """Let those go on who wait for this entry; again for a copy, lest a crash came between."""
        try:
            self._hop.answered(view.facts["event_id"], delivery["entry"])
        except _STORE_ERRORS as error:
            raise Fault("store_unavailable", retryable=True, counts=False) from error

    def _make(
        self, message: Message, view: View, delivery: dict[str, Any], remaining: Callable[[], float]
    ) -> str:
        """Make one delivery when its time has come and it is still wanted; return the outcome."""
        person, event_id = view.person or "", view.facts["event_id"]
        if person and view.facts["type"] != USER_DELETED and self._markers.are_forgotten(person):
            return "user_deleted"
        needed_by = delivery.get("needed_by")
        if needed_by and self._markers.are_final(person, needed_by):
            return "not_needed"
        seconds = self._hop.wait(
            event_id,
            delivery.get("waits_for", ()),
            person=person,
            sources=delivery.get("sources", ()),
            sent_at=message.sent_seconds,
            attempts=message.attempts,
        )
        if seconds is not None:
            raise Fault("waits_for_another", retryable=True, delay=seconds, counts=False)
        once = delivery.get("once") is True
        if not once and not view.rule.enriches:
            self._invoke(view, delivery, remaining)
            return "delivered"
        return self._make_alone(message, view, delivery, remaining, once=once)

    def _make_alone(
        self,
        message: Message,
        view: View,
        delivery: dict[str, Any],
        remaining: Callable[[], float],
        *,
        once: bool,
    ) -> str:
        """Make a delivery while no other event of the person can make it too."""
        assert view.person is not None, "a view of such a delivery names the person"
        event_id = view.facts["event_id"]
        who = (view.person, delivery["entry"])
        before = self._markers.start(*who, event_id)
        if before == "started":
            raise Fault("in_progress", retryable=True)
        if before is not None:
            return before
        try:
            effects, given = self._invoke(view, delivery, remaining)
        except Fault as fault:
            if not self._is_last(message, fault):
                self._markers.keep(*who, event_id, message.delay_after(fault))
            elif not once:
                self._markers.release(*who)
            elif fault.is_of_the_person:
                self._markers.finish(*who, event_id, "rejected", code=fault.code)
            else:
                self._markers.set_aside(*who, event_id, fault.code)
            raise
        self._hop.keep(view.person, effects)
        if once:
            self._markers.finish(*who, event_id, "done", known_as=given)
        else:
            self._markers.release(*who)
        return "delivered"

    def _invoke(
        self, view: View, delivery: dict[str, Any], remaining: Callable[[], float]
    ) -> tuple[list[Effect], str | None]:
        """Invoke a rule behind its circuit; raises Fault unless it made the delivery.

        Returns the effects, and the id that the vendor gave the person.
        """
        rule = view.rule
        request = self._hop.enriched(
            view.person or "", delivery.get("sources", ()), delivery["request"]
        )
        allowed = rule.timeout_ms / 1000
        left = remaining() - RESERVE
        if left < allowed:
            # It would be cut off in the middle: the message comes back to a call with more time.
            raise Fault("no_time", retryable=True, delay=1, counts=False)

        def invoke() -> tuple[list[Effect], str | None]:
            timeout = min(left, allowed + COLD_START)
            response = self._invoker.invoke(rule.name, request, timeout)
            return check_response(response, rule.writes), known_as(response)

        guarded = circuit_breaker(
            f"circuit#{rule.name}", self._circuits, on_transition=_log_circuit, config=self._circuit
        )(invoke)
        try:
            made: tuple[list[Effect], str | None] = guarded()
        except CircuitBreakerOpenError as error:
            raise Fault("circuit_open", retryable=True) from error
        return made


def _log_circuit(change: CircuitTransition) -> None:
    logger().warning("circuit changed", circuit=change.circuit_name, state=str(change.to_state))


def _remaining(context: Any) -> Callable[[], float]:
    return lambda: context.get_remaining_time_in_millis() / 1000


@cache
def _deliverer() -> Deliverer:
    import boto3
    from aws_lambda_powertools.utilities.circuit_breaker.persistence import (
        CircuitBreakerDynamoDBPersistence,
    )
    from aws_lambda_powertools.utilities.idempotency import DynamoDBPersistenceLayer
    from botocore.config import Config

    from cognito_rules.aws import Aws
    from cognito_rules.executors import RuleInvoker
    from cognito_rules.markers import Markers
    from cognito_rules.queues import Queues
    from cognito_rules.second_hop import SecondHop

    limits = Config(
        connect_timeout=1.0, read_timeout=2.0, retries={"mode": "standard", "max_attempts": 3}
    )
    table, profiles = os.environ["SESSIONS_TABLE"], os.environ["PROFILES_TABLE"]
    dynamodb = boto3.client("dynamodb", config=limits)
    return Deliverer(
        RuleInvoker(Aws(), os.environ["RULE_FUNCTION_PREFIX"]),
        Queues(boto3.client("sqs", config=limits)),
        DynamoDBPersistenceLayer(
            table, key_attr="pk", expiry_attr="expires_at", boto3_client=dynamodb
        ),
        CircuitBreakerDynamoDBPersistence(
            table, key_attr="pk", expiry_attr="expires_at", boto3_client=dynamodb
        ),
        catalogue(),
        Markers(dynamodb, profiles),
        SecondHop(dynamodb, profiles=profiles, sessions=table),
    )


def handler(event: dict[str, Any], context: Any) -> Any:
    """Deliver a batch of messages from a rule's queue."""
    return _deliverer().handle(event, context)
