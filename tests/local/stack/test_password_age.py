"""How old a password is, from the change of it to the login that asks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN

PASSWORD_AGE = """
[[rules]]
rule = "password_age"
when = { applications = ["*"] }
placement = "inline"
"""
EXPIRED = "password_expired: Please change your password."
LONG_AGO = (datetime.now(UTC) - timedelta(days=59)).isoformat()


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack) -> Iterator[None]:
    stack.use_chain(PASSWORD_AGE)
    yield
    stack.use_chain(CHAIN)


@pytest.fixture
def person(app: App, stack: Stack, new_person: Callable[..., Person]) -> Person:
    """Somebody who has logged in, and whose password has grown old since."""
    person = new_person()
    app.srp(person.username, person.password)
    stack.set_app_metadata(person.user_id, {"last_password_reset": LONG_AGO})
    return person


def recorded(stack: Stack, person: Person) -> str:
    text: str = stack.profile(person.user_id)["app_metadata"]["last_password_reset"]
    return text


def is_new(text: str) -> bool:
    return datetime.now(UTC) - datetime.fromisoformat(text) < timedelta(minutes=2)


def cloud_trail(stack: Stack, person: Person, name: str, **detail: Any) -> dict[str, Any]:
    """Return an event as EventBridge passes CloudTrail's on."""
    return {
        "source": "aws.cognito-idp",
        "detail-type": "AWS API Call via CloudTrail",
        "detail": {
            "eventSource": "cognito-idp.amazonaws.com",
            "eventName": name,
            "eventTime": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "requestParameters": {"accessToken": "HIDDEN_DUE_TO_SECURITY_REASONS"},
            "additionalEventData": {"sub": person.user_id},
            **detail,
        },
    }


def tell(stack: Stack, event: dict[str, Any]) -> None:
    name = stack.login_function.replace("-login", "-record-password")
    answer = stack.aws.client("lambda").invoke(
        FunctionName=name, Payload=json.dumps(event).encode()
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


def test_a_person_whose_password_nobody_knows_the_age_of_logs_in(
    app: App, new_person: Callable[..., Person]
) -> None:
    person = new_person()

    assert app.srp(person.username, person.password).id_token


def test_an_old_password_is_refused_until_it_is_replaced(
    app: App, stack: Stack, person: Person
) -> None:
    with pytest.raises(SignInRefused, match=EXPIRED):
        app.srp(person.username, person.password)

    cognito = stack.aws.client("cognito-idp")
    cognito.forgot_password(ClientId=app.client_id, Username=person.username)
    cognito.confirm_forgot_password(
        ClientId=app.client_id,
        Username=person.username,
        ConfirmationCode="654321",
        Password="Bb2-another-password",
    )

    assert is_new(recorded(stack, person))
    assert app.srp(person.username, "Bb2-another-password").id_token


def test_a_temporary_password_is_recorded_when_it_is_replaced(
    app: App, stack: Stack, person: Person
) -> None:
    stack.aws.client("cognito-idp").admin_set_user_password(
        UserPoolId=stack.pool_id,
        Username=person.user_id,
        Password="Cc3-a-temporary-one",
        Permanent=False,
    )

    tokens = app.srp(person.username, "Cc3-a-temporary-one", new_password="Dd4-a-lasting-one")

    assert tokens.id_token
    assert is_new(recorded(stack, person))


@pytest.mark.parametrize("name", ["ChangePassword", "AdminSetUserPassword"])
def test_a_change_that_cloud_trail_tells_of_is_recorded(
    app: App, stack: Stack, person: Person, name: str
) -> None:
    tell(stack, cloud_trail(stack, person, name))

    assert is_new(recorded(stack, person))
    assert app.srp(person.username, person.password).id_token


@pytest.mark.parametrize(
    "detail",
    [
        pytest.param({"errorCode": "NotAuthorizedException"}, id="that failed"),
        pytest.param({"requestParameters": {"permanent": False}}, id="to a temporary one"),
        pytest.param({"additionalEventData": {}}, id="of nobody"),
        pytest.param({"additionalEventData": {"sub": "stranger"}}, id="of a stranger"),
        pytest.param({"eventTime": "2020-01-01T00:00:00Z"}, id="of long before"),
        pytest.param({"eventName": "GetUser"}, id="that is none"),
    ],
)
def test_nothing_is_recorded_of_a_change(
    stack: Stack, person: Person, detail: dict[str, Any]
) -> None:
    stack.set_app_metadata(person.user_id, {"last_password_reset": LONG_AGO})
    event = cloud_trail(stack, person, "ChangePassword", **detail)

    tell(stack, event)

    assert recorded(stack, person) == LONG_AGO
    assert stack.profile("stranger") == {}
