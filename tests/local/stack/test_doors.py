"""The endpoints for browsers, behind the deployed API and with the tokens of real sign-ins."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from urllib.parse import parse_qsl, urlsplit

import jwt
import pusher
import pytest
import requests

from local.browser import Browser
from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN
from tests.local.stack.outside import embedded_url

PUSHER = {"PUSHER_KEY": "app-key", "PUSHER_SECRET": "app-secret"}
ZENDESK = {"ZENDESK_SHARED_SECRET": "a shared secret of Zendesk, which is long enough"}
SOCKET = "1234.5678"


@pytest.fixture(scope="module", autouse=True)
def open_doors(stack: Stack) -> Iterator[None]:
    name = stack.login_function.removesuffix("-login")
    for door, values in (("pusher", PUSHER), ("zendesk", ZENDESK)):
        stack.aws.client("secretsmanager").put_secret_value(
            SecretId=f"{name}/{door}", SecretString=json.dumps(values)
        )
    stack.use_chain("")
    yield
    stack.use_chain(CHAIN)


def url_of(stack: Stack, output: str) -> str:
    """Return where the embedded AWS serves what the stack's output names."""
    return embedded_url(stack, stack.outputs[output])


def authorize(stack: Stack, channel: str, token: str | None) -> requests.Response:
    return requests.post(
        url_of(stack, "PusherEndpoint"),
        data={"socket_id": SOCKET, "channel_name": channel},
        headers={"Authorization": f"Bearer {token}"} if token else {},
        timeout=30,
    )


def test_a_person_joins_the_own_channels_and_no_other(
    stack: Stack, new_person: Callable[..., Person]
) -> None:
    person = new_person(groups=["staff"])
    token = stack.web.srp(person.username, person.password).access_token
    theirs = pusher.Pusher("1", PUSHER["PUSHER_KEY"], PUSHER["PUSHER_SECRET"])
    own, team = f"private-user-{person.user_id}", "presence-team-staff"

    assert authorize(stack, own, token).json() == theirs.authenticate(own, SOCKET)
    member = {"user_id": person.user_id}
    assert authorize(stack, team, token).json() == theirs.authenticate(team, SOCKET, member)
    assert authorize(stack, "presence-team-finance", token).status_code == 403
    assert authorize(stack, "private-user-somebody", token).status_code == 403
    assert authorize(stack, own, None).status_code == 401
    assert authorize(stack, own, token[:-4] + "AAAA").status_code == 401


def test_another_applications_token_opens_nothing(
    stack: Stack, app: App, new_person: Callable[..., Person]
) -> None:
    person = new_person()
    token = app.srp(person.username, person.password).access_token

    assert authorize(stack, f"private-user-{person.user_id}", token).status_code == 401


def test_who_signs_in_at_the_pool_is_carried_to_zendesk(
    stack: Stack, new_person: Callable[..., Person]
) -> None:
    person = new_person(name="Ann Doe")
    help_page = "https://acme.zendesk.com/hc/en-us"
    begun = requests.get(
        url_of(stack, "ZendeskSignInUrl"),
        params={"return_to": help_page},
        allow_redirects=False,
        timeout=30,
    )
    assert begun.status_code == 302, begun.text
    asked = dict(parse_qsl(urlsplit(begun.headers["Location"]).query))
    typed = {"username": person.username, "password": person.password, "challenge": "PASSWORD"}
    answered = Browser(stack.aws.endpoint, asked["redirect_uri"], typed).open(
        begun.headers["Location"]
    )

    callback = url_of(stack, "ZendeskSignInUrl").replace("/sso", "/callback")
    # The cookie is for https alone, which the embedded AWS does not speak.
    cookie = {"Cookie": begun.headers["Set-Cookie"].partition(";")[0]}
    page = requests.get(callback, params=answered, headers=cookie, timeout=30)
    other = requests.get(callback, params=answered, timeout=30)

    assert page.status_code == 200, page.text
    assert page.headers["Cache-Control"] == "no-store"
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text))
    assert fields["return_to"] == help_page
    told = jwt.decode(fields["jwt"], ZENDESK["ZENDESK_SHARED_SECRET"], ["HS256"])
    assert (told["email"], told["name"]) == (person.username, "Ann Doe")
    assert told["external_id"] == person.user_id
    assert other.status_code == 403
