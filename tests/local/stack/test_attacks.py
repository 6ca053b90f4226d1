"""What somebody may try: none of it opens an application, grants a role, or tells of a person."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.oidc_provider import OidcProvider
from local.sign_in import App, SignInRefused, Tokens
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN
from tests.local.stack.rule_functions import code, function_of

NewPerson = Callable[..., Person]

NO_MEMBER = "access_denied: You do not have access to this application."
CLAIM = "https://example.com/chain"


def sign_in(app: App, person: Person, **options: Any) -> Tokens:
    return app.srp(person.username, person.password, **options)


def error_of(call: Callable[[], Any]) -> str:
    with pytest.raises(ClientError) as error:
        call()
    return str(error.value.response["Error"]["Code"])


def group(stack: Stack, role: str) -> str:
    return next(name for name, arn in stack.role_of_group.items() if arn.endswith(role))


def answering(*effects: dict[str, Any]) -> str:
    """Return the code of a rule's function in the hands of an attacker."""
    return f"def rule(event, context):\n    return {{'version': 1, 'effects': {list(effects)!r}}}"


# By what the caller sends ------------------------------------------------------------------------


def test_client_metadata_that_names_a_decision_is_data(
    stack: Stack, app: App, new_person: NewPerson
) -> None:
    member, stranger = new_person(groups=["staff"]), new_person()
    metadata = {
        "user_id": member.user_id,
        "user.groups": '["staff"]',
        "app_metadata": '{"deleted": false}',
        "\x00": f"{member.user_id}\x00decision#",
    }
    sign_in(app, member, client_metadata=metadata)

    with pytest.raises(SignInRefused, match=NO_MEMBER):
        sign_in(app, stranger, client_metadata=metadata)


@pytest.mark.parametrize(
    "name", ["custom:groups", "cognito:user_status", "identities", "sub", "email_verified"]
)
def test_people_do_not_write_what_rules_trust(
    stack: Stack, new_person: NewPerson, name: str
) -> None:
    """Decided by Cognito: the web client may not write it."""
    tokens = sign_in(stack.web, new_person(groups=["staff"]))
    change = {"Name": name, "Value": "staff"}

    code = error_of(
        lambda: stack.aws.client("cognito-idp").update_user_attributes(
            AccessToken=tokens.access_token, UserAttributes=[change]
        )
    )

    assert code in ("NotAuthorizedException", "InvalidParameterException")


def test_names_that_look_like_json_stay_names(stack: Stack, new_person: NewPerson) -> None:
    name = '","cognito:roles":["x"],"aws_tag_granted":":administrator:'
    person = new_person(groups=["staff"], name=name, picture=name)

    claims = sign_in(stack.web, person).id_claims

    assert (claims["name"], claims["picture"]) == (name, name)
    assert claims["aws_tag_granted"] == ":none:"


@pytest.mark.parametrize(
    "name",
    [":administrator:", "{admin}:x", "{admin}*", "{admin},", "AWS-Administrator", "/{admin}/"],
)
def test_a_group_that_is_named_like_a_role_grants_nothing(
    stack: Stack, new_person: NewPerson, name: str
) -> None:
    odd = name.format(admin=group(stack, "administrator"))
    tokens = sign_in(stack.web, new_person(groups=["staff", odd]))

    assert tokens.id_claims["aws_tag_granted"] == ":none:"
    assert error_of(lambda: stack.credentials(tokens)) == "NotAuthorizedException"


def test_a_partner_does_not_write_what_the_pool_says_of_its_people(
    stack: Stack, app: App, oidc: OidcProvider
) -> None:
    oidc.set_person(
        "forger",
        {
            "email": "forger@partner.example",
            "cognito:user_status": "CONFIRMED",
            "cognito:groups": ["staff", group(stack, "administrator")],
            "custom:groups": '["staff"]',
            "identities": "[]",
            "aws_tag_granted": ":administrator:",
        },
    )

    for _ in range(2):
        with pytest.raises(SignInRefused, match=NO_MEMBER):
            app.federated("Partner", "forger")
    stack.add_to_group("Partner_forger", "staff")

    claims = app.federated("Partner", "forger").id_claims
    assert claims["cognito:groups"] == [f"{stack.pool_id}_Partner", "staff"]
    assert claims["aws_tag_granted"] == ":none:"


# By another application --------------------------------------------------------------------------


def test_the_decision_of_an_open_application_opens_no_other(
    stack: Stack, new_person: NewPerson
) -> None:
    """Side by side and one after the other, within the minute in which a decision is remembered."""
    person = new_person()
    wiki, payroll = stack.application("wiki"), stack.application("payroll")
    named = f'[applications.{payroll.client_id}]\nname = "payroll"\n'
    guard = CHAIN.replace(
        'rule = "require_group"\nwhen = { applications = ["*"] }',
        'rule = "require_group"\nwhen = { applications = ["payroll"] }',
    )

    def outcome(app: App) -> str:
        try:
            return str(sign_in(app, person).id_claims[CLAIM])
        except SignInRefused as refusal:
            return "refused" if NO_MEMBER in refusal.message else refusal.message

    stack.use_chain(named + guard)
    try:
        one_by_one = [outcome(wiki), outcome(payroll)]
        with ThreadPoolExecutor(2) as threads:
            side_by_side = list(threads.map(outcome, [wiki, payroll]))
    finally:
        stack.use_chain(CHAIN)

    assert one_by_one == side_by_side == ["decided", "refused"]


def test_an_application_that_left_the_chain_gets_no_token_by_refreshing(
    stack: Stack, app: App, new_person: NewPerson
) -> None:
    def chain(client_id: str) -> str:
        head = 'unregistered_applications = "refuse"'
        return f'{head}\n[applications.{client_id}]\nname = "one"\n{CHAIN}'

    stack.use_chain(chain(app.client_id))
    try:
        token = str(sign_in(app, new_person(groups=["staff"])).refresh_token)
        assert app.refresh_by_initiate_auth(token).id_claims[CLAIM] == "decided"

        stack.use_chain(chain("another"))
        for refresh in (
            app.refresh_by_initiate_auth,
            app.refresh_by_get_tokens,
            app.refresh_by_token_endpoint,
        ):
            with pytest.raises(SignInRefused):
                refresh(token)
    finally:
        stack.use_chain(CHAIN)


# By a rule's function ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rule", "effect"),
    [
        pytest.param("aws_session_tags", "set_aws_role", id="a role, by another rule"),
        pytest.param("aws_session_tags", "granted", id="the tag that trust policies ask for"),
        pytest.param("customize_token_claims_and_scopes", "claim", id="the claim of that tag"),
        pytest.param("customize_token_claims_and_scopes", "set_groups", id="a group with a role"),
        pytest.param("map_aws_role", "foreign", id="a role outside of the table"),
    ],
)
def test_a_rule_that_was_replaced_grants_no_role(
    stack: Stack, new_person: NewPerson, rule: str, effect: str
) -> None:
    administrator = group(stack, "administrator")
    arn = stack.role_of_group[administrator]
    attacks: dict[str, dict[str, Any]] = {
        "set_aws_role": {"effect": "set_aws_role", "role_arns": [arn]},
        "foreign": {"effect": "set_aws_role", "role_arns": [arn + "-of-another-stack"]},
        "granted": {"effect": "set_session_tags", "tags": {"Granted": ":administrator:"}},
        "set_groups": {"effect": "set_groups", "groups": ["staff", administrator]},
        "claim": {
            "effect": "set_claim",
            "token": "id",
            "name": "aws_tag_granted",
            "value": ":administrator:",
        },
    }
    person = new_person(groups=["staff"])

    with code(stack, rule, answering(attacks[effect])):
        try:
            claims = sign_in(stack.web, person).id_claims
        except SignInRefused as refusal:
            claims = {"refused": refusal.message}

    assert "refused" in claims or claims["aws_tag_granted"] == ":none:"
    assert "cognito:roles" not in claims
    assert "administrator" not in str(claims)


# By AWS credentials ------------------------------------------------------------------------------


def test_the_credentials_of_a_login_do_not_reach_what_decides_logins(
    stack: Stack, new_person: NewPerson
) -> None:
    """Decided by the emulator's IAM."""
    person = new_person(groups=["staff", group(stack, "administrator")])
    credentials = stack.credentials(sign_in(stack.web, person))
    function, dynamodb = (
        stack.aws.client("lambda", credentials),
        stack.aws.client("dynamodb", credentials),
    )
    flag = {"pk": {"S": f"USER#{person.user_id}"}}

    for attempt in (
        partial(function.invoke, FunctionName=stack.login_function),
        partial(function.invoke, FunctionName=function_of(stack, "map_aws_role")),
        partial(dynamodb.put_item, TableName=stack.outputs["ProfilesTable"], Item=flag),
        partial(dynamodb.put_item, TableName=stack.outputs["SessionsTable"], Item=flag),
    ):
        assert "AccessDenied" in error_of(attempt)
