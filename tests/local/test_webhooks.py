"""Calls of FullContact with an answer that it did not have at once, against the tables."""

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from cognito_rules.aws import Aws
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.late_answers import NONCE_SECONDS, Asked, LateAnswers
from cognito_rules.markers import forgotten_key
from cognito_rules.second_hop import SecondHop
from cognito_rules.webhooks_door import MAX_BODY_BYTES, WebhooksDoor
from local.server import EmbeddedAws
from tests.log_lines import log_lines

KEPT = {"fields": ["title", "organization"], "ttl_days": 90}
ASKED = Asked("p1", "L1", "fullcontact", KEPT)
PROFILE = {
    "fullName": "Ann Doe",
    "title": "Engineer",
    "organization": "Acme",
    "details": {"emails": [{"value": "ann@home.test"}]},
}
FOUND = {"status": "found", "title": "Engineer", "organization": "Acme"}
NOW = 1_795_300_000
DAY = 24 * 3600


class Tables:
    """Both tables in one, the door before it, and a clock."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self.now = float(NOW)
        self.name = f"webhooks-{uuid4().hex[:8]}"
        self.client = aws.client("dynamodb")
        self.client.create_table(
            TableName=self.name,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": "pk", "AttributeType": "S"}],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}],
        )
        self.answers = self.answers_in(self.name)
        self.hop = SecondHop(
            self.client, profiles=self.name, sessions=self.name, clock=lambda: self.now
        )

    def answers_in(self, profiles: str) -> LateAnswers:
        return LateAnswers(Aws(), sessions=self.name, profiles=profiles, clock=lambda: self.now)

    def call(self, nonce: str, body: Any = PROFILE, *, raw: str | None = None) -> int:
        return self.at(WebhooksDoor(self.answers), nonce, json.dumps(body) if raw is None else raw)

    @staticmethod
    def at(door: WebhooksDoor, nonce: str, body: str) -> int:
        answer = door.handle({"pathParameters": {"nonce": nonce}, "body": body})
        return int(answer["statusCode"])

    def keep(self, status: str, facts: dict[str, Any] | None = None) -> None:
        effect = {"source": "fullcontact", "status": status, "expires_in": DAY}
        self.hop.keep("p1", [{**effect, "effect": "set_enrichment", "facts": facts or {}}])

    @property
    def items(self) -> dict[str, Any]:
        return {
            item["pk"]: item
            for item in map(from_item, self.client.scan(TableName=self.name)["Items"])
        }

    @property
    def known(self) -> Any:
        """What is known of the person."""
        return self.items.get("ENRICHMENT#p1#fullcontact", {}).get("known")


@pytest.fixture
def tables(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Tables:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    return Tables(aws)


def test_the_answer_is_of_the_one_who_was_asked_about_and_the_details_are_dropped(
    tables: Tables,
) -> None:
    tables.keep("pending")
    nonce = tables.answers.expect(ASKED)
    tables.now += 20

    assert tables.call(nonce, PROFILE | {"person": "p2", "source": "towerdata"}) == 204

    assert tables.items == {
        "ENRICHMENT#p1#fullcontact": {
            "pk": "ENRICHMENT#p1#fullcontact",
            "known": FOUND,
            "at": NOW + 20,
            "expires_at": NOW + 20 + 90 * DAY,
        }
    }


def test_a_nonce_is_good_for_one_answer(tables: Tables) -> None:
    nonce = tables.answers.expect(ASKED)

    assert [tables.call(nonce, {"title": title}) for title in ("Engineer", "Thief")] == [204, 404]

    assert tables.known == {"status": "found", "title": "Engineer"}


def test_of_calls_at_once_one_is_taken(tables: Tables) -> None:
    nonce, together = tables.answers.expect(ASKED), threading.Barrier(4)

    def call(number: int) -> int:
        door = WebhooksDoor(tables.answers_in(tables.name))
        together.wait()
        return tables.at(door, nonce, json.dumps({"title": f"number {number}"}))

    with ThreadPoolExecutor(4) as threads:
        statuses = list(threads.map(call, range(4)))

    assert sorted(statuses) == [204, 404, 404, 404]
    assert tables.known["title"] == f"number {statuses.index(204)}"


@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda nonce: "A" * 43, id="unknown"),
        pytest.param(lambda nonce: nonce[:-1], id="too short"),
        pytest.param(lambda nonce: nonce.swapcase(), id="in the other case"),
        pytest.param(lambda nonce: "", id="none"),
        pytest.param(lambda nonce: "webhook#" + nonce, id="a key"),
    ],
)
def test_nobody_else_can_answer(tables: Tables, forge: Callable[[str], str]) -> None:
    nonce = tables.answers.expect(ASKED)
    before = tables.items

    assert tables.call(forge(nonce)) == 404

    assert tables.items == before
    assert nonce not in json.dumps(before)
    assert tables.call(nonce) == 204


def test_a_nonce_of_another_source_opens_nothing(tables: Tables) -> None:
    nonce = tables.answers.expect(Asked("p1", "L1", "towerdata", KEPT))

    assert (tables.call(nonce), tables.known) == (404, None)


def test_a_nonce_is_good_for_fifteen_minutes(tables: Tables) -> None:
    first, second = tables.answers.expect(ASKED), tables.answers.expect(ASKED)
    assert NONCE_SECONDS == 15 * 60
    tables.now = NOW + NONCE_SECONDS

    assert (tables.call(first), tables.known) == (404, None)

    tables.now -= 1
    assert tables.call(second) == 204


def test_a_nonce_whose_time_ends_in_the_middle_stores_nothing(tables: Tables) -> None:
    nonce = tables.answers.expect(ASKED)
    tables.now = NOW + NONCE_SECONDS
    effect = {
        "effect": "set_enrichment",
        "source": "fullcontact",
        "status": "none",
        "expires_in": 9,
    }

    assert not tables.answers.take(nonce, ASKED, effect)
    assert tables.known is None


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(json.dumps(PROFILE | {"bio": "x" * MAX_BODY_BYTES}), id="too large"),
        pytest.param("", id="nothing"),
        pytest.param("<html>", id="a page"),
        pytest.param("[]", id="a list"),
        pytest.param("[" * 100_000, id="too deep"),
        pytest.param('{"title": NaN}', id="no number"),
    ],
)
def test_what_is_no_profile_is_refused_and_can_be_sent_again(tables: Tables, raw: str) -> None:
    nonce = tables.answers.expect(ASKED)

    assert (tables.call(nonce, raw=raw), tables.known) == (400, None)

    assert (tables.call(nonce), tables.known) == (204, FOUND)


@pytest.mark.parametrize(
    ("body", "known"),
    [
        pytest.param({"status": 404, "message": "no"}, {"status": "none"}, id="nobody"),
        pytest.param({"status": 500, "title": "Error"}, {"status": "failed"}, id="an error"),
        pytest.param({"status": "x", "title": "Error"}, {"status": "failed"}, id="who knows"),
        pytest.param({"title": {"a": 1}}, {"status": "none"}, id="values that are no texts"),
        pytest.param({"title": "E" * 500}, {"status": "found", "title": "E" * 100}, id="long"),
    ],
)
def test_an_error_is_not_data_and_a_text_is_short(
    tables: Tables, body: dict[str, Any], known: dict[str, Any]
) -> None:
    nonce = tables.answers.expect(ASKED)

    assert (tables.call(nonce, body), tables.known) == (204, known)


@pytest.mark.parametrize("status", ["found", "none"])
def test_an_answer_that_is_kept_is_not_replaced(tables: Tables, status: str) -> None:
    tables.keep(status)
    nonce = tables.answers.expect(ASKED)

    assert tables.call(nonce) == 404

    assert tables.known == {"status": status}


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_no_answer_is(tables: Tables, status: str) -> None:
    tables.keep(status)

    assert tables.call(tables.answers.expect(ASKED)) == 204

    assert tables.known == FOUND


def test_nothing_is_stored_of_somebody_who_was_forgotten_in_the_meantime(tables: Tables) -> None:
    nonce = tables.answers.expect(ASKED)
    gone = {"pk": forgotten_key("p1"), "at": NOW, "expires_at": NOW + DAY}
    tables.client.put_item(TableName=tables.name, Item=to_item(gone))

    assert (tables.call(nonce), tables.known) == (404, None)


def test_while_the_answer_cannot_be_stored_the_nonce_stays_good(tables: Tables) -> None:
    nonce = tables.answers.expect(ASKED)
    door = WebhooksDoor(tables.answers_in("no-such-table"))

    assert tables.at(door, nonce, json.dumps(PROFILE)) == 503

    assert tables.call(nonce) == 204


def test_the_log_names_the_login_and_holds_neither_nonce_nor_answer(tables: Tables) -> None:
    nonce = tables.answers.expect(ASKED)

    with log_lines() as log:
        tables.call(nonce)
        tables.call(nonce)

    first, second = log.records
    assert (first["status"], first["login_id"], first["user_id"]) == (204, "L1", "p1")
    assert (first["outcome"], second["status"]) == ("found", 404)
    text = json.dumps(log.records)
    assert not any(word in text for word in (nonce, "Engineer", "Acme", "Ann"))
