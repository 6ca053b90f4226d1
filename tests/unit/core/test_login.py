import copy
from datetime import UTC, datetime

import pytest

from cognito_rules.errors import SecretError, UndeclaredReadError
from cognito_rules.fields import Read
from cognito_rules.login import UNKNOWN, Login, Unknown, format_time, parse_time


def a_view(*reads: str, **facts: dict[str, object]) -> Login:
    return Login(facts).seen_by(tuple(Read.parse(text) for text in reads))


def test_an_undeclared_field_is_an_error_that_names_it() -> None:
    login = a_view("user.email", user={"email": "jane@example.com", "name": "Jane"})

    with pytest.raises(UndeclaredReadError, match=r"user\.name"):
        _ = login.user.name


def test_an_undeclared_section_is_an_error_too() -> None:
    login = a_view("user.email")

    with pytest.raises(UndeclaredReadError, match=r"client\.name"):
        _ = login.client.name


def test_a_section_that_there_is_not_is_an_error() -> None:
    with pytest.raises(AttributeError, match="person"):
        _ = a_view().person


def test_a_login_cannot_be_changed() -> None:
    login = a_view("user.email")

    with pytest.raises(AttributeError, match="effects"):
        login.user.email = "x"


def test_a_secret_that_is_not_declared_is_an_error() -> None:
    with pytest.raises(SecretError, match="TOKEN"):
        a_view().secret("TOKEN")


@pytest.mark.parametrize("empty", [[], "", {}, 0, False])
def test_unknown_is_told_from_empty(empty: object) -> None:
    login = a_view("user.groups", "user.email", user={"groups": empty})

    assert login.user.groups == empty
    assert login.user.groups is not UNKNOWN
    assert login.user.email is UNKNOWN
    assert login.unknown == {"user.email"}


def test_unknown_is_one_falsy_thing_that_equals_nothing_else() -> None:
    assert not UNKNOWN
    assert Unknown() is UNKNOWN
    assert copy.copy(UNKNOWN) is UNKNOWN
    others: list[object] = [None, "", 0, False, []]
    assert all(other != UNKNOWN for other in others)
    assert repr(UNKNOWN) == "UNKNOWN"


def test_a_null_from_another_language_is_unknown() -> None:
    login = Login({"user": {"email": None}})

    assert login.user.email is UNKNOWN


@pytest.mark.parametrize(
    ("path", "value"),
    [
        pytest.param("user.app_metadata.plan", UNKNOWN, id="unknown"),
        pytest.param("user.user_metadata.gone", UNKNOWN, id="null"),
        pytest.param("user.user_metadata.home.zip", UNKNOWN, id="a missing key"),
        pytest.param("user.user_metadata.color.shade", UNKNOWN, id="below a text"),
        pytest.param("user.name", UNKNOWN, id="not declared"),
        pytest.param("", UNKNOWN, id="no path"),
        pytest.param("user.user_metadata.color", "", id="an empty text"),
        pytest.param("user.user_metadata.home.city", "Rome", id="deeper"),
    ],
)
def test_a_path_from_a_setting(path: str, value: object) -> None:
    metadata = {"color": "", "gone": None, "home": {"city": "Rome"}}
    login = a_view(
        "user.user_metadata", "user.app_metadata", user={"user_metadata": metadata, "name": "Jane"}
    )

    assert login.at(path) == value
    assert login.at(path, "default") == ("default" if value is UNKNOWN else value)


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("$user.email", "jane@example.com"),
        ("$user.name", UNKNOWN),
        ("$$user.email", "$user.email"),
        ("user.email", "user.email"),
        (["$user.email"], ["$user.email"]),
        (7, 7),
        (None, None),
    ],
)
def test_what_a_setting_stands_for(setting: object, value: object) -> None:
    login = a_view("user.email", "user.name", user={"email": "jane@example.com"})

    assert login.value_of(setting) == value


@pytest.mark.parametrize("text", ["", "soon", "2026-11-22", "2026-11-22T09:30:00"])
def test_a_text_that_is_no_time_with_an_offset_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_time(text)


def test_times_are_utc() -> None:
    moment = parse_time("2026-11-22T10:30:00.5+01:00")

    assert moment == datetime(2026, 11, 22, 9, 30, 0, 500_000, tzinfo=UTC)
    assert format_time(moment) == "2026-11-22T09:30:00.500Z"
    assert format_time(parse_time("2026-11-22T09:30:00Z")) == "2026-11-22T09:30:00.000Z"
