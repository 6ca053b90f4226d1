"""What the doctor finds in app clients and identity providers."""

from __future__ import annotations

from typing import Any

import pytest

from cli.user_pool import UserPool
from local.oidc_provider import OidcProvider
from local.server import EmbeddedAws
from local.stack import EVERY_FLOW, Stack
from tests.local.doctor.broken import (
    CHAIN,
    OTHER,
    Finds,
    rewire,
)


@pytest.mark.parametrize(
    ("check", "settings", "said"),
    [
        pytest.param(
            "password_flows",
            {"ExplicitAuthFlows": ["ALLOW_USER_PASSWORD_AUTH"]},
            "ALLOW_USER_PASSWORD_AUTH",
            id="passwords",
        ),
        pytest.param(
            "client_secret",
            {"ExplicitAuthFlows": ["ALLOW_ADMIN_USER_PASSWORD_AUTH"]},
            "has no secret",
            id="a server without a secret",
        ),
        pytest.param(
            "custom_flows",
            {"ExplicitAuthFlows": ["ALLOW_CUSTOM_AUTH"]},
            "no triggers for it",
            id="challenges that nobody asks",
        ),
        pytest.param(
            "implicit_flow",
            {"AllowedOAuthFlows": ["implicit"], "AllowedOAuthFlowsUserPoolClient": True},
            "implicit flow",
            id="tokens in addresses",
        ),
        pytest.param(
            "federation_only",
            {"SupportedIdentityProviders": ["Company"]},
            "offers Company only",
            id="passwords past the provider",
        ),
        pytest.param(
            "token_revocation",
            {"EnableTokenRevocation": False},
            "token revocation off",
            id="no revocation",
        ),
        pytest.param(
            "user_existence",
            {"PreventUserExistenceErrors": "LEGACY"},
            "tells whether",
            id="who exists",
        ),
    ],
)
def test_app_clients_that_are_weaker(
    aws: EmbeddedAws,
    stack: Stack,
    finds: Finds,
    check: str,
    settings: dict[str, Any],
    said: str,
) -> None:
    good = {
        "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH"],
        "PreventUserExistenceErrors": "ENABLED",
        "EnableTokenRevocation": True,
        "AllowedOAuthScopes": ["openid"],
        "AllowedOAuthFlows": ["code"],
        "CallbackURLs": ["https://example.com"],
    }
    cognito = aws.client("cognito-idp")
    client_id = cognito.create_user_pool_client(
        UserPoolId=stack.pool_id, ClientName="weak", **good | settings
    )["UserPoolClient"]["ClientId"]

    [(level, what)] = finds(check)

    assert level == "warning"
    assert client_id in what
    assert said in what
    cognito.delete_user_pool_client(UserPoolId=stack.pool_id, ClientId=client_id)
    assert finds(check) == []


def test_a_password_flow_that_a_rule_refuses_is_well(stack: Stack, finds: Finds) -> None:
    application = stack.application("with passwords", flows=["ALLOW_USER_PASSWORD_AUTH"])
    stack.use_chain(
        f'[applications.{application.client_id}]\nname = "shop"\n[[rules]]\n'
        'rule = "disable_password_grant"\nwhen = { applications = ["shop"] }\n'
    )

    assert finds("password_flows") == []
    assert finds("chain") == []


def test_codes_that_are_enough(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    stack.application("every flow", flows=EVERY_FLOW)
    policies = UserPool.read(aws.client("cognito-idp"), stack.pool_id).settings["Policies"]
    factors = {"AllowedFirstAuthFactors": ["PASSWORD", "EMAIL_OTP"]}
    rewire(aws, stack, Policies=policies | {"SignInPolicy": factors})

    [(level, what)] = finds("choice_based_sign_in")

    assert level == "warning"
    assert "EMAIL_OTP is enough" in what


def test_challenges_that_the_pools_own_triggers_ask(
    aws: EmbeddedAws, stack: Stack, finds: Finds
) -> None:
    stack.application("challenges", flows=["ALLOW_CUSTOM_AUTH"])
    rewire(aws, stack, triggers={"DefineAuthChallenge": OTHER})

    assert any("own challenge triggers decide" in what for _, what in finds("custom_flows"))
    rewire(aws, stack, triggers={"DefineAuthChallenge": None})


def test_attributes_that_people_write_and_rules_read(
    aws: EmbeddedAws, stack: Stack, finds: Finds
) -> None:
    stack.use_chain(CHAIN.replace('groups = ["finance"]', 'groups = ["a"]'))
    cognito = aws.client("cognito-idp")
    client_id = cognito.create_user_pool_client(
        UserPoolId=stack.pool_id, ClientName="writes", WriteAttributes=["custom:groups"]
    )["UserPoolClient"]["ClientId"]
    [(level, what)] = finds("writable_attributes")
    cognito.delete_user_pool_client(UserPoolId=stack.pool_id, ClientId=client_id)
    rewire(aws, stack, UserAttributeUpdateSettings={})
    unverified = finds("writable_attributes")

    assert level == "error"
    assert "write custom:groups, which require_group reads" in what
    assert {level for level, _ in unverified} == {"warning"}
    assert "change email before it is verified" in unverified[0][1]


def test_attributes_that_only_a_providers_mapping_writes(
    aws: EmbeddedAws, stack: Stack, finds: Finds
) -> None:
    stack.use_chain(CHAIN)
    rewire(aws, stack, AdminCreateUserConfig={"AllowAdminCreateUserOnly": True})
    cognito = aws.client("cognito-idp")

    def found(**settings: Any) -> bool:
        client_id = cognito.create_user_pool_client(
            UserPoolId=stack.pool_id,
            ClientName="federated",
            WriteAttributes=["custom:groups"],
            **{"ExplicitAuthFlows": ["ALLOW_REFRESH_TOKEN_AUTH"]} | settings,
        )["UserPoolClient"]["ClientId"]
        try:
            return any(client_id in what for _, what in finds("writable_attributes"))
        finally:
            cognito.delete_user_pool_client(UserPoolId=stack.pool_id, ClientId=client_id)

    assert not found()
    assert found(ExplicitAuthFlows=["ALLOW_USER_SRP_AUTH"])
    assert found(AllowedOAuthScopes=["aws.cognito.signin.user.admin"])


def test_providers_that_do_not_say_what_is_verified(
    aws: EmbeddedAws, stack: Stack, finds: Finds, oidc: OidcProvider
) -> None:
    stack.use_chain(CHAIN)
    stack.add_identity_provider("Partner", oidc)

    [(level, what)] = finds("provider_mapping")

    assert level == "warning"
    assert "Partner maps email without email_verified" in what


def test_attributes_that_social_profiles_fill(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    stack.use_chain(CHAIN)
    aws.client("cognito-idp").create_identity_provider(
        UserPoolId=stack.pool_id,
        ProviderName="Google",
        ProviderType="Google",
        ProviderDetails={"client_id": "x", "client_secret": "y", "authorize_scopes": "openid"},
        AttributeMapping={"custom:groups": "hd", "email_verified": "email_verified"},
    )

    found = dict(finds("provider_mapping"))

    assert "Google fills custom:groups" in found["error"]


def test_attributes_that_are_removed_and_can_be_asked_for(
    aws: EmbeddedAws, stack: Stack, finds: Finds
) -> None:
    stack.use_chain(
        '[[rules]]\nrule = "remove_claims"\nwhen = { applications = ["*"] }\n'
        'configuration = { claims = ["phone_*", "nickname"] }\n'
    )

    found = finds("readable_attributes")

    assert {level for level, _ in found} == {"warning"}
    assert "takes nickname, phone_number, phone_number_verified out of tokens" in found[0][1]
