from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.chain import When
from cognito_rules.testing import a_login
from functions.allow_listed_users.app import rule

UNVERIFIED, UNLISTED = "email_not_verified", "user_not_listed"
SUB = "6f1c2d9e-0000-4000-8000-000000000001"


def decide(email: Any, verified: Any = True, **settings: Any) -> Effects:
    user = {"user_id": SUB, "email": email, "email_verified": verified}
    configuration = {"emails": ["user1@example.com"], **settings}
    return rule.decide(a_login(user=user, configuration=configuration))


@pytest.mark.parametrize(
    ("email", "verified", "settings", "code"),
    [
        pytest.param("user1@example.com", True, {}, None, id="a listed address"),
        pytest.param("User1@Example.com", True, {}, None, id="in other letters"),
        pytest.param("denied@nope.com", True, {}, UNLISTED, id="another one"),
        pytest.param("user1@example.com.evil.org", True, {}, UNLISTED, id="one that begins so"),
        pytest.param(None, True, {}, UNVERIFIED, id="no address"),
        pytest.param("user1@example.com", False, {}, UNVERIFIED, id="one that is not verified"),
        pytest.param("user1@example.com", None, {}, UNVERIFIED, id="one nobody knows of"),
        pytest.param("new@example.com", False, {"user_ids": [SUB]}, None, id="a listed person"),
        pytest.param(
            "new@example.com", True, {"user_ids": [SUB.upper()]}, UNLISTED, id="another person"
        ),
        pytest.param(
            "new@example.com",
            True,
            {"emails": [], "user_ids": [SUB]},
            None,
            id="listed by id only",
        ),
    ],
)
def test_who_gets_in(email: Any, verified: Any, settings: dict[str, Any], code: str | None) -> None:
    assert decide(email, verified, **settings).denied_with == code


@pytest.mark.parametrize(
    ("when", "facts", "is_asked"),
    [
        pytest.param({"applications": ("A",)}, {"client": {"client_id": "B"}}, False, id="app B"),
        pytest.param({"applications": ("A",)}, {"client": {"client_id": "A"}}, True, id="app A"),
        pytest.param(
            {"connections": ("fitbit",)},
            {"user": {"identities": [{"connection": "Google"}]}},
            False,
            id="another connection",
        ),
        pytest.param(
            {"connections": ("fitbit",)},
            {"user": {"identities": [{"connection": "fitbit"}, {"connection": "COGNITO"}]}},
            True,
            id="a linked identity of the connection",
        ),
    ],
)
def test_the_entry_says_who_is_asked(when: Any, facts: Any, is_asked: bool) -> None:
    assert When(**when).matches(facts) is is_asked


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"emails": [], "user_ids": []}, id="two empty lists"),
        pytest.param({"emails": ["user1"]}, id="no address"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide("user1@example.com", **settings)
