"""Of whom the after_login rules are told: consent, proven addresses, fields that must be known."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_rules.announcement import Announcement, build_announcement
from cognito_rules.errors import ChainError
from cognito_rules.fields import Facts
from tests.unit.core.chains import a_chain, a_manifest

PURPOSES = ("security", "operations", "analytics", "marketing", "enrichment")
ADDRESS = "jane@example.com"


def announce(facts: Facts, *, entry: dict[str, Any] | None = None, **declared: Any) -> Announcement:
    manifest = a_manifest("tell", stage="after_login", **declared)
    chain = a_chain(manifest, tell=entry or {})
    return build_announcement(
        "LoginCompleted",
        chain.entries,
        facts,
        event_id="e-1",
        occurred_at="2026-11-22T12:00:00.000Z",
    )


def view_of(facts: Facts, **declared: Any) -> Any:
    text = announce(facts, **declared).text
    assert text is not None
    return json.loads(text)["views"]["tell"]["deliveries"][0]["request"]["login"]


def person(**said: Any) -> Facts:
    return {"user": {"user_id": "u1", "user_metadata": {"consent": said}}}


# Consent --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("purpose", "told"),
    [
        ("security", True),
        ("operations", True),
        ("analytics", True),
        ("marketing", False),
        ("enrichment", False),
    ],
)
@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(person(), id="no answer"),
        pytest.param({"user": {"user_metadata": {}}}, id="no record"),
        pytest.param({"user": {"user_metadata": {"consent": None}}}, id="a null"),
        pytest.param({"user": {"user_id": "u1"}}, id="an unreadable profile"),
    ],
)
def test_without_an_answer_the_purpose_decides(facts: Facts, purpose: str, told: bool) -> None:
    found = announce(facts, purpose=purpose)

    assert (found.text is not None) is told
    assert found.not_told == ({} if told else {"tell": "no_consent"})


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(False, id="false"),
        pytest.param({"granted": False, "at": "2026-01-01T00:00:00Z", "version": 1}, id="a record"),
        pytest.param({}, id="a record without an answer"),
        pytest.param({"granted": "yes"}, id="an answer that is a text"),
        pytest.param("granted", id="a text"),
        pytest.param(1, id="a number"),
    ],
)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_what_is_no_clear_grant_is_a_refusal(said: Any, purpose: str) -> None:
    for mode in ("opt_out", "opt_in"):
        found = announce(
            person(**{purpose: said}), entry={"require_consent": mode}, purpose=purpose
        )

        assert found.text is None
        assert found.not_told == {"tell": "no_consent"}


@pytest.mark.parametrize("record", [False, True, "all", [True]])
def test_a_record_that_is_no_map_refuses_every_purpose(record: Any) -> None:
    facts = {"user": {"user_metadata": {"consent": record}}}

    assert announce(facts, purpose="analytics").text is None
    assert announce(facts, purpose="marketing").text is None


@pytest.mark.parametrize("said", [True, {"granted": True, "at": "2026-01-01T00:00:00Z"}])
@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_grant_is_for_its_own_purpose(said: Any, purpose: str) -> None:
    others = {other: False for other in PURPOSES if other != purpose}

    assert announce(person(**others, **{purpose: said}), purpose=purpose).text is not None


@pytest.mark.parametrize("purpose", PURPOSES)
def test_off_asks_nobody(purpose: str) -> None:
    facts = person(**{purpose: False})

    assert announce(facts, entry={"require_consent": "off"}, purpose=purpose).text is not None


@pytest.mark.parametrize(
    ("purpose", "told"),
    [
        ("security", True),
        ("operations", True),
        ("analytics", False),
        ("marketing", False),
        ("enrichment", False),
    ],
)
def test_a_browser_that_opts_out_outweighs_a_grant(purpose: str, told: bool) -> None:
    facts = person(**dict.fromkeys(PURPOSES, True)) | {"request": {"client_metadata": {"gpc": "1"}}}

    assert (announce(facts, purpose=purpose).text is not None) is told


@pytest.mark.parametrize("gpc", ["0", "", "true", 1, None])
def test_only_the_signal_itself_opts_out(gpc: Any) -> None:
    facts = person(marketing=True) | {"request": {"client_metadata": {"gpc": gpc}}}

    assert announce(facts, purpose="marketing").text is not None


def test_one_refusal_is_one_rule_less() -> None:
    chain = a_chain(
        a_manifest("splunk", stage="after_login", purpose="security"),
        a_manifest("mixpanel", stage="after_login", purpose="analytics"),
        a_manifest("hubspot", stage="after_login", purpose="marketing"),
    )

    found = build_announcement(
        "LoginCompleted",
        chain.entries,
        person(analytics=False, marketing=True),
        event_id="e-1",
        occurred_at="2026-11-22T12:00:00.000Z",
    )

    assert found.text is not None
    assert "mixpanel" not in found.text
    assert '"rules":["hubspot","splunk"]' in found.text
    assert found.not_told == {"mixpanel": "no_consent"}


def test_an_entry_cannot_ask_in_another_way() -> None:
    with pytest.raises(ChainError, match="require_consent is 'ask'"):
        announce({}, entry={"require_consent": "ask"}, purpose="marketing")


def test_a_rule_during_the_login_asks_for_no_consent() -> None:
    with pytest.raises(ChainError, match="require_consent is for after_login rules"):
        a_chain(a_manifest("guard"), guard={"require_consent": "opt_in"})


# Addresses that nobody proved -----------------------------------------------------------------

UNPROVEN = [
    pytest.param({"email_verified": False}, id="not verified"),
    pytest.param({}, id="nobody knows"),
    pytest.param({"email_verified": None}, id="null"),
]
READS = ["user.user_id", "user.email", "user.username", "user.attributes", "user.name"]
OPEN = {"require_consent": "off"}


def somebody(verified: dict[str, Any]) -> Facts:
    return {
        "user": {
            "user_id": "u1",
            "username": "Jane@Example.com",
            "email": ADDRESS,
            "name": "Jane",
            "attributes": {"email": ADDRESS, "custom:contact": ADDRESS, "custom:tenant": "acme"},
            **verified,
        }
    }


@pytest.mark.parametrize("verified", UNPROVEN)
@pytest.mark.parametrize("purpose", ["marketing", "enrichment"])
def test_an_unproven_address_never_reaches(purpose: str, verified: dict[str, Any]) -> None:
    view = view_of(somebody(verified), purpose=purpose, reads=READS, entry=OPEN)

    assert view["user"] == {
        "user_id": "u1",
        "email": None,
        "username": None,
        "attributes": {"custom:tenant": "acme"},
        "name": "Jane",
    }
    assert view["unknown"] == ["user.email", "user.username"]


@pytest.mark.parametrize("purpose", ["security", "operations", "analytics"])
def test_others_are_told_what_the_pool_knows(purpose: str) -> None:
    view = view_of(somebody({}), purpose=purpose, reads=READS)

    assert view["user"]["email"] == ADDRESS


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_proven_address_is_told(purpose: str) -> None:
    facts = somebody({"email_verified": True})

    view = view_of(facts, purpose=purpose, reads=READS, entry=OPEN)

    assert view["user"]["email"] == ADDRESS
    assert view["user"]["attributes"] == facts["user"]["attributes"]


# Required fields ------------------------------------------------------------------------------


def test_a_rule_is_not_told_of_a_login_without_what_it_requires() -> None:
    found = announce({"user": {"user_id": "u1"}}, reads=["user.email!"])

    assert found.text is None
    assert found.not_told == {"tell": "context_missing"}


def test_a_required_address_has_to_be_proven() -> None:
    found = announce(somebody({}), purpose="marketing", reads=["user.email!"], entry=OPEN)

    assert found.not_told == {"tell": "context_missing"}


def test_a_required_map_that_is_too_large_is_no_reason_to_tell_nobody() -> None:
    facts = {"user": {"user_metadata": {"x": "v" * 400_000}}}

    view = view_of(facts, reads=["user.user_metadata!"])

    assert view["user"]["user_metadata"] is None


# Once for each person ---------------------------------------------------------------------------


IMPORTED = ["user.app_metadata.recordedAsLead"]


@pytest.mark.parametrize(
    ("user", "reason"),
    [
        pytest.param({"app_metadata": {"recordedAsLead": True}}, "done_before", id="says so"),
        pytest.param({"app_metadata": {"recordedAsLead": False}}, None, id="says no"),
        pytest.param({"app_metadata": {}}, None, id="says nothing"),
        pytest.param({}, "context_missing", id="cannot be read: a lead too many stays"),
    ],
)
def test_a_person_of_whom_an_import(user: Facts, reason: str | None) -> None:
    found = announce({"user": user}, once_per_user=True, imported_markers=IMPORTED)

    assert found.not_told == ({} if reason is None else {"tell": reason})


def test_an_imported_marker_does_not_count_where_every_login_is_told() -> None:
    facts = {"user": {"app_metadata": {"recordedAsLead": True}}}

    assert announce(facts, imported_markers=IMPORTED).not_told == {}


@pytest.mark.parametrize(
    ("first_login", "events", "reason"),
    [
        pytest.param(True, ["SignUpConfirmed", "LoginCompleted"], None, id="the first login"),
        pytest.param(
            False, ["SignUpConfirmed", "LoginCompleted"], "not_a_sign_up", id="a later login"
        ),
        pytest.param(False, ["LoginCompleted"], None, id="a rule that is not about sign-ups"),
    ],
)
def test_a_rule_about_sign_ups_that_runs_once_hears_of(
    first_login: bool, events: list[str], reason: str | None
) -> None:
    manifest = a_manifest("tell", stage="after_login", once_per_user=True, events=events)

    found = build_announcement(
        "LoginCompleted",
        a_chain(manifest).entries,
        {"user": {"user_id": "u1"}},
        event_id="e-1",
        occurred_at="2026-11-22T12:00:00.000Z",
        first_login=first_login,
    )

    assert found.not_told == ({} if reason is None else {"tell": reason})
