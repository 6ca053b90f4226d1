from typing import Any

import pytest

from cognito_rules.errors import ManifestError
from cognito_rules.fields import (
    EVERYTHING,
    FIELDS,
    OPEN_MAPS,
    TOKEN_STAGE_ONLY,
    Facts,
    Read,
    copy_json,
    knows,
    lookup,
    meets,
    project,
)


def reads(*texts: str) -> list[Read]:
    return [Read.parse(text) for text in texts]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="nothing"),
        pytest.param("person", id="no section"),
        pytest.param("user.shoe_size", id="no field"),
        pytest.param("user.email.domain", id="below a field that is no map"),
        pytest.param("user.user_metadata.home.city", id="two keys below a map"),
        pytest.param("user.", id="a dot at the end"),
        pytest.param("now", id="the clock, which every rule has"),
        pytest.param("*.email", id="a star with more behind it"),
    ],
)
def test_a_read_that_names_no_field_is_an_error(text: str) -> None:
    with pytest.raises(ManifestError):
        Read.parse(text)


@pytest.mark.parametrize(
    ("text", "path", "required"),
    [
        ("user", ("user",), False),
        ("user.email", ("user", "email"), False),
        ("request.ip!", ("request", "ip"), True),
        ("user.attributes.custom:groups", ("user", "attributes", "custom:groups"), False),
        ("*", EVERYTHING, False),
    ],
)
def test_a_read_is_a_path(text: str, path: tuple[str, ...], required: bool) -> None:
    read = Read.parse(text)

    assert (read.path, read.required) == (path, required)
    assert str(read) == text


@pytest.mark.parametrize(
    ("first", "second", "answer"),
    [
        (("user",), ("user", "email"), True),
        (("user", "email"), ("user",), True),
        (("user", "email"), ("user", "email"), True),
        (("user", "email"), ("user", "email_verified"), False),
        (("user", "app_metadata", "a"), ("user", "app_metadata", "b"), False),
        (("client",), ("user",), False),
        (EVERYTHING, ("user", "email"), True),
        (("user", "email"), EVERYTHING, True),
    ],
)
def test_two_paths_meet_when_one_lies_in_the_other(
    first: tuple[str, ...], second: tuple[str, ...], answer: bool
) -> None:
    assert meets(first, second) is answer


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("user", "email"), "jane@example.com"),
        (("user", "app_metadata", "a"), None),
        (("user", "email", "domain"), "default"),
        (("client", "name"), "default"),
    ],
)
def test_a_lookup_that_leads_nowhere_gives_the_default(path: tuple[str, ...], value: Any) -> None:
    facts = {"user": {"email": "jane@example.com", "app_metadata": {"a": None}}}

    assert lookup(facts, path, "default") == value


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        pytest.param(("user", "email"), False, id="an absent field"),
        pytest.param(("client",), False, id="an absent section"),
        pytest.param(("user", "user_metadata", "a"), False, id="a key of an absent map"),
        pytest.param(("user", "groups"), True, id="an empty list"),
        pytest.param(("user", "app_metadata", "a"), True, id="a missing key of a known map"),
        pytest.param(EVERYTHING, True, id="everything"),
    ],
)
def test_what_a_login_knows(path: tuple[str, ...], answer: bool) -> None:
    facts: Facts = {"user": {"groups": [], "app_metadata": {}}}

    assert knows(facts, path) is answer


def test_a_projection_holds_the_declared_fields_and_no_other() -> None:
    facts = {"user": {"email": "jane@example.com", "name": "Jane"}, "client": {"name": "x"}}

    view, unknown = project(facts, reads("user.email"))

    assert view == {"user": {"email": "jane@example.com"}}
    assert unknown == []


@pytest.mark.parametrize(
    ("texts", "view", "unknown"),
    [
        pytest.param(["client.name"], {"client": {"name": None}}, ["client.name"], id="absent"),
        pytest.param(["user.groups"], {"user": {"groups": []}}, [], id="known to be empty"),
        pytest.param(
            ["user.app_metadata.plan"],
            {"user": {"app_metadata": None}},
            ["user.app_metadata"],
            id="a key of an unknown map",
        ),
        pytest.param(
            ["user.user_metadata.plan"],
            {"user": {"user_metadata": {}}},
            [],
            id="a missing key of a known map",
        ),
        pytest.param(
            ["stats"], {"stats": {"logins_count": None}}, ["stats.logins_count"], id="a section"
        ),
        pytest.param(
            ["client.name", "client.name!"],
            {"client": {"name": None}},
            ["client.name"],
            id="the same field twice",
        ),
    ],
)
def test_unknown_is_told_from_empty(texts: list[str], view: Facts, unknown: list[str]) -> None:
    facts: Facts = {"user": {"groups": [], "user_metadata": {"color": "blue"}}}

    assert project(facts, reads(*texts)) == (view, unknown)


def test_one_key_of_a_map_is_all_that_is_shown_of_it() -> None:
    facts: Facts = {"user": {"attributes": {"custom:a": "1", "custom:b": "2", "sub": "x"}}}

    view, _ = project(facts, reads("user.attributes.custom:a", "user.attributes.custom:c"))

    assert view == {"user": {"attributes": {"custom:a": "1"}}}


def test_a_key_and_its_whole_map_make_the_whole_map_in_either_order() -> None:
    facts: Facts = {"user": {"attributes": {"a": "1", "b": "2"}}}

    for texts in (
        ("user.attributes.a", "user.attributes"),
        ("user.attributes", "user.attributes.a"),
    ):
        assert project(facts, reads(*texts))[0] == facts


def test_everything_is_every_field() -> None:
    view, unknown = project({}, reads("*"))

    assert {section: tuple(fields) for section, fields in view.items()} == dict(FIELDS)
    assert len(unknown) == sum(len(fields) for fields in FIELDS.values())


def test_a_rule_cannot_change_shared_facts_through_its_projection() -> None:
    facts: Facts = {"user": {"groups": ["a"], "app_metadata": {"flags": {"x": [1]}}}}
    before = copy_json(facts)
    for text in ("user", "*", "user.app_metadata.flags"):
        view, _ = project(facts, reads(text))

        view["user"]["app_metadata"]["flags"]["x"].append(2)
        view["user"]["app_metadata"]["new"] = 1
        view["user"]["new"] = 1

        assert facts == before


def test_maps_and_late_fields_are_fields() -> None:
    for path in (*OPEN_MAPS, *(path for path in TOKEN_STAGE_ONLY if len(path) == 2)):
        assert path[1] in FIELDS[path[0]]
