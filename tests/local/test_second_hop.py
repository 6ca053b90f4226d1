"""An entry that reads what another writes waits for it, is enriched, and is not lost with it."""

import time
from typing import Any

import pytest

from cognito_rules.second_hop import LONGEST_PENDING, LONGEST_WAIT, enrichment_item
from local.server import EmbeddedAws
from tests.local.post import BUSY, MAX_RECEIVES, OK, Post, Rule, a_fault
from tests.unit.core.chains import a_manifest

AFTER: dict[str, Any] = {"stage": "after_login", "events": ["LoginCompleted"], "timeout_ms": 1000}
ENRICHER = a_manifest(
    "enrich",
    purpose="enrichment",
    reads=["user.enrichment.vendor"],
    writes=["user.enrichment.vendor"],
    **AFTER,
)
LEAD = a_manifest("lead", purpose="marketing", reads=["user.enrichment.vendor", "event"], **AFTER)
FOUND: dict[str, Any] = {
    "version": 1,
    "effects": [
        {
            "effect": "set_enrichment",
            "source": "vendor",
            "status": "found",
            "facts": {"title": "Engineer"},
            "expires_in": 3600,
        }
    ],
}

PENDING: dict[str, Any] = {
    "version": 1,
    "effects": [
        {
            "effect": "set_enrichment",
            "source": "vendor",
            "status": "pending",
            "expires_in": 24 * 3600,
        }
    ],
}


@pytest.fixture
def rule() -> Rule:
    rule = Rule()
    rule.answers_of = {"enrich": FOUND, "lead": OK}
    return rule


@pytest.fixture
def post(aws: EmbeddedAws, rule: Rule) -> Post:
    return Post(aws, rule, ENRICHER, LEAD)


def request(event_id: str) -> dict[str, Any]:
    login = {
        "event": {"id": event_id},
        "user": {"enrichment": None},
        "unknown": ["user.enrichment"],
    }
    return {"version": 1, "login": login, "configuration": {}}


def send_enrichment(post: Post, event_id: str = "L1", **delivery: Any) -> None:
    whole = {"entry": "enrich", "request": request(event_id), "sources": ["vendor"], **delivery}
    post.send(event_id, rule="enrich", person="p1", deliveries=[whole])


def send_lead(post: Post, event_id: str = "L1", **delivery: Any) -> None:
    whole = {
        "entry": "lead",
        "request": request(event_id),
        "waits_for": ["enrich"],
        "sources": ["vendor"],
        "once": True,
        **delivery,
    }
    post.send(event_id, rule="lead", person="p1", deliveries=[whole])


def lead_request(rule: Rule) -> dict[str, Any]:
    [(_, sent)] = [
        pair for pair in zip(rule.invoked, rule.requests, strict=True) if pair[0][0] == "lead"
    ]
    login: dict[str, Any] = sent["login"]
    return login


def invoked(rule: Rule) -> list[str]:
    return [name for name, _, _ in rule.invoked]


def test_the_lead_waits_for_the_enrichment_and_has_its_facts(post: Post, rule: Rule) -> None:
    send_lead(post)
    [lead] = post.receive()
    assert len(post.deliver([lead])) == 1
    assert (rule.invoked, post.hidden_for) == ([], [2])

    send_enrichment(post)
    assert post.run() == []
    post.hurry(lead)
    assert post.run() == []

    assert invoked(rule) == ["enrich", "lead"]
    login = lead_request(rule)
    assert login["user"]["enrichment"] == {"vendor": {"status": "found", "title": "Engineer"}}
    assert login["unknown"] == []


def test_what_is_kept_expires(post: Post, rule: Rule) -> None:
    send_enrichment(post)
    post.run()
    [item] = post.kept("ENRICHMENT#p1#").values()
    assert item["expires_at"] == item["at"] + 3600
    post.now = lambda: time.time() + 3601
    send_lead(post)

    post.run()

    assert lead_request(rule)["user"]["enrichment"] == {}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        pytest.param(a_fault("http_422", retryable=False), "rejected:http_422", id="rejected"),
        pytest.param(a_fault("misconfigured", retryable=False), "misconfigured", id="set aside"),
        pytest.param(
            {"version": 1, "effects": [{"effect": "set_app_metadata", "key": "a", "value": 1}]},
            "misconfigured",
            id="an effect that it did not declare",
        ),
        pytest.param(
            {"version": 1, "effects": [FOUND["effects"][0] | {"status": "perhaps"}]},
            "rejected:invalid_answer",
            id="an illegal effect",
        ),
    ],
)
def test_an_enrichment_that_failed_for_good_lets_the_lead_go(
    post: Post, rule: Rule, answer: dict[str, Any], reason: str
) -> None:
    rule.answers_of["enrich"] = answer
    send_enrichment(post)
    post.run()
    send_lead(post)

    assert post.run() == []

    assert [a["reason"] for _, a in post.dead] == [reason]
    assert invoked(rule) == ["enrich", "lead"]
    assert lead_request(rule)["user"]["enrichment"] == {}
    assert post.kept("ENRICHMENT#") == {}


def test_an_enrichment_whose_vendor_stays_down_is_waited_for_a_minute(
    post: Post, rule: Rule
) -> None:
    rule.answers_of["enrich"] = BUSY
    send_enrichment(post)
    [enrichment] = post.receive()
    post.deliver([enrichment])
    send_lead(post)
    [lead] = post.receive()
    assert len(post.deliver([lead])) == 1
    sent = int(lead["attributes"]["SentTimestamp"])
    lead["attributes"]["SentTimestamp"] = str(round(sent - LONGEST_WAIT * 1000 - 1))

    assert post.deliver([lead]) == []

    assert invoked(rule) == ["enrich", "lead"]
    # Nobody is there any more whom it could be for: the vendor is not asked, or paid, again.
    send_enrichment(post, "L2", needed_by=["lead"])
    assert post.run() == []
    assert invoked(rule) == ["enrich", "lead"]


def test_the_lead_goes_though_the_enrichment_never_ran(post: Post, rule: Rule) -> None:
    send_lead(post)
    [lead] = post.receive()
    lead["attributes"]["SentTimestamp"] = str(round((time.time() - LONGEST_WAIT) * 1000))

    assert post.deliver([lead]) == []

    assert invoked(rule) == ["lead"]


def test_waiting_leaves_enough_receives_for_a_vendor_that_is_down(post: Post) -> None:
    hop = post.deliverer._hop
    sent, waited, attempts = post.now(), 0.0, 0
    post.now = lambda: sent + waited
    while pause := hop.wait(
        "L1", ["enrich"], person="p1", sources=[], sent_at=sent, attempts=(attempts := attempts + 1)
    ):
        waited += pause

    assert (waited, attempts - 1) == (LONGEST_WAIT, 5)


def test_so_does_waiting_for_a_call_that_was_promised_at_the_last_moment(post: Post) -> None:
    hop = post.deliverer._hop
    sent, waited, attempts = float(int(post.now())), 0.0, 0
    post.now = lambda: sent + waited
    while pause := hop.wait(
        "L1",
        ["enrich"],
        person="p1",
        sources=["vendor"],
        sent_at=sent,
        attempts=(attempts := attempts + 1),
    ):
        waited += pause
        if waited == LONGEST_WAIT:
            hop.keep("p1", PENDING["effects"])
            hop.answered("L1", "enrich")

    assert (waited, attempts - 1) == (LONGEST_WAIT + LONGEST_PENDING, 7)


# -- an answer that comes later, by a call of the vendor's own -------------------------------------


def calls_back(post: Post) -> None:
    """Put what the endpoint of late answers puts when the vendor calls."""
    item = enrichment_item("p1", FOUND["effects"][0], at=int(post.now()))
    post.put(item)


def promised(post: Post, rule: Rule) -> dict[str, Any]:
    """Let the vendor say that it will call; return the message of the lead, which waits."""
    rule.answers_of["enrich"] = PENDING
    send_enrichment(post)
    assert post.run() == []
    send_lead(post)
    [lead] = post.receive()
    assert len(post.deliver([lead])) == 1
    return lead


def test_a_lead_waits_for_the_call_and_has_its_facts(post: Post, rule: Rule) -> None:
    lead = promised(post, rule)
    assert (invoked(rule), post.hidden_for) == (["enrich"], [2])

    calls_back(post)

    assert post.deliver([lead]) == []
    assert invoked(rule) == ["enrich", "lead"]
    assert lead_request(rule)["user"]["enrichment"]["vendor"]["title"] == "Engineer"


def test_a_call_that_does_not_come_is_waited_for_two_minutes(post: Post, rule: Rule) -> None:
    lead = promised(post, rule)
    began = time.time()
    post.now = lambda: began + LONGEST_PENDING - 2
    assert len(post.deliver([lead])) == 1
    post.now = lambda: began + LONGEST_PENDING

    assert post.deliver([lead]) == []

    assert lead_request(rule)["user"]["enrichment"] == {"vendor": {"status": "pending"}}


def test_a_call_after_that_makes_no_second_lead(post: Post, rule: Rule) -> None:
    lead = promised(post, rule)
    began = time.time()
    post.now = lambda: began + LONGEST_PENDING
    post.deliver([lead])

    calls_back(post)
    send_lead(post)  # a copy
    send_lead(post, "L2")
    assert post.run() == []

    assert invoked(rule) == ["enrich", "lead"]


def test_a_lead_of_another_login_waits_for_the_same_call(post: Post, rule: Rule) -> None:
    promised(post, rule)
    rule.answers_of["enrich"] = OK  # it sees what is pending, and does not ask
    send_enrichment(post, "L2")
    post.run()
    send_lead(post, "L2")
    [other] = post.receive()

    assert len(post.deliver([other])) == 1
    assert "lead" not in invoked(rule)


@pytest.mark.parametrize("status", ["pending", "failed"])
def test_a_call_that_comes_before_the_rules_own_answer_stays(
    post: Post, rule: Rule, status: str
) -> None:
    """After a timeout, too, the vendor may call."""
    rule.answers_of["enrich"] = {
        "version": 1,
        "effects": [{**PENDING["effects"][0], "status": status}],
    }
    rule.before_answer = lambda: calls_back(post)
    send_enrichment(post)

    assert post.run() == []

    [item] = post.kept("ENRICHMENT#p1#").values()
    assert item["known"] == {"status": "found", "title": "Engineer"}


def test_what_has_expired_gives_way_to_a_promise(post: Post, rule: Rule) -> None:
    calls_back(post)
    began = time.time()
    post.now = lambda: began + 3601
    rule.answers_of["enrich"] = PENDING
    send_enrichment(post)

    post.run()

    [item] = post.kept("ENRICHMENT#p1#").values()
    assert item["known"] == {"status": "pending"}


# -- crashes, other logins, dead letters -----------------------------------------------------------


def test_a_crash_after_the_answer_was_noted_asks_nobody_again(post: Post, rule: Rule) -> None:
    answered, post.deliverer._hop.answered = post.deliverer._hop.answered, crash  # type: ignore[method-assign,assignment]
    send_enrichment(post)
    [record] = post.receive()
    with pytest.raises(SystemExit):
        post.deliver([record])
    post.deliverer._hop.answered = answered  # type: ignore[method-assign]

    assert post.deliver([record]) == []
    send_lead(post)
    assert post.run() == []

    assert invoked(rule) == ["enrich", "lead"]


def crash(*args: Any) -> None:
    raise SystemExit


def test_two_events_of_a_person_ask_for_the_same_thing_one_after_the_other(
    post: Post, rule: Rule
) -> None:
    send_enrichment(post, "L2")
    [second] = post.receive()
    failed: list[str] = []

    def meanwhile() -> None:
        rule.before_answer = lambda: None
        failed.extend(post.deliver([second], deliverer=post.another_environment()))

    rule.before_answer = meanwhile
    send_enrichment(post, "L1")

    assert post.run() == []
    assert failed == [second["messageId"]]
    assert rule.delivered == ["L1"]
    assert post.kept("ONCE#") == {}
    post.hurry(second)
    assert post.run() == []
    # The rule sees what is kept, and need not ask.
    assert rule.requests[1]["login"]["user"]["enrichment"]["vendor"]["title"] == "Engineer"


def test_an_enrichment_is_not_asked_for_a_lead_that_exists(post: Post, rule: Rule) -> None:
    send_lead(post, waits_for=[])
    post.run()
    send_enrichment(post, "L2", needed_by=["lead"])

    assert post.run() == []

    assert invoked(rule) == ["lead"]


def test_a_lead_that_fails_keeps_the_enrichment_and_asks_for_it_once(
    post: Post, rule: Rule
) -> None:
    send_enrichment(post)
    post.run()
    rule.answers_of["lead"] = BUSY
    send_lead(post)
    [lead] = post.receive()
    post.deliver([lead])
    rule.answers_of["lead"] = OK
    post.hurry(lead)

    post.run()

    assert invoked(rule) == ["enrich", "lead", "lead"]
    assert rule.requests[-1]["login"]["user"]["enrichment"]["vendor"]["title"] == "Engineer"


def test_a_dead_letter_of_the_second_hop_can_be_replayed(post: Post, rule: Rule) -> None:
    send_enrichment(post)
    post.run()
    rule.answers_of["lead"] = BUSY
    send_lead(post)
    [lead] = post.receive()
    lead["attributes"]["ApproximateReceiveCount"] = str(MAX_RECEIVES)
    post.deliver([lead])
    [letter] = post.receive(url=post.dead_url)
    assert "Engineer" not in letter["body"]  # it is read again, if it is still kept
    rule.answers_of["lead"] = OK

    post.send_text(letter["body"])
    assert post.run() == []

    assert invoked(rule) == ["enrich", "lead", "lead"]
