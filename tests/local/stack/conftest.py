"""The real stack, deployed once for each test process, with a chain that the tests share."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import pytest

from local.collector import Collector
from local.oidc_provider import OidcProvider
from local.server import EmbeddedAws
from local.sign_in import App
from local.stack import Person, Stack
from tests.loopback import Server, serving

STAFF = "staff"
CHAIN = f"""
[[rules]]
rule = "disable_flagged_users"
when = {{ applications = ["*"] }}

[[rules]]
rule = "require_group"
when = {{ applications = ["*"] }}
configuration = {{ groups = ["{STAFF}"] }}

[[rules]]
rule = "customize_token_claims_and_scopes"
when = {{ applications = ["*"] }}
runs_on_client_credentials = true
[rules.configuration]
namespace = "https://example.com/"
id_token_claims = {{ chain = "decided" }}
access_token_claims = {{ chain = "decided" }}

[[rules]]
rule = "map_aws_role"
when = {{ applications = ["*"] }}

[[rules]]
rule = "aws_session_tags"
when = {{ applications = ["*"] }}

[[rules]]
rule = "record_events_splunk"
"""

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with Collector.started() as running:
        yield running


@pytest.fixture(scope="session")
def vendors() -> Iterator[Server]:
    """What takes the place of the systems that rules call at hosts of their own."""
    with serving() as running:
        yield running


@pytest.fixture(scope="session")
def deployed(aws: EmbeddedAws, collector: Collector, vendors: Server, oidc: OidcProvider) -> Stack:
    parameters = {
        "SplunkEndpoint": collector.url,
        "SalesforceMyDomain": "acme",
        "ShopifyShop": "acme.myshopify.com",
        "FirebaseDatabaseUrl": "https://acme.firebaseio.com",
        "VendorStandIn": vendors.url,
        "SoapEndpoint": f"{vendors.url}/roles",
        "SoapAllowPrivateNetwork": "true",
        "EnablePusher": "true",
        "PusherChannels": "private-user-{sub},presence-team-{group}",
        "ZendeskSubdomain": "acme",
        "EnableFullContactWebhook": "true",
        "AllowSelfSignUp": "true",
        "RecordFromCloudTrail": "true",
        "RecordLoginsDays": "1",
    }
    stack = Stack.deployed(aws, parameters=parameters)
    aws.client("secretsmanager").put_secret_value(
        SecretId=stack.outputs["SplunkSecret"], SecretString=collector.token
    )
    stack.add_identity_provider("Partner", oidc)
    return stack


@pytest.fixture(scope="module")
def stack(deployed: Stack) -> Stack:
    """The stack with the chain above; a test that uses another one puts this one back."""
    deployed.use_chain(CHAIN)
    return deployed


@pytest.fixture(scope="module")
def app(stack: Stack) -> App:
    """An application that allows every flow."""
    scopes = ["openid", "email", "profile", "aws.cognito.signin.user.admin"]
    return stack.application("everything", providers=["COGNITO", "Partner"], scopes=scopes)


@pytest.fixture
def new_person(stack: Stack) -> Callable[..., Person]:
    """Make people whose names nobody else has."""

    def make(**details: object) -> Person:
        return stack.person(f"person{next(_numbers)}", **details)  # type: ignore[arg-type]

    return make
