"""What another chain makes of a recorded login, and what it does not dare to say."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cli.replaying import replay
from cognito_rules.chain import Chain
from cognito_rules.effects import Effects
from cognito_rules.login import Login
from cognito_rules.recordings import seal, unseal
from tests.cognito_events import CLIENT, attributes, post_authentication, pre_token
from tests.loopback import reply
from tests.made_up_chain import GUARD, refuse
from tests.unit.cli.recorded import PlainRecordings, again, record
from tests.unit.core.chains import answer, denial
from tests.unit.core.login_subject import Subject

REMOTE = {"placement": "function"}


@pytest.fixture
def recordings(subject: Subject) -> PlainRecordings:
    subject.recorder = PlainRecordings()
    return subject.recorder


def member(login: Login, effects: Effects) -> None:
    if login.configuration.get("group", "staff") not in login.user.groups:
        effects.deny("No.", code="no_member")


def color(login: Login, effects: Effects) -> None:
    effects.set_claim("id", "color", "blue")
    effects.add_scope("orders/read")
    effects.set_user_metadata("color", "blue")


COLOR: dict[str, Any] = {
    "reads": ["user.email"],
    "writes": ["id_token.claims", "access_token.scopes", "user.user_metadata"],
}


def test_the_same_chain_decides_the_same(subject: Subject, recordings: PlainRecordings) -> None:
    subject.rule("guard", member, reads=["user.groups"], **GUARD)
    subject.rule("color", color, **COLOR)
    recording = record(subject)

    assert again(subject, recording).kind == "same"
    assert again(subject, record(subject, pre_token(groups=["sales"]))).kind == "same"


def test_a_new_guard_refuses_whom_it_would_refuse(
    subject: Subject, recordings: PlainRecordings
) -> None:
    subject.rule("guard", member, reads=["user.groups"], entry={"mode": "off"}, **GUARD)
    inside, outside = record(subject), record(subject, pre_token(groups=["sales"]))
    subject.change("guard", mode="enforce")

    found = again(subject, outside)

    assert again(subject, inside).kind == "same"
    assert found.kind == "allow → deny"
    assert found.now is not None
    assert (found.now.denied_by, found.now.code) == ("guard", "no_member")


def test_a_guard_that_goes_lets_in_whom_it_refused(
    subject: Subject, recordings: PlainRecordings
) -> None:
    subject.rule("guard", member, reads=["user.groups"], **GUARD)
    recording = record(subject, pre_token(groups=["sales"]))
    subject.change("guard", mode="shadow")

    assert again(subject, recording).kind == "deny → allow"


def test_other_tokens_are_named_without_their_values(
    subject: Subject, recordings: PlainRecordings
) -> None:
    subject.rule("color", color, **COLOR)
    recording = record(subject)
    subject.change("color", mode="off")

    found = again(subject, recording)

    assert found.kind == "other tokens"
    assert found.changes == (
        "- claim color of the id token",
        "- scope orders/read",
        "- stored user_metadata.color",
    )


def test_what_was_not_recorded_cannot_be_told(
    subject: Subject, recordings: PlainRecordings
) -> None:
    recording = record(subject)
    subject.rule("guard", member, reads=["user.groups"], **GUARD)

    found = again(subject, recording)

    assert found.kind == "cannot tell"
    assert found.reason == "guard reads user.groups, which was not recorded"


@pytest.mark.parametrize("placed", [True, False], ids=["required", "asked for"])
def test_a_field_that_nobody_knew_then_is_unknown_and_no_doubt(
    subject: Subject, recordings: PlainRecordings, placed: bool
) -> None:
    read = "request.ip!" if placed else "request.ip"
    subject.rule("near", lambda login, effects: None, reads=[read], entry={"mode": "off"}, **GUARD)
    recording = record(subject)
    subject.change("near", mode="enforce")

    assert again(subject, recording).kind == ("allow → deny" if placed else "same")


# Rules that are not run here ----------------------------------------------------------------------


def impure(subject: Subject, response: Any, **entry: Any) -> None:
    """Put a rule with a secret into the chain, whose function answers ``response``."""
    subject.rule("vendor", reads=["user.email"], secrets=["KEY"], entry=REMOTE | entry, **GUARD)
    subject.amazon.replies = [subject.amazon.replies[0], reply(200, response), reply(200, {})]


@pytest.mark.parametrize("response", [answer(), answer(denial("vendor_says_no"))])
def test_a_recorded_answer_stands_while_nothing_about_it_changes(
    subject: Subject, recordings: PlainRecordings, response: Any
) -> None:
    impure(subject, response)
    recording = record(subject)
    subject.rule("behind", lambda login, effects: None, reads=["user.email"])

    assert again(subject, recording).kind == "same"


def test_a_recorded_answer_of_a_shadow_tells_what_it_would_do(
    subject: Subject, recordings: PlainRecordings
) -> None:
    impure(subject, answer(denial("vendor_says_no")), mode="shadow")
    subject.rule("slow", entry=REMOTE)
    # What is in shadow is not waited for, and the two may come in either order.
    slow = reply(200, answer(), delay=0.3)
    subject.amazon.decide = lambda request: slow if "slow/" in request.path else None
    recording = record(subject)
    subject.change("vendor", mode="enforce")

    assert "vendor" in recording["answers"]
    assert again(subject, recording).kind == "allow → deny"


def test_other_settings_than_then_cannot_be_told(
    subject: Subject, recordings: PlainRecordings
) -> None:
    settings = {"limit": {"type": "integer", "default": 1}}
    subject.rule(
        "vendor",
        secrets=["KEY"],
        entry=REMOTE,
        configuration=settings,
        reads=["user.email"],
        **GUARD,
    )
    subject.amazon.replies = [subject.amazon.replies[0], reply(200, answer()), reply(200, {})]
    recording = record(subject)
    subject.change("vendor", configuration={"limit": 2})

    found = again(subject, recording)

    assert found.kind == "cannot tell"
    assert "has other settings than then" in found.reason


def test_another_view_than_then_cannot_be_told(
    subject: Subject, recordings: PlainRecordings
) -> None:
    def tag(login: Login, effects: Effects) -> None:
        effects.set_app_metadata("tier", "gold")

    subject.rule("tag", tag, writes=["user.app_metadata"], entry={"mode": "off"})
    subject.rule("vendor", reads=["user.app_metadata"], secrets=["KEY"], entry=REMOTE, **GUARD)
    subject.knows({"app_metadata": {}})
    read = subject.amazon.replies[0]
    subject.amazon.replies = [read, reply(200, answer()), reply(200, {})]
    recording = record(subject)
    subject.change("tag", mode="enforce")

    found = again(subject, recording)

    assert "would see another login than then" in found.reason


def test_a_rule_that_was_not_there_cannot_be_told_but_where_another_refuses_anyway(
    subject: Subject, recordings: PlainRecordings
) -> None:
    subject.rule("known", reads=["user.email", "user.groups"], entry={"mode": "off"})
    recording = record(subject)
    subject.rule("vendor", reads=["user.email"], secrets=["KEY"], entry=REMOTE, **GUARD)

    unknown = again(subject, recording)
    subject.rule("guard", refuse, reads=["user.groups"], **GUARD)
    refused = again(subject, recording)

    assert "was not in the chain then" in unknown.reason
    assert refused.kind == "allow → deny"


def test_an_unknown_rule_that_cannot_refuse_does_not_keep_people_out(
    subject: Subject, recordings: PlainRecordings
) -> None:
    """Its tokens are not known, but nobody asks what tokens a refused login did not get."""
    subject.rule("guard", member, reads=["user.groups"], **GUARD)
    subject.rule("enrich", secrets=["KEY"], entry=REMOTE | {"mode": "off"})
    inside, outside = record(subject), record(subject, pre_token(groups=["sales"]))
    subject.change("guard", mode="off")
    subject.change("enrich", mode="enforce")

    assert again(subject, outside).kind == "deny → allow"
    assert again(subject, inside).kind == "cannot tell"


def test_a_fault_of_then_stays_one(subject: Subject, recordings: PlainRecordings) -> None:
    subject.rule("guard", reads=["user.email"], entry=REMOTE, **GUARD)
    subject.amazon.replies = [subject.amazon.replies[0], reply(500, {}), reply(200, {})]
    recording = record(subject)

    assert recording["denial"] == {"entry": "guard", "code": "rule_failed"}
    assert again(subject, recording).kind == "same"


# Before the tokens --------------------------------------------------------------------------------


def test_a_login_refused_early_is_let_in_when_nothing_of_the_token_stage_could_refuse(
    subject: Subject, recordings: PlainRecordings
) -> None:
    subject.rule("guard", refuse, **GUARD)
    recording = record(subject, post_authentication())
    subject.change("guard", mode="off")

    assert again(subject, recording).kind == "deny → allow"

    subject.rule("late", member, reads=["user.groups"], **GUARD)
    found = again(subject, recording)

    assert found.kind == "cannot tell"
    assert found.reason.startswith("refused before its tokens: what late would say")


# The document itself ------------------------------------------------------------------------------


def test_an_application_that_leaves_the_chain(
    subject: Subject, recordings: PlainRecordings
) -> None:
    subject.document = {"applications": {CLIENT: {"name": "payroll"}}}
    recording = record(subject)
    subject.document = {
        "applications": {"another": {"name": "payroll"}},
        "unregistered_applications": "refuse",
    }

    found = again(subject, recording)

    assert found.kind == "allow → deny"
    assert found.now is not None
    assert found.now.code == "application_not_registered"


def test_entries_are_chosen_by_application_connection_and_rollout_as_at_a_login(
    subject: Subject, recordings: PlainRecordings
) -> None:
    subject.document = {"applications": {CLIENT: {"name": "payroll"}}}
    subject.rule("named", refuse, entry={"when": {"applications": ["payroll"]}}, **GUARD)
    subject.change("named", mode="off")
    identities = '[{"userId":"1","providerName":"Acme","providerType":"OIDC"}]'
    recording = record(subject, pre_token(user=attributes(identities=identities)))

    subject.change("named", mode="enforce")
    assert again(subject, recording).kind == "allow → deny"
    subject.change("named", when={"applications": ["payroll"], "connections": ["Acme"]})
    assert again(subject, recording).kind == "allow → deny"
    subject.change("named", when={"applications": ["payroll"], "connections": ["Other"]})
    assert again(subject, recording).kind == "same"


# What is recorded ---------------------------------------------------------------------------------


def test_only_what_entries_of_the_chain_read_is_recorded(
    subject: Subject, recordings: PlainRecordings
) -> None:
    subject.rule("color", color, **COLOR)
    subject.rule("tell", stage="after_login", reads=["user.phone_number"])
    person = attributes(name="Jane Doe", phone_number="+390612345678")

    text = json.dumps(record(subject, pre_token(user=person, groups=["secret-group"])))

    assert "jane@example.com" in text
    for other in ("Jane Doe", "+3906", "secret-group"):
        assert other not in text


def test_too_large_a_recording_is_one_that_cannot_be_told() -> None:
    recording = {"schema": 1, "too_large": True, "at": 1.0, "user_id": "u", "denial": None}

    found = replay(recording, Chain.parse({"rules": []}, {}), {})

    assert (found.kind, found.reason) == ("cannot tell", "it was too large to record")


def test_a_seal_holds_for_its_item_and_key_only() -> None:
    from cryptography.exceptions import InvalidTag

    key, other = bytes(32), bytes([1] * 32)
    sealed = seal('{"a": 1}', "recording#1", key)

    assert unseal(sealed, "recording#1", key) == '{"a": 1}'
    for item, wrong in (("recording#2", key), ("recording#1", other)):
        with pytest.raises(InvalidTag):
            unseal(sealed, item, wrong)
