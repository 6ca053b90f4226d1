import json
from typing import Any

import pytest
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from cognito_rules.delivery import Fault, Message, VendorDown, View, check_response
from tests.unit.core.chains import a_manifest

RULE = a_manifest(
    "record", stage="after_login", on_error="continue", events=["LoginCompleted", "LoginDenied"]
)
GUARD = a_manifest("guard", stage="post_authentication")
ENRICHER = a_manifest(
    "enrich",
    stage="after_login",
    on_error="continue",
    purpose="enrichment",
    events=["LoginCompleted"],
    writes=["user.enrichment.vendor"],
)
RULES = {"record": RULE, "guard": GUARD, "enrich": ENRICHER}
BUSY = Fault("upstream_unavailable", retryable=True)
REQUEST = {"version": 1, "login": {}, "configuration": {}}


ONCE = {"entry": "one", "request": REQUEST, "once": True}


def a_view(**changes: Any) -> dict[str, Any]:
    return {
        "schema": 1,
        "rule": "record",
        "event_id": "L1",
        "type": "LoginCompleted",
        "occurred_at": "2026-11-22T09:30:00.000Z",
        "deliveries": [{"entry": "one", "request": REQUEST}],
        **changes,
    }


def without(key: str) -> dict[str, Any]:
    view = a_view()
    del view[key]
    return view


@pytest.mark.parametrize(
    "view",
    [
        pytest.param("{", id="no JSON"),
        pytest.param([], id="a list"),
        pytest.param(without("event_id"), id="no event id"),
        pytest.param(without("schema"), id="no schema"),
        pytest.param(a_view(event_id=""), id="an empty event id"),
        pytest.param(a_view(event_id=7), id="an event id that is no text"),
        pytest.param(a_view(schema=2), id="another schema"),
        pytest.param(a_view(rule="unheard_of"), id="an unknown rule"),
        pytest.param(a_view(rule=["record"]), id="a rule that is no text"),
        pytest.param(a_view(rule="guard"), id="a rule of another stage"),
        pytest.param(a_view(type="SignUpConfirmed"), id="an event that the rule is not told of"),
        pytest.param(a_view(type=["LoginCompleted"]), id="a type that is no text"),
        pytest.param(a_view(occurred_at=7), id="a time that is no text"),
        pytest.param(a_view(deliveries=[]), id="no delivery"),
        pytest.param(a_view(deliveries=[{"request": REQUEST}]), id="no entry"),
        pytest.param(a_view(deliveries=[{"entry": "one"}]), id="no request"),
        pytest.param(a_view(deliveries=[{"entry": "one", "request": 1}]), id="no such request"),
        pytest.param(a_view(deliveries=[ONCE]), id="nobody for whom it is made once"),
        pytest.param(a_view(person=7, deliveries=[ONCE]), id="a person who is no text"),
        pytest.param(
            a_view(person="p1", deliveries=[ONCE | {"waits_for": "two"}]),
            id="no list of those it waits for",
        ),
        pytest.param(a_view(rule="enrich"), id="nobody whom it enriches"),
        pytest.param(
            a_view(person="p1", deliveries=[ONCE | {"needed_by": [2]}]),
            id="something else than entries that need it",
        ),
    ],
)
def test_a_message_is_malformed_with(view: Any) -> None:
    body = view if isinstance(view, str) else json.dumps(view)

    with pytest.raises(Fault) as caught:
        View.parse(body, RULES)

    assert (caught.value.reason, caught.value.retryable) == ("malformed", False)


def test_a_message_is_a_view_of_one_event() -> None:
    deliveries = [{"entry": name, "request": REQUEST} for name in ("one", "two")]

    view = View.parse(json.dumps(a_view(deliveries=deliveries)), RULES)

    assert (view.rule, view.facts["event_id"]) == (RULE, "L1")
    assert [delivery["entry"] for delivery in view.deliveries] == ["one", "two"]


def test_a_dead_letter_can_be_sent_back_and_holds_one_delivery() -> None:
    deliveries = [ONCE, ONCE | {"entry": "two", "waits_for": ["one"], "needed_by": ["three"]}]
    view = View.parse(json.dumps(a_view(person="p1", deliveries=deliveries)), RULES)

    again = View.parse(view.only(view.deliveries[1]), RULES)

    assert (again.facts, again.person) == (view.facts, "p1")
    assert again.deliveries == (deliveries[1],)


def a_message(attempts: int) -> Message:
    record = {
        "messageId": "m",
        "receiptHandle": "r",
        "body": "{}",
        "eventSourceARN": "arn:aws:sqs:eu-west-1:123456789012:record",
        "attributes": {"ApproximateReceiveCount": str(attempts), "SentTimestamp": "1795339800123"},
    }
    return Message.of(SQSRecord(record))


@pytest.mark.parametrize(
    ("attempts", "seconds"), [(1, 30), (2, 60), (3, 120), (7, 1920), (8, 3600), (1000, 3600)]
)
def test_the_delay_doubles_up_to_an_hour(attempts: int, seconds: int) -> None:
    assert a_message(attempts).delay_after(BUSY) == seconds


@pytest.mark.parametrize(
    ("asked", "attempts", "seconds"),
    [
        pytest.param(120, 1, 120, id="more than the growing delay"),
        pytest.param(9, 3, 9, id="little, three times"),
        pytest.param(0, 4, 240, id="nothing, once more"),
        pytest.param(0.5, 4, 240, id="half a second"),
        pytest.param(10, 12, 3600, id="little, again and again"),
    ],
)
def test_a_vendor_that_asks_for_little_does_not_use_up_the_attempts(
    asked: float, attempts: int, seconds: int
) -> None:
    fault = Fault("upstream_unavailable", retryable=True, delay=asked)

    assert a_message(attempts).delay_after(fault) == seconds


def test_waiting_for_something_of_our_own_takes_no_longer_than_it_has_to() -> None:
    fault = Fault("waits_for_another", retryable=True, delay=2, counts=False)

    assert a_message(3).delay_after(fault) == 2


def test_twelve_attempts_span_an_outage_of_hours() -> None:
    waited = sum(a_message(attempt).delay_after(BUSY) for attempt in range(1, 12))

    assert 4 * 3600 < waited < 6 * 3600


def test_an_answer_without_effects_is_a_delivery() -> None:
    assert check_response({"version": 1, "effects": [], "warnings": ["late"]}) == []


def test_an_effect_that_is_declared_is_returned() -> None:
    effect = {"effect": "set_enrichment", "source": "a", "status": "none", "expires_in": 60}

    found = check_response({"version": 1, "effects": [effect]}, [("user", "enrichment", "a")])

    assert found == [effect]


def a_fault(code: Any, **fault: Any) -> dict[str, Any]:
    return {"version": 1, "fault": {"code": code, "message": "no", **fault}}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        pytest.param(None, "rejected:invalid_answer", id="nothing"),
        pytest.param({"effects": []}, "rejected:invalid_answer", id="no version"),
        pytest.param({"version": 1}, "rejected:invalid_answer", id="no effects"),
        pytest.param({"version": 1, "fault": "no"}, "rejected:invalid_answer", id="no fault"),
        pytest.param(a_fault(7), "rejected:invalid_answer", id="a code that is no text"),
        pytest.param(a_fault("a\nb"), "rejected:invalid_answer", id="a code of two lines"),
        pytest.param(
            {"version": 1, "effects": [{"effect": "set_claim"}]}, "misconfigured", id="an effect"
        ),
        pytest.param(a_fault("http_400"), "rejected:http_400", id="a rejection"),
        pytest.param(a_fault("hec_6", retryable=False), "rejected:hec_6", id="by its own code"),
        pytest.param(a_fault("http_400", retryable="yes"), "rejected:http_400", id="no boolean"),
        pytest.param(a_fault("misconfigured"), "misconfigured", id="a wrong token"),
        pytest.param(a_fault("configuration_error"), "misconfigured", id="a wrong setting"),
        pytest.param(a_fault("secret_error"), "misconfigured", id="a missing secret"),
        pytest.param(a_fault("upstream_timeout"), "uncertain", id="perhaps done, not repeatable"),
        pytest.param(a_fault("secret_error", retryable=True), "exhausted", id="in the end"),
    ],
)
def test_what_a_dead_letter_says(response: Any, reason: str) -> None:
    with pytest.raises(Fault) as caught:
        check_response(response)

    assert caught.value.reason == reason


@pytest.mark.parametrize(
    ("code", "counts"),
    [
        ("upstream_unavailable", True),
        ("upstream_timeout", True),
        ("upstream_protocol", True),
        ("timeout", True),
        ("throttled", False),
        ("secret_error", False),
        ("rule_crashed", False),
        ("http_400", False),
    ],
)
def test_which_faults_open_the_circuit(code: str, counts: bool) -> None:
    with pytest.raises(Fault) as caught:
        check_response(a_fault(code, retryable=True))

    assert isinstance(caught.value, VendorDown) == counts


@pytest.mark.parametrize(
    ("asked", "delay"),
    [(120, 120.0), (0.5, 0.5), (0, 0.0), (-1, None), ("60", None), (True, None), (None, None)],
)
def test_how_long_a_rule_asks_to_wait(asked: Any, delay: float | None) -> None:
    with pytest.raises(Fault) as caught:
        check_response(a_fault("upstream_unavailable", retryable=True, retry_after=asked))

    assert caught.value.delay == delay
