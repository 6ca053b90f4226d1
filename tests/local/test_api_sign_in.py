"""Which triggers an API sign-in calls, in which order, and what a refusal does.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
"""

from collections.abc import Callable
from typing import Any

import pytest

from local.server import EmbeddedAws
from local.sign_in import App, SignInRefused, Tokens
from tests.local.user_pool import PASSWORD, Probe, UserPool

PRE = "PreAuthentication_Authentication"
POST = "PostAuthentication_Authentication"
TOKEN = "TokenGeneration_Authentication"
NEW_PASSWORD = "TokenGeneration_NewPasswordChallenge"

SignIn = Callable[..., Tokens]


@pytest.fixture(scope="module")
def app(pool: UserPool) -> App:
    return pool.app()


@pytest.fixture(scope="module")
def person(pool: UserPool) -> str:
    return pool.person()


FLOWS = pytest.mark.parametrize(
    "flow",
    [
        pytest.param(App.password, id="USER_PASSWORD_AUTH"),
        pytest.param(App.admin, id="ADMIN_USER_PASSWORD_AUTH"),
        pytest.param(App.srp, id="USER_SRP_AUTH"),
    ],
)


@FLOWS
def test_a_sign_in_calls_three_triggers_once_each(
    flow: SignIn, app: App, person: str, probe: Probe
) -> None:
    tokens = flow(app, person, PASSWORD)

    assert probe.sources == [PRE, POST, TOKEN]
    assert tokens.id_claims["cognito:username"] == person
    assert tokens.access_claims["username"] == person


@FLOWS
def test_the_other_order_gives_the_same_tokens(
    flow: SignIn,
    app: App,
    person: str,
    probe: Probe,
    configure: Callable[..., dict[str, Any]],
) -> None:
    configure(trigger_order="pre_token_first")

    flow(app, person, PASSWORD)

    assert probe.sources == [PRE, TOKEN, POST]


@FLOWS
@pytest.mark.parametrize(
    ("source", "trigger"),
    [
        (PRE, "PreAuthentication"),
        (POST, "PostAuthentication"),
        (TOKEN, "PreTokenGeneration"),
    ],
)
@pytest.mark.parametrize("order", ["post_authentication_first", "pre_token_first"])
def test_each_trigger_can_refuse_in_either_order(
    flow: SignIn,
    source: str,
    trigger: str,
    order: str,
    app: App,
    person: str,
    probe: Probe,
    configure: Callable[..., dict[str, Any]],
) -> None:
    configure(trigger_order=order)
    probe.answer(source, raise_="access_denied: You do not have access")

    with pytest.raises(SignInRefused) as refused:
        flow(app, person, PASSWORD)

    assert refused.value.code == "UserLambdaValidationException"
    assert (
        refused.value.message
        == f"{trigger} failed with error access_denied: You do not have access."
    )


def test_a_wrong_password_calls_neither_of_the_later_triggers(
    app: App, person: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-authentication.html"""
    with pytest.raises(SignInRefused) as refused:
        app.password(person, "Wrong-horse-1")

    assert refused.value.code == "NotAuthorizedException"
    assert probe.sources == [PRE]


def test_a_wrong_password_in_srp_calls_neither_of_the_later_triggers(
    app: App, person: str, probe: Probe
) -> None:
    with pytest.raises(SignInRefused, match="NotAuthorizedException"):
        app.srp(person, "Wrong-horse-1")

    assert probe.sources == [PRE]


@FLOWS
def test_a_disabled_user_calls_no_trigger(
    flow: SignIn, app: App, pool: UserPool, probe: Probe
) -> None:
    name = pool.person()
    probe.reset()
    pool.api.admin_disable_user(UserPoolId=pool.id, Username=name)

    with pytest.raises(SignInRefused, match="User is disabled"):
        flow(app, name, PASSWORD)

    assert probe.sources == []


def test_an_unknown_name_calls_no_trigger(app: App, probe: Probe) -> None:
    with pytest.raises(SignInRefused, match="UserNotFoundException"):
        app.password("nobody", PASSWORD)

    # User migration is asked, and does not know the name either.
    assert PRE not in probe.sources


def test_pre_authentication_is_told_of_an_unknown_name_where_existence_is_hidden(
    pool: UserPool, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-authentication.html"""
    app = pool.app(PreventUserExistenceErrors="ENABLED")

    with pytest.raises(SignInRefused, match="NotAuthorizedException"):
        app.srp("nobody", PASSWORD)

    assert probe.event(PRE)["request"]["userNotFound"] is True


def test_a_flow_that_the_app_client_does_not_allow_calls_no_trigger(
    pool: UserPool, person: str, probe: Probe
) -> None:
    app = pool.app(["ALLOW_REFRESH_TOKEN_AUTH"])

    for flow in (App.password, App.admin, App.srp):
        with pytest.raises(SignInRefused, match="InvalidParameterException"):
            flow(app, person, PASSWORD)

    assert probe.sources == []


def test_the_post_authentication_event(app: App, pool: UserPool, person: str, probe: Probe) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-post-authentication.html"""
    app.password(person, PASSWORD)

    event = probe.event(POST)
    assert event["version"] == "1"
    assert event["userPoolId"] == pool.id
    assert event["region"] == "eu-west-1"
    assert event["userName"] == person
    assert event["callerContext"]["clientId"] == app.client_id
    attributes = event["request"]["userAttributes"]
    assert attributes["cognito:user_status"] == "CONFIRMED"
    assert attributes["email_verified"] == "true"
    assert event["request"]["newDeviceUsed"] is False
    assert event["response"] == {}


@pytest.mark.parametrize(
    ("flow", "expected"),
    [
        pytest.param(App.password, None, id="not without a challenge"),
        pytest.param(App.admin, None, id="not without a challenge, admin"),
        pytest.param(App.srp, {"tenant": "blue"}, id="with the answer to a challenge"),
    ],
)
def test_client_metadata_reaches_the_later_triggers(
    flow: SignIn, expected: dict[str, str] | None, app: App, person: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_InitiateAuth.html"""
    flow(app, person, PASSWORD, client_metadata={"tenant": "blue"})

    assert probe.event(POST)["request"].get("clientMetadata") == expected
    assert probe.event(TOKEN)["request"].get("clientMetadata") == expected


def test_client_metadata_of_initiate_auth_is_validation_data_before(
    app: App, person: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-authentication.html"""
    app.password(person, PASSWORD, client_metadata={"tenant": "blue"})

    assert probe.event(PRE)["request"]["validationData"] == {"tenant": "blue"}
    assert "clientMetadata" not in probe.event(PRE)["request"]


@pytest.mark.parametrize(
    ("settings", "sources"),
    [
        pytest.param({"post_authentication_fires": False}, [PRE, TOKEN], id="only pre token"),
        pytest.param({"pre_token_fires": False}, [PRE, POST], id="only post authentication"),
        pytest.param(
            {"deliveries": 3}, [PRE, PRE, PRE, POST, POST, POST, TOKEN, TOKEN, TOKEN], id="retries"
        ),
    ],
)
def test_settings_leave_a_trigger_out_or_deliver_its_event_again(
    settings: dict[str, Any],
    sources: list[str],
    app: App,
    person: str,
    probe: Probe,
    configure: Callable[..., dict[str, Any]],
) -> None:
    configure(**settings)

    app.srp(person, PASSWORD)

    assert probe.sources == sources


def test_a_delivery_again_carries_the_very_same_event(
    app: App, person: str, probe: Probe, configure: Callable[..., dict[str, Any]]
) -> None:
    configure(deliveries=2)

    app.password(person, PASSWORD)

    events = [event for event in probe.events if event["triggerSource"] == TOKEN]
    assert events[0] == events[1]


def test_the_record_of_calls_names_triggers_users_and_outcomes(
    aws: EmbeddedAws, app: App, pool: UserPool, person: str, probe: Probe
) -> None:
    probe.answer(TOKEN, raise_="no")

    with pytest.raises(SignInRefused):
        app.password(person, PASSWORD)

    calls = aws.trigger_calls(pool=pool.id)
    assert [(call["trigger"], call["outcome"]) for call in calls] == [
        ("PreAuthentication", "ok"),
        ("PostAuthentication", "ok"),
        ("PreTokenGeneration", "UserLambdaValidationException"),
    ]
    assert {(call["user"], call["client"], call["delivery"]) for call in calls} == {
        (person, app.client_id, 1)
    }


def test_a_group_change_in_post_authentication_shows_in_the_tokens(
    app: App, pool: UserPool, probe: Probe
) -> None:
    """Reported for real Cognito; tokens are made after post authentication returned."""
    name = pool.person()
    pool.group("late", name)
    probe.reset()

    assert app.password(name, PASSWORD).id_claims["cognito:groups"] == ["late"]


class TestATemporaryPassword:
    """https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RespondToAuthChallenge.html"""

    @FLOWS
    def test_is_replaced_and_the_token_trigger_says_so(
        self, flow: SignIn, app: App, pool: UserPool, probe: Probe
    ) -> None:
        name = pool.person(temporary=True)
        probe.reset()

        tokens = flow(app, name, PASSWORD, new_password="Another-horse-2")

        assert probe.sources == [PRE, POST, NEW_PASSWORD]
        assert tokens.id_claims["cognito:username"] == name
        assert app.password(name, "Another-horse-2").refresh_token

    def test_can_leave_post_authentication_out(
        self, app: App, pool: UserPool, probe: Probe, configure: Callable[..., dict[str, Any]]
    ) -> None:
        configure(post_authentication_fires_after_new_password=False)
        name = pool.person(temporary=True)
        probe.reset()

        app.srp(name, PASSWORD, new_password="Another-horse-2")

        assert probe.sources == [PRE, NEW_PASSWORD]

    def test_gives_no_tokens_when_the_token_trigger_refuses(
        self, app: App, pool: UserPool, probe: Probe
    ) -> None:
        name = pool.person(temporary=True)
        probe.answer(NEW_PASSWORD, raise_="no")

        with pytest.raises(SignInRefused, match="PreTokenGeneration failed with error no"):
            app.srp(name, PASSWORD, new_password="Another-horse-2")

    def test_is_not_replaced_by_somebody_without_the_session(
        self, app: App, pool: UserPool, probe: Probe
    ) -> None:
        name = pool.person(temporary=True)

        with pytest.raises(SignInRefused, match="Invalid session"):
            app._respond(
                name,
                {"ChallengeName": "NEW_PASSWORD_REQUIRED", "Session": "x" * 40},
                {"NEW_PASSWORD": "Another-horse-2"},
                None,
                False,
            )

    def test_is_not_replaced_for_another_user_by_ones_own_session(
        self, app: App, pool: UserPool
    ) -> None:
        mine, theirs = pool.person(temporary=True), pool.person(temporary=True)
        challenge = app._initiate("USER_PASSWORD_AUTH", mine, {"PASSWORD": PASSWORD}, None)

        with pytest.raises(SignInRefused, match="Invalid session"):
            app._respond(theirs, challenge, {"NEW_PASSWORD": "Another-horse-2"}, None, False)

    @pytest.mark.parametrize(
        ("answer", "code"),
        [
            pytest.param({}, "InvalidParameterException", id="no new password"),
            pytest.param({"NEW_PASSWORD": "weak"}, "InvalidPasswordException", id="a weak one"),
        ],
    )
    def test_stays_until_there_is_a_good_one(
        self, answer: dict[str, str], code: str, app: App, pool: UserPool
    ) -> None:
        name = pool.person(temporary=True)
        challenge = app._initiate("USER_PASSWORD_AUTH", name, {"PASSWORD": PASSWORD}, None)

        with pytest.raises(SignInRefused) as refused:
            app._respond(name, challenge, answer, None, False)

        assert refused.value.code == code
        again = app._respond(name, challenge, {"NEW_PASSWORD": "Another-horse-2"}, None, False)
        assert "AuthenticationResult" in again

    def test_session_is_good_once(self, app: App, pool: UserPool) -> None:
        name = pool.person(temporary=True)
        challenge = app._initiate("USER_PASSWORD_AUTH", name, {"PASSWORD": PASSWORD}, None)
        app._respond(name, challenge, {"NEW_PASSWORD": "Another-horse-2"}, None, False)

        with pytest.raises(SignInRefused, match="Invalid session"):
            app._respond(name, challenge, {"NEW_PASSWORD": "Stolen-horse-3"}, None, False)


@pytest.mark.parametrize("challenge", ["MFA_SETUP", "SMS_MFA", "SOFTWARE_TOKEN_MFA"])
@pytest.mark.parametrize("admin", [False, True])
def test_nobody_gets_tokens_for_a_challenge_that_was_not_asked(
    challenge: str, admin: bool, app: App, person: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RespondToAuthChallenge.html"""
    with pytest.raises(SignInRefused, match="NotAuthorizedException"):
        app._respond(person, {"ChallengeName": challenge, "Session": "x" * 40}, {}, None, admin)

    assert probe.sources == []
