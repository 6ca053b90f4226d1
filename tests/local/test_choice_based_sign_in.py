"""USER_AUTH with passwords.

https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flows-selection-sdk.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RespondToAuthChallenge.html
"""

import pytest

from local.sign_in import App, SignInRefused
from tests.local.user_pool import PASSWORD, Probe, UserPool

PRE = "PreAuthentication_Authentication"
POST = "PostAuthentication_Authentication"
TOKEN = "TokenGeneration_Authentication"

FLOWS = ["ALLOW_USER_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]


@pytest.fixture(scope="module")
def app(pool: UserPool) -> App:
    return pool.app(FLOWS)


@pytest.fixture(scope="module")
def person(pool: UserPool) -> str:
    return pool.person()


WAYS = pytest.mark.parametrize(
    ("preferred", "select"),
    [
        pytest.param("PASSWORD", None, id="the password at once"),
        pytest.param("PASSWORD_SRP", None, id="SRP at once"),
        pytest.param(None, "PASSWORD", id="the password when asked"),
        pytest.param(None, "PASSWORD_SRP", id="SRP when asked"),
    ],
)
ADMIN = pytest.mark.parametrize(
    "admin", [pytest.param(False, id="public"), pytest.param(True, id="admin")]
)


@WAYS
@ADMIN
def test_each_way_calls_each_trigger_once(
    preferred: str | None, select: str | None, admin: bool, app: App, person: str, probe: Probe
) -> None:
    tokens = app.user_auth(person, PASSWORD, preferred=preferred, select=select, admin=admin)

    assert probe.sources == [PRE, POST, TOKEN]
    assert tokens.access_claims["username"] == person


@WAYS
@pytest.mark.parametrize("source", [PRE, POST, TOKEN])
def test_each_trigger_can_refuse(
    source: str,
    preferred: str | None,
    select: str | None,
    app: App,
    person: str,
    probe: Probe,
) -> None:
    probe.answer(source, raise_="no")

    with pytest.raises(SignInRefused, match="failed with error no"):
        app.user_auth(person, PASSWORD, preferred=preferred, select=select)


@WAYS
def test_a_wrong_password_gives_nothing(
    preferred: str | None, select: str | None, app: App, person: str, probe: Probe
) -> None:
    with pytest.raises(SignInRefused, match="NotAuthorizedException"):
        app.user_auth(person, "Wrong-horse-1", preferred=preferred, select=select)

    assert probe.sources == [PRE]


@pytest.mark.parametrize(
    ("preferred", "select", "expected"),
    [
        pytest.param("PASSWORD", None, None, id="not without a challenge"),
        pytest.param(None, "PASSWORD", {"a": "b"}, id="with the selected challenge"),
        pytest.param("PASSWORD_SRP", None, {"a": "b"}, id="with the answer of SRP"),
    ],
)
def test_client_metadata_reaches_the_token_trigger(
    preferred: str | None,
    select: str | None,
    expected: dict[str, str] | None,
    app: App,
    person: str,
    probe: Probe,
) -> None:
    app.user_auth(person, PASSWORD, preferred=preferred, select=select, client_metadata={"a": "b"})

    assert probe.event(TOKEN)["request"].get("clientMetadata") == expected


def test_who_prefers_nothing_is_asked(app: App, person: str) -> None:
    challenge = app._initiate("USER_AUTH", person, {}, None)

    assert challenge["ChallengeName"] == "SELECT_CHALLENGE"
    assert set(challenge["AvailableChallenges"]) == {"PASSWORD", "PASSWORD_SRP"}


def test_who_prefers_what_is_not_there_is_asked(app: App, person: str) -> None:
    challenge = app._initiate("USER_AUTH", person, {"PREFERRED_CHALLENGE": "WEB_AUTHN"}, None)

    assert challenge["ChallengeName"] == "SELECT_CHALLENGE"


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param({"ANSWER": "WEB_AUTHN"}, id="a way that is not there"),
        pytest.param({"ANSWER": "PASSWORD"}, id="no password"),
        pytest.param({}, id="nothing"),
    ],
)
def test_a_selection_that_is_no_good_is_refused(
    answer: dict[str, str], app: App, person: str, probe: Probe
) -> None:
    challenge = app._initiate("USER_AUTH", person, {}, None)

    with pytest.raises(SignInRefused, match="InvalidParameterException"):
        app._respond(person, challenge, answer, None, False)

    assert probe.sources == [PRE]


def test_a_selection_needs_the_session_of_this_user(
    app: App, pool: UserPool, person: str, probe: Probe
) -> None:
    other = pool.person()
    challenge = app._initiate("USER_AUTH", other, {}, None)
    answer = {"ANSWER": "PASSWORD", "PASSWORD": PASSWORD}

    with pytest.raises(SignInRefused, match="Invalid session"):
        app._respond(person, challenge, answer, None, False)
    with pytest.raises(SignInRefused, match="Invalid session"):
        app._respond(person, {**challenge, "Session": "x" * 40}, answer, None, False)

    assert "AuthenticationResult" in app._respond(other, challenge, answer, None, False)


def test_the_app_client_has_to_allow_it(pool: UserPool, person: str, probe: Probe) -> None:
    app = pool.app()

    for admin in (False, True):
        with pytest.raises(SignInRefused, match="USER_AUTH is not enabled"):
            app.user_auth(person, PASSWORD, admin=admin)

    assert probe.sources == []


def test_it_needs_no_other_flow(app: App, person: str) -> None:
    for flow in (App.password, App.srp):
        with pytest.raises(SignInRefused, match="InvalidParameterException"):
            flow(app, person, PASSWORD)


@WAYS
def test_a_disabled_user_calls_no_trigger(
    preferred: str | None, select: str | None, app: App, pool: UserPool, probe: Probe
) -> None:
    name = pool.person()
    pool.api.admin_disable_user(UserPoolId=pool.id, Username=name)
    probe.reset()

    with pytest.raises(SignInRefused, match="User is disabled"):
        app.user_auth(name, PASSWORD, preferred=preferred, select=select)

    assert probe.sources == []


def test_a_temporary_password_is_replaced_here_too(app: App, pool: UserPool, probe: Probe) -> None:
    name = pool.person(temporary=True)
    probe.reset()
    answer = app._initiate(
        "USER_AUTH", name, {"PREFERRED_CHALLENGE": "PASSWORD", "PASSWORD": PASSWORD}, None
    )

    tokens = app._finish(name, answer, None, new_password="Another-horse-2")

    assert tokens.access_claims["username"] == name
    assert probe.sources == [PRE, POST, "TokenGeneration_NewPasswordChallenge"]
