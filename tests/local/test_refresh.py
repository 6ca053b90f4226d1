"""Refreshing tokens, in three ways.

https://docs.aws.amazon.com/cognito/latest/developerguide/amazon-cognito-user-pools-using-the-refresh-token.html
https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GetTokensFromRefreshToken.html
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
"""

import time
from collections.abc import Callable
from typing import Any

import pytest

from local.sign_in import App, SignInRefused, Tokens
from tests.local.user_pool import PASSWORD, Probe, UserPool

REFRESHED = "TokenGeneration_RefreshTokens"
SIGNED_IN = "TokenGeneration_Authentication"

Refresh = Callable[..., Tokens]

WAYS = pytest.mark.parametrize(
    ("refresh", "source"),
    [
        pytest.param(App.refresh_by_initiate_auth, REFRESHED, id="InitiateAuth"),
        pytest.param(App.refresh_by_token_endpoint, REFRESHED, id="the token endpoint"),
        pytest.param(App.refresh_by_get_tokens, SIGNED_IN, id="GetTokensFromRefreshToken"),
    ],
)


@pytest.fixture(scope="module")
def app(pool: UserPool) -> App:
    return pool.web_app()


@pytest.fixture
def signed_in(app: App, pool: UserPool, probe: Probe) -> Tokens:
    """Tokens of somebody in the group staff, with nothing recorded since."""
    name = pool.person()
    if "staff" not in [g["GroupName"] for g in pool.api.list_groups(UserPoolId=pool.id)["Groups"]]:
        pool.group("staff")
    pool.api.admin_add_user_to_group(UserPoolId=pool.id, GroupName="staff", Username=name)
    tokens = app.password(name, PASSWORD)
    probe.reset()
    return tokens


def refresh_token(tokens: Tokens) -> str:
    assert tokens.refresh_token is not None
    return tokens.refresh_token


@WAYS
def test_calls_the_token_trigger_only(
    refresh: Refresh, source: str, app: App, signed_in: Tokens, probe: Probe
) -> None:
    refresh(app, refresh_token(signed_in))

    assert probe.sources == [source]


@WAYS
def test_keeps_what_belongs_to_the_sign_in(
    refresh: Refresh, source: str, app: App, signed_in: Tokens
) -> None:
    time.sleep(1.1)

    refreshed = refresh(app, refresh_token(signed_in))

    before, after = signed_in.access_claims, refreshed.access_claims
    assert after["sub"] == before["sub"]
    assert after["auth_time"] == before["auth_time"]
    assert after["origin_jti"] == before["origin_jti"] == refreshed.id_claims["origin_jti"]
    assert after["jti"] != before["jti"]
    assert after["iat"] > before["iat"]
    assert after["scope"] == before["scope"]
    assert after["cognito:groups"] == ["staff"]
    assert refreshed.id_claims["cognito:groups"] == ["staff"]


@WAYS
def test_gives_no_tokens_when_the_trigger_refuses(
    refresh: Refresh, source: str, app: App, signed_in: Tokens, probe: Probe
) -> None:
    probe.answer(source, raise_="no")

    with pytest.raises(SignInRefused, match="PreTokenGeneration failed with error no"):
        refresh(app, refresh_token(signed_in))


@WAYS
def test_tells_of_a_group_taken_away_since(
    refresh: Refresh, source: str, app: App, pool: UserPool, signed_in: Tokens, probe: Probe
) -> None:
    pool.api.admin_remove_user_from_group(
        UserPoolId=pool.id,
        GroupName="staff",
        Username=signed_in.access_claims["username"],
    )

    refreshed = refresh(app, refresh_token(signed_in))

    assert probe.event(source)["request"]["groupConfiguration"]["groupsToOverride"] == []
    assert "cognito:groups" not in refreshed.access_claims


@pytest.mark.parametrize(
    ("refresh", "source", "expected"),
    [
        pytest.param(App.refresh_by_initiate_auth, REFRESHED, None, id="not with InitiateAuth"),
        pytest.param(
            App.refresh_by_get_tokens, SIGNED_IN, {"a": "b"}, id="GetTokensFromRefreshToken"
        ),
    ],
)
def test_client_metadata_reaches_the_trigger(
    refresh: Refresh,
    source: str,
    expected: dict[str, str] | None,
    app: App,
    signed_in: Tokens,
    probe: Probe,
) -> None:
    refresh(app, refresh_token(signed_in), client_metadata={"a": "b"})

    assert probe.event(source)["request"].get("clientMetadata") == expected


@WAYS
def test_ends_with_the_user(
    refresh: Refresh, source: str, app: App, pool: UserPool, signed_in: Tokens, probe: Probe
) -> None:
    pool.api.admin_disable_user(UserPoolId=pool.id, Username=signed_in.access_claims["username"])

    with pytest.raises(SignInRefused):
        refresh(app, refresh_token(signed_in))

    assert probe.sources == []


@WAYS
def test_ends_with_a_global_sign_out(
    refresh: Refresh, source: str, app: App, pool: UserPool, signed_in: Tokens, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_AdminUserGlobalSignOut.html"""
    pool.api.admin_user_global_sign_out(
        UserPoolId=pool.id, Username=signed_in.access_claims["username"]
    )

    with pytest.raises(SignInRefused):
        refresh(app, refresh_token(signed_in))

    assert probe.sources == []


@WAYS
def test_ends_with_a_revocation(
    refresh: Refresh, source: str, app: App, pool: UserPool, signed_in: Tokens, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_RevokeToken.html"""
    pool.api.revoke_token(Token=refresh_token(signed_in), ClientId=app.client_id)

    with pytest.raises(SignInRefused):
        refresh(app, refresh_token(signed_in))

    assert probe.sources == []


@WAYS
@pytest.mark.parametrize("forged", ["nonsense", "a.b.c", ""])
def test_takes_no_forged_token(
    refresh: Refresh, source: str, forged: str, app: App, probe: Probe
) -> None:
    with pytest.raises(Exception, match=r"(?i)refresh|invalid|parameter"):
        refresh(app, forged)

    assert probe.sources == []


@WAYS
def test_takes_no_altered_token(
    refresh: Refresh, source: str, app: App, signed_in: Tokens, probe: Probe
) -> None:
    head, body, signature = refresh_token(signed_in).split(".")

    with pytest.raises(SignInRefused):
        refresh(app, f"{head}.{body}.{signature[::-1]}")

    assert probe.sources == []


@WAYS
def test_takes_no_access_token(
    refresh: Refresh, source: str, app: App, signed_in: Tokens, probe: Probe
) -> None:
    with pytest.raises(SignInRefused):
        refresh(app, signed_in.access_token)

    assert probe.sources == []


@WAYS
def test_takes_no_token_of_another_client(
    refresh: Refresh, source: str, app: App, pool: UserPool, signed_in: Tokens, probe: Probe
) -> None:
    with pytest.raises(SignInRefused):
        refresh(pool.web_app(), refresh_token(signed_in))

    assert probe.sources == []


def test_of_a_sign_in_on_the_page_keeps_its_scopes_and_groups(
    app: App, pool: UserPool, probe: Probe
) -> None:
    name = pool.person()
    pool.group("web", name)
    first = app.hosted_ui_code(name, PASSWORD)
    probe.reset()

    refreshed = app.refresh_by_token_endpoint(refresh_token(first))

    request: dict[str, Any] = probe.event(REFRESHED)["request"]
    assert request["scopes"] == ["openid"]
    assert request["groupConfiguration"]["groupsToOverride"] == ["web"]
    assert refreshed.access_claims["scope"] == "openid"
    assert refreshed.id_claims["cognito:groups"] == ["web"]
    assert refreshed.refresh_token is None
    assert "nonce" not in refreshed.id_claims
