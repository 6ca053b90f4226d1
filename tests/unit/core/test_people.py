from typing import Any

import pytest

from cognito_rules.people import is_account_older, person_id
from cognito_rules.testing import a_login

USER = {"user_id": "sub-1"}
IMPORTED = USER | {"app_metadata": {"legacy_user_id": "auth0|5f7c8e"}}


@pytest.mark.parametrize(
    ("user", "kind", "expected"),
    [
        pytest.param(IMPORTED, "legacy_user_id", "auth0|5f7c8e", id="an imported person"),
        pytest.param(IMPORTED, "sub", "sub-1", id="an imported person, who begins anew"),
        pytest.param(USER, "legacy_user_id", "sub-1", id="somebody who was not imported"),
        pytest.param({"user_id": None}, "sub", "", id="nobody"),
    ],
)
def test_who_a_person_is_to_other_systems(user: dict[str, Any], kind: str, expected: str) -> None:
    assert person_id(a_login(user=user), kind) == expected


@pytest.mark.parametrize(
    ("created", "event", "day", "older"),
    [
        pytest.param("2019-05-01T10:00:00Z", "LoginCompleted", None, False, id="no day is set"),
        pytest.param("2026-11-17T23:59:59Z", "LoginCompleted", "2026-11-18", True, id="before"),
        pytest.param("2026-11-18T00:00:00Z", "LoginCompleted", "2026-11-18", False, id="that day"),
        pytest.param("2026-11-18T01:30:00+02:00", "LoginCompleted", "2026-11-18", True, id="zone"),
        pytest.param(None, "LoginCompleted", "2026-11-18", True, id="of unknown age"),
        pytest.param(None, "SignUpConfirmed", "2026-11-18", False, id="signing up now"),
    ],
)
def test_an_account_is_older_than_a_day(
    created: str | None, event: str, day: str | None, older: bool
) -> None:
    login = a_login(user={"created_at": created}, event={"type": event})

    assert is_account_older(login, day) is older
