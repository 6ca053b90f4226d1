"""What the tables hold of a person, and what a login makes of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_rules.call import changes
from cognito_rules.dynamodb_json import to_item
from cognito_rules.effects import Effects
from cognito_rules.login import UNKNOWN, Login
from cognito_rules.pipeline import LoginRefusedError
from cognito_rules.store import ProfileWrite
from tests.cognito_events import CLIENT, SUB, attributes, post_authentication, pre_token
from tests.log_lines import log_lines
from tests.loopback import Reply, reply
from tests.made_up_chain import GUARD, NOW
from tests.unit.core.login_subject import REFUSED, Subject

# What the tables hold -------------------------------------------------------------------------


@pytest.mark.parametrize("held", [["x"], "x", 7, True])
def test_metadata_that_is_no_map_is_unknown_not_empty(subject: Subject, held: Any) -> None:
    subject.rule("guard", reads=["user.app_metadata!"], **GUARD)
    subject.knows({"app_metadata": held})

    with pytest.raises(LoginRefusedError, match=REFUSED):
        subject.handle(pre_token())


@pytest.mark.parametrize("held", [["x"], "x", 7, True])
def test_metadata_that_is_no_map_stops_nobody_who_does_not_read_it(
    subject: Subject, held: Any
) -> None:
    subject.rule("other", reads=["user.email"], **GUARD)
    subject.knows({"app_metadata": held, "user_metadata": held, "profile": held})

    subject.handle(pre_token())

    assert subject.ran == ["other"]


@pytest.mark.parametrize("held", [None, {}])
def test_metadata_that_is_null_is_empty(subject: Subject, held: Any) -> None:
    subject.rule("guard", reads=["user.app_metadata!"], **GUARD)
    subject.knows({"app_metadata": held})

    subject.handle(pre_token())

    assert subject.ran == ["guard"]


@pytest.mark.parametrize(
    ("profile", "created_at"),
    [
        pytest.param(None, "2026-11-21T22:26:40.000Z", id="of a person nobody has seen: now"),
        pytest.param(
            {"first_login_at": NOW - 86_400}, "2026-11-20T22:26:40.000Z", id="the first login"
        ),
        pytest.param(
            {"first_login_at": NOW, "created_at": "2020-01-01T00:00:00Z"},
            "2020-01-01T00:00:00Z",
            id="what an import knows better",
        ),
        pytest.param({"created_at": ["x"]}, None, id="a list, which is unknown"),
        pytest.param({"created_at": 1_795_300_000_000}, None, id="milliseconds, of no year"),
        pytest.param({"created_at": True}, None, id="no date at all"),
    ],
)
def test_since_when_somebody_is_here(
    subject: Subject, profile: dict[str, Any] | None, created_at: str | None
) -> None:
    seen: list[Any] = []
    subject.rule("look", lambda x, _: seen.append(x.user.created_at), reads=["user.created_at"])
    subject.knows(profile)

    subject.handle(pre_token())

    assert [value or None for value in seen] == [created_at]


def test_a_profile_gives_no_groups_and_no_other_name(subject: Subject) -> None:
    seen: list[Any] = []

    def look(login: Login, effects: Effects) -> None:
        seen.append((login.user.groups, login.user.user_id, login.user.name, login.user.picture))

    reads = ["user.groups", "user.user_id", "user.name", "user.picture"]
    subject.rule("look", look, reads=reads)
    subject.knows(
        {"profile": {"groups": ["admin"], "user_id": "x", "name": "Stored", "picture": "p"}}
    )

    event = pre_token(user=attributes(name="Jane"))
    event["request"]["groupConfiguration"] = None
    subject.handle(event)

    assert seen == [(UNKNOWN, SUB, "Jane", "p")]


@pytest.mark.parametrize(
    ("event", "count"),
    [
        pytest.param(pre_token(), 5, id="a login is one of them"),
        pytest.param(post_authentication(), 5, id="before its tokens too"),
        pytest.param(pre_token("TokenGeneration_RefreshTokens"), 4, id="a refresh is none"),
    ],
)
def test_the_count_of_logins(subject: Subject, event: Any, count: int) -> None:
    seen: list[Any] = []
    subject.rule(
        "look",
        lambda login, effects: seen.append(login.stats.logins_count),
        reads=["stats.logins_count"],
        entry={"runs_on_refresh": True},
    )
    subject.knows({"logins_count": 4})

    subject.handle(event)

    assert seen == [count]


@pytest.mark.parametrize("count", ["7", None, [1], 1.5])
def test_a_count_that_is_none_counts_from_nothing(subject: Subject, count: Any) -> None:
    seen: list[Any] = []
    subject.rule(
        "look",
        lambda login, effects: seen.append(login.stats.logins_count),
        reads=["stats.logins_count"],
    )
    subject.knows({"logins_count": count})

    subject.handle(pre_token())

    assert seen == [1]


@pytest.mark.parametrize(
    ("seconds", "counts"), [(0, False), (14.9, False), (15, True), (1_000, True)]
)
def test_a_login_counts_once_in_fifteen_seconds(
    subject: Subject, seconds: float, counts: bool
) -> None:
    key = f"login#{pre_token()['userPoolId']}#{SUB}#{CLIENT}"
    subject.rule(
        "writer",
        lambda login, effects: effects.set_user_metadata("a", 1),
        writes=["user.user_metadata"],
    )
    subject.knows({"logins_count": 1}, {"pk": key, "committed_at": NOW - seconds})

    subject.handle(pre_token())

    assert ("login" in subject.committed()) is counts


def test_a_decision_that_no_item_can_hold_is_committed_all_the_same(subject: Subject) -> None:
    def write(login: Login, effects: Effects) -> None:
        for number in range(8):
            effects.set_user_metadata(f"k{number}", "v" * 60_000)

    subject.rule("writer", write, writes=["user.user_metadata"])
    subject.rule("tell", stage="after_login")

    subject.handle(pre_token())

    assert set(subject.committed()) == {"login"}
    assert "announcement" in subject.committed()["login"]


def announced(subject: Subject) -> Any:
    announcement = json.loads(subject.committed()["login"]["announcement"])
    return announcement["views"]["tell"]["deliveries"][0]["request"]["login"]


def test_what_is_announced_is_the_login_after_its_rules(subject: Subject) -> None:
    def enrich(login: Login, effects: Effects) -> None:
        effects.set_user_metadata("color", "blue")
        effects.set_authorization(roles=["buyer"], permissions=[], groups=[])

    subject.rule("enrich", enrich, writes=["user.user_metadata", "authorization"])
    subject.rule("tell", stage="after_login", reads=["user.user_metadata", "authorization.roles"])

    subject.handle(pre_token())

    told = announced(subject)
    assert told["user"]["user_metadata"] == {"color": "blue"}
    assert told["authorization"]["roles"] == ["buyer"]


@pytest.mark.parametrize(
    ("read", "first"),
    [
        pytest.param(reply(200, {"Responses": {}}), True, id="the table does not know them"),
        pytest.param(
            reply(
                200,
                {"Responses": {"profiles": [to_item({"pk": f"USER#{SUB}", "logins_count": 3})]}},
            ),
            False,
            id="the table knows them",
        ),
        pytest.param(
            reply(
                200,
                {"Responses": {"profiles": [to_item({"pk": f"USER#{SUB}", "app_metadata": {}})]}},
            ),
            True,
            id="the table knows them, and no login",
        ),
        pytest.param(Reply(400), False, id="the table did not say"),
    ],
)
def test_a_first_login_is_one_of_somebody_who_has_none(
    subject: Subject, read: Reply, first: bool
) -> None:
    subject.rule("tell", stage="after_login", reads=["event.first_login"])
    subject.amazon.replies = [read, Reply()]

    subject.handle(pre_token())

    assert announced(subject)["event"] == {"first_login": first}


@pytest.mark.parametrize(
    ("state", "told"),
    [
        pytest.param(None, True, id="is not there"),
        pytest.param("started", True, id="says that an event is at work, which may fail"),
        pytest.param("set_aside", True, id="says that an event lies in the dead letters"),
        pytest.param("done", False, id="says that the entry is through with the person"),
        pytest.param("rejected", False, id="says that the vendor will not have the person"),
    ],
)
def test_an_entry_that_runs_once_is_told_of_a_person_whose_marker(
    subject: Subject, state: str | None, told: bool
) -> None:
    subject.rule("tell", stage="after_login", once_per_user=True)
    subject.rule("always", stage="after_login")
    marker = to_item({"pk": f"ONCE#{SUB}#tell", "state": state})
    read = {"Responses": {"profiles": [marker] if state else []}}
    subject.amazon.replies = [reply(200, read), Reply()]

    with log_lines() as log:
        subject.handle(pre_token())

    asked = subject.amazon.received[0].json()["RequestItems"]["profiles"]["Keys"]
    assert asked == [{"pk": {"S": f"USER#{SUB}"}}, {"pk": {"S": f"ONCE#{SUB}#tell"}}]
    announcement = json.loads(subject.committed()["login"]["announcement"])
    assert announcement["rules"] == (["always", "tell"] if told else ["always"])
    [record] = log.records
    assert record.get("not_told") == (None if told else {"tell": "done_before"})


@pytest.mark.parametrize(
    ("held", "write", "changed"),
    [
        pytest.param({"a": 1}, ProfileWrite("user_metadata", "a", 1), False, id="the same"),
        pytest.param({"a": 1}, ProfileWrite("user_metadata", "a", 2), True, id="another"),
        pytest.param({"a": True}, ProfileWrite("user_metadata", "a", 1), True, id="true is not 1"),
        pytest.param({"a": 0}, ProfileWrite("user_metadata", "a", False), True, id="nor 0 false"),
        pytest.param(
            {"a": [True]}, ProfileWrite("user_metadata", "a", [1]), True, id="also in a list"
        ),
        pytest.param({}, ProfileWrite("user_metadata", "a", None), False, id="nothing to remove"),
        pytest.param({"a": 1}, ProfileWrite("user_metadata", "a", None), True, id="a removal"),
        pytest.param({"a": None}, ProfileWrite("user_metadata", "a", None), True, id="of a null"),
        pytest.param(
            {"a": 1}, ProfileWrite("user_metadata", "a", 2, True), False, id="a needless default"
        ),
        pytest.param({}, ProfileWrite("user_metadata", "a", 2, True), True, id="a default"),
        pytest.param(None, ProfileWrite("user_metadata", "a", 1), True, id="an unread profile"),
    ],
)
def test_what_is_worth_a_write(held: Any, write: ProfileWrite, changed: bool) -> None:
    user = {} if held is None else {"user_metadata": held}

    assert changes({"user": user}, write) is changed
