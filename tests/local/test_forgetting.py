"""A person is forgotten: what is announced, what is removed, and what comes too late."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.forgetting import FORGOTTEN_SECONDS, Forgetter, Forgotten
from cognito_rules.manifest import Manifest
from cognito_rules.markers import Markers
from local.server import EmbeddedAws
from tests.local.post import OK, Post, Rule
from tests.log_lines import log_lines
from tests.unit.core.chains import a_chain, a_manifest

PROFILE = {
    "pk": "USER#p1",
    "username": "jane",
    "app_metadata": {"legacy_user_id": "auth0|5f7c", "plan": "gold"},
    "user_metadata": {"color": "blue"},
}


def a_rule(name: str, *forget_reads: str, **declared: Any) -> Manifest:
    more = {"purpose": "marketing", "external": True} | declared
    return a_manifest(name, stage="after_login", forget_reads=list(forget_reads), **more)


RULES = {
    manifest.name: manifest
    for manifest in (
        a_rule("analytics", "user.user_id", "user.app_metadata.legacy_user_id"),
        a_rule("crm", "user.known_as", "user.email", once_per_user=True),
        a_rule(
            "leads",
            "user.user_id",
            once_per_user=True,
            imported_markers=["user.app_metadata.recordedAsLead"],
        ),
        a_rule("chat"),
        a_rule("lookup", writes=["user.enrichment.somewhere"]),
    )
}
CHAIN = a_chain(*RULES.values(), analytics={"mode": "off"})


class Tables:
    """One table in place of both, and what lies in it."""

    def __init__(self, aws: EmbeddedAws, post: Post) -> None:
        self._client, self.name = aws.client("dynamodb"), post.table
        self.post = post
        self.markers = Markers(self._client, self.name)
        self.forgetter = Forgetter(
            self._client,
            profiles=self.name,
            sessions=self.name,
            pool="eu-west-1_Pool",
            chain=lambda: CHAIN,
            rules=RULES,
        )

    def put(self, **item: Any) -> None:
        self._client.put_item(TableName=self.name, Item=to_item(item))

    @property
    def items(self) -> dict[str, Any]:
        return {item["pk"]: item for item in map(from_item, self.post.items)}

    def announced(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.items["deleted#p1"]["announcement"])
        return found


@pytest.fixture
def rule() -> Rule:
    return Rule()


@pytest.fixture
def tables(aws: EmbeddedAws, rule: Rule) -> Tables:
    """What is kept of somebody who logged in and is a contact of the CRM."""
    found = Tables(aws, Post(aws, rule))
    found.put(**PROFILE)
    found.markers.finish("p1", "crm", "L1", "done", known_as="501")
    return found


# -- what is announced -----------------------------------------------------------------------------


def test_the_systems_that_were_told_are_asked(tables: Tables) -> None:
    done = tables.forgetter.forget("p1")

    assert done == Forgotten("forgotten", ("analytics", "crm"), ("chat", "lookup"))
    event = tables.announced()
    assert (event["type"], event["rules"]) == ("UserDeleted", ["analytics", "crm"])
    [analytics], [crm] = (event["views"][name]["deliveries"] for name in event["rules"])
    assert analytics["request"]["login"]["user"] == {
        "user_id": "p1",
        "app_metadata": {"legacy_user_id": "auth0|5f7c"},
    }
    assert crm["request"]["login"]["user"] == {"known_as": "501", "email": None}
    assert crm["request"]["login"]["event"] == {
        name: event[name] for name in ("id", "type", "occurred_at")
    }


def test_a_verified_address_is_told_where_somebody_knows_it(tables: Tables) -> None:
    tables.forgetter.forget("p1", email="jane@example.com")

    assert json.dumps(tables.announced()).count("jane@example.com") == 1
    [crm] = tables.announced()["views"]["crm"]["deliveries"]
    assert crm["request"]["login"]["user"]["email"] == "jane@example.com"


def test_an_import_says_whom_a_system_knows(tables: Tables) -> None:
    tables.put(**PROFILE | {"app_metadata": {"recordedAsLead": True}})

    assert tables.forgetter.forget("p1").told == ("analytics", "crm", "leads")


def test_settings_are_those_of_the_chain(tables: Tables) -> None:
    chain = a_chain(
        a_rule("crm", "user.known_as", configuration={"region": {"type": "string"}}),
        crm={"configuration": {"region": "eu"}},
    )

    replace(tables.forgetter, chain=lambda: chain).forget("p1")

    [crm] = tables.announced()["views"]["crm"]["deliveries"]
    assert crm["request"]["configuration"] == {"region": "eu"}


# -- what is removed -------------------------------------------------------------------------------


def test_nothing_is_left_of_the_person(tables: Tables) -> None:
    tables.markers.set_aside("p1", "an-entry-that-is-no-more", "L0", "misconfigured")
    tables.put(pk="ENRICHMENT#p1#somewhere", known={"status": "found"})
    tables.put(**PROFILE | {"pk": "USER#p2"})
    tables.markers.finish("p2", "crm", "L2", "done")
    others = {key: item for key, item in tables.items.items() if "#p2" in key}

    tables.forgetter.forget("p1")

    left = tables.items
    assert {key: left.pop(key) for key in others} == others
    assert set(left) == {"FORGOTTEN#p1", "deleted#p1"}
    lasts = left["FORGOTTEN#p1"]["expires_at"] - time.time()
    assert FORGOTTEN_SECONDS - 3600 < lasts <= FORGOTTEN_SECONDS
    assert left["deleted#p1"]["expires_at"] < left["FORGOTTEN#p1"]["expires_at"]


def test_a_person_whom_nobody_was_told_of_is_removed_without_an_event(tables: Tables) -> None:
    quiet = replace(tables.forgetter, chain=lambda: a_chain(RULES["chat"]))

    assert quiet.forget("p1") == Forgotten("forgotten", (), ("chat",))
    assert set(tables.items) == {"FORGOTTEN#p1"}


def test_more_markers_than_one_transaction_takes_go_too(tables: Tables) -> None:
    for number in range(120):
        tables.markers.finish("p1", f"entry-{number}", "L1", "done")

    tables.forgetter.forget("p1")

    assert set(tables.items) == {"FORGOTTEN#p1", "deleted#p1"}


# -- again, and nobody -----------------------------------------------------------------------------


def test_a_second_call_announces_nothing_and_clears_what_came_between(tables: Tables) -> None:
    tables.forgetter.forget("p1")
    first = tables.announced()
    tables.put(**PROFILE)

    assert tables.forgetter.forget("p1") == Forgotten("done_before")

    assert tables.announced() == first
    assert set(tables.items) == {"FORGOTTEN#p1", "deleted#p1"}


def test_of_two_calls_at_once_one_announces(aws: EmbeddedAws, tables: Tables) -> None:
    client = aws.client("dynamodb")
    client.meta.events.register(
        "provide-client-params.dynamodb.TransactWriteItems",
        lambda **_: tables.put(pk="FORGOTTEN#p1", at=1),  # by the other call, a moment before
    )

    late = replace(tables.forgetter, client=client)

    assert late.forget("p1") == Forgotten("done_before")
    assert "deleted#p1" not in tables.items
    assert "USER#p1" in tables.items


def test_of_somebody_who_never_logged_in_nobody_is_told_any_more(
    tables: Tables, rule: Rule
) -> None:
    before = tables.items

    assert tables.forgetter.forget("p3") == Forgotten("unknown_person")

    left = tables.items
    assert left.pop("FORGOTTEN#p3")["expires_at"] > time.time()
    assert left == before
    tables.post.send("L1", person="p3")
    assert tables.post.run() == []
    assert rule.delivered == []


# -- how it comes ----------------------------------------------------------------------------------


def cloud_trail(**detail: Any) -> dict[str, Any]:
    told = {"eventName": "AdminDeleteUser", "additionalEventData": {"sub": "p1"}}
    return {"detail-type": "AWS API Call via CloudTrail", "detail": told | detail}


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("AdminDeleteUser", {"userPoolId": "eu-west-1_Pool", "username": "***"}),
        ("DeleteUser", {"accessToken": "***"}),
        ("DeleteUser", None),
    ],
)
def test_a_deletion_that_cloud_trail_tells_of(tables: Tables, name: str, parameters: Any) -> None:
    event = cloud_trail(eventName=name, requestParameters=parameters)

    assert tables.forgetter.handle(event).outcome == "forgotten"


@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        pytest.param(cloud_trail(errorCode="UserNotFoundException"), "failed", id="failed"),
        pytest.param(cloud_trail(eventName="AdminDisableUser"), "no_deletion", id="none"),
        pytest.param(
            cloud_trail(requestParameters={"userPoolId": "eu-west-1_Other"}),
            "no_deletion",
            id="of another pool",
        ),
        pytest.param(cloud_trail(additionalEventData=None), "unknown_person", id="of nobody"),
        pytest.param(
            cloud_trail(additionalEventData={"sub": 7}), "unknown_person", id="of a number"
        ),
    ],
)
def test_nobody_is_forgotten_by_what_is_no_deletion(
    tables: Tables, event: dict[str, Any], outcome: str
) -> None:
    before = tables.items

    assert tables.forgetter.handle(event).outcome == outcome
    assert tables.items == before


# -- what comes too late ---------------------------------------------------------------------------


def test_a_message_of_before_is_told_to_nobody(tables: Tables, rule: Rule) -> None:
    tables.forgetter.forget("p1")
    tables.post.send("L9", person="p1")
    tables.post.send("L10", person="p2")

    with log_lines() as log:
        assert tables.post.run() == []

    assert rule.delivered == ["L10"]
    outcomes = {line["login_id"]: line["outcome"] for line in log.records}
    assert outcomes == {"L9": "user_deleted", "L10": "delivered"}
    assert not any(key.startswith("ONCE#p1") for key in tables.items)


def test_the_deletion_itself_is_delivered(aws: EmbeddedAws, rule: Rule) -> None:
    post = Post(aws, rule, a_rule("crm", "user.known_as"))
    post.send("D1", rule="crm", type="UserDeleted", person="p1")
    Tables(aws, post).put(pk="FORGOTTEN#p1", at=1)

    assert post.run() == []

    assert rule.delivered == ["D1"]


def test_a_rule_without_a_handler_gets_no_deletion(aws: EmbeddedAws, rule: Rule) -> None:
    post = Post(aws, rule, a_rule("chat"))
    post.send("D1", rule="chat", type="UserDeleted", person="p1")

    assert post.run() == []

    [(_, facts)] = post.dead
    assert facts["reason"] == "malformed"
    assert rule.delivered == []


# -- the id that a system gave ---------------------------------------------------------------------


def send_once(post: Post) -> None:
    request = {"version": 1, "login": {"event": {"id": "L1"}}, "configuration": {}}
    delivery = {"entry": "crm", "request": request, "once": True}
    post.send("L1", deliveries=[delivery], person="p1")


def test_the_id_is_kept_with_the_marker(aws: EmbeddedAws, rule: Rule) -> None:
    post = Post(aws, rule)
    rule.answers = [OK | {"known_as": "501"}]
    send_once(post)

    assert post.run() == []

    items = Tables(aws, post).items
    assert (items["ONCE#p1#crm"]["state"], items["ONCE#p1#crm"]["known_as"]) == ("done", "501")
    assert items["ONCE#p1"]["entries"] == ["crm"]


@pytest.mark.parametrize("known_as", ["", 501, "x" * 257], ids=["empty", "a number", "too long"])
def test_an_id_that_is_none_is_no_answer(aws: EmbeddedAws, rule: Rule, known_as: Any) -> None:
    post = Post(aws, rule)
    rule.answers = [OK | {"known_as": known_as}]
    send_once(post)

    assert post.run() == []

    [(_, facts)] = post.dead
    assert facts["reason"] == "rejected:invalid_answer"
