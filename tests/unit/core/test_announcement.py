"""What the after_login rules are told: each its own view, within what an item and the bus take."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_rules.announcement import MAX_BYTES, MAX_VIEW_BYTES, build_announcement
from cognito_rules.chain import Entry
from cognito_rules.fields import Facts
from tests.unit.core.chains import a_chain, a_manifest

OCCURRED_AT = "2026-11-22T12:00:00.000Z"
FACTS: Facts = {
    "user": {
        "user_id": "u1",
        "email": "jane@example.com",
        "attributes": {"custom:tenant": "acme"},
        "user_metadata": {"color": "blue"},
        "app_metadata": {"plan": "gold"},
        "groups": ["staff"],
    },
    "client": {"client_id": "c1", "name": "payroll"},
    "request": {"client_metadata": {"channel": "web"}},
    "stats": {"logins_count": 1},
}


def entries(*manifests: Any, **changes: Any) -> tuple[Entry, ...]:
    return a_chain(*manifests, **changes).entries


def listener(name: str = "tell", **declared: Any) -> Any:
    return a_manifest(name, **({"stage": "after_login"} | declared))


def announce(*listeners: Entry, facts: Facts | None = None, **details: Any) -> Any:
    given = {"event_id": "e-1", "occurred_at": OCCURRED_AT} | details
    event_type = given.pop("event_type", "LoginCompleted")
    text = build_announcement(event_type, listeners, facts or FACTS, **given).text
    return None if text is None else json.loads(text)


def view_of(announcement: Any, rule: str = "tell") -> Any:
    return announcement["views"][rule]["deliveries"][0]["request"]["login"]


# Who is not told ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("events", "event_type", "told"),
    [
        pytest.param(["LoginCompleted"], "LoginCompleted", True, id="who asks for it"),
        pytest.param(["LoginCompleted"], "LoginDenied", False, id="not of denials unless asked"),
        pytest.param(["LoginDenied"], "LoginCompleted", False, id="of denials alone"),
        pytest.param(["SignUpConfirmed"], "LoginCompleted", False, id="of sign-ups alone"),
        pytest.param([], "LoginCompleted", False, id="of nothing"),
    ],
)
def test_an_event_is_told_to(events: list[str], event_type: str, told: bool) -> None:
    found = announce(*entries(listener(events=events)), event_type=event_type)

    assert (found is not None) is told


def test_without_listeners_there_is_no_announcement() -> None:
    assert announce() is None


def test_a_time_that_is_none_is_a_fault_of_ours() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        announce(*entries(listener()), occurred_at="yesterday")


# What is told ---------------------------------------------------------------------------------


def test_a_view_holds_what_its_manifest_reads_and_nothing_else() -> None:
    found = announce(
        *entries(
            listener("mailer", reads=["user.email"]),
            listener("counter", reads=["stats.logins_count", "request.ip"]),
            listener("blind"),
        )
    )

    assert view_of(found, "mailer") == {
        "user": {"email": "jane@example.com"},
        "now": OCCURRED_AT,
        "unknown": [],
    }
    assert view_of(found, "counter") == {
        "stats": {"logins_count": 1},
        "request": {"ip": None},
        "now": OCCURRED_AT,
        "unknown": ["request.ip"],
    }
    assert view_of(found, "blind") == {"now": OCCURRED_AT, "unknown": []}


def test_the_envelope_names_no_person() -> None:
    found = announce(*entries(listener(reads=["user"])))

    del found["views"]
    assert found == {
        "schema": 1,
        "id": "e-1",
        "type": "LoginCompleted",
        "occurred_at": OCCURRED_AT,
        "first_login": False,
        "rules": ["tell"],
    }


def test_two_entries_of_one_rule_are_two_deliveries_of_one_view() -> None:
    manifest = listener(configuration={"url": {"type": "string"}})
    chain = a_chain(
        manifest,
        rules=[
            {"rule": "tell", "id": "one", "configuration": {"url": "a"}},
            {"rule": "tell", "id": "two", "configuration": {"url": "b"}},
        ],
    )

    found = announce(*chain.entries)

    assert found["rules"] == ["tell"]
    view = found["views"]["tell"]
    assert (view["event_id"], view["rule"]) == ("e-1", "tell")
    assert [
        (delivery["entry"], delivery["request"]["configuration"]["url"])
        for delivery in view["deliveries"]
    ] == [("one", "a"), ("two", "b")]


def test_the_event_is_told_to_who_reads_it() -> None:
    found = announce(
        *entries(
            listener("security", events=["LoginDenied"], reads=["event"]),
            listener("other", events=["LoginDenied"], reads=["event.type"]),
        ),
        event_type="LoginDenied",
        code="user_flagged",
    )

    assert view_of(found, "security")["event"] == {
        "id": "e-1",
        "type": "LoginDenied",
        "occurred_at": OCCURRED_AT,
        "first_login": False,
        "code": "user_flagged",
    }
    assert view_of(found, "other")["event"] == {"type": "LoginDenied"}
    assert "user_flagged" not in json.dumps(found["views"]["other"])


def test_a_first_login_says_so() -> None:
    found = announce(*entries(listener(reads=["event.first_login"])), first_login=True)

    assert found["first_login"] is True
    assert view_of(found)["event"] == {"first_login": True}


def test_an_ordinary_announcement_is_not_cut() -> None:
    assert "truncated" not in announce(*entries(listener(reads=["user"])))


# What does not fit ----------------------------------------------------------------------------

EVERYTHING = [
    "user.user_id",
    "user.email",
    "user.attributes",
    "user.user_metadata",
    "user.app_metadata",
    "request.client_metadata",
    "client.client_id",
    "event.type",
]


@pytest.mark.parametrize(
    "large",
    [
        pytest.param({"user": {"user_metadata": {"x": "v" * MAX_BYTES}}}, id="metadata"),
        pytest.param({"user": {"app_metadata": {"x": ["v" * 1_000] * 400}}}, id="app metadata"),
        pytest.param({"request": {"client_metadata": {"x": "v" * MAX_BYTES}}}, id="the caller's"),
        pytest.param({"request": {"client_metadata": {"x": "ö" * 60_000}}}, id="in unicode"),
        pytest.param({"user": {"attributes": {f"custom:{n}": "v" * 2_048 for n in range(200)}}}),
        pytest.param({"user": {"email": "v" * MAX_BYTES}}, id="a field without end"),
    ],
)
def test_a_person_cannot_grow_out_of_being_announced(large: dict[str, Any]) -> None:
    facts = {section: {**fields, **large.get(section, {})} for section, fields in FACTS.items()}
    listeners = entries(
        listener("splunk", reads=EVERYTHING), listener("crm", reads=["user.user_id"])
    )

    text = build_announcement(
        "LoginCompleted", listeners, facts, event_id="e-1", occurred_at=OCCURRED_AT
    ).text

    assert text is not None
    assert len(text.encode()) <= MAX_BYTES
    found = json.loads(text)
    assert found["truncated"] is True
    view = view_of(found, "splunk")
    assert len(json.dumps(found["views"]["splunk"]).encode()) <= MAX_VIEW_BYTES
    assert view["user"]["user_id"] == "u1"
    assert view["client"]["client_id"] == "c1"
    assert view["event"]["type"] == "LoginCompleted"
    [(section, fields)] = large.items()
    [name] = fields
    assert view[section][name] is None
    assert f"{section}.{name}" in view["unknown"]


def test_fields_that_fit_stay_when_maps_do_not() -> None:
    user = FACTS["user"] | {"user_metadata": {"x": "v" * MAX_BYTES}}

    found = announce(*entries(listener(reads=EVERYTHING)), facts=FACTS | {"user": user})

    assert view_of(found)["user"]["email"] == "jane@example.com"


def test_one_view_must_fit_the_bus_even_where_all_fit_the_table() -> None:
    user = FACTS["user"] | {"user_metadata": {"x": "v" * MAX_VIEW_BYTES}}

    found = announce(*entries(listener(reads=EVERYTHING)), facts=FACTS | {"user": user})

    assert found["truncated"] is True


def test_many_listeners_share_the_room() -> None:
    user = FACTS["user"] | {"user_metadata": {"x": "v" * 50_000}}
    listeners = entries(*(listener(f"tell{n}", reads=EVERYTHING) for n in range(20)))

    found = announce(*listeners, facts=FACTS | {"user": user})

    assert found["truncated"] is True
    assert len(found["views"]) == 20


# The second hop, and once for each person ------------------------------------------------------


def enricher(name: str = "enrich", source: str = "vendor", **declared: Any) -> Any:
    return listener(name, writes=[f"user.enrichment.{source}"], **declared)


def lead(name: str = "lead", source: str = "vendor", **declared: Any) -> Any:
    reads = [f"user.enrichment.{source}", "user.email"]
    return listener(name, reads=reads, once_per_user=True, **declared)


def delivery_of(announcement: Any, rule: str) -> Any:
    return announcement["views"][rule]["deliveries"][0]


def test_who_reads_what_another_writes_waits_for_it() -> None:
    found = announce(*entries(enricher(), lead(), listener()))

    told = {rule: set(delivery_of(found, rule)) - {"entry", "request"} for rule in found["views"]}
    assert told == {
        "lead": {"once", "waits_for", "sources"},
        "enrich": {"needed_by"},
        "tell": set(),
    }
    assert delivery_of(found, "lead")["waits_for"] == ["enrich"]
    assert delivery_of(found, "lead")["sources"] == ["vendor"]
    assert delivery_of(found, "enrich")["needed_by"] == ["lead"]
    assert {rule: view.get("person") for rule, view in found["views"].items()} == {
        "enrich": "u1",
        "lead": "u1",
        "tell": None,
    }


def test_what_nobody_knows_yet_is_unknown_in_the_view() -> None:
    login = view_of(announce(*entries(enricher(), lead())), "lead")

    assert login["user"] == {"enrichment": None, "email": "jane@example.com"}
    assert login["unknown"] == ["user.enrichment"]


@pytest.mark.parametrize(
    ("manifests", "waits_for"),
    [
        pytest.param([enricher(), lead(source="another")], [], id="another source"),
        pytest.param([lead(), enricher()], [], id="what comes later"),
        pytest.param(
            [enricher(), enricher("enrich2"), lead()], ["enrich", "enrich2"], id="for two"
        ),
    ],
)
def test_an_entry_waits(manifests: list[Any], waits_for: list[str]) -> None:
    found = announce(*entries(*manifests))

    assert delivery_of(found, "lead").get("waits_for", []) == waits_for


def not_told(*listeners: Entry) -> dict[str, str]:
    return dict(
        build_announcement(
            "LoginCompleted", listeners, FACTS, event_id="e-1", occurred_at=OCCURRED_AT
        ).not_told
    )


@pytest.mark.parametrize(
    ("manifests", "reasons"),
    [
        pytest.param([enricher()], {"enrich": "not_needed"}, id="nobody reads it"),
        pytest.param([lead(), enricher()], {"enrich": "not_needed"}, id="who reads it came before"),
        pytest.param(
            [enricher(), lead(purpose="marketing")],
            {"lead": "no_consent", "enrich": "not_needed"},
            id="who reads it is not told: nothing is paid for a lead that will not be made",
        ),
        pytest.param(
            [enricher(purpose="enrichment"), lead()],
            {"enrich": "no_consent"},
            id="a refused enrichment leaves the lead",
        ),
        pytest.param(
            [
                enricher(),
                listener(
                    "middle", reads=["user.enrichment.vendor"], writes=["user.enrichment.second"]
                ),
                lead(source="second"),
            ],
            {},
            id="through another one",
        ),
    ],
)
def test_an_enrichment_is_not_made_for_nobody(
    manifests: list[Any], reasons: dict[str, str]
) -> None:
    assert not_told(*entries(*manifests)) == reasons


def test_an_enrichment_that_nobody_waits_for_does_not_hold_up_the_lead() -> None:
    found = announce(*entries(enricher(purpose="enrichment"), lead()))

    # Nor is it told what was kept while the person agreed.
    assert set(delivery_of(found, "lead")) == {"entry", "request", "once"}


def test_an_enrichment_is_told_what_is_kept_of_its_own_source() -> None:
    asks_once = enricher(reads=["user.enrichment.vendor"])

    found = announce(*entries(asks_once, lead()))

    assert delivery_of(found, "enrich")["sources"] == ["vendor"]


def test_an_enrichment_that_is_read_at_every_login_is_always_needed() -> None:
    every_time = listener("every", reads=["user.enrichment.vendor"])

    found = announce(*entries(enricher(), lead(), every_time))

    assert "needed_by" not in delivery_of(found, "enrich")


def test_an_entry_can_run_once_though_its_rule_does_not() -> None:
    found = announce(*entries(listener(), tell={"once_per_user": True}))

    assert delivery_of(found, "tell")["once"] is True
    assert found["views"]["tell"]["person"] == "u1"


@pytest.mark.parametrize(
    ("purpose", "forget_reads", "person"),
    [
        pytest.param("operations", [], "u1", id="nobody hears of who was deleted"),
        pytest.param("security", [], None, id="but records of security"),
        pytest.param("security", ["user.user_id"], "u1", id="that cannot forget anybody"),
    ],
)
def test_deliver_is_told_who_it_is(
    purpose: str, forget_reads: list[str], person: str | None
) -> None:
    found = announce(*entries(listener(purpose=purpose, forget_reads=forget_reads)))

    assert found["views"]["tell"].get("person") == person
    assert view_of(found) == {"now": OCCURRED_AT, "unknown": []}


def test_an_entry_can_run_every_time_though_its_rule_does_not() -> None:
    found = announce(*entries(lead(), lead={"once_per_user": False}))

    assert "once" not in delivery_of(found, "lead")
