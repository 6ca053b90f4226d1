"""``cognito-rules redrive`` on the queues of a stack whose deliver function is not there: what is
sent back stays where it can be looked at. tests/local/stack/test_burst.py delivers it."""

import json
from pathlib import Path

import pytest

from cognito_rules.delivery import memory_key
from local.server import EmbeddedAws
from tests.local.queues_stack import AT, QueuesStack, a_view, minutes_ago

SPLUNK, SEGMENT, HUBSPOT = "record_events_splunk", "record_events_segment", "sync_contact_hubspot"
RULES = (SPLUNK, SEGMENT, HUBSPOT)


@pytest.fixture(scope="module")
def deployed(aws: EmbeddedAws) -> QueuesStack:
    return QueuesStack.deployed(aws, RULES)


@pytest.fixture
def stack(deployed: QueuesStack) -> QueuesStack:
    """The stack with empty queues."""
    for rule in RULES:
        for ending in ("", "-dead"):
            deployed.messages(rule, ending)
    return deployed


@pytest.fixture
def ann(stack: QueuesStack) -> str:
    return stack.person(marketing=True, analytics=True)


def test_a_letter_goes_back_as_it_is_and_is_gone(stack: QueuesStack, ann: str) -> None:
    stack.set_aside(SPLUNK, "L1", "misconfigured", user_id=ann)

    result = stack.run("redrive")

    assert (result.exit_code, result.stderr) == (0, "")
    [message] = stack.messages(SPLUNK)
    assert json.loads(message["Body"]) == a_view(SPLUNK, "L1", ann)
    assert set(message["MessageAttributes"]) == {"replay_of"}
    assert stack.messages(SPLUNK, "-dead") == []


def test_a_dry_run_counts_by_rule_and_reason_and_names_nobody(stack: QueuesStack, ann: str) -> None:
    for number in range(12):
        stack.set_aside(SPLUNK, f"L{number}", "exhausted", user_id=ann)
    stack.set_aside(HUBSPOT, "L1", "rejected:http_400", user_id=ann)

    result = stack.run("redrive", "--dry-run", "--json")

    assert json.loads(result.output) == {
        "dry_run": True,
        "sent": 0,
        "rules": {
            SPLUNK: {"exhausted": {"letters": 12}},
            HUBSPOT: {"rejected:http_400": {"letters": 1}},
        },
    }
    assert ann not in stack.run("redrive", "--dry-run").output
    assert "Ann" not in stack.run("redrive", "--dry-run").output
    assert [len(stack.messages(rule)) for rule in RULES] == [0, 0, 0]
    assert len(stack.messages(SPLUNK, "-dead")) == 12


def test_no_more_than_asked_for_are_sent(stack: QueuesStack, ann: str) -> None:
    for number in range(25):
        stack.set_aside(SPLUNK, f"L{number:02}", "misconfigured", user_id=ann)

    stack.run("redrive", "--max", "12")

    sent, left = stack.ids(SPLUNK), stack.ids(SPLUNK, "-dead")
    assert len(sent) == 12
    assert sorted(sent + left) == [f"L{number:02}" for number in range(25)]


@pytest.mark.parametrize(
    ("options", "sent"),
    [
        pytest.param(["--rule", SPLUNK], ["A", "B", "C"], id="a rule"),
        pytest.param(["--reason", "rejected"], ["B", "C"], id="every rejection"),
        pytest.param(["--reason", "rejected:hec_7"], ["C"], id="a rejection"),
        pytest.param(
            ["--reason", "exhausted", "--reason", "rejected:hec_6"], ["A", "B"], id="two reasons"
        ),
        pytest.param(["--login-id", "B"], ["B"], id="an event"),
        pytest.param(["--from", "2026-11-21"], ["B", "C"], id="since a day"),
        pytest.param(["--to", "2026-11-22T10:00:00"], ["A", "B"], id="until a moment"),
        pytest.param(
            ["--from", "2026-11-22T09:00:00Z", "--to", "2026-11-22T12:00:00+02:00"],
            ["B"],
            id="a window across zones",
        ),
    ],
)
def test_what_is_meant(stack: QueuesStack, ann: str, options: list[str], sent: list[str]) -> None:
    for login_id, reason, at in (
        ("A", "exhausted", "2026-11-20T09:30:00.000Z"),
        ("B", "rejected:hec_6", "2026-11-22T09:30:00.000Z"),
        ("C", "rejected:hec_7", "2026-11-22T10:30:00.000Z"),
    ):
        stack.set_aside(SPLUNK, login_id, reason, user_id=ann, occurred_at=at)

    result = stack.run("redrive", *options)

    assert result.exit_code == 0
    assert stack.ids(SPLUNK) == sent
    assert stack.ids(SPLUNK, "-dead") == sorted({"A", "B", "C"} - set(sent))


@pytest.mark.parametrize(
    ("rule", "reason", "code", "minutes", "asks"),
    [
        pytest.param(SPLUNK, "uncertain", "upstream_timeout", 1, True, id="it shows both"),
        pytest.param(SPLUNK, "exhausted", "upstream_timeout", 1, True, id="a timeout was the last"),
        pytest.param(SPLUNK, None, "", 1, True, id="deliver never came to an end"),
        pytest.param(SPLUNK, "exhausted", "upstream_unavailable", 1, False, id="it was busy"),
        pytest.param(SEGMENT, "uncertain", "upstream_timeout", 3 * 1440, True, id="it forgot"),
        pytest.param(SEGMENT, "uncertain", "upstream_timeout", 60, False, id="it still knows"),
        pytest.param(HUBSPOT, "uncertain", "upstream_timeout", 9 * 1440, False, id="it knows all"),
    ],
)
def test_what_may_be_shown_twice_has_to_be_accepted(
    stack: QueuesStack, ann: str, rule: str, reason: str | None, code: str, minutes: int, asks: bool
) -> None:
    stack.set_aside(rule, "L1", reason, user_id=ann, code=code, occurred_at=minutes_ago(minutes))

    result = stack.run("redrive")

    assert result.exit_code == (1 if asks else 0)
    assert ("--accept-duplicates" in result.stderr) == asks
    assert stack.ids(rule) == ([] if asks else ["L1"])
    if asks:
        assert stack.run("redrive", "--accept-duplicates").exit_code == 0
        assert stack.ids(rule) == ["L1"]


def test_what_was_sent_back_before_is_as_old_as_its_event(stack: QueuesStack, ann: str) -> None:
    # The queue has it since an hour ago; Segment may have it since the day before yesterday.
    then = {"occurred_at": minutes_ago(2 * 1440), "sent_at": minutes_ago(60)}
    stack.set_aside(SEGMENT, "L1", "uncertain", user_id=ann, code="upstream_timeout", **then)

    assert stack.run("redrive").exit_code == 1
    assert stack.ids(SEGMENT) == []


def test_who_is_gone_from_the_pool_is_dropped(stack: QueuesStack, ann: str) -> None:
    stack.set_aside(SPLUNK, "L1", "misconfigured", user_id="nobody-of-this-pool")
    stack.set_aside(SPLUNK, "L2", "misconfigured", user_id=ann)

    result = stack.run("redrive", "--json")

    counted = {"letters": 2, "sent": 1, "user_deleted": 1}
    assert json.loads(result.output)["rules"] == {SPLUNK: {"misconfigured": counted}}
    assert stack.ids(SPLUNK) == ["L2"]
    assert stack.messages(SPLUNK, "-dead") == []


@pytest.mark.parametrize(
    ("rule", "answers", "sent"),
    [
        pytest.param(HUBSPOT, {"marketing": False}, [], id="marketing, refused since"),
        pytest.param(SEGMENT, {"analytics": False}, [], id="analytics, refused since"),
        pytest.param(HUBSPOT, {"analytics": False}, ["L1"], id="something else was refused"),
        pytest.param(SPLUNK, {"security": False}, ["L1"], id="security asks nobody"),
    ],
)
def test_consent_is_read_again(
    stack: QueuesStack, rule: str, answers: dict[str, bool], sent: list[str]
) -> None:
    person = stack.person(**answers)
    stack.set_aside(rule, "L1", "misconfigured", user_id=person)

    result = stack.run("redrive", "--json")

    [reasons] = json.loads(result.output)["rules"].values()
    assert reasons["misconfigured"].get("no_consent", 0) == 1 - len(sent)
    assert stack.ids(rule) == sent
    assert stack.messages(rule, "-dead") == []


def test_settings_that_were_wrong_can_be_those_of_another_chain(
    stack: QueuesStack, ann: str, tmp_path: Path
) -> None:
    stack.set_aside(HUBSPOT, "L1", "misconfigured", user_id=ann)
    stack.set_aside(HUBSPOT, "L2", "misconfigured", user_id=ann, entry="another")
    chain = tmp_path / "chain.toml"
    chain.write_text(
        f'[[rules]]\nrule = "{HUBSPOT}"\nid = "one"\nconfiguration = {{ list_id = "77" }}\n'
    )

    assert stack.run("redrive", "--chain", str(chain)).exit_code == 0

    found = {
        json.loads(m["Body"])["event_id"]: json.loads(m["Body"])["deliveries"][0]["request"]
        for m in stack.messages(HUBSPOT)
    }
    assert found["L1"]["configuration"]["list_id"] == "77"
    assert found["L2"]["configuration"] == {}


@pytest.mark.parametrize(
    ("agrees", "sources"), [(True, ["towerdata"]), (False, None)], ids=["agrees", "refused since"]
)
def test_what_was_found_of_a_person_is_not_told_of_who_refused_that_since(
    stack: QueuesStack, agrees: bool, sources: list[str] | None
) -> None:
    person = stack.person(marketing=True, enrichment=agrees)
    view = a_view(HUBSPOT, "L1", person)
    view["person"], view["deliveries"][0]["sources"] = person, ["towerdata"]
    stack.put(HUBSPOT, json.dumps(view), {"reason": "misconfigured"})

    assert stack.run("redrive").exit_code == 0

    [sent] = stack.messages(HUBSPOT)
    [delivery] = json.loads(sent["Body"])["deliveries"]
    assert delivery.get("sources") == sources


@pytest.mark.parametrize(
    ("outcome", "remains"), [("rejected", False), ("delivered", True)], ids=["refused", "made"]
)
def test_a_rejection_is_forgotten_and_a_delivery_is_not(
    stack: QueuesStack, ann: str, outcome: str, remains: bool
) -> None:
    table, key = stack.outputs["SessionsTable"], {"pk": {"S": memory_key("one", "L1")}}
    data = {"S": json.dumps({"outcome": outcome})}
    dynamodb = stack.aws.client("dynamodb")
    dynamodb.put_item(TableName=table, Item=key | {"data": data})
    stack.set_aside(SPLUNK, "L1", "rejected:hec_7", user_id=ann)

    stack.run("redrive")

    assert ("Item" in dynamodb.get_item(TableName=table, Key=key)) is remains
    assert stack.ids(SPLUNK) == ["L1"]


def test_what_is_no_view_is_left_where_it_is(stack: QueuesStack) -> None:
    stack.put(SPLUNK, "{", {"reason": "malformed"})
    stack.put(SPLUNK, json.dumps(a_view(SEGMENT, "L1", None)), {})

    result = stack.run("redrive", "--json")

    counted = {"malformed": {"letters": 2, "left": 2}}
    assert json.loads(result.output)["rules"] == {SPLUNK: counted}
    assert len(stack.messages(SPLUNK, "-dead")) == 2


def test_of_a_whole_event_that_the_bus_could_not_send_the_rules_view_is_sent(
    stack: QueuesStack, ann: str
) -> None:
    views = {rule: a_view(rule, "L1", ann) for rule in RULES}
    event = {"source": "cognito.rules", "time": AT, "detail": {"views": views}}
    stack.put(SPLUNK, json.dumps(event), {"ERROR_CODE": "SDK_CLIENT_ERROR", "RULE_ARN": "arn"})

    result = stack.run("redrive", "--json")

    assert json.loads(result.output)["rules"] == {SPLUNK: {"unsent": {"letters": 1, "sent": 1}}}
    [message] = stack.messages(SPLUNK)
    assert json.loads(message["Body"]) == a_view(SPLUNK, "L1", ann)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        pytest.param(["--rule", "require_group"], "no after_login rule", id="another rule"),
        pytest.param(["--rule", "record_signup_keen"], "no queues", id="a rule without queues"),
        pytest.param(["--max", "0"], "--max", id="none"),
        pytest.param(["--from", "yesterday"], "--from", id="no moment"),
        pytest.param(["--chain", "nowhere.toml"], "No such file", id="no chain document"),
        pytest.param(["--chain", "pyproject.toml"], "pyproject.toml", id="no chain in it"),
        pytest.param(["--stack", "unheard-of"], "no stack unheard-of", id="no such stack"),
    ],
)
def test_what_cannot_be_done_is_said(stack: QueuesStack, options: list[str], message: str) -> None:
    stack.set_aside(SPLUNK, "L1", "misconfigured", user_id="somebody")

    result = stack.run("redrive", *options)

    assert result.exit_code == 2
    assert message in result.stderr
    assert len(stack.messages(SPLUNK, "-dead")) == 1


def test_without_letters_it_says_so(stack: QueuesStack) -> None:
    result = stack.run("redrive")

    assert (result.exit_code, result.output) == (0, "There are no such dead letters.\n")


def test_a_deletion_is_sent_again_although_the_person_is_gone(stack: QueuesStack) -> None:
    gone = "00000000-0000-4000-8000-000000000001"
    deletion = a_view(HUBSPOT, "D1", gone) | {"type": "UserDeleted", "person": gone}
    stack.put(HUBSPOT, json.dumps(deletion), {"reason": "misconfigured"})
    stack.set_aside(HUBSPOT, "L1", "misconfigured", user_id=gone)

    result = stack.run("redrive", "--json")

    assert json.loads(result.output)["rules"] == {
        HUBSPOT: {"misconfigured": {"letters": 2, "sent": 1, "user_deleted": 1}}
    }
    [message] = stack.messages(HUBSPOT)
    assert json.loads(message["Body"])["event_id"] == "D1"
