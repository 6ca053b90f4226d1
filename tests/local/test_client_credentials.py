"""Tokens for machines.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-define-resource-servers.html
https://docs.aws.amazon.com/cognito/latest/developerguide/user-pool-lambda-pre-token-generation.html
https://docs.aws.amazon.com/cognito/latest/developerguide/token-endpoint.html
"""

from typing import Any

import pytest
import requests
from botocore.exceptions import ClientError

from local.server import EmbeddedAws
from local.sign_in import App, SignInRefused, claims_of
from tests.local.user_pool import Probe, UserPool

SOURCE = "TokenGeneration_ClientCredentials"


def machine(pool: UserPool) -> App:
    """An app client that may read and write orders."""
    pool.api.create_resource_server(
        UserPoolId=pool.id,
        Identifier="orders",
        Name="orders",
        Scopes=[
            {"ScopeName": name, "ScopeDescription": name} for name in ("read", "write", "delete")
        ],
    )
    return pool.app(
        [],
        secret=True,
        AllowedOAuthFlows=["client_credentials"],
        AllowedOAuthFlowsUserPoolClient=True,
        AllowedOAuthScopes=["orders/read", "orders/write"],
    )


@pytest.fixture(scope="module")
def app(pool: UserPool) -> App:
    return machine(pool)


def test_the_trigger_is_told_of_no_user(app: App, probe: Probe) -> None:
    app.client_credentials(scopes=["orders/read"], client_metadata={"job": "nightly"})

    event = probe.event(SOURCE)
    assert event["version"] == "3"
    assert event["userName"] == "ClientCredentials"
    assert event["callerContext"]["clientId"] == app.client_id
    assert event["request"]["scopes"] == ["orders/read"]
    assert event["request"]["clientMetadata"] == {"job": "nightly"}
    assert event["request"]["userAttributes"] == {}
    assert probe.sources == [SOURCE]


def test_the_answer_changes_the_access_token(app: App, probe: Probe) -> None:
    override: dict[str, Any] = {
        "accessTokenGeneration": {
            "claimsToAddOrOverride": {"tier": "gold", "sub": "evil"},
            "scopesToAdd": ["orders/audit"],
            "scopesToSuppress": ["orders/write"],
        },
        "idTokenGeneration": {"claimsToAddOrOverride": {"tier": "silver"}},
    }
    probe.answer(SOURCE, response={"claimsAndScopeOverrideDetails": override})

    tokens = app.client_credentials(scopes=["orders/read", "orders/write"])

    assert tokens.access_claims["tier"] == "gold"
    assert tokens.access_claims["sub"] == app.client_id
    assert sorted(tokens.access_claims["scope"].split()) == ["orders/audit", "orders/read"]
    assert tokens.id_token is None
    assert tokens.refresh_token is None
    assert "username" not in tokens.access_claims
    assert "origin_jti" not in tokens.access_claims


@pytest.mark.parametrize("version", ["V1_0", "V2_0"])
def test_older_versions_of_the_trigger_are_not_called(
    version: str, aws: EmbeddedAws, probe: Probe
) -> None:
    app = machine(UserPool.create(aws, probe.arn, pre_token_version=version))

    assert app.client_credentials().access_claims["client_id"] == app.client_id
    assert probe.sources == []


def test_a_refusal_gives_no_token(app: App, probe: Probe) -> None:
    probe.answer(SOURCE, raise_="no")

    with pytest.raises(SignInRefused) as refused:
        app.client_credentials()

    assert refused.value.code == "invalid_grant"
    assert refused.value.message == "PreTokenGeneration failed with error no."


@pytest.mark.parametrize(
    ("scopes", "code"),
    [
        pytest.param(["orders/delete"], "invalid_grant", id="one the client does not have"),
        pytest.param(["openid"], "invalid_scope", id="one that is for people"),
        pytest.param(["other/read"], "invalid_scope", id="one that nobody defined"),
    ],
)
def test_scopes_that_cannot_be_granted_call_no_trigger(
    scopes: list[str], code: str, app: App, probe: Probe
) -> None:
    with pytest.raises(SignInRefused) as refused:
        app.client_credentials(scopes=scopes)

    assert refused.value.code == code
    assert probe.sources == []


@pytest.mark.parametrize("secret", [None, "wrong"])
def test_the_secret_is_needed(secret: str | None, app: App, probe: Probe) -> None:
    with pytest.raises(SignInRefused, match="invalid_client"):
        App(app.aws, app.pool_id, app.client_id, secret).client_credentials()

    assert probe.sources == []


@pytest.mark.parametrize("metadata", ["not json", "[1]", '"text"'])
def test_metadata_that_is_no_json_object_is_refused(metadata: str, app: App, probe: Probe) -> None:
    answer = requests.post(
        f"{app.aws.endpoint}/oauth2/token",
        data={"grant_type": "client_credentials", "aws_client_metadata": metadata},
        auth=(app.client_id, app.client_secret or ""),
        timeout=30,
    )

    assert answer.status_code == 400
    assert answer.json()["error"] == "invalid_request"
    assert probe.sources == []


class TestGetClientToken:
    """https://docs.aws.amazon.com/cognito-user-identity-pools/latest/APIReference/API_GetClientToken.html"""

    @pytest.fixture
    def client(self, pool: UserPool, app: App, probe: Probe) -> App:
        return pool.app(
            ["ALLOW_CLIENT_TOKEN_AUTH"],
            secret=True,
            AllowedOAuthFlows=["client_credentials"],
            AllowedOAuthFlowsUserPoolClient=True,
            AllowedOAuthScopes=["orders/read"],
        )

    def token(self, client: App, **more: Any) -> dict[str, Any]:
        answer = client.aws.public_client("cognito-idp").get_client_token(
            ClientId=client.client_id, **{"Secret": client.client_secret, **more}
        )
        return claims_of(answer["ClientAuthenticationResult"]["AccessToken"])

    def test_calls_the_trigger(self, client: App, probe: Probe) -> None:
        claims = self.token(client, ClientMetadata={"job": "nightly"})

        assert claims["client_id"] == client.client_id
        assert claims["scope"] == "orders/read"
        assert probe.sources == [SOURCE]
        assert probe.event(SOURCE)["request"]["clientMetadata"] == {"job": "nightly"}

    def test_gives_no_token_when_the_trigger_refuses(self, client: App, probe: Probe) -> None:
        probe.answer(SOURCE, raise_="no")

        with pytest.raises(ClientError, match="PreTokenGeneration failed with error no"):
            self.token(client)

    @pytest.mark.parametrize(
        ("more", "code"),
        [
            pytest.param({"Secret": "x" * 40}, "NotAuthorized", id="a wrong secret"),
            pytest.param({"Scopes": ["orders/write"]}, "InvalidParameter", id="another scope"),
        ],
    )
    def test_needs_secret_and_scopes(
        self, more: dict[str, Any], code: str, client: App, probe: Probe
    ) -> None:
        with pytest.raises(ClientError, match=code):
            self.token(client, **more)

        assert probe.sources == []

    def test_needs_its_flow(self, app: App, probe: Probe) -> None:
        with pytest.raises(ClientError, match="OperationNotEnabled"):
            self.token(app)

        assert probe.sources == []
