"""An address that a backend signs, from the client metadata of a real sign-in to the decision."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from cognito_rules.request_context import sign_context
from local.sign_in import App, SignInRefused, Tokens
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN

OFFICE = """
[[rules]]
rule = "corporate_network_only"
when = { applications = ["*"] }
configuration = { networks = ["203.0.113.134/26"] }
placement = "inline"
"""
REFUSED = "access_denied: This app is only available from inside the corporate network."
INSIDE, OUTSIDE = "203.0.113.150", "203.0.113.192"


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack) -> Iterator[None]:
    stack.use_chain(OFFICE)
    yield
    stack.use_chain(CHAIN)


@pytest.fixture(scope="module")
def key(stack: Stack) -> str:
    """The key as a backend reads it."""
    secrets = stack.aws.client("secretsmanager")
    secret_id = stack.outputs["RequestContextKeySecret"]
    text: str = secrets.get_secret_value(SecretId=secret_id)["SecretString"]
    return text


@pytest.fixture
def sign_in(app: App, key: str, new_person: Callable[..., Person]) -> Callable[..., Tokens]:
    """Sign a new person in by SRP, from an address that a backend signed some seconds ago."""

    def signed_in(ip: str, age: float = 0.0) -> Tokens:
        person = new_person()
        metadata = sign_context(
            key,
            client_id=app.client_id,
            username=person.user_id,
            ip=ip,
            at=time.time() - age,
        )
        return app.srp(person.username, person.password, client_metadata=metadata)

    return signed_in


def test_somebody_inside_gets_in(sign_in: Callable[..., Tokens]) -> None:
    assert sign_in(INSIDE).access_token


@pytest.mark.parametrize(
    ("ip", "age"),
    [
        pytest.param(OUTSIDE, 0, id="outside"),
        pytest.param("2001:db8::1", 0, id="in another family"),
        pytest.param(INSIDE, 200, id="inside a while ago"),
    ],
)
def test_somebody_else_does_not(sign_in: Callable[..., Tokens], ip: str, age: float) -> None:
    with pytest.raises(SignInRefused, match=REFUSED):
        sign_in(ip, age)


def test_nobody_vouches_for_themselves(app: App, new_person: Callable[..., Person]) -> None:
    person = new_person()

    with pytest.raises(SignInRefused, match=REFUSED):
        app.srp(person.username, person.password, client_metadata={"ip": INSIDE})
