"""What a queue's message says, and why a delivery was not made: the words of ``deliver.py``."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cognito_rules.announcement import SCHEMA
from cognito_rules.effect_values import is_code
from cognito_rules.envelope import VERSION
from cognito_rules.errors import InvalidEffectError, UndeclaredEffectError
from cognito_rules.fields import Path
from cognito_rules.manifest import Manifest
from cognito_rules.protocol import Effect, check_effect

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

MEMORY_PREFIX = "idempotency"
FIRST_DELAY = 30
LONGEST_DELAY = 3600
# How many receives of a message wait for just as long as a vendor asks.
TAKEN_AT_ITS_WORD = 3

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
# Rejections that say something of the rule, and nothing of the person.
_RULE_IS_WRONG = frozenset({"rule_error", "invalid_answer"})
MAX_KNOWN_AS = 256
_LISTS = ("waits_for", "needed_by", "sources")


class Fault(Exception):
    """Why a delivery was not made. ``delay`` is in seconds, None for the growing default.

    One that ``counts`` is final at the last receive of a message.
    """

    def __init__(
        self, code: str, *, retryable: bool, delay: float | None = None, counts: bool = True
    ) -> None:
        super().__init__(code)
        self.code = code
        self.retryable = retryable
        self.delay = delay
        self.counts = counts

    @property
    def reason(self) -> str:
        """What the dead letter says."""
        return "exhausted" if self.retryable else _REASONS.get(self.code, f"rejected:{self.code}")

    @property
    def is_rejection(self) -> bool:
        """Whether the vendor refused this event for good, so that no replay would help."""
        return not self.retryable and self.code not in _REASONS

    @property
    def is_of_the_person(self) -> bool:
        """Whether the vendor will not have this person, whatever event comes next."""
        return self.is_rejection and self.code not in _RULE_IS_WRONG


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

    @property
    def sent_seconds(self) -> float:
        """When it was sent, in seconds since the epoch; long ago where SQS does not say."""
        return int(self.sent_at) / 1000 if self.sent_at.isdigit() else 0.0

    def delay_after(self, fault: Fault) -> float:
        """Return the seconds to wait: what the fault asks for, else 30, 60, … up to an hour.

        A vendor that keeps asking for a second would use up all receives within one minute: after
        the third it is no less than that.
        """
        growing = float(min(LONGEST_DELAY, FIRST_DELAY * 2 ** min(self.attempts - 1, 10)))
        if fault.delay is None:
            return growing
        is_patient = fault.counts and self.attempts > TAKEN_AT_ITS_WORD
        return max(fault.delay, growing) if is_patient else fault.delay


@dataclass(frozen=True, slots=True)
class View:
    """What a message says: one event, for one rule, with the request of each of its entries.

    A delivery says by ``once`` that its entry runs once for each person, by ``waits_for`` which
    entries are to answer before, by ``needed_by`` for which ones it is made, if for those only, and
    by ``sources`` whose answers about the person it gets. ``person`` is the sub, for all that.
    """

    rule: Manifest
    facts: Mapping[str, Any]
    deliveries: tuple[dict[str, Any], ...]
    person: str | None = None

    @classmethod
    def parse(cls, body: str, rules: Mapping[str, Manifest]) -> View:
        """Return the view in a message; raises Fault ``malformed`` when it is none."""
        try:
            view = json.loads(body)
            rule = rules[view["rule"]]
            facts = {
                key: view[key] for key in ("schema", "rule", "event_id", "type", "occurred_at")
            }
            deliveries = tuple(map(_delivery, view["deliveries"]))
            login_id = facts["event_id"]
            person = view.get("person")
        except (ValueError, KeyError, TypeError):
            raise Fault("malformed", retryable=False) from None
        texts = [login_id, facts["occurred_at"], *(item["entry"] for item in deliveries)]
        good = (
            facts["schema"] == SCHEMA
            and rule.stage == "after_login"
            and rule.hears_of(facts["type"])
            and len(deliveries) > 0
            and all(isinstance(text, str) and text for text in texts)
            and all(isinstance(item["request"], dict) for item in deliveries)
            and all(_are_texts(item.get(key, [])) for item in deliveries for key in _LISTS)
            and (isinstance(person, str) or not _needs_a_person(rule, deliveries))
        )
        if not good:
            raise Fault("malformed", retryable=False)
        return cls(rule, facts, deliveries, person)

    def only(self, delivery: dict[str, Any]) -> str:
        """Return the body of a message with one of the deliveries."""
        about = {} if self.person is None else {"person": self.person}
        whole = {**self.facts, **about, "deliveries": [delivery]}
        return json.dumps(whole, separators=(",", ":"))


def _delivery(item: Mapping[str, Any]) -> dict[str, Any]:
    optional = {key: item[key] for key in ("once", *_LISTS) if key in item}
    return {"entry": item["entry"], "request": item["request"], **optional}


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _needs_a_person(rule: Manifest, deliveries: Iterable[Mapping[str, Any]]) -> bool:
    keys = ("once", *_LISTS)
    return bool(rule.enriches) or any(key in item for item in deliveries for key in keys)


def known_as(response: Mapping[str, Any]) -> str | None:
    """Return the id that the vendor gave the person, of a response that was checked."""
    said = response.get("known_as")
    if said is not None and not (isinstance(said, str) and 0 < len(said) <= MAX_KNOWN_AS):
        raise Fault("invalid_answer", retryable=False)
    return said


def check_response(response: Any, writes: Iterable[Path] = ()) -> list[Effect]:
    """Return the effects of a rule's response; raises the fault that it holds, or is."""
    if not isinstance(response, dict) or response.get("version") != VERSION:
        raise Fault("invalid_answer", retryable=False)
    fault = response.get("fault")
    if fault is None:
        if not isinstance(response.get("effects"), list):
            raise Fault("invalid_answer", retryable=False)
        return _checked(response["effects"], tuple(writes))
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


def _checked(effects: list[Any], writes: tuple[Path, ...]) -> list[Effect]:
    try:
        return [check_effect(effect, writes) for effect in effects]
    except UndeclaredEffectError as error:
        raise Fault(error.code, retryable=False) from error
    except InvalidEffectError as error:
        raise Fault("invalid_answer", retryable=False) from error


def memory_key(entry: str, event_id: str) -> str:
    """Return the key under which SessionsTable remembers a delivery, as Powertools makes it."""
    digest = hashlib.sha256(json.dumps([entry, event_id]).encode()).hexdigest()
    return f"{MEMORY_PREFIX}#{digest}"
