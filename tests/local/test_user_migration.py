"""Somebody whom the pool does not know yet.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-migrate-user.html
"""

from uuid import uuid4

import pytest

from local.sign_in import App, SignInRefused
from tests.local.user_pool import PASSWORD, Probe, UserPool

ASKED = "UserMigration_Authentication"
PRE = "PreAuthentication_Authentication"
POST = "PostAuthentication_Authentication"

COMES = {
    "userAttributes": {"email": "old@example.com", "email_verified": "true"},
    "finalUserStatus": "CONFIRMED",
}


@pytest.fixture(scope="module")
def app(pool: UserPool) -> App:
    return pool.web_app()


@pytest.fixture
def stranger() -> str:
    return f"old-{uuid4().hex[:8]}"


@pytest.mark.parametrize(
    ("flow", "last"),
    [
        pytest.param(App.password, "TokenGeneration_Authentication", id="USER_PASSWORD_AUTH"),
        pytest.param(App.admin, "TokenGeneration_Authentication", id="ADMIN_USER_PASSWORD_AUTH"),
        pytest.param(App.hosted_ui_code, "TokenGeneration_HostedAuth", id="the sign-in page"),
    ],
)
def test_moves_in_with_the_first_sign_in(
    flow: object, last: str, app: App, stranger: str, probe: Probe
) -> None:
    assert callable(flow)
    probe.answer(ASKED, response=COMES)

    tokens = flow(app, stranger, PASSWORD)

    assert probe.sources == [ASKED, PRE, POST, last]
    assert probe.event(ASKED)["request"]["password"] == PASSWORD
    assert tokens.access_claims["username"] == stranger
    probe.reset()
    app.srp(stranger, PASSWORD)
    assert ASKED not in probe.sources


def test_is_not_asked_for_with_srp(app: App, stranger: str, probe: Probe) -> None:
    with pytest.raises(SignInRefused, match="UserNotFoundException"):
        app.srp(stranger, PASSWORD)

    assert probe.sources == []


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"raise_": "wrong password"}, id="an exception"),
        pytest.param({"response": {"userAttributes": None}}, id="no attributes"),
        pytest.param({"returns": None}, id="null"),
    ],
)
def test_stays_a_stranger_after(
    answer: dict[str, object], app: App, stranger: str, probe: Probe
) -> None:
    probe.answer(ASKED, **answer)

    with pytest.raises(SignInRefused, match="Exception migrating user"):
        app.password(stranger, PASSWORD)

    assert probe.sources == [ASKED]


def test_stays_unknown_where_existence_is_hidden(
    pool: UserPool, stranger: str, probe: Probe
) -> None:
    app = pool.app(PreventUserExistenceErrors="ENABLED")
    probe.answer(ASKED, raise_="wrong password")

    with pytest.raises(SignInRefused, match="Incorrect username or password"):
        app.password(stranger, PASSWORD)


def test_may_have_to_set_a_new_password(
    app: App, pool: UserPool, stranger: str, probe: Probe
) -> None:
    probe.answer(ASKED, response={**COMES, "finalUserStatus": "RESET_REQUIRED"})

    with pytest.raises(SignInRefused, match="PasswordResetRequiredException"):
        app.password(stranger, PASSWORD)

    assert POST not in probe.sources


def test_moves_in_with_a_forgotten_password(
    app: App, pool: UserPool, stranger: str, probe: Probe
) -> None:
    probe.answer("UserMigration_ForgotPassword", response=COMES)

    pool.api.forgot_password(ClientId=app.client_id, Username=stranger)

    assert probe.sources == ["UserMigration_ForgotPassword"]
    found = pool.api.admin_get_user(UserPoolId=pool.id, Username=stranger)
    assert found["UserStatus"] == "RESET_REQUIRED"
