"""Access tokens that are cancelled before they expire, at an API of somebody else's stack."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import indent

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local.sign_in import App, Tokens, claims_of
from local.stack import Person, Stack
from tests.local.stack.commands import run
from tests.local.stack.conftest import CHAIN
from tests.loopback import Server

PAGE = Path("docs/token-denylist.md")
CLAIM = "https://example.com/token_id"
TOKEN_IDS = """
[[rules]]
rule = "set_access_token_id"
when = { applications = ["*"] }
runs_on_client_credentials = true
configuration = { namespace = "https://example.com/", prefix = "demo-" }
"""


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack) -> Iterator[None]:
    stack.use_chain(TOKEN_IDS)
    yield
    stack.use_chain(CHAIN)


@pytest.fixture(scope="module")
def web(stack: Stack) -> App:
    """The stack's own application, whose tokens the authorizer takes."""
    return stack.web


# The handler of the REST API's one route, which tells what the authorizer told it.
TAKE_ORDERS = """
  TakeOrders:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.13
      Handler: index.handler
      InlineCode: |
        import json
        def handler(event, context):
            return {"statusCode": 200, "body": json.dumps(event["requestContext"]["authorizer"])}
      Events:
        Get: {Type: Api, Properties: {RestApiId: !Ref Orders, Path: /orders, Method: GET}}
Outputs:
  Api: {Value: !Ref Orders}
"""


@pytest.fixture(scope="module", params=["http_api", "rest_api"])
def orders(request: pytest.FixtureRequest, stack: Stack, vendors: Server) -> str:
    """The address of an API behind the authorizer; it answers when the token is good."""
    if request.param == "rest_api":
        api = f"{rest_api(stack)}/prod"
    else:
        api = f"{http_api(stack, vendors)}/$default"
    return f"{stack.aws.endpoint}/_aws/execute-api/{api}/orders"


def rest_api(stack: Stack) -> str:
    """Deploy the page's example as a stack of somebody else's, and return the API's id."""
    examples = re.findall(r"```yaml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    [example] = [text for text in examples if "AWS::Serverless::Api\n" in text]
    template = f"Transform: AWS::Serverless-2016-10-31\nResources:\n{indent(example, '  ')}"
    formation = stack.aws.client("cloudformation")
    formation.create_stack(
        StackName="orders",
        TemplateBody=template + TAKE_ORDERS,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    formation.get_waiter("stack_create_complete").wait(
        StackName="orders", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    [output] = formation.describe_stacks(StackName="orders")["Stacks"][0]["Outputs"]
    return str(output["OutputValue"])


def http_api(stack: Stack, vendors: Server) -> str:
    """Make an HTTP API, and return its id; the emulator makes none of SAM's OpenAPI documents."""
    gateway = stack.aws.client("apigatewayv2")
    api = gateway.create_api(Name="orders", ProtocolType="HTTP")["ApiId"]
    region = stack.aws.environment["AWS_REGION"]
    function = stack.outputs["TokenAuthorizerArn"]
    authorizer = gateway.create_authorizer(
        ApiId=api,
        Name="tokens",
        AuthorizerType="REQUEST",
        AuthorizerUri=f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{function}/invocations",
        AuthorizerPayloadFormatVersion="2.0",
        EnableSimpleResponses=True,
        AuthorizerResultTtlInSeconds=0,
        IdentitySource=["$request.header.Authorization"],
    )["AuthorizerId"]
    integration = gateway.create_integration(
        ApiId=api,
        IntegrationType="HTTP_PROXY",
        IntegrationMethod="GET",
        IntegrationUri=f"{vendors.url}/orders",
        PayloadFormatVersion="1.0",
    )["IntegrationId"]
    gateway.create_route(
        ApiId=api,
        RouteKey="GET /orders",
        AuthorizationType="CUSTOM",
        AuthorizerId=authorizer,
        Target=f"integrations/{integration}",
    )
    gateway.create_stage(ApiId=api, StageName="$default", AutoDeploy=True)
    return str(api)


@pytest.fixture
def session(web: App, new_person: Callable[..., Person]) -> Tokens:
    person = new_person()
    return web.srp(person.username, person.password)


def call(orders: str, token: str | None) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return requests.get(orders, headers=headers, timeout=30).status_code


def cancel(stack: Stack, *arguments: str) -> None:
    result = run(stack, "denylist", "add", *arguments)
    assert result.exit_code == 0, result.output


def test_a_good_token_opens_the_api_and_nothing_else_does(orders: str, session: Tokens) -> None:
    assert call(orders, session.access_token) == 200
    assert call(orders, None) == 401
    assert call(orders, session.id_token) in (401, 403)
    assert call(orders, session.access_token[:-4] + "AAAA") in (401, 403)


def test_one_cancelled_token_is_refused_and_the_next_of_the_session_is_not(
    orders: str, stack: Stack, web: App, session: Tokens
) -> None:
    cancel(stack, "--jti", session.access_claims["jti"])

    assert call(orders, session.access_token) == 403
    assert call(orders, web.refresh_by_get_tokens(str(session.refresh_token)).access_token) == 200


def test_a_cancelled_session_is_refused_with_all_its_tokens(
    orders: str, stack: Stack, web: App, session: Tokens
) -> None:
    sibling = web.refresh_by_get_tokens(str(session.refresh_token))

    cancel(stack, "--origin-jti", session.access_claims["origin_jti"])

    assert call(orders, session.access_token) == 403
    assert call(orders, sibling.access_token) == 403


def test_the_id_that_the_rule_gave_a_token_cancels_it(
    orders: str, stack: Stack, session: Tokens
) -> None:
    cancel(stack, "--token-id", session.access_claims[CLAIM])

    assert call(orders, session.access_token) == 403


def test_a_person_who_is_cut_off_needs_to_sign_in_again(
    orders: str, stack: Stack, web: App, new_person: Callable[..., Person]
) -> None:
    person = new_person()
    before = web.srp(person.username, person.password)
    cancel(stack, "--sub", person.user_id)
    time.sleep(2)  # moments in tokens are whole seconds
    after = web.srp(person.username, person.password)

    assert call(orders, before.access_token) == 403
    assert call(orders, after.access_token) == 200


def test_an_entry_that_is_removed_counts_no_longer(
    orders: str, stack: Stack, session: Tokens
) -> None:
    jti = session.access_claims["jti"]
    cancel(stack, "--jti", jti)
    listed = json.loads(run(stack, "denylist", "list", "--json").output)
    assert jti in [entry.get("jti") for entry in listed]

    assert run(stack, "denylist", "remove", "--jti", jti).exit_code == 0

    assert call(orders, session.access_token) == 200
    assert "no such entry" in run(stack, "denylist", "remove", "--jti", jti).output


def test_revoking_ends_refreshing_and_the_access_tokens_at_once(
    orders: str, stack: Stack, web: App, session: Tokens
) -> None:
    result = run(stack, "revoke", "--client-id", web.client_id, given=session.refresh_token)

    assert result.exit_code == 0, result.output
    assert call(orders, session.access_token) == 403
    again = run(stack, "revoke", "--client-id", web.client_id, given=session.refresh_token)
    assert again.exit_code == 2
    assert "NotAuthorizedException" in again.output


def test_the_ledger_lists_every_live_token_of_an_application(
    stack: Stack, web: App, new_person: Callable[..., Person]
) -> None:
    person = new_person()
    first = web.srp(person.username, person.password)
    second = web.refresh_by_get_tokens(str(first.refresh_token))

    listed = run(stack, "ledger", web.client_id, "--sub", person.user_id, "--json")

    entries = {entry["token_id"]: entry for entry in json.loads(listed.output)}
    assert set(entries) == {tokens.access_claims[CLAIM] for tokens in (first, second)}
    entry = entries[first.access_claims[CLAIM]]
    assert entry["expires_at"] == pytest.approx(first.access_claims["exp"], abs=15)


def test_a_machines_token_has_an_id_in_the_ledger_of_its_client(orders: str, stack: Stack) -> None:
    machine = stack.machine
    token = machine.client_credentials().access_token
    token_id = claims_of(token)[CLAIM]

    entries = json.loads(run(stack, "ledger", machine.client_id, "--json").output)

    assert [e["sub"] for e in entries if e["token_id"] == token_id] == [None]
    assert call(orders, token) == 200
    cancel(stack, "--client-id", machine.client_id)
    assert call(orders, token) == 403


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["add"], "Give one of --jti", id="no name"),
        pytest.param(["add", "--jti", "J", "--sub", "S"], "Give one of --jti", id="two names"),
        pytest.param(
            ["add", "--jti", "J", "--not-before", "2026-11-18"], "not_before", id="a cut-off of one"
        ),
        pytest.param(["add", "--sub", "a b"], "sub must be", id="no id of a person"),
        pytest.param(["list", "--stack", "elsewhere"], "There is no stack elsewhere", id="stack"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(
    stack: Stack, arguments: list[str], message: str
) -> None:
    result = run(stack, "denylist", *arguments)

    assert result.exit_code == 2
    assert message in result.output
    assert len(result.output.strip().splitlines()) == 1


def test_who_has_no_iam_permission_cancels_nothing(stack: Stack) -> None:
    """Unsigned, and signed by a user whom no policy allows anything."""
    api = stack.outputs["DenylistEndpoint"].removeprefix("https://").partition(".")[0]
    url = f"{stack.aws.endpoint}/_aws/execute-api/{api}/$default/tokens/denylist"
    body = json.dumps({"sub": "somebody"})
    unsigned = requests.post(url, data=body, timeout=30)
    iam = stack.aws.client("iam")
    iam.create_user(UserName="nobody")
    key = iam.create_access_key(UserName="nobody")["AccessKey"]
    request = AWSRequest("POST", url, {}, body)
    credentials = Credentials(key["AccessKeyId"], key["SecretAccessKey"])
    SigV4Auth(credentials, "execute-api", stack.aws.environment["AWS_REGION"]).add_auth(request)

    signed = requests.post(url, data=body, headers=dict(request.headers), timeout=30)

    assert (unsigned.status_code, signed.status_code) == (403, 403)
