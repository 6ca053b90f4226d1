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
    text = build_announcement(event_type, listeners, facts or FACTS, **given)
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
    )

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
