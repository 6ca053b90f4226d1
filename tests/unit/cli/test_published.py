"""What a rule that is new hears of an old event: what it reads, of what was published."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.published import NOT_FOR_IT, Published
from cognito_rules.announcement import build_announcement
from cognito_rules.chain import Entry, When
from cognito_rules.fields import Facts
from cognito_rules.manifest import Manifest
from cognito_rules.regions import RegionOverride
from tests.unit.core.chains import a_manifest

AT = "2026-11-22T09:30:00.000Z"
AGREED: Facts = {"user": {"user_metadata": {"consent": {"analytics": True, "marketing": True}}}}
LOGIN: Facts = {
    "user": {
        "user_id": "u-1",
        "name": "Ann",
        "email": "ann@example.com",
        "email_verified": True,
        "picture": "https://example.com/ann.png",
        "user_metadata": {"color": "blue", "size": "M"} | AGREED["user"]["user_metadata"],
        "app_metadata": {"plan": "gold"},
    },
    "client": {"client_id": "c-1", "name": "payroll"},
    "request": {"client_metadata": {"theme": "dark"}, "geoip": {"country_code": "US"}},
}
AMERICA = RegionOverride({"US": "opt_out"}, "opt_in")


def a_rule(name: str, *reads: str, purpose: str = "security", **more: Any) -> Manifest:
    declared = {"events": ["LoginCompleted"], "on_error": "continue", **more}
    return a_manifest(
        name, stage="after_login", purpose=purpose, reads=["event", *reads], **declared
    )


def an_entry(manifest: Manifest, **changes: Any) -> Entry:
    return Entry(id=manifest.name, index=0, manifest=manifest, **changes)


def published(*told: Manifest, login: Facts = LOGIN) -> Published:
    """Return what an event published that was announced to ``told``."""
    text = build_announcement(
        "LoginCompleted",
        [an_entry(manifest) for manifest in told],
        login,
        event_id="e-1",
        occurred_at=AT,
    ).text
    assert text is not None
    return Published.by(json.loads(text), {manifest.name: manifest for manifest in told})


def login_of(event: Published, entry: Entry) -> Any:
    delivery = event.delivery(entry)
    assert delivery["entry"] == entry.id
    return delivery["request"]["login"]


def test_it_hears_what_it_reads_of_what_several_rules_were_told() -> None:
    event = published(a_rule("one", "user.user_id"), a_rule("two", "user.name", "client.name"))

    login = login_of(event, an_entry(a_rule("new", "user.user_id", "client.name")))

    assert login.pop("event")["id"] == "e-1"
    assert login == {
        "user": {"user_id": "u-1"},
        "client": {"name": "payroll"},
        "now": AT,
        "unknown": ["event.code"],
    }


def test_what_nobody_was_told_is_unknown() -> None:
    event = published(a_rule("one", "user.user_id"))

    login = login_of(event, an_entry(a_rule("new", "user.user_id", "user.picture", "request.ip")))

    assert login["user"] == {"user_id": "u-1", "picture": None}
    assert {"user.picture", "request.ip"} <= set(login["unknown"])


def test_what_was_unknown_to_one_rule_and_known_to_another_is_known() -> None:
    # Marketing does not hear of an address that nobody proved; the security log does.
    unproven = {**LOGIN, "user": LOGIN["user"] | {"email_verified": False}}
    event = published(
        a_rule("crm", "user.email", "user.user_id", purpose="marketing"),
        a_rule("log", "user.email"),
        login=unproven,
    )

    assert login_of(event, an_entry(a_rule("new", "user.email")))["user"] == {
        "email": "ann@example.com"
    }


@pytest.mark.parametrize(
    ("told", "known"),
    [
        pytest.param(a_rule("log", "user.email"), False, id="whether it was proven is unknown"),
        pytest.param(a_rule("log", "user.email", "user.email_verified"), True, id="it was proven"),
        pytest.param(
            a_rule("crm", "user.email", purpose="marketing"), True, id="marketing was told it"
        ),
    ],
)
def test_marketing_hears_of_a_proven_address_only(told: Manifest, known: bool) -> None:
    login = login_of(published(told), an_entry(a_rule("new", "user.email", purpose="marketing")))

    assert login["user"]["email"] == ("ann@example.com" if known else None)


@pytest.mark.parametrize(
    ("told", "reads", "metadata", "unknown"),
    [
        pytest.param("user.user_metadata", "user.user_metadata.color", {"color": "blue"}, []),
        pytest.param("user.user_metadata.color", "user.user_metadata.color", {"color": "blue"}, []),
        pytest.param(
            "user.user_metadata.color",
            "user.user_metadata.size",
            None,
            ["user.user_metadata"],
            id="another key",
        ),
        pytest.param(
            "user.user_metadata.color",
            "user.user_metadata",
            None,
            ["user.user_metadata"],
            id="all of it",
        ),
        pytest.param("user.user_metadata", "user.user_metadata.none", {}, [], id="not set then"),
    ],
)
def test_the_keys_of_a_map_are_published_one_by_one(
    told: str, reads: str, metadata: Any, unknown: list[str]
) -> None:
    login = login_of(published(a_rule("one", told)), an_entry(a_rule("new", reads)))

    assert login["user"]["user_metadata"] == metadata
    assert [path for path in login["unknown"] if path != "event.code"] == unknown


def test_a_key_beside_a_known_one_is_unknown() -> None:
    event = published(a_rule("one", "user.user_metadata.color"))

    login = login_of(
        event, an_entry(a_rule("new", "user.user_metadata.color", "user.user_metadata.size"))
    )

    assert login["user"]["user_metadata"] == {"color": "blue"}
    assert "user.user_metadata.size" in login["unknown"]


def test_a_rule_that_was_told_then_is_told_the_same_again() -> None:
    rule = a_rule("one", "user.name")
    event = published(rule, a_rule("two", "user.user_id"))

    wider = a_rule("one", "user.name", "user.user_id")

    assert login_of(event, an_entry(wider))["user"] == {"name": "Ann"}


@pytest.mark.parametrize(
    ("changes", "told", "person", "expected"),
    [
        pytest.param({}, ["user.user_id"], {}, None, id="security asks nobody"),
        pytest.param(
            {"when": When(applications=("payroll",))},
            ["client.name"],
            {},
            None,
            id="its application",
        ),
        pytest.param(
            {"when": When(applications=("payroll",))},
            ["user.user_id"],
            {},
            NOT_FOR_IT,
            id="an application that nobody was told",
        ),
        pytest.param(
            {"rollout": 1}, ["user.name"], {}, NOT_FOR_IT, id="a percentage of unknown people"
        ),
        pytest.param(
            {"require_consent": "opt_in"}, ["user.user_id"], {}, "no_consent", id="no answer"
        ),
        pytest.param({"require_consent": "opt_in"}, ["user.user_id"], AGREED, None, id="agreed"),
        pytest.param(
            {"require_consent": "opt_out"},
            ["user.user_id"],
            {},
            "no_consent",
            id="may refuse, and the browser's signal is unknown",
        ),
        pytest.param(
            {"require_consent": "opt_out"},
            ["user.user_id", "request.client_metadata"],
            {},
            None,
            id="may refuse, and the browser's signal is known",
        ),
        pytest.param(
            {"require_consent": "opt_in"},
            ["user.user_id", "user.user_metadata.consent"],
            {"user": {"user_metadata": {"consent": {"analytics": False}}}},
            "no_consent",
            id="refused since",
        ),
        pytest.param(
            {"region_override": AMERICA},
            ["user.user_id", "request.client_metadata"],
            {},
            "no_consent",
            id="the country was told to nobody: the strictest",
        ),
        pytest.param(
            {"region_override": AMERICA},
            ["user.user_id", "request.client_metadata", "request.geoip"],
            {},
            None,
            id="the country was told to a rule",
        ),
    ],
)
def test_whether_it_is_told(
    changes: Any, told: list[str], person: Facts, expected: str | None
) -> None:
    event = published(a_rule("one", *told))
    entry = an_entry(a_rule("new", "user.user_id", purpose="analytics"), **changes)

    assert event.obstacle(entry, person) == expected


def test_a_required_field_that_nobody_was_told_keeps_the_event_back() -> None:
    event = published(a_rule("one", "user.user_id"))

    assert event.obstacle(an_entry(a_rule("new", "user.name!")), {}) == "context_missing"
    assert event.obstacle(an_entry(a_rule("new", "user.user_id!")), {}) is None


def test_an_event_of_another_type_is_not_for_it() -> None:
    event = published(a_rule("one", "user.user_id"))

    assert event.obstacle(an_entry(a_rule("new", events=["SignUpConfirmed"])), {}) == NOT_FOR_IT


def test_a_view_says_that_something_was_left_out() -> None:
    event = published(a_rule("one"))
    detail = {**event.detail, "truncated": True}

    view = Published.by(detail, {}).view("new", [])

    assert view == {
        "schema": 1,
        "type": "LoginCompleted",
        "occurred_at": AT,
        "truncated": True,
        "event_id": "e-1",
        "rule": "new",
        "deliveries": [],
    }


def test_another_schema_is_an_error() -> None:
    with pytest.raises(ValueError, match="schema"):
        Published.by({"schema": 2, "views": {}}, {})


# -- once for each person --------------------------------------------------------------------------


def a_lead(**more: Any) -> Manifest:
    declared: dict[str, Any] = {
        "once_per_user": True,
        "imported_markers": ["user.app_metadata.lead"],
    }
    return a_rule("lead", "user.email", **declared, **more)


def test_a_rule_that_runs_once_is_told_who_the_person_is_and_that_it_does() -> None:
    event = published(a_rule("one", "user.user_id", "user.email"))

    delivery = event.delivery(an_entry(a_lead(), once_per_user=True))

    assert delivery["once"] is True
    assert event.view("lead", [delivery])["person"] == "u-1"


def test_what_was_found_of_a_person_then_is_told_to_nobody_again() -> None:
    ask = a_rule("ask", purpose="security", writes=["user.enrichment.vendor"])
    lead = a_rule("lead", "user.enrichment.vendor")
    event = published(ask, lead)
    [told] = event.detail["views"]["lead"]["deliveries"]

    again = event.delivery(an_entry(lead))

    # Whether the person agrees to being looked up today was not asked.
    assert (told["sources"], told["waits_for"]) == (["vendor"], ["ask"])
    assert again == {"entry": "lead", "request": told["request"]}


def test_who_looks_people_up_knows_what_is_kept() -> None:
    ask = a_rule(
        "ask", "user.enrichment.vendor", purpose="security", writes=["user.enrichment.vendor"]
    )
    event = published(ask, a_rule("lead", "user.enrichment.vendor"))

    assert event.delivery(an_entry(ask))["sources"] == ["vendor"]


def test_who_the_person_is_may_be_known_to_deliver_alone() -> None:
    told = a_rule("one", "user.email", once_per_user=True)
    text = build_announcement(
        "LoginCompleted",
        [an_entry(told, once_per_user=True)],
        LOGIN,
        event_id="e-1",
        occurred_at=AT,
    ).text
    assert text is not None

    assert Published.by(json.loads(text), {"one": told}).user_id == "u-1"


@pytest.mark.parametrize(
    ("profile", "reason"),
    [
        pytest.param({"lead": True}, "done_before", id="is left alone who was imported meanwhile"),
        pytest.param({}, None, id="is told of"),
    ],
)
def test_a_person_of_whom_the_profile_says_today(
    profile: dict[str, Any], reason: str | None
) -> None:
    event = published(a_rule("one", "user.user_id", "user.email"))
    person: Facts = {"user": {"app_metadata": profile}}

    assert event.obstacle(an_entry(a_lead(), once_per_user=True), person) == reason


def test_a_person_whom_nobody_published_cannot_be_done_once() -> None:
    event = published(a_rule("one", "user.email"))

    assert event.obstacle(an_entry(a_lead(), once_per_user=True), AGREED) == "context_missing"
