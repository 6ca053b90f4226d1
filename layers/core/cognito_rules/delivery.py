"""What a queue's message says, and why a delivery was not made: the words of ``deliver.py``."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cognito_rules.announcement import SCHEMA
from cognito_rules.envelope import VERSION
from cognito_rules.manifest import Manifest
from cognito_rules.protocol import is_code

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

FIRST_DELAY = 30
LONGEST_DELAY = 3600

# Faults that say that the vendor is down, rather than that this event or this stack is wrong.
_VENDOR_IS_DOWN = frozenset(
    {"upstream_unavailable", "upstream_timeout", "upstream_protocol", "timeout"}
)
# Code of a fault that is final -> what its dead letter says; any other code was a rejection.
_REASONS = {
    "malformed": "malformed",
    "upstream_timeout": "uncertain",
    "misconfigured": "misconfigured",
    "configuration_error": "misconfigured",
    "secret_error": "misconfigured",
    "undeclared_read": "misconfigured",
    "undeclared_effect": "misconfigured",
}


class Fault(Exception):
    """Why a delivery was not made. ``delay`` is in seconds, None for the growing default."""

    def __init__(
        self, code: str, *, retryable: bool, delay: float | None = None, counts: bool = True
    ) -> None:
        super().__init__(code)
        self.code = code
        self.retryable = retryable
        self.delay = delay
        self.counts = counts  # whether the last receive of a message ends here

    @property
    def reason(self) -> str:
        """What the dead letter says."""
        return "exhausted" if self.retryable else _REASONS.get(self.code, f"rejected:{self.code}")

    @property
    def is_rejection(self) -> bool:
        """Whether the vendor refused this event for good, so that no replay would help."""
        return not self.retryable and self.code not in _REASONS


class VendorDown(Fault):
    """A fault that the circuit breaker counts."""


@dataclass(frozen=True, slots=True)
class Message:
    """One SQS message, and what is said of it in logs and dead letters."""

    queue: str
    receipt_handle: str
    body: str
    attempts: int
    sent_at: str

    @classmethod
    def of(cls, record: SQSRecord) -> Message:
        """Return the message in a record of a Lambda event."""
        facts = record.raw_event["attributes"]
        return cls(
            record.raw_event["eventSourceARN"],
            record.raw_event["receiptHandle"],
            record.raw_event["body"],
            int(facts["ApproximateReceiveCount"]),
            str(facts.get("SentTimestamp", "")),
        )

    def delay_after(self, fault: Fault) -> float:
        """Return the seconds to wait: what the fault asks for, else 30, 60, … up to an hour."""
        if fault.delay is not None:
            return fault.delay
        return float(min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self.attempts - 1, 10)))


@dataclass(frozen=True, slots=True)
class View:
    """What a message says: one event, for one rule, with the request of each of its entries."""

    rule: Manifest
    facts: Mapping[str, Any]
    deliveries: tuple[dict[str, Any], ...]

    @classmethod
    def parse(cls, body: str, rules: Mapping[str, Manifest]) -> View:
        """Return the view in a message; raises Fault ``malformed`` when it is none."""
        try:
            view = json.loads(body)
            rule = rules[view["rule"]]
            facts = {
                key: view[key] for key in ("schema", "rule", "event_id", "type", "occurred_at")
            }
            deliveries = tuple(
                {"entry": item["entry"], "request": item["request"]} for item in view["deliveries"]
            )
            login_id = facts["event_id"]
        except (ValueError, KeyError, TypeError):
            raise Fault("malformed", retryable=False) from None
        texts = [login_id, *(item["entry"] for item in deliveries)]
        good = (
            facts["schema"] == SCHEMA
            and rule.stage == "after_login"
            and facts["type"] in rule.events
            and len(deliveries) > 0
            and all(isinstance(text, str) and text for text in texts)
            and all(isinstance(item["request"], dict) for item in deliveries)
        )
        if not good:
            raise Fault("malformed", retryable=False)
        return cls(rule, facts, deliveries)

    def only(self, delivery: dict[str, Any]) -> str:
        """Return the body of a message with one of the deliveries."""
        return json.dumps({**self.facts, "deliveries": [delivery]}, separators=(",", ":"))


def check_response(response: Any) -> None:
    """Raise the fault that a rule's response holds, or is."""
    if not isinstance(response, dict) or response.get("version") != VERSION:
        raise Fault("invalid_answer", retryable=False)
    fault = response.get("fault")
    if fault is None:
        if not isinstance(response.get("effects"), list):
            raise Fault("invalid_answer", retryable=False)
        if response["effects"]:
            # Nothing would apply them: a rule that wants to write has no business here yet.
            raise Fault("undeclared_effect", retryable=False)
        return
    code = fault.get("code") if isinstance(fault, dict) else None
    if not isinstance(code, str) or not is_code(code):
        raise Fault("invalid_answer", retryable=False)
    asked: Any = fault.get("retry_after")
    is_number = isinstance(asked, (int, float)) and not isinstance(asked, bool)
    kind = VendorDown if code in _VENDOR_IS_DOWN else Fault
    raise kind(
        code,
        retryable=fault.get("retryable") is True,
        delay=float(asked) if is_number and asked >= 0 else None,
    )
