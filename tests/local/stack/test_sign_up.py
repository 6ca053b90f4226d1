"""Who becomes a user: decided by the chain before the account exists."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from local.oidc_provider import OidcProvider
from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN
from tests.local.stack.rule_functions import code

PASSWORD = "Aa1-a-long-password"
REFUSED = "PreSignUp failed with error access_denied: {}."


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack, app: App, oidc: OidcProvider) -> Iterator[None]:
    oidc.set_person("regular", {"email": "regular@example.com"})
    with pytest.raises(SignInRefused, match="You do not have access"):
        app.federated("Partner", "regular")  # by the other tests' chain, which takes the account
    stack.use_chain(f"""
[applications.{app.client_id}]
name = "everything"

[[rules]]
rule = "allow_email_domains"
when = {{ applications = ["*"] }}
configuration = {{ domains = ["example.com"], message = "Not with this address." }}

[[rules]]
rule = "disable_social_signup"
when = {{ applications = ["everything"] }}
configuration = {{ providers = ["Partner"] }}
placement = "inline"
""")
    yield
    name_provider(stack, [])
    stack.use_chain(CHAIN)


def name_provider(stack: Stack, identifiers: list[str]) -> None:
    stack.aws.client("cognito-idp").update_identity_provider(
        UserPoolId=stack.pool_id, ProviderName="Partner", IdpIdentifiers=identifiers
    )


def sign_up(app: App, domain: str) -> str:
    username = f"new-{uuid4().hex[:8]}@{domain}"
    app.aws.client("cognito-idp").sign_up(
        ClientId=app.client_id,
        Username=username,
        Password=PASSWORD,
        UserAttributes=[{"Name": "email", "Value": username}],
    )
    return username


def exists(stack: Stack, email: str) -> bool:
    found = stack.aws.client("cognito-idp").list_users(
        UserPoolId=stack.pool_id, Filter=f'email = "{email}"'
    )
    return bool(found["Users"])


def test_somebody_of_the_company_signs_up(stack: Stack, app: App) -> None:
    assert exists(stack, sign_up(app, "example.com"))


def test_somebody_else_is_refused_and_no_account_is_left(stack: Stack, app: App) -> None:
    domain = f"{uuid4().hex[:8]}.example.org"

    with pytest.raises(ClientError) as refused:
        sign_up(app, domain)

    assert refused.value.response["Error"] == {
        "Code": "UserLambdaValidationException",
        "Message": REFUSED.format("Not with this address."),
    }
    pages = stack.aws.client("cognito-idp").get_paginator("list_users")
    users = [u for page in pages.paginate(UserPoolId=stack.pool_id) for u in page["Users"]]
    emails = [a["Value"] for user in users for a in user["Attributes"] if a["Name"] == "email"]
    assert not [email for email in emails if email.endswith(domain)]


def test_an_administrator_makes_people_of_the_company_only(
    stack: Stack, new_person: Callable[..., Person]
) -> None:
    assert exists(stack, new_person().username)

    with pytest.raises(ClientError, match="Not with this address"):
        stack.aws.client("cognito-idp").admin_create_user(
            UserPoolId=stack.pool_id, Username="joe@nope.example", MessageAction="SUPPRESS"
        )


def test_a_first_social_sign_in_is_refused_and_no_account_is_left(
    stack: Stack, app: App, oidc: OidcProvider
) -> None:
    oidc.set_person("newcomer", {"email": "newcomer@example.com"})

    with pytest.raises(SignInRefused, match=r"Sign-up is disabled"):
        app.federated("Partner", "newcomer")

    assert not exists(stack, "newcomer@example.com")


def test_a_broken_rule_refuses_the_account(stack: Stack, app: App) -> None:
    broken = code(
        stack, "allow_email_domains", "def rule(event, context):\n    raise KeyError('x')"
    )

    with broken, pytest.raises(ClientError) as refused:
        sign_up(app, "example.com")

    assert "try_again: Sign-in is unavailable right now." in str(refused.value)


def test_a_known_social_user_goes_on(stack: Stack, app: App) -> None:
    assert exists(stack, "regular@example.com")
    stack.use_chain(f"""
[applications.{app.client_id}]
name = "everything"

[[rules]]
rule = "disable_social_signup"
when = {{ applications = ["everything"] }}
configuration = {{ providers = ["Partner"] }}
placement = "inline"
""")

    assert app.federated("Partner", "regular").id_token


def test_a_provider_vouches_for_the_domains_that_are_its_identifiers(
    stack: Stack, app: App, oidc: OidcProvider
) -> None:
    for name, domain in (("ours", "partner.example"), ("theirs", "elsewhere.example")):
        oidc.set_person(name, {"email": f"{name}@{domain}"})
    name_provider(stack, ["Partner.example", "p"])
    stack.use_chain("""
[[rules]]
rule = "connection_domain_match"
when = { applications = ["*"] }
configuration = { source = "idp_identifiers", connections = {}, message = "Not for this domain." }
""")

    assert app.federated("Partner", "ours").id_token
    with pytest.raises(SignInRefused, match="Not for this domain"):
        app.federated("Partner", "theirs")

    assert not exists(stack, "theirs@elsewhere.example")


def test_only_a_chain_that_is_about_sign_ups_replaces_their_function(stack: Stack) -> None:
    """How ``use_chain`` saves starts; what decides a sign-up is shown by all the others here."""

    def versions() -> tuple[str, str]:
        client = stack.aws.client("lambda")
        names = (stack.outputs["LoginFunctionAlias"], stack.outputs["SignUpFunctionAlias"])
        login, sign_up = (
            client.get_alias(FunctionName=name.rpartition(":")[0], Name=name.rpartition(":")[2])
            for name in names
        )
        return login["FunctionVersion"], sign_up["FunctionVersion"]

    rule = '[[rules]]\nrule = "{}"\nwhen = {{ applications = ["*"] }}\nconfiguration = {}\n'
    for_logins = rule.format("require_group", '{ groups = ["anybody"] }')
    for_both = for_logins + rule.format("allow_email_domains", '{ domains = ["example.com"] }')
    seen = []
    for document in (CHAIN, for_logins, for_both, for_logins, CHAIN):
        stack.use_chain(document)
        seen.append(versions())

    logins, sign_ups = zip(*seen, strict=True)
    assert len(set(logins)) == 5
    assert [later == earlier for earlier, later in pairwise(sign_ups)] == [True, False, False, True]
