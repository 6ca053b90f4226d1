"""The memo of a decision: which inputs find it, which do not, and for how long."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from cognito_rules.decision import (
    MAX_MEMO_BYTES,
    fits,
    from_memo,
    memo_key,
    profile_digest,
    to_memo,
)
from cognito_rules.fields import Facts, Read
from cognito_rules.planner import Answer

WHO = ("pool", "user", "client", "chain", "entry")
FACTS: Facts = {
    "user": {
        "user_id": "u",
        "username": "jane",
        "email": "jane@example.com",
        "email_verified": True,
        "name": "Jane",
        "groups": ["staff"],
        "attributes": {"custom:tenant": "acme"},
        "identities": [{"provider": "cognito"}],
        "user_metadata": {"color": "blue"},
        "app_metadata": {"deleted": False, "n": 1},
    },
    "client": {"client_id": "c"},
    "request": {"client_metadata": {"channel": "web"}},
    "transaction": {"id": "t", "trigger": "PostAuthentication_Authentication", "scopes": ["a"]},
    "stats": {"logins_count": 3},
    "aws": {"roles": []},
}


def reads(*texts: str) -> tuple[Read, ...]:
    return tuple(Read.parse(text) for text in texts)


def changed(path: str, value: Any = None, *, remove: bool = False) -> Facts:
    facts = copy.deepcopy(FACTS)
    *sections, field = path.split("/")
    target = facts
    for section in sections:
        target = target.setdefault(section, {})
    if remove:
        target.pop(field, None)
    else:
        target[field] = value
    return facts


def key(facts: Facts = FACTS, *texts: str) -> str:
    return memo_key(*WHO, reads=reads(*(texts or ("*",))), facts=facts)


# What must not find the memo ------------------------------------------------------------------


@pytest.mark.parametrize("position", range(len(WHO)))
def test_anybody_else_finds_nothing(position: int) -> None:
    others = list(WHO)
    others[position] = "other"

    assert memo_key(*others, reads=reads("*"), facts=FACTS) != key()


def test_names_cannot_be_shifted_into_one_another() -> None:
    one = memo_key("ab", "c", reads=(), facts={})

    assert one != memo_key("a", "bc", reads=(), facts={})
    assert one != memo_key("abc", reads=(), facts={})


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(changed("user/email", "joe@example.com"), id="another mail"),
        pytest.param(changed("user/email", ""), id="an empty one"),
        pytest.param(changed("user/email", None), id="a null"),
        pytest.param(changed("user/email", remove=True), id="an unknown one"),
        pytest.param(changed("user/email", {"unknown": True}), id="one that says unknown"),
        pytest.param(changed("user/email_verified", False), id="another flag"),
        pytest.param(changed("user/email_verified", 1), id="a number for a flag"),
        pytest.param(changed("user/email_verified", "true"), id="a text for a flag"),
        pytest.param(changed("user/attributes/custom:tenant", "evil"), id="another attribute"),
        pytest.param(changed("user/identities", []), id="other identities"),
        pytest.param(changed("request/client_metadata/channel", "app"), id="other metadata"),
        pytest.param(changed("request/client_metadata", {}), id="empty metadata"),
        pytest.param(changed("request/client_metadata", remove=True), id="no metadata"),
        pytest.param(changed("request", remove=True), id="nothing known of the request"),
        pytest.param(changed("request/ip", "198.51.100.7"), id="an address"),
        pytest.param(changed("client/name", "payroll"), id="a name of the client"),
        pytest.param(changed("transaction/protocol", "oauth2"), id="a protocol"),
        pytest.param(changed("authentication/methods", []), id="methods of authentication"),
    ],
)
def test_other_inputs_find_nothing(facts: Facts) -> None:
    assert key(facts) != key()


@pytest.mark.parametrize("map_", ["user/user_metadata", "request/client_metadata"])
def test_a_missing_key_is_neither_an_unknown_map_nor_a_value(map_: str) -> None:
    section, name = map_.split("/")
    read = reads(f"{section}.{name}.tier")

    def digests(facts: Facts) -> str:
        return memo_key(reads=read, facts=facts) + profile_digest(read, facts)

    told = [
        digests(changed(map_, remove=True)),
        digests(changed(map_, {})),
        digests(changed(map_, {"tier": None})),
        digests(changed(map_, {"tier": []})),
        digests(changed(map_, {"tier": {"unknown": True}})),
        digests(changed(map_, {"tier": True})),
        digests(changed(map_, {"tier": False})),
    ]

    assert len(set(told)) == len(told)


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(changed("user/user_metadata/color", "red"), id="metadata"),
        pytest.param(changed("user/app_metadata/deleted", True), id="a flag"),
        pytest.param(changed("user/app_metadata/deleted", 0), id="a number for a flag"),
        pytest.param(changed("user/app_metadata", remove=True), id="an unread profile"),
        pytest.param(changed("user/app_metadata/n", "1"), id="a text for a number"),
        pytest.param(changed("stats/logins_count", 4), id="the count"),
        pytest.param(changed("user/name", "Joe"), id="a name that the profile may hold"),
        pytest.param(changed("user/picture", "https://x/p.png"), id="a picture"),
    ],
)
def test_another_profile_does_not_fit(facts: Facts) -> None:
    everything = reads("*")
    memo = to_memo("k", {}, transaction_id="t", profiles=[profile_digest(everything, FACTS)], at=0)

    assert fits(memo, profile_digest(everything, FACTS), 1.0)
    assert not fits(memo, profile_digest(everything, facts), 1.0)


@pytest.mark.parametrize(
    ("now", "young"),
    [(100.0, True), (160.0, True), (160.001, False), (1e9, False), (99.999, False), (0.0, False)],
)
def test_a_memo_is_good_for_a_minute_and_not_before_it_was_made(now: float, young: bool) -> None:
    memo = to_memo("k", {}, transaction_id="t", profiles=["p"], at=100.0)

    assert fits(memo, "p", now) is young


def test_no_memo_fits_nobody() -> None:
    assert not fits(None, "p", 0.0)
    assert not fits(to_memo("k", {}, transaction_id="t", profiles=[], at=0.0), "p", 0.0)


# What must find it ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "facts",
    [
        pytest.param(changed("transaction/id", "other"), id="the id of the call"),
        pytest.param(
            changed("transaction/trigger", "TokenGeneration_Authentication"), id="the trigger"
        ),
        pytest.param(changed("user/groups", ["admin"]), id="groups, which need the token stage"),
        pytest.param(changed("transaction/scopes", ["b"]), id="scopes, which need it too"),
        pytest.param(changed("transaction/requested_scopes", ["b"]), id="requested scopes"),
        pytest.param(changed("aws/roles", ["r"]), id="roles"),
        pytest.param(changed("aws", remove=True), id="no roles"),
        pytest.param(changed("user/app_metadata/deleted", True), id="the profile, read later"),
        pytest.param(changed("stats/logins_count", 4), id="the count"),
    ],
)
def test_the_key_is_of_what_both_triggers_know(facts: Facts) -> None:
    assert key(facts) == key()


def test_only_what_is_read_counts() -> None:
    assert key(changed("user/email", "x"), "user.username") == key(FACTS, "user.username")


def test_a_required_read_is_an_input_too() -> None:
    assert key(changed("request/ip", "1"), "request.ip!") != key(FACTS, "request.ip!")


def test_the_order_of_keys_does_not_count() -> None:
    turned = changed("user/attributes", {"b": "2", "a": "1"})

    assert key(turned) == key(changed("user/attributes", {"a": "1", "b": "2"}))


# What it holds --------------------------------------------------------------------------------


def test_answers_come_back_as_they_were() -> None:
    answers = {
        "a": Answer(({"effect": "set_claim", "value": [1, 1.5, None, "ö"]},), ("w",)),
        "b": Answer(fault="timeout", message="no answer in time"),
        "c": Answer(),
    }

    memo = to_memo("decision#x", answers, transaction_id="t", profiles=["p"], at=100.7)

    assert memo is not None
    assert from_memo(json.loads(json.dumps(memo))) == answers
    assert memo["pk"] == "decision#x"
    assert memo["expires_at"] == 400


def test_a_memo_that_no_item_can_hold_is_none() -> None:
    answer = Answer(({"effect": "set_claim", "value": "ö" * MAX_MEMO_BYTES},))

    assert to_memo("k", {"a": answer}, transaction_id="t", profiles=[], at=0.0) is None
