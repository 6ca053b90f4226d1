from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.disable_flagged_users.app import rule


def decide(login: dict[str, Any], **settings: Any) -> Effects:
    return rule.decide(a_login(**login, configuration=settings))


@pytest.mark.parametrize(
    ("app_metadata", "code"),
    [
        pytest.param({"deleted": True}, "user_flagged", id="true"),
        pytest.param({"deleted": "true"}, "user_flagged", id="the text true"),
        pytest.param({"deleted": 1}, "user_flagged", id="the number 1"),
        pytest.param({"deleted": "1"}, "user_flagged", id="the text 1"),
        pytest.param({"deleted": False}, None, id="false is not set"),
        pytest.param({"deleted": "false"}, None, id="nor is the text false"),
        pytest.param({"deleted": None}, None, id="nor is a null"),
        pytest.param({"deleted": 2}, None, id="nor is another number"),
        pytest.param({"deleted": ["true"]}, None, id="nor is a list"),
        pytest.param({"deleted": {"by": "admin"}}, None, id="nor is an object"),
        pytest.param({}, None, id="no metadata"),
        pytest.param({"Deleted": True}, None, id="another key"),
    ],
)
def test_a_flag_refuses(app_metadata: dict[str, Any], code: str | None) -> None:
    effects = decide({"user": {"app_metadata": app_metadata}})

    assert effects.denied_with == code


def test_the_person_is_not_told_of_the_flag() -> None:
    effects = decide({"user": {"app_metadata": {"deleted": True}}})

    assert effects.items[0]["reason"] == "Access denied."
    assert effects.items[0]["public_code"] == "access_denied"


def test_user_metadata_is_never_looked_at() -> None:
    effects = decide({"user": {"user_metadata": {"deleted": True}, "app_metadata": {}}})

    assert effects.items == []


@pytest.mark.parametrize(
    ("app_metadata", "code"),
    [
        pytest.param({"blocked": True}, "user_flagged", id="the first"),
        pytest.param({"gdpr": {"withdrawn": "true"}}, "user_flagged", id="a deeper one"),
        pytest.param({"deleted": True}, None, id="one that is not configured"),
        pytest.param({"gdpr": True}, None, id="a parent of a path"),
    ],
)
def test_flags_are_paths(app_metadata: dict[str, Any], code: str | None) -> None:
    effects = decide({"user": {"app_metadata": app_metadata}}, flags=["blocked", "gdpr.withdrawn"])

    assert effects.denied_with == code


def test_unreadable_metadata_refuses_and_asks_to_try_again() -> None:
    effects = decide({})

    assert effects.denied_with == "metadata_unavailable"
    assert effects.items[0]["public_code"] == "try_again"


def test_unreadable_metadata_lets_in_when_asked() -> None:
    effects = decide({}, on_store_failure="allow")

    assert effects.items == []
    assert effects.warnings == ["metadata_unavailable"]


@pytest.mark.parametrize(
    ("identities", "code"),
    [
        pytest.param([("Google", "1089")], "user_flagged", id="under a new sub"),
        pytest.param([("COGNITO", "a"), ("Google", "1089")], "user_flagged", id="linked"),
        pytest.param([("Google", "1090")], None, id="another person"),
        pytest.param([("Facebook", "1089")], None, id="another provider"),
        pytest.param([], None, id="none"),
    ],
)
def test_a_flagged_identity_refuses_a_user_who_was_created_anew(
    identities: list[tuple[str, str]], code: str | None
) -> None:
    linked = [{"connection": name, "user_id": user_id} for name, user_id in identities]
    login = {"user": {"app_metadata": {}, "identities": linked}}

    effects = decide(login, flagged_identities=["Google|1089"])

    assert effects.denied_with == code


def test_a_flagged_identity_refuses_even_when_metadata_cannot_be_read() -> None:
    login = {"user": {"identities": [{"connection": "Google", "user_id": "1089"}]}}

    effects = decide(login, flagged_identities=["Google|1089"], on_store_failure="allow")

    assert effects.denied_with == "user_flagged"


def test_a_user_flagged_after_the_login_is_refused_at_the_refresh() -> None:
    assert rule.manifest.runs_on_refresh


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"flags": []}, "flags", id="no flag"),
        pytest.param({"flags": [""]}, "flags", id="an empty flag"),
        pytest.param({"flags": ["gdpr..withdrawn"]}, "flags", id="a gap in a path"),
        pytest.param({"flagged_identities": ["1089"]}, "1089", id="an identity without connection"),
        pytest.param({"flagged_identities": ["|1089"]}, "1089", id="an empty connection"),
        pytest.param({"flagged_identities": ["Google|"]}, "Google", id="an empty user id"),
        pytest.param({"on_store_failure": "ignore"}, "on_store_failure", id="an unknown choice"),
        pytest.param({"disable_in_pool": True}, "disable_in_pool", id="a setting there is not"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide({"user": {"app_metadata": {}}}, **settings)
