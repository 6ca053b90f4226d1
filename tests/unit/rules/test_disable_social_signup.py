from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.disable_social_signup.app import rule

DENIED = "signup_disabled"
GOOGLE = [{"connection": "Google"}]
INVITED: dict[str, Any] = {"invited_emails": ["Jane@Example.com"]}


def sign_up(
    username: str, source: str = "PreSignUp_ExternalProvider", user: Any = None, **settings: Any
) -> Effects:
    login: dict[str, Any] = {
        "user": {"username": username, **(user or {})},
        "transaction": {"trigger": source},
    }
    return rule.decide(a_login(**login, configuration=settings))


def log_in(
    identities: Any, count: int | None, app_metadata: Any = None, **settings: Any
) -> Effects:
    return rule.decide(
        a_login(
            user={"identities": identities, "app_metadata": app_metadata or {}},
            stats={} if count is None else {"logins_count": count},
            transaction={"trigger": "PostAuthentication_Authentication"},
            configuration={"mode": "net", **settings},
        )
    )


@pytest.mark.parametrize(
    ("username", "source", "code"),
    [
        pytest.param("Google_1234", "PreSignUp_ExternalProvider", DENIED, id="through Google"),
        pytest.param("google_1234", "PreSignUp_ExternalProvider", DENIED, id="in lower case"),
        pytest.param("SignInWithApple_0.a", "PreSignUp_ExternalProvider", DENIED, id="Apple"),
        pytest.param("Contoso_jane", "PreSignUp_ExternalProvider", None, id="through a SAML one"),
        pytest.param("Google", "PreSignUp_ExternalProvider", None, id="a name without an id"),
        pytest.param("GoogleMail_1", "PreSignUp_ExternalProvider", None, id="a longer name"),
        pytest.param("Google_1234", "PreSignUp_SignUp", None, id="a local account of that name"),
        pytest.param("Google_1234", "PreSignUp_AdminCreateUser", None, id="by an administrator"),
    ],
)
def test_who_becomes_a_user(username: str, source: str, code: str | None) -> None:
    assert sign_up(username, source).denied_with == code


def test_a_provider_whose_name_holds_an_underscore() -> None:
    assert sign_up("My_Provider_1", providers=["My_Provider"]).denied_with == DENIED
    assert sign_up("My_Other_1", providers=["My_Provider"]).denied_with is None


@pytest.mark.parametrize(
    ("user", "code"),
    [
        pytest.param({"email": "jane@example.com", "email_verified": True}, None, id="is let in"),
        pytest.param(
            {"email": "jane@example.com", "email_verified": False}, DENIED, id="unverified, is not"
        ),
        pytest.param({"email": "jane@example.com"}, DENIED, id="of nobody knows what, is not"),
        pytest.param(
            {"email": "joe@example.com", "email_verified": True}, DENIED, id="of another, is not"
        ),
    ],
)
def test_an_invited_address(user: dict[str, Any], code: str | None) -> None:
    assert sign_up("Google_1234", user=user, **INVITED).denied_with == code


def test_logins_are_left_alone_where_sign_ups_are_refused() -> None:
    assert log_in(GOOGLE, 1, mode="pre_signup").items == []


@pytest.mark.parametrize(
    ("identities", "count", "app_metadata", "code"),
    [
        pytest.param(GOOGLE, 1, {}, DENIED, id="a first social login"),
        pytest.param(GOOGLE, 1, {"is_signup": True}, DENIED, id="one that was refused before"),
        pytest.param(GOOGLE, 1, {"is_signup": False}, None, id="one that was cleared"),
        pytest.param(GOOGLE, 2, {}, None, id="a known user"),
        pytest.param([*GOOGLE, {"connection": "COGNITO"}], 1, {}, None, id="a linked user"),
        pytest.param([{"connection": "Contoso"}], 1, {}, None, id="another provider"),
        pytest.param([], 1, {}, None, id="no identity"),
        pytest.param(GOOGLE, None, {}, "metadata_unavailable", id="nobody knows how often"),
    ],
)
def test_in_net_mode(identities: Any, count: int | None, app_metadata: Any, code: str) -> None:
    assert log_in(identities, count, app_metadata).denied_with == code


def test_one_provider_can_be_all_that_is_listed() -> None:
    assert log_in(GOOGLE, 1, providers=["Google"]).denied_with == DENIED


def test_it_runs_before_the_account_exists_and_for_named_applications() -> None:
    assert rule.manifest.runs_on_sign_up
    assert rule.manifest.needs_applications


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"providers": []}, id="no provider"),
        pytest.param({"invited_emails": ["jane"]}, id="no address"),
        pytest.param({"mode": "both"}, id="an unknown mode"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        sign_up("Google_1234", **settings)
