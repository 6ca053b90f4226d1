"""What a refusal does to the user in the pool, and app clients that take passwords."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN
from tests.moments import wait_for

GUARDS = """
[[rules]]
rule = "disable_flagged_users"
when = { applications = ["*"] }
placement = "inline"

[[rules]]
rule = "password_age"
when = { applications = ["*"] }
placement = "inline"

[[rules]]
rule = "disable_password_grant"
when = { applications = ["*"] }

[[rules]]
rule = "disable_user_in_pool"
configuration.on_codes = { user_flagged = "disable", password_expired = "reset_password" }
"""


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack) -> Iterator[None]:
    stack.use_chain(GUARDS)
    yield
    stack.use_chain(CHAIN)


@pytest.fixture(scope="module")
def srp_only(stack: Stack) -> App:
    return stack.application("srp", flows=["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"])


def user_of(stack: Stack, person: Person) -> dict[str, Any]:
    cognito = stack.aws.client("cognito-idp")
    found: dict[str, Any] = cognito.admin_get_user(
        UserPoolId=stack.pool_id, Username=person.username
    )
    return found


def test_a_flagged_person_is_refused_and_then_disabled_and_signed_out(
    stack: Stack, srp_only: App, new_person: Callable[..., Person]
) -> None:
    person = new_person()
    before = srp_only.srp(person.username, person.password)
    stack.set_app_metadata(person.user_id, {"deleted": True})

    with pytest.raises(SignInRefused, match="Access denied"):
        srp_only.srp(person.username, person.password)

    wait_for(lambda: not user_of(stack, person)["Enabled"], seconds=30)
    with pytest.raises(SignInRefused):
        srp_only.refresh_by_get_tokens(str(before.refresh_token))
    with pytest.raises(SignInRefused) as caught:
        srp_only.srp(person.username, person.password)
    assert "PostAuthentication" not in str(caught.value), "Cognito refuses before any rule is asked"


def test_an_old_password_has_to_be_replaced_before_the_next_login(
    stack: Stack, srp_only: App, new_person: Callable[..., Person]
) -> None:
    person = new_person()
    srp_only.srp(person.username, person.password)
    stack.set_app_metadata(person.user_id, {"last_password_reset": "2020-01-01T00:00:00Z"})

    with pytest.raises(SignInRefused, match="password_expired"):
        srp_only.srp(person.username, person.password)

    wait_for(lambda: user_of(stack, person)["UserStatus"] == "RESET_REQUIRED", seconds=30)
    with pytest.raises(SignInRefused, match="PasswordResetRequired"):
        srp_only.srp(person.username, person.password)


def test_an_app_client_that_takes_plain_passwords_gets_no_tokens(
    stack: Stack, srp_only: App, new_person: Callable[..., Person]
) -> None:
    person = new_person()
    passwords = stack.application("passwords", flows=["ALLOW_USER_PASSWORD_AUTH"])

    with pytest.raises(SignInRefused, match="Please sign in on the login page"):
        passwords.password(person.username, person.password)

    assert srp_only.srp(person.username, person.password).access_token
