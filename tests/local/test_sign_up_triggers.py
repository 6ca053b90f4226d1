"""The triggers of sign-up, confirmation, forgotten passwords.

https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-sign-up.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-post-confirmation.html
"""

from typing import Any
from uuid import uuid4

import pytest

from local.sign_in import App
from tests.local.user_pool import PASSWORD, Probe, UserPool

SIGN_UP = "PreSignUp_SignUp"
BY_ADMIN = "PreSignUp_AdminCreateUser"
CONFIRMED = "PostConfirmation_ConfirmSignUp"
RESET = "PostConfirmation_ConfirmForgotPassword"


@pytest.fixture(scope="module")
def app(pool: UserPool) -> App:
    return pool.app()


def sign_up(app: App, **more: Any) -> str:
    name = f"new-{uuid4().hex[:8]}"
    app.aws.client("cognito-idp").sign_up(
        ClientId=app.client_id,
        Username=name,
        Password=PASSWORD,
        UserAttributes=[{"Name": "email", "Value": f"{name}@example.com"}],
        **more,
    )
    return name


def status(pool: UserPool, name: str) -> str:
    return str(pool.api.admin_get_user(UserPoolId=pool.id, Username=name)["UserStatus"])


def confirm(app: App, name: str, **more: Any) -> None:
    app.aws.client("cognito-idp").confirm_sign_up(
        ClientId=app.client_id, Username=name, ConfirmationCode="123456", **more
    )


def test_pre_sign_up_sees_what_was_sent(app: App, probe: Probe) -> None:
    name = sign_up(
        app,
        ValidationData=[{"Name": "captcha", "Value": "42"}],
        ClientMetadata={"tenant": "blue"},
    )

    event = probe.event(SIGN_UP)
    assert event["userName"] == name
    assert event["callerContext"]["clientId"] == app.client_id
    assert event["request"]["validationData"] == {"captcha": "42"}
    assert event["request"]["clientMetadata"] == {"tenant": "blue"}
    assert event["request"]["userAttributes"]["email"] == f"{name}@example.com"
    assert probe.sources == [SIGN_UP]


def test_pre_sign_up_can_refuse(app: App, pool: UserPool, probe: Probe) -> None:
    probe.answer(SIGN_UP, raise_="not you")

    with pytest.raises(
        pool.api.exceptions.UserLambdaValidationException,
        match="PreSignUp failed with error not you",
    ):
        sign_up(app)


def test_pre_sign_up_that_confirms_is_followed_by_post_confirmation(
    app: App, pool: UserPool, probe: Probe
) -> None:
    probe.answer(SIGN_UP, response={"autoConfirmUser": True, "autoVerifyEmail": True})

    name = sign_up(app)

    assert probe.sources == [SIGN_UP, CONFIRMED]
    assert probe.event(CONFIRMED)["request"]["userAttributes"]["email_verified"] == "true"
    assert status(pool, name) == "CONFIRMED"


def test_confirm_sign_up_calls_post_confirmation(app: App, pool: UserPool, probe: Probe) -> None:
    name = sign_up(app)
    probe.reset()

    confirm(app, name, ClientMetadata={"tenant": "blue"})

    event = probe.event(CONFIRMED)
    assert event["userName"] == name
    assert event["request"]["clientMetadata"] == {"tenant": "blue"}
    assert event["request"]["userAttributes"]["cognito:user_status"] == "CONFIRMED"


def test_a_wrong_code_does_not(app: App, pool: UserPool, probe: Probe) -> None:
    name = sign_up(app)
    probe.reset()

    with pytest.raises(pool.api.exceptions.CodeMismatchException):
        pool.api.confirm_sign_up(ClientId=app.client_id, Username=name, ConfirmationCode="000000")

    assert probe.sources == []


def test_admin_confirm_sign_up_calls_it_once(app: App, pool: UserPool, probe: Probe) -> None:
    name = sign_up(app)
    probe.reset()

    pool.api.admin_confirm_sign_up(UserPoolId=pool.id, Username=name)
    with pytest.raises(pool.api.exceptions.NotAuthorizedException, match="CONFIRMED"):
        pool.api.admin_confirm_sign_up(UserPoolId=pool.id, Username=name)

    assert probe.event(CONFIRMED)["callerContext"]["clientId"] == "CLIENT_ID_NOT_APPLICABLE"


def test_a_refusal_is_an_error_but_the_user_is_confirmed(
    app: App, pool: UserPool, probe: Probe
) -> None:
    name = sign_up(app)
    probe.answer(CONFIRMED, raise_="too late")

    with pytest.raises(
        pool.api.exceptions.UserLambdaValidationException,
        match="PostConfirmation failed with error too late",
    ):
        confirm(app, name)

    assert status(pool, name) == "CONFIRMED"


def test_confirm_forgot_password_has_a_source_of_its_own(
    app: App, pool: UserPool, probe: Probe
) -> None:
    name = pool.person()
    pool.api.forgot_password(ClientId=app.client_id, Username=name)
    probe.reset()

    pool.api.confirm_forgot_password(
        ClientId=app.client_id,
        Username=name,
        ConfirmationCode="654321",
        Password="Another-horse-2",
    )

    assert probe.sources == [RESET]


class TestAdminCreateUser:
    def test_calls_pre_sign_up_and_never_post_confirmation(
        self, pool: UserPool, probe: Probe
    ) -> None:
        name = pool.person(temporary=True)

        assert probe.sources == [BY_ADMIN]
        assert probe.event(BY_ADMIN)["userName"] == name

    def test_can_be_refused(self, pool: UserPool, probe: Probe) -> None:
        probe.answer(BY_ADMIN, raise_="no")

        with pytest.raises(pool.api.exceptions.UserLambdaValidationException, match="PreSignUp"):
            pool.person()

    def test_stays_unconfirmed_whatever_the_answer(self, pool: UserPool, probe: Probe) -> None:
        probe.answer(BY_ADMIN, response={"autoConfirmUser": True})

        name = pool.person(temporary=True)

        assert status(pool, name) == "FORCE_CHANGE_PASSWORD"
