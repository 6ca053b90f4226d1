"""What the trace of a trigger call says, and what it never says."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from cognito_rules.dynamodb_json import to_item
from cognito_rules.effects import Effects
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginRefusedError
from cognito_rules.trace import Tracer
from tests.cognito_events import (
    SUB,
    attributes,
    client_credentials,
    post_authentication,
    pre_sign_up,
    pre_token,
)
from tests.log_lines import LogLines
from tests.loopback import Reply, reply
from tests.made_up_chain import GUARD, refuse
from tests.unit.core.chains import answer
from tests.unit.core.login_subject import Subject

MARKERS = {
    "email": "marker1@example.com",
    "name": "Marker2",
    "given_name": "Marker3",
    "family_name": "Marker4",
    "nickname": "Marker5",
    "picture": "https://marker6.example.com/p.png",
    "phone_number": "+390000007",
    "address": "Marker8",
    "birthdate": "1909-09-09",
    "custom:department": "Marker10",
    "identities": '[{"providerName":"Partner","userId":"marker11","providerType":"OIDC"}]',
}
PROFILE = {
    "user_metadata": {"marker12": "Marker13"},
    "app_metadata": {"marker14": "Marker15"},
    "profile": {"nickname": "Marker16"},
}
METADATA = {"marker17": "Marker18", "ip": "203.0.113.19", "ts": "1", "sig": "marker20"}


@pytest.fixture
def metrics(subject: Subject) -> list[dict[str, Any]]:
    """The lines of metrics that the subject writes from now on."""
    written: list[dict[str, Any]] = []
    subject.tracer = Tracer("stack", write=lambda line: written.append(json.loads(line)))
    return written


def trace(lines: LogLines) -> dict[str, Any]:
    """Return the last record of a call."""
    return [record for record in lines.records if record["message"] == "login decided"][-1]


def break_off(login: Login, effects: Effects) -> None:
    raise ZeroDivisionError


def counted(record: dict[str, Any]) -> dict[str, Any]:
    """Return the metrics that CloudWatch takes from a line."""
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    return {metric["Name"]: record[metric["Name"]] for metric in directive["Metrics"]}


# No personal data ---------------------------------------------------------------------------------


@pytest.mark.parametrize("outcome", ["allowed", "refused", "broken tables", "at sign-up"])
def test_no_marker_of_a_personal_field_is_in_any_line(
    subject: Subject, metrics: list[Any], lines: LogLines, outcome: str
) -> None:
    def everything(login: Login, effects: Effects) -> None:
        for value in json.loads(json.dumps(MARKERS)).values():
            effects.set_claim("id", "https://x/copy", value)
        effects.set_user_metadata("copy", login.at("user.email"))
        effects.set_app_metadata("copy", login.at("user.app_metadata"))
        effects.set_groups(["marker21"])
        effects.send_email("marker22", to="marker1@example.com")
        effects.warn("of marker1@example.com")

    def no(login: Login, effects: Effects) -> None:
        effects.deny("You are marker1@example.com, Marker2.", code="refused")

    subject.rule(
        "all",
        everything,
        reads=["*"],
        writes=[
            "id_token.claims",
            "user.user_metadata",
            "user.app_metadata",
            "user.groups",
            "email",
        ],
    )
    subject.rule("crash", lambda login, effects: login.user.email["x"], reads=["user.email"])
    if outcome == "refused":
        subject.rule("guard", no, **GUARD)
    if outcome == "at sign-up":
        subject.rule("closed", no, stage="sign_up", **GUARD)
    subject.rule("tell", stage="after_login", reads=["user"])
    subject.rule("crm", stage="after_login", purpose="marketing", reads=["user"])
    subject.knows(PROFILE)
    if outcome == "broken tables":
        subject.amazon.replies = [reply(400, {"__type": "x#Marker23", "message": "Marker24"})]
    person = attributes(**MARKERS)
    event = pre_token(user=person, groups=["marker25"], metadata=METADATA, userName="marker26")
    if outcome == "at sign-up":
        event = pre_sign_up(email="marker1@example.com", username="marker26", metadata=METADATA)

    try:
        subject.handle(event)
    except LoginRefusedError:
        assert outcome in ("refused", "at sign-up")

    text = lines.text + json.dumps(metrics)
    assert trace(lines)["entries"]
    assert (SUB in text) == (outcome != "at sign-up")
    for personal in ("marker", "+39000", "1909", "203.0.113"):
        known = ["x#Marker23", "Marker23"] if outcome == "broken tables" else []
        found = text
        for code in known:
            found = found.replace(code, "")
        assert personal not in found.lower()


def test_a_user_name_never_stands_for_the_sub(subject: Subject, lines: LogLines) -> None:
    person = attributes()
    del person["sub"]

    subject.handle(pre_token(user=person, userName="jane@example.com"))

    assert "user_id" not in trace(lines)
    assert "jane@" not in lines.text


# What ran, and why not ----------------------------------------------------------------------------


def test_every_entry_of_the_chain_is_accounted_for(subject: Subject, lines: LogLines) -> None:
    subject.document = {"applications": {"other": {"name": "payroll"}}}
    subject.rule("switched_off", entry={"mode": "off"})
    subject.rule("elsewhere", entry={"when": {"applications": ["payroll"]}})
    subject.rule("partner", entry={"when": {"applications": ["*"], "connections": ["Partner"]}})
    subject.rule("new", entry={"rollout": 0})
    subject.rule("newcomer", stage="sign_up", **GUARD)
    subject.rule("placed", reads=["request.ip!"])
    subject.rule("seen", refuse, entry={"mode": "shadow"}, **GUARD)
    subject.rule(
        "ran", lambda login, effects: effects.set_claim("id", "a", 1), writes=["id_token.claims"]
    )
    subject.rule("guard", refuse, **GUARD)
    subject.rule("behind", reads=["user.email"])
    subject.rule("tell", stage="after_login")

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())

    record = trace(lines)
    entries = {entry["entry"]: entry for entry in record["entries"]}
    assert record["skipped"] == {
        "switched_off": "off",
        "elsewhere": "another application",
        "partner": "another connection",
        "new": "not among the 0 %",
        "newcomer": "only at sign-up",
        "behind": "refused before",
    }
    assert (entries["placed"]["outcome"], entries["placed"]["code"]) == (
        "skipped",
        "request.ip is unknown",
    )
    assert entries["seen"]["shadow"] is True
    assert (entries["seen"]["outcome"], entries["seen"]["code"]) == ("deny", "refused")
    assert entries["ran"]["effects"] == ["set_claim"]
    assert "shadow" not in entries["ran"]
    assert (record["outcome"], record["code"], record["entry"]) == ("deny", "refused", "guard")


def test_two_calls_of_one_login_share_the_transaction_id(subject: Subject, lines: LogLines) -> None:
    subject.rule("guard", **GUARD)
    subject.rule("late", reads=["user.groups"])
    subject.handle(post_authentication())
    memo = json.loads(subject.amazon.received[-1].body)["Item"]
    subject.amazon.replies = [
        reply(200, {"Responses": {"profiles": [], "sessions": [memo]}}),
        Reply(),
    ]
    subject.handle(pre_token())

    first, second = [r for r in lines.records if r["message"] == "login decided"]
    assert (first["decision"], second["decision"]) == ("taken", "reused")
    assert first["deferred"] == {"late": "user.groups"}
    assert second["reused"] == ["guard"]
    assert [entry["entry"] for entry in second["entries"]] == ["late"]
    assert first["transaction_id"] == second["transaction_id"]
    assert first["event_id"] != second["event_id"]
    assert first["chain"] == second["chain"]


def test_a_decision_that_is_not_used_joins_the_calls_all_the_same(
    subject: Subject, lines: LogLines
) -> None:
    subject.rule("guard", reads=["user.app_metadata"], **GUARD)
    subject.handle(post_authentication())
    memo = json.loads(subject.amazon.received[-1].body)["Item"]
    changed = to_item({"pk": f"USER#{SUB}", "app_metadata": {"flag": True}})
    subject.amazon.replies = [
        reply(200, {"Responses": {"profiles": [changed], "sessions": [memo]}}),
        Reply(),
    ]
    subject.handle(pre_token())

    first, second = [r for r in lines.records if r["message"] == "login decided"]
    assert (first["decision"], second["decision"]) == ("taken", "taken")
    assert first["transaction_id"] == second["transaction_id"]


def test_times_are_offsets_from_the_start_of_the_call(subject: Subject, lines: LogLines) -> None:
    subject.rule("slow", entry={"placement": "function"})
    read = subject.amazon.replies[0]
    subject.amazon.replies = [read, reply(200, answer(), delay=0.1), Reply()]
    started = time.monotonic() - 0.5

    subject.handle(pre_token(), started=started)

    record = trace(lines)
    (entry,) = record["entries"]
    phases = {phase["phase"]: phase for phase in record["phases"]}
    assert list(phases) == ["read", "chain", "finish"]
    assert entry["placement"] == "function"
    assert 500 <= phases["read"]["start_ms"] <= phases["chain"]["start_ms"] <= entry["start_ms"]
    assert 100 <= entry["ms"] <= phases["chain"]["ms"] + 0.1
    assert entry["start_ms"] + entry["ms"] <= record["duration_ms"] + 0.1
    assert phases["finish"]["start_ms"] + phases["finish"]["ms"] <= record["duration_ms"] + 0.1


def test_the_first_call_of_an_environment_is_cold(subject: Subject, lines: LogLines) -> None:
    function = subject.function

    function.handle(pre_token())
    function.handle(pre_token())

    colds = [r["cold"] for r in lines.records if r["message"] == "login decided"]
    assert colds == [True, False]


def test_a_login_does_not_fail_for_want_of_a_trace(subject: Subject, lines: LogLines) -> None:
    def broken(line: str) -> None:
        raise OSError("marker")

    subject.rule("guard", **GUARD)
    subject.tracer = Tracer("stack", write=broken)

    subject.handle(pre_token())

    assert lines.records[-1]["error"] == "OSError"
    assert "marker" not in lines.text


# Metrics ------------------------------------------------------------------------------------------


def test_without_a_stack_there_are_no_metrics(subject: Subject, lines: LogLines) -> None:
    subject.handle(pre_token())

    assert "_aws" not in trace(lines)


@pytest.mark.parametrize(
    ("event", "denies", "expected"),
    [
        pytest.param(post_authentication(), False, {}, id="only the token stage lets in"),
        pytest.param(post_authentication(), True, {"Denied": 1}, id="refused early"),
        pytest.param(pre_token(), False, {"Allowed": 1}, id="let in"),
        pytest.param(pre_token(), True, {"Denied": 1}, id="refused at the token stage"),
        pytest.param(
            pre_token("TokenGeneration_RefreshTokens"), False, {"Refreshed": 1}, id="refreshed"
        ),
        pytest.param(
            pre_token("TokenGeneration_RefreshTokens"),
            True,
            {"RefreshDenied": 1},
            id="not refreshed",
        ),
        pytest.param(client_credentials(), False, {"MachineAllowed": 1}, id="a machine"),
    ],
)
def test_a_login_is_counted_once(
    subject: Subject,
    metrics: list[Any],
    lines: LogLines,
    event: Any,
    denies: bool,
    expected: dict[str, int],
) -> None:
    if denies:
        subject.rule("guard", refuse, **GUARD)

    try:
        subject.handle(event)
    except LoginRefusedError:
        assert denies

    record = trace(lines)
    (directive,) = record["_aws"]["CloudWatchMetrics"]
    found = counted(record)
    assert found.pop("Duration") == record["duration_ms"]
    assert {name: value for name, value in found.items() if value} == expected
    assert directive["Dimensions"] == [["Stack"]]
    assert record["Stack"] == "stack"
    assert record["_aws"]["Timestamp"] == record["started_at"]


def test_faults_of_rules_tables_and_time_are_counted_apart(
    subject: Subject, metrics: list[Any], lines: LogLines
) -> None:
    subject.rule("broken", break_off)
    subject.rule("late", entry={"placement": "function"}, timeout_ms=50)
    subject.rule("shadow", break_off, entry={"mode": "shadow"})
    subject.amazon.replies = [Reply(400), reply(200, answer(), delay=0.3)]

    subject.handle(pre_token())

    found = counted(trace(lines))
    assert {name: found[name] for name in ("RuleFaults", "StoreFaults", "Overruns")} == {
        "RuleFaults": 2,
        "StoreFaults": 1,
        "Overruns": 1,
    }
    rules = {line["Rule"]: counted(line) for line in metrics}
    assert (rules["broken"]["Faults"], rules["late"]["Timeouts"]) == (1, 1)


def test_a_login_without_a_signed_address_is_refused_and_no_rule_failed(
    subject: Subject, metrics: list[Any], lines: LogLines
) -> None:
    """Where a guard needs the address, people come without one every day: no reason to alarm."""
    subject.rule("office", reads=["request.ip!"], **GUARD)

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())

    record = trace(lines)
    assert (record["code"], record["entries"][0]["outcome"]) == ("context_missing", "fault_deny")
    assert counted(record)["RuleFaults"] == 0
    [office] = map(counted, metrics)
    assert "Faults" not in office
    assert office["Denials"] == 1


def test_a_rule_has_one_line_for_all_its_entries(
    subject: Subject, metrics: list[Any], lines: LogLines
) -> None:
    subject.rule("twice")
    subject.again("twice", id="twice-more")
    subject.rule("shadow", refuse, entry={"mode": "shadow"}, **GUARD)
    subject.rule("guard", refuse, **GUARD)

    with pytest.raises(LoginRefusedError):
        subject.handle(pre_token())

    rules = {line["Rule"]: counted(line) for line in metrics}
    assert len(rules["twice"].pop("Milliseconds")) == 2
    assert rules["twice"] == {}
    assert rules["shadow"].keys() == {"Milliseconds", "ShadowDenials"}
    assert rules["guard"].keys() == {"Milliseconds", "Denials"}
    for line in metrics:
        assert line["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["Stack", "Rule"]]


def test_metrics_of_rules_can_be_left_out(subject: Subject, lines: LogLines) -> None:
    written: list[str] = []
    subject.rule("guard", **GUARD)
    subject.tracer = Tracer("stack", of_rules=False, write=written.append)

    subject.handle(pre_token())

    assert written == []
    assert counted(trace(lines))["Allowed"] == 1


def test_what_is_announced_is_counted(
    subject: Subject, metrics: list[Any], lines: LogLines
) -> None:
    subject.rule("tell", stage="after_login")

    subject.handle(pre_token())

    assert trace(lines)["told"] == ["tell"]
    assert counted(trace(lines))["Announced"] == 1


def test_of_a_login_that_was_not_recorded_nobody_is_told(
    subject: Subject, metrics: list[Any], lines: LogLines
) -> None:
    subject.rule("tell", stage="after_login")
    subject.amazon.replies = [subject.amazon.replies[0], Reply(400)]

    subject.handle(pre_token())

    record = trace(lines)
    assert (record["outcome"], record["commit"]) == ("allow", "failed")
    assert "told" not in record
    assert counted(record)["Announced"] == 0
