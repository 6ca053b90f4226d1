"""Whatever Cognito does with the triggers, a login is decided, counted and announced once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from local.server import EmbeddedAws
from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.tables import items_of

Configure = Callable[..., object]
NewPerson = Callable[..., Person]


def announced(stack: Stack, person: Person) -> list[dict[str, Any]]:
    """Return the committed logins of somebody."""
    return [
        item
        for item in items_of(stack, "SessionsTable")
        if item["pk"].startswith("login#") and person.user_id in item["pk"]
    ]


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="post authentication first"),
        pytest.param({"trigger_order": "pre_token_first"}, id="pre token first"),
        pytest.param({"post_authentication_fires": False}, id="pre token alone"),
        pytest.param({"deliveries": 3}, id="each event three times"),
        pytest.param(
            {"deliveries": 3, "trigger_order": "pre_token_first"}, id="three times, pre token first"
        ),
    ],
)
def test_one_login_takes_effect_once(
    stack: Stack, app: App, new_person: NewPerson, configure: Configure, settings: dict[str, Any]
) -> None:
    configure(**settings)
    person = new_person(groups=["staff"])

    tokens = app.srp(person.username, person.password)

    assert tokens.id_claims["https://example.com/chain"] == "decided"
    assert stack.profile(person.user_id)["logins_count"] == 1
    assert len(announced(stack, person)) == 1


def test_a_login_without_a_pre_token_trigger_takes_no_effect(
    stack: Stack, app: App, new_person: NewPerson, configure: Configure
) -> None:
    configure(pre_token_fires=False)
    person = new_person(groups=["staff"])

    app.srp(person.username, person.password)

    assert "logins_count" not in stack.profile(person.user_id)


def test_a_refused_login_is_not_announced_as_one(
    stack: Stack, app: App, new_person: NewPerson
) -> None:
    person = new_person()

    with pytest.raises(Exception, match="access_denied"):
        app.srp(person.username, person.password)

    assert announced(stack, person) == []
    assert stack.profile(person.user_id) == {}


@pytest.mark.parametrize("number_of_apps", [1, 2], ids=["one application", "two applications"])
def test_parallel_sign_ins_of_one_person(
    stack: Stack, new_person: NewPerson, number_of_apps: int
) -> None:
    person = new_person(groups=["staff"])
    apps = [stack.application(f"parallel{n}") for n in range(number_of_apps)]
    ready = threading.Barrier(2)

    def sign_in(number: int) -> bool:
        ready.wait()
        tokens = apps[number % number_of_apps].srp(person.username, person.password)
        return bool(tokens.id_claims["https://example.com/chain"] == "decided")

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(sign_in, range(2))) == [True, True]

    assert stack.profile(person.user_id)["logins_count"] == number_of_apps
    assert len(announced(stack, person)) == number_of_apps


def test_refreshes_count_and_announce_nothing(
    stack: Stack, app: App, new_person: NewPerson
) -> None:
    person = new_person(groups=["staff"])
    token = str(app.srp(person.username, person.password).refresh_token)

    app.refresh_by_initiate_auth(token)
    app.refresh_by_token_endpoint(token)

    assert stack.profile(person.user_id)["logins_count"] == 1


def test_the_template_wires_all_three_triggers_to_the_alias(aws: EmbeddedAws, stack: Stack) -> None:
    described = aws.client("cognito-idp").describe_user_pool(UserPoolId=stack.pool_id)
    triggers = described["UserPool"]["LambdaConfig"]

    alias = stack.outputs["LoginFunctionAlias"]
    assert triggers["PostAuthentication"] == triggers["PostConfirmation"] == alias
    assert triggers["PreTokenGenerationConfig"] == {"LambdaArn": alias, "LambdaVersion": "V3_0"}
