from datetime import UTC, datetime
from typing import Any

import pytest

from cognito_rules.errors import SecretError
from cognito_rules.login import UNKNOWN
from cognito_rules.testing import a_context, a_login, is_as_expected


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("shoe_size", id="no field"),
        pytest.param("id", id="a field of several sections"),
        pytest.param("name", id="a name of whom"),
        pytest.param("roles", id="roles of which kind"),
    ],
)
def test_a_name_that_is_not_clear_is_an_error(name: str) -> None:
    given: dict[str, Any] = {name: "x"}

    with pytest.raises(TypeError, match=name):
        a_login(**given)


def test_a_field_that_there_is_not_is_an_error() -> None:
    with pytest.raises(TypeError, match=r"user\.shoe_size"):
        a_login(user={"shoe_size": 42})


def test_a_login_knows_what_is_given_and_nothing_else() -> None:
    login = a_login(
        user={"email": "jane@example.com"},
        groups=["sales"],
        client_id="payroll-app",
        metadata={"tier": "gold"},
        user_metadata={"color": "blue"},
        requested_scopes=[],
    )

    assert login.facts == {
        "user": {
            "email": "jane@example.com",
            "groups": ["sales"],
            "user_metadata": {"color": "blue"},
        },
        "client": {"client_id": "payroll-app", "metadata": {"tier": "gold"}},
        "transaction": {"requested_scopes": []},
    }
    assert login.at("connection.name") is UNKNOWN


def test_the_clock_stands_still() -> None:
    assert a_login().now == datetime(2026, 11, 18, 12, tzinfo=UTC)
    assert a_login(now="2026-01-01T00:00:00+01:00").now == datetime(2025, 12, 31, 23, tzinfo=UTC)
    assert a_login(now=datetime(2026, 1, 1, tzinfo=UTC)).now == datetime(2026, 1, 1, tzinfo=UTC)


def test_secrets_are_those_given() -> None:
    assert a_login(secrets={"TOKEN": "x"}).secret("TOKEN") == "x"
    with pytest.raises(SecretError):
        a_login().secret("TOKEN")


def test_a_context_tells_the_time_left() -> None:
    assert a_context().get_remaining_time_in_millis() == 5_000
    assert a_context(remaining_ms=7).get_remaining_time_in_millis() == 7


CLAIM = {"effect": "set_claim", "name": "token_id", "value": "regex:[a-z]{3}-[0-9]+"}


@pytest.mark.parametrize(
    "found",
    [
        pytest.param([], id="none"),
        pytest.param([{**CLAIM, "value": "abc-12x"}], id="a text that does not match to its end"),
        pytest.param([{**CLAIM, "value": 12}], id="no text"),
        pytest.param([{**CLAIM, "value": "abc-1", "token": "id"}], id="one field more"),
        pytest.param([{**CLAIM, "value": "abc-1"}] * 2, id="one effect more"),
        pytest.param(None, id="a fault"),
    ],
)
def test_effects_are_not_as_expected(found: Any) -> None:
    assert not is_as_expected([CLAIM], found)


def test_what_is_new_at_each_run_is_expected_by_its_form() -> None:
    assert is_as_expected([CLAIM], [{**CLAIM, "value": "abc-12"}])
