import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import ANY, Stubber

from cognito_rules.announce import MAX_DETAIL_BYTES, Announcer
from cognito_rules.announcement import build_announcement
from cognito_rules.delivery import View
from cognito_rules.queues import Queues
from tests.log_lines import log_lines
from tests.unit.core.chains import a_chain, a_manifest

BUS = "cognito-rules"
STREAM = "arn:aws:dynamodb:eu-west-1:123456789012:table/sessions/stream/1"
DEAD = "arn:aws:sqs:eu-west-1:123456789012:announce-dead"


def an_announcement(login_id: str = "L1", **changes: Any) -> dict[str, Any]:
    views = changes.pop("views", {"record_events_splunk": {}})
    return {
        "schema": 1,
        "id": login_id,
        "type": "LoginCompleted",
        "occurred_at": "2026-11-22T09:30:00.123Z",
        "first_login": False,
        "rules": sorted(views),
        "views": {rule: a_view(login_id, rule, **login) for rule, login in views.items()},
        **changes,
    }


def a_view(login_id: str, rule: str, **login: Any) -> dict[str, Any]:
    request = {"version": 1, "login": {"unknown": [], **login}, "configuration": {}}
    return {
        "event_id": login_id,
        "rule": rule,
        "deliveries": [{"entry": rule, "request": request}],
    }


def a_record(number: int, new: Any, old: Any = None, name: str = "INSERT") -> dict[str, Any]:
    """Return a stream record whose images have these announcements; None for none."""

    def image(announcement: Any) -> dict[str, Any]:
        text = announcement if isinstance(announcement, str) else json.dumps(announcement)
        return {"pk": {"S": "login#p#u#c"}, "announcement": {"S": text}}

    images: dict[str, Any] = {"Keys": {"pk": {"S": "login#p#u#c"}}, "SequenceNumber": str(number)}
    if new is not None:
        images["NewImage"] = image(new)
    if old is not None:
        images["OldImage"] = image(old)
    return {"eventName": name, "eventSourceARN": STREAM, "dynamodb": images}


class Bus:
    """An announcer over a stubbed EventBridge and SQS; remembers what it put."""

    def __init__(self) -> None:
        options: Any = {
            "region_name": "eu-west-1",
            "aws_access_key_id": "x",
            "aws_secret_access_key": "x",
            "config": Config(retries={"total_max_attempts": 1}),
        }
        events, sqs = boto3.client("events", **options), boto3.client("sqs", **options)
        self.stub, self.sqs_stub = Stubber(events), Stubber(sqs)
        self.announcer = Announcer(events, BUS, Queues(sqs), DEAD)
        self.calls: list[list[dict[str, Any]]] = []
        events.meta.events.register("provide-client-params.events.PutEvents", self._note)

    def _note(self, params: dict[str, Any], **kwargs: Any) -> None:
        self.calls.append(params["Entries"])

    def takes(self, count: int, failing: dict[int, str] | None = None) -> None:
        failing = failing or {}
        entries = [
            {"ErrorCode": failing[index], "ErrorMessage": "no"}
            if index in failing
            else {"EventId": str(index)}
            for index in range(count)
        ]
        answer = {"FailedEntryCount": len(failing), "Entries": entries}
        self.stub.add_response("put_events", answer, {"Entries": ANY})

    def expects_dead_letter(self) -> None:
        expected = {
            "QueueUrl": "https://sqs.eu-west-1.amazonaws.com/123456789012/announce-dead",
            "MessageBody": ANY,
            "MessageAttributes": ANY,
        }
        self.sqs_stub.add_response("send_message", {}, expected)

    def handle(self, *records: dict[str, Any]) -> list[str]:
        """Return the sequence numbers that were reported as failed."""
        response = self.announcer.handle({"Records": list(records)})
        return [item["itemIdentifier"] for item in response["batchItemFailures"]]

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [entry for call in self.calls for entry in call]

    @property
    def details(self) -> list[dict[str, Any]]:
        return [json.loads(entry["Detail"]) for entry in self.entries]


@pytest.fixture
def bus() -> Iterator[Bus]:
    bus = Bus()
    with bus.stub, bus.sqs_stub:
        yield bus
    bus.stub.assert_no_pending_responses()
    bus.sqs_stub.assert_no_pending_responses()


def test_an_announcement_becomes_one_event(bus: Bus) -> None:
    bus.takes(1)

    failed = bus.handle(a_record(1, an_announcement("L1", views={"a": {}, "b": {}})))

    assert failed == []
    [entry] = bus.entries
    assert (entry["Source"], entry["DetailType"]) == ("cognito.rules", "LoginCompleted")
    assert entry["EventBusName"] == BUS
    assert entry["Time"].isoformat() == "2026-11-22T09:30:00.123000+00:00"
    [detail] = bus.details
    assert (detail["id"], detail["rules"], sorted(detail["views"])) == (
        "L1",
        ["a", "b"],
        ["a", "b"],
    )


def test_a_view_carries_what_its_queue_has_to_know(bus: Bus) -> None:
    bus.takes(1)

    bus.handle(a_record(1, an_announcement("L1", type="LoginDenied")))

    assert bus.details[0]["views"]["record_events_splunk"] == {
        "schema": 1,
        "type": "LoginDenied",
        "occurred_at": "2026-11-22T09:30:00.123Z",
        **a_view("L1", "record_events_splunk"),
    }


@pytest.mark.parametrize(
    "record",
    [
        pytest.param(
            a_record(1, an_announcement("L1"), an_announcement("L1"), "MODIFY"),
            id="announced before",
        ),
        pytest.param(a_record(1, None, an_announcement("L1"), "REMOVE"), id="expired"),
        pytest.param(a_record(1, None), id="without an announcement"),
    ],
)
def test_what_is_nothing_new_is_not_announced(bus: Bus, record: dict[str, Any]) -> None:
    assert bus.handle(record) == []
    assert bus.calls == []


def test_the_next_login_of_the_same_person_is_new(bus: Bus) -> None:
    bus.takes(1)

    bus.handle(a_record(1, an_announcement("L2"), an_announcement("L1"), "MODIFY"))

    assert [detail["id"] for detail in bus.details] == ["L2"]


def test_a_call_has_ten_entries_at_most(bus: Bus) -> None:
    for count in (10, 10, 5):
        bus.takes(count)

    bus.handle(*(a_record(n, an_announcement(f"L{n}")) for n in range(25)))

    assert [len(call) for call in bus.calls] == [10, 10, 5]
    assert [detail["id"] for detail in bus.details] == [f"L{n}" for n in range(25)]


def test_large_announcements_go_in_calls_of_their_own(bus: Bus) -> None:
    large = {"record_events_splunk": {"user": {"name": "x" * 150_000}}}
    for _ in range(3):
        bus.takes(1)

    bus.handle(*(a_record(n, an_announcement(f"L{n}", views=large)) for n in range(3)))

    assert [len(call) for call in bus.calls] == [1, 1, 1]


def test_an_entry_that_fails_is_repeated_with_everything_after_it(bus: Bus) -> None:
    bus.takes(10, failing={3: "ThrottlingException", 5: "InternalFailure"})

    failed = bus.handle(*(a_record(100 + n, an_announcement(f"L{n}")) for n in range(25)))

    assert failed == ["103"]
    assert len(bus.calls) == 1


@pytest.mark.parametrize("code", ["ThrottlingException", "AccessDeniedException"])
def test_a_call_that_fails_is_repeated_whole(bus: Bus, code: str) -> None:
    bus.takes(10)
    bus.stub.add_client_error("put_events", code)

    failed = bus.handle(*(a_record(100 + n, an_announcement(f"L{n}")) for n in range(15)))

    assert failed == ["110"]


MALFORMED = [
    pytest.param('{"schema": 1,', id="no JSON"),
    pytest.param("[]", id="a list"),
    pytest.param(an_announcement(schema=2), id="another schema"),
    pytest.param(an_announcement(type="UserRenamed"), id="an unknown type"),
    pytest.param(an_announcement(id=""), id="no id"),
    pytest.param(an_announcement(occurred_at="yesterday"), id="no time"),
    pytest.param(an_announcement(occurred_at="2026-11-22T09:30:00"), id="a time without offset"),
    pytest.param(an_announcement(rules=["another"]), id="rules that are not the views"),
    pytest.param(an_announcement(views={}), id="no views"),
    pytest.param(an_announcement() | {"views": {"record_events_splunk": 1}}, id="no view"),
]


@pytest.mark.parametrize("malformed", MALFORMED)
def test_a_malformed_announcement_is_set_aside_and_blocks_nobody(bus: Bus, malformed: Any) -> None:
    bus.takes(2)
    bus.expects_dead_letter()

    failed = bus.handle(
        a_record(1, an_announcement("L1")),
        a_record(2, malformed),
        a_record(3, an_announcement("L3")),
    )

    assert failed == []
    assert [detail["id"] for detail in bus.details] == ["L1", "L3"]


@pytest.mark.parametrize("key", ["webhook#1", "CAPTURE#1", "decision#1", "answered#L1#a", "x"])
def test_an_item_that_a_rule_may_write_announces_nothing(bus: Bus, key: str) -> None:
    bus.expects_dead_letter()
    forged = a_record(1, an_announcement("L1", type="UserDeleted"))
    forged["dynamodb"]["Keys"]["pk"]["S"] = key

    assert bus.handle(forged) == []

    assert bus.calls == []
    bus.sqs_stub.assert_no_pending_responses()


@pytest.mark.parametrize("kind", ["login", "signup", "denied", "deleted"])
def test_a_login_a_sign_up_a_denial_and_a_deletion_are_announced(bus: Bus, kind: str) -> None:
    bus.takes(1)
    record = a_record(1, an_announcement("L1"))
    record["dynamodb"]["Keys"]["pk"]["S"] = f"{kind}#p#u#c"

    assert bus.handle(record) == []

    assert len(bus.entries) == 1


def test_what_was_set_aside_is_told_with_its_place_in_the_stream(bus: Bus) -> None:
    bus.expects_dead_letter()

    with log_lines() as log:
        bus.handle(a_record(42, "{"))

    [line] = log.records
    assert (line["level"], line["message"]) == ("ERROR", "announcement set aside")
    assert (line["sequence_number"], line["stream"]) == ("42", STREAM)


def test_an_entry_that_the_bus_will_never_take_is_set_aside(bus: Bus) -> None:
    bus.takes(2, failing={0: "MalformedDetail"})
    bus.expects_dead_letter()

    failed = bus.handle(a_record(1, an_announcement("L1")), a_record(2, an_announcement("L2")))

    assert failed == []


def test_a_dead_letter_that_cannot_be_written_fails_the_batch(bus: Bus) -> None:
    bus.sqs_stub.add_client_error("send_message", "ServiceUnavailable", http_status_code=503)

    with pytest.raises(Exception, match="ServiceUnavailable"):
        bus.handle(a_record(1, "{"))


def test_user_metadata_is_dropped_when_the_event_is_too_large(bus: Bus) -> None:
    bus.takes(1)
    user = {"name": "Zoë", "user_metadata": {"note": "x" * MAX_DETAIL_BYTES}}
    views = {"a": {"user": user}, "b": {"user": {"name": "Zoë"}}}

    bus.handle(a_record(1, an_announcement("L1", views=views)))

    [detail] = bus.details
    assert detail["truncated"] is True
    login = detail["views"]["a"]["deliveries"][0]["request"]["login"]
    assert login == {
        "user": {"name": "Zoë", "user_metadata": None},
        "unknown": ["user.user_metadata"],
    }
    other = detail["views"]["b"]["deliveries"][0]["request"]["login"]
    assert other == {"user": {"name": "Zoë"}, "unknown": []}


def test_an_event_that_is_still_too_large_goes_in_parts_by_rule(bus: Bus) -> None:
    for _ in range(3):
        bus.takes(1)
    views = {rule: {"user": {"name": "x" * 90_000}} for rule in "abcde"}

    bus.handle(a_record(1, an_announcement("L1", views=views)))

    assert [detail["rules"] for detail in bus.details] == [["a", "b"], ["c"], ["d", "e"]]
    assert all(detail["rules"] == sorted(detail["views"]) for detail in bus.details)
    assert max(len(entry["Detail"]) for entry in bus.entries) <= MAX_DETAIL_BYTES


def test_one_view_that_is_too_large_does_not_take_the_others_along(bus: Bus) -> None:
    bus.takes(1)
    bus.expects_dead_letter()
    views = {"a": {"user": {"name": "x" * MAX_DETAIL_BYTES}}, "b": {}}

    failed = bus.handle(a_record(1, an_announcement("L1", views=views)))

    assert failed == []
    assert [detail["rules"] for detail in bus.details] == [["b"]]


def test_what_the_login_function_announces_is_what_deliver_understands(bus: Bus) -> None:
    bus.takes(1)
    rule = a_manifest(
        "record",
        stage="after_login",
        on_error="continue",
        events=["LoginDenied"],
        reads=["event", "user.user_id", "request.ip"],
    )
    announcement = build_announcement(
        "LoginDenied",
        a_chain(rule).entries,
        {"user": {"user_id": "u1", "email": "jane@example.com"}},
        event_id="L1",
        occurred_at="2026-11-22T09:30:00.123Z",
        code="user_flagged",
    )

    failed = bus.handle(a_record(1, announcement.text))

    assert failed == []
    [detail] = bus.details
    view = View.parse(json.dumps(detail["views"]["record"]), {"record": rule})
    assert (view.facts["event_id"], view.facts["type"]) == ("L1", "LoginDenied")
    [delivery] = view.deliveries
    login = delivery["request"]["login"]
    assert login["user"] == {"user_id": "u1"}
    assert (login["event"]["code"], login["unknown"]) == ("user_flagged", ["request.ip"])
