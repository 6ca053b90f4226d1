"""Signing in through an OIDC identity provider, the first time and later.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-working-with-lambda-triggers.html
https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-oidc-flow.html
"""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from local.oidc_provider import OidcProvider
from local.server import EmbeddedAws
from local.sign_in import App, SignInRefused
from tests.local.user_pool import PASSWORD, Probe, UserPool

INBOUND = "InboundFederation_ExternalProvider"
PRE_SIGN_UP = "PreSignUp_ExternalProvider"
CONFIRMED = "PostConfirmation_ConfirmSignUp"
PRE = "PreAuthentication_Authentication"
POST = "PostAuthentication_Authentication"
HOSTED = "TokenGeneration_HostedAuth"

PROVIDER = "Corporate"
MAPPING = {"email": "email", "email_verified": "email_verified", "name": "name"}


def add_provider(pool: UserPool, oidc: OidcProvider) -> None:
    pool.api.create_identity_provider(
        UserPoolId=pool.id,
        ProviderName=PROVIDER,
        ProviderType="OIDC",
        ProviderDetails=oidc.details,
        AttributeMapping=MAPPING,
    )


@pytest.fixture(scope="module")
def app(pool: UserPool, oidc: OidcProvider) -> App:
    add_provider(pool, oidc)
    return pool.web_app(PROVIDER)


@pytest.fixture
def subject(oidc: OidcProvider, probe: Probe) -> str:
    """Somebody the provider knows and Cognito does not."""
    subject = f"s-{uuid4().hex[:8]}"
    claims = {"email": f"{subject}@example.org", "email_verified": True, "name": "Grace"}
    oidc.set_person(subject, {**claims, "department": "research"})
    return subject


def user(pool: UserPool, subject: str) -> dict[str, str]:
    """The profile's attributes; UserNotFoundException when there is none."""
    found = pool.api.admin_get_user(UserPoolId=pool.id, Username=f"{PROVIDER}_{subject}")
    return {item["Name"]: item["Value"] for item in found["UserAttributes"]}


def test_the_first_sign_in_skips_pre_and_post_authentication(
    app: App, subject: str, probe: Probe
) -> None:
    tokens = app.federated(PROVIDER, subject, nonce="n-1")

    assert probe.sources == [INBOUND, PRE_SIGN_UP, CONFIRMED, HOSTED]
    assert {event["userName"] for event in probe.events} == {f"{PROVIDER}_{subject}"}
    assert tokens.access_claims["username"] == f"{PROVIDER}_{subject}"
    assert tokens.id_claims["nonce"] == "n-1"


def test_a_later_sign_in_calls_them(app: App, subject: str, probe: Probe) -> None:
    app.federated(PROVIDER, subject)
    probe.reset()

    app.federated(PROVIDER, subject)

    assert probe.sources == [INBOUND, PRE, POST, HOSTED]


def test_a_later_sign_in_follows_the_configured_order(
    app: App, subject: str, probe: Probe, configure: Callable[..., dict[str, Any]]
) -> None:
    app.federated(PROVIDER, subject)
    configure(managed_login_pre_token="login", trigger_order="pre_token_first")
    probe.reset()

    app.federated(PROVIDER, subject)

    assert probe.sources == [INBOUND, PRE, HOSTED, POST]


@pytest.mark.parametrize(
    ("source", "trigger"),
    [
        (INBOUND, "InboundFederation"),
        (PRE_SIGN_UP, "PreSignUp"),
        (CONFIRMED, "PostConfirmation"),
    ],
)
def test_a_refusal_of_the_first_sign_in_goes_to_the_callback(
    source: str, trigger: str, app: App, subject: str, probe: Probe
) -> None:
    probe.answer(source, raise_="access_denied: no")

    with pytest.raises(SignInRefused) as refused:
        app.federated(PROVIDER, subject)

    assert refused.value.code == "invalid_request"
    assert refused.value.message == f"{trigger} failed with error access_denied: no."
    assert HOSTED not in probe.sources


@pytest.mark.parametrize(
    ("source", "trigger"), [(PRE, "PreAuthentication"), (POST, "PostAuthentication")]
)
def test_a_refusal_of_a_later_sign_in_goes_to_the_callback(
    source: str, trigger: str, app: App, subject: str, probe: Probe
) -> None:
    app.federated(PROVIDER, subject)
    probe.reset()
    probe.answer(source, raise_="no")

    with pytest.raises(SignInRefused) as refused:
        app.federated(PROVIDER, subject)

    assert refused.value.message == f"{trigger} failed with error no."
    assert HOSTED not in probe.sources


def test_a_refusal_by_the_token_trigger_gives_no_tokens(
    app: App, subject: str, probe: Probe
) -> None:
    code, verifier = app.authorize({"sub": subject}, provider=PROVIDER)
    probe.answer(HOSTED, raise_="no")

    with pytest.raises(SignInRefused, match="PreTokenGeneration failed with error no"):
        app.redeem(code, verifier)

    probe.reset()
    with pytest.raises(SignInRefused, match="invalid_grant"):
        app.redeem(code, verifier)


def test_a_refused_sign_up_leaves_no_profile(
    app: App, pool: UserPool, subject: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-sign-up.html"""
    probe.answer(PRE_SIGN_UP, raise_="no")

    with pytest.raises(SignInRefused):
        app.federated(PROVIDER, subject)

    with pytest.raises(pool.api.exceptions.UserNotFoundException):
        user(pool, subject)


def test_only_mapped_attributes_are_stored(app: App, pool: UserPool, subject: str) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-specifying-attribute-mapping.html"""
    tokens = app.federated(PROVIDER, subject)

    stored = user(pool, subject)
    assert stored["email"] == f"{subject}@example.org"
    assert stored["email_verified"] == "true"
    assert stored["name"] == "Grace"
    assert set(stored) == {"sub", "email", "email_verified", "name", "identities"}
    assert tokens.id_claims["email_verified"] is True
    identity = tokens.id_claims["identities"][0]
    assert (identity["providerName"], identity["userId"]) == (PROVIDER, subject)
    assert identity["primary"] == "true"


def test_each_sign_in_updates_the_profile_and_keeps_the_sub(
    app: App, pool: UserPool, oidc: OidcProvider, subject: str
) -> None:
    before = app.federated(PROVIDER, subject).id_claims
    oidc.set_person(subject, {"email": "new@example.org", "name": "Grace H."})

    after = app.federated(PROVIDER, subject).id_claims

    assert (after["email"], after["name"]) == ("new@example.org", "Grace H.")
    assert after["sub"] == before["sub"] != subject


class TestInboundFederation:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-inbound-federation.html"""

    def test_sees_what_the_provider_said(self, app: App, subject: str, probe: Probe) -> None:
        app.federated(PROVIDER, subject)

        request = probe.event(INBOUND)["request"]
        assert request["providerName"] == PROVIDER
        assert request["providerType"] == "OIDC"
        assert request["attributes"]["idToken"]["sub"] == subject
        assert request["attributes"]["userInfo"]["department"] == "research"
        assert request["attributes"]["tokenResponse"]["access_token"]
        assert request["attributes"]["tokenResponse"]["id_token"].count(".") == 2

    def test_replaces_the_attributes_by_those_it_names(
        self, app: App, pool: UserPool, subject: str, probe: Probe
    ) -> None:
        probe.answer(INBOUND, response={"userAttributesToMap": {"email": "kept@example.org"}})

        app.federated(PROVIDER, subject)

        stored = user(pool, subject)
        assert stored["email"] == "kept@example.org"
        assert "name" not in stored

    def test_changes_nothing_with_an_empty_answer(
        self, app: App, pool: UserPool, subject: str, probe: Probe
    ) -> None:
        probe.answer(INBOUND, response={"userAttributesToMap": {}})

        app.federated(PROVIDER, subject)

        assert user(pool, subject)["name"] == "Grace"

    def test_may_not_answer_with_lists(self, app: App, subject: str, probe: Probe) -> None:
        probe.answer(INBOUND, response={"userAttributesToMap": {"name": ["Grace"]}})

        with pytest.raises(SignInRefused, match="Unrecognizable lambda output"):
            app.federated(PROVIDER, subject)


def test_pre_sign_up_may_verify_the_address(
    aws: EmbeddedAws, oidc: OidcProvider, subject: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-sign-up.html"""
    pool = UserPool.create(aws, probe.arn)
    add_provider(pool, oidc)
    pool.api.update_identity_provider(
        UserPoolId=pool.id, ProviderName=PROVIDER, AttributeMapping={"email": "email"}
    )
    probe.answer(PRE_SIGN_UP, response={"autoVerifyEmail": True})

    tokens = pool.web_app(PROVIDER).federated(PROVIDER, subject)

    assert tokens.id_claims["email_verified"] is True


def test_an_address_without_a_mapped_flag_is_unverified(
    aws: EmbeddedAws, oidc: OidcProvider, subject: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-specifying-attribute-mapping.html"""
    pool = UserPool.create(aws, probe.arn)
    add_provider(pool, oidc)
    pool.api.update_identity_provider(
        UserPoolId=pool.id, ProviderName=PROVIDER, AttributeMapping={"email": "email"}
    )

    tokens = pool.web_app(PROVIDER).federated(PROVIDER, subject)

    assert tokens.id_claims["email_verified"] is False


def test_a_linked_profile_is_signed_in_as_a_later_sign_in(
    app: App, pool: UserPool, subject: str, probe: Probe
) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-identity-federation-consolidate-users.html"""
    name = pool.person()
    pool.api.admin_link_provider_for_user(
        UserPoolId=pool.id,
        DestinationUser={"ProviderName": "Cognito", "ProviderAttributeValue": name},
        SourceUser={
            "ProviderName": PROVIDER,
            "ProviderAttributeName": "Cognito_Subject",
            "ProviderAttributeValue": subject,
        },
    )
    probe.reset()

    tokens = app.federated(PROVIDER, subject)

    assert probe.sources == [INBOUND, PRE, POST, HOSTED]
    assert tokens.access_claims["username"] == name


def test_somebody_from_a_provider_has_no_password(app: App, subject: str, probe: Probe) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-identity-federation.html"""
    app.federated(PROVIDER, subject)
    probe.reset()

    for flow in (App.password, App.admin, App.srp):
        for password in ("", PASSWORD):
            with pytest.raises(Exception, match=r"NotAuthorized|Missing|Invalid length|Param"):
                flow(app, f"{PROVIDER}_{subject}", password or " ")

    assert POST not in probe.sources
    assert not [source for source in probe.sources if source.startswith("TokenGeneration")]


def test_a_disabled_user_does_not_come_in(
    app: App, pool: UserPool, subject: str, probe: Probe
) -> None:
    app.federated(PROVIDER, subject)
    pool.api.admin_disable_user(UserPoolId=pool.id, Username=f"{PROVIDER}_{subject}")
    probe.reset()

    with pytest.raises(SignInRefused, match="User is disabled"):
        app.federated(PROVIDER, subject)

    assert probe.sources == [INBOUND]


def test_what_the_provider_refuses_goes_to_the_callback(app: App, probe: Probe) -> None:
    with pytest.raises(SignInRefused) as refused:
        app.authorize({"action": "deny"}, provider=PROVIDER)

    assert refused.value.code == "access_denied"
    assert probe.sources == []


def test_a_code_of_a_federated_sign_in_needs_the_verifier(app: App, subject: str) -> None:
    """https://docs.aws.amazon.com/cognito/latest/developerguide/using-pkce-in-authorization-code.html"""
    code, verifier = app.authorize({"sub": subject}, provider=PROVIDER)

    with pytest.raises(SignInRefused, match="invalid_grant"):
        app.redeem(code, "x" * 64)

    assert app.redeem(code, verifier).access_token


def test_a_token_for_somebody_else_lets_nobody_in(
    app: App, pool: UserPool, subject: str, probe: Probe
) -> None:
    details = pool.api.describe_identity_provider(UserPoolId=pool.id, ProviderName=PROVIDER)
    before = details["IdentityProvider"]["ProviderDetails"]
    wrong = {
        **before,
        "authorize_url": f"{before['oidc_issuer']}/oauth2/authorize",
        "token_url": f"{before['oidc_issuer']}/oauth2/token",
        "oidc_issuer": "https://another.example.org",
    }
    pool.api.update_identity_provider(
        UserPoolId=pool.id, ProviderName=PROVIDER, ProviderDetails=wrong
    )
    try:
        with pytest.raises(SignInRefused, match="not for this user pool"):
            app.federated(PROVIDER, subject)
    finally:
        pool.api.update_identity_provider(
            UserPoolId=pool.id, ProviderName=PROVIDER, ProviderDetails=before
        )
    assert probe.sources == []
