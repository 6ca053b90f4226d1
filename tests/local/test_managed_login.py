"""Signing in on Cognito's page, and the way from there to the tokens.

https://docs.aws.amazon.com/cognito/latest/developerguide/login-endpoint.html
https://docs.aws.amazon.com/cognito/latest/developerguide/authorization-endpoint.html
https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from local.server import ACCOUNT_ID, REGION, EmbeddedAws
from local.sign_in import App, SignInRefused
from tests.local.user_pool import (
    ALL_FLOWS,
    PASSWORD,
    Probe,
    UserPool,
    create_function,
    let_cognito_call,
)

PRE = "PreAuthentication_Authentication"
POST = "PostAuthentication_Authentication"
HOSTED = "TokenGeneration_HostedAuth"
REFRESH = "TokenGeneration_RefreshTokens"

Configure = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def app(pool: UserPool) -> App:
    return pool.web_app(scopes=("openid", "email", "profile"))


@pytest.fixture(scope="module")
def person(pool: UserPool) -> str:
    name = pool.person()
    pool.group("page", name)
    return name


def typed(person: str) -> dict[str, str]:
    return {"username": person, "password": PASSWORD}


def test_a_sign_in_calls_the_triggers_and_ends_with_tokens(
    app: App, person: str, probe: Probe
) -> None:
    tokens = app.hosted_ui_code(person, PASSWORD, nonce="n-123")

    assert probe.sources == [PRE, POST, HOSTED]
    assert tokens.id_claims["nonce"] == "n-123"
    assert tokens.id_claims["cognito:groups"] == ["page"]
    assert tokens.access_claims["scope"] == "openid"
    assert tokens.access_claims["version"] == 2
    assert tokens.refresh_token


def test_the_token_trigger_is_told_the_granted_scopes(app: App, person: str, probe: Probe) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html"""
    app.hosted_ui_code(person, PASSWORD, scopes=("openid", "email"))

    request = probe.event(HOSTED)["request"]
    assert sorted(request["scopes"]) == ["email", "openid"]
    assert "clientMetadata" not in request


def test_without_the_scope_openid_there_is_no_id_token(app: App, person: str) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html"""
    tokens = app.hosted_ui_code(person, PASSWORD, scopes=("email",))

    assert tokens.id_token is None


def test_post_authentication_can_be_left_out_here(
    app: App, person: str, probe: Probe, configure: Configure
) -> None:
    configure(post_authentication_fires_in_managed_login=False)

    app.hosted_ui_code(person, PASSWORD)

    assert probe.sources == [PRE, HOSTED]


@pytest.mark.parametrize(
    ("order", "sources"),
    [
        ("post_authentication_first", [PRE, POST, HOSTED]),
        ("pre_token_first", [PRE, HOSTED, POST]),
    ],
)
def test_the_token_trigger_can_run_at_the_sign_in(
    order: str,
    sources: list[str],
    app: App,
    person: str,
    probe: Probe,
    configure: Configure,
) -> None:
    configure(managed_login_pre_token="login", trigger_order=order)

    code, verifier = app.authorize(typed(person))
    assert probe.sources == sources
    tokens = app.redeem(code, verifier)

    assert probe.sources == sources
    assert tokens.id_claims["cognito:groups"] == ["page"]


@pytest.mark.parametrize(
    ("source", "trigger"), [(PRE, "PreAuthentication"), (POST, "PostAuthentication")]
)
def test_a_refusal_shows_its_text_on_the_page_and_gives_no_code(
    source: str, trigger: str, app: App, person: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html"""
    probe.answer(source, raise_='access_denied: <b>no</b> & "no"')

    with pytest.raises(SignInRefused) as refused:
        app.hosted_ui_code(person, PASSWORD)

    assert refused.value.code == "page"
    assert refused.value.message == (
        f'{trigger} failed with error access_denied: <b>no</b> & "no".'
    )
    assert HOSTED not in probe.sources


def test_a_refusal_at_the_sign_in_by_the_token_trigger_gives_no_code(
    app: App, person: str, probe: Probe, configure: Configure
) -> None:
    configure(managed_login_pre_token="login")
    probe.answer(HOSTED, raise_="no")

    with pytest.raises(SignInRefused) as refused:
        app.authorize(typed(person))

    assert refused.value.code == "page"


def test_after_a_refusal_the_page_is_good_for_another_try(
    app: App, person: str, probe: Probe
) -> None:
    request = {
        "client_id": app.client_id,
        "redirect_uri": app.callback,
        "scope": "openid",
        "state": "s-1",
        "response_type": "code",
    }
    probe.answer(POST, raise_="no")

    page = requests.post(
        f"{app.aws.endpoint}/login",
        data={**typed(person), **request},
        allow_redirects=False,
        timeout=30,
    )

    assert page.status_code == 200
    for name, value in request.items():
        assert f'name="{name}" value="{value}"' in page.text


class TestTheTokenEndpoint:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html"""

    def test_gives_nothing_when_the_token_trigger_refuses_and_uses_the_code_up(
        self, app: App, person: str, probe: Probe
    ) -> None:
        code, verifier = app.authorize(typed(person))
        probe.answer(HOSTED, raise_="no")

        with pytest.raises(SignInRefused) as refused:
            app.redeem(code, verifier)

        assert refused.value.code == "invalid_grant"
        assert refused.value.message == "PreTokenGeneration failed with error no."
        probe.reset()
        with pytest.raises(SignInRefused, match="invalid_grant"):
            app.redeem(code, verifier)
        assert probe.sources == []

    def test_takes_a_code_once(self, app: App, person: str) -> None:
        code, verifier = app.authorize(typed(person))
        app.redeem(code, verifier)

        with pytest.raises(SignInRefused, match="invalid_grant"):
            app.redeem(code, verifier)

    def test_needs_the_verifier_of_the_request(self, app: App, person: str, probe: Probe) -> None:
        """https://docs.aws.amazon.com/cognito/latest/developerguide/using-pkce-in-authorization-code.html"""
        code, verifier = app.authorize(typed(person))
        for wrong in ("", "x" * 64):
            with pytest.raises(SignInRefused, match="invalid_grant"):
                app.redeem(code, wrong)

        assert app.redeem(code, verifier).access_token

    def test_needs_the_client_of_the_request(self, app: App, pool: UserPool, person: str) -> None:
        other = pool.web_app()
        code, verifier = app.authorize(typed(person))

        with pytest.raises(SignInRefused, match="invalid_grant"):
            other.redeem(code, verifier)

    def test_needs_the_secret_of_a_client_that_has_one(self, pool: UserPool, person: str) -> None:
        app = pool.web_app(secret=True)
        code, verifier = app.authorize(typed(person))
        thief = App(app.aws, app.pool_id, app.client_id, "wrong")

        with pytest.raises(SignInRefused, match="invalid_client"):
            thief.redeem(code, verifier)

        assert app.redeem(code, verifier).access_token

    def test_gives_nothing_to_a_user_disabled_meanwhile(
        self, app: App, pool: UserPool, probe: Probe
    ) -> None:
        name = pool.person()
        code, verifier = app.authorize(typed(name))
        pool.api.admin_disable_user(UserPoolId=pool.id, Username=name)
        probe.reset()

        with pytest.raises(SignInRefused, match="invalid_grant"):
            app.redeem(code, verifier)

        assert probe.sources == []

    @pytest.mark.parametrize("grant", ["", "password", "implicit"])
    def test_knows_three_grants(self, grant: str, app: App) -> None:
        with pytest.raises(SignInRefused, match="unsupported_grant_type"):
            app._token_endpoint(grant_type=grant)


def test_a_wrong_password_stays_on_the_page(app: App, person: str, probe: Probe) -> None:
    with pytest.raises(SignInRefused, match="Incorrect username or password"):
        app.hosted_ui_code(person, "Wrong-horse-1")

    assert probe.sources == [PRE]


def test_a_temporary_password_is_replaced_on_the_page(
    app: App, pool: UserPool, probe: Probe
) -> None:
    name = pool.person(temporary=True)
    probe.reset()

    tokens = app.hosted_ui_code(name, PASSWORD, new_password="Another-horse-2")

    assert probe.sources == [PRE, POST, HOSTED]
    assert tokens.access_claims["username"] == name


def test_the_choice_based_page_calls_the_same_triggers(pool: UserPool, probe: Probe) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/authentication-flows-selection-managedlogin.html"""
    app = pool.web_app(flows=[*ALL_FLOWS, "ALLOW_USER_AUTH"])
    name = pool.person()
    probe.reset()

    app.hosted_ui_code(name, PASSWORD)
    assert probe.sources == [PRE, POST, HOSTED]

    probe.answer(POST, raise_="no")
    with pytest.raises(SignInRefused, match="PostAuthentication failed with error no"):
        app.hosted_ui_code(name, PASSWORD)


def test_a_trigger_of_the_page_may_call_aws_itself(aws: EmbeddedAws) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html"""
    arn = create_function(
        aws,
        "import boto3\n\n\ndef handler(event, context):\n"
        "    boto3.client('sts').get_caller_identity()\n    return event\n",
    )
    let_cognito_call(aws, arn, f"arn:aws:cognito-idp:{REGION}:{ACCOUNT_ID}:userpool/*")
    pool = UserPool.create(aws, arn, triggers=("PostAuthentication",), pre_token_version=None)

    assert pool.web_app().hosted_ui_code(pool.person(), PASSWORD).access_token


def test_two_people_sign_in_at_once(app: App, pool: UserPool, probe: Probe) -> None:
    """A page waits for its triggers without keeping the other one waiting."""
    names = [pool.person() for _ in range(4)]
    probe.answer(POST, sleep=0.5)

    with ThreadPoolExecutor(4) as threads:
        tokens = list(threads.map(lambda name: app.hosted_ui_code(name, PASSWORD), names))

    assert [found.access_claims["username"] for found in tokens] == names
