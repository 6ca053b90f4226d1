"""What a broken part does to logins: guards refuse, the others are left out, nothing leaks."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ClientError

from local.deployment import BUILT, packed
from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN
from tests.local.stack.rule_functions import code, function_of

NewPerson = Callable[..., Person]

UNAVAILABLE = "try_again: Sign-in is unavailable right now. Please try again."
ROLES = "https://example.com/roles"
WITH_ROLES = (
    CHAIN
    + """
[[rules]]
rule = "add_roles_to_tokens"
configuration = { namespace = "https://example.com/", source = "groups" }
"""
)

BROKEN = {
    "a crash": "def rule(event, context):\n    raise KeyError('secret@example.com')",
    "an exit": "import os\ndef rule(event, context):\n    os._exit(1)",
    "too slow": "import time\ndef rule(event, context):\n    time.sleep(3)\n    return {}",
    "junk": "def rule(event, context):\n    return 'junk'",
    "another version": "def rule(event, context):\n    return {'version': 2, 'effects': []}",
    "an unknown effect": (
        "def rule(event, context):\n    return {'version': 1, 'effects': [{'effect': 'sudo'}]}"
    ),
    "an undeclared effect": (
        "def rule(event, context):\n"
        "    return {'version': 1, 'effects': [\n"
        "        {'effect': 'set_groups', 'groups': ['aws-administrator']}]}"
    ),
    "a protected claim": (
        "def rule(event, context):\n"
        "    return {'version': 1, 'effects': [\n"
        "        {'effect': 'set_claim', 'token': 'id', 'name': 'cognito:roles', 'value': 'x'}]}"
    ),
    "a fault": (
        "def rule(event, context):\n"
        "    return {'version': 1, 'fault': {'code': 'upstream_timeout', 'message': 'x'}}"
    ),
}


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack) -> Iterator[None]:
    stack.use_chain(WITH_ROLES)
    yield
    stack.use_chain(CHAIN)


@pytest.mark.parametrize("source", [*BROKEN.values(), None], ids=[*BROKEN, "throttled"])
def test_a_broken_guard_refuses_and_says_nothing_about_it(
    stack: Stack, app: App, new_person: NewPerson, source: str | None
) -> None:
    person = new_person(groups=["staff"])

    with code(stack, "require_group", source), pytest.raises(SignInRefused) as refusal:
        app.srp(person.username, person.password)

    assert refusal.value.message.endswith(f"{UNAVAILABLE}.")


@pytest.mark.parametrize("source", [*BROKEN.values(), None], ids=[*BROKEN, "throttled"])
def test_a_broken_enricher_is_left_out(
    stack: Stack, app: App, new_person: NewPerson, source: str | None
) -> None:
    person = new_person(groups=["staff"])

    with code(stack, "add_roles_to_tokens", source):
        claims = app.srp(person.username, person.password).id_claims

    assert ROLES not in claims
    assert claims["https://example.com/chain"] == "decided"
    assert _roles_after_recovery(app, person) == ["staff"]


def _roles_after_recovery(app: App, person: Person) -> object:
    """Sign in until the repaired function answers in time: its first call starts a process."""
    for _ in range(5):
        claims = app.srp(person.username, person.password).id_claims
        if ROLES in claims:
            return claims[ROLES]
    return None


def test_a_missing_function_refuses_for_a_guard(
    stack: Stack, app: App, new_person: NewPerson
) -> None:
    client = stack.aws.client("lambda")
    name = function_of(stack, "require_group")
    kept = client.get_function(FunctionName=name)["Configuration"]
    person = new_person(groups=["staff"])

    client.delete_function(FunctionName=name)
    try:
        with pytest.raises(SignInRefused, match="try_again"):
            app.srp(person.username, person.password)
    finally:
        client.create_function(
            FunctionName=name,
            Runtime=kept["Runtime"],
            Role=kept["Role"],
            Handler=kept["Handler"],
            Timeout=kept["Timeout"],
            MemorySize=kept["MemorySize"],
            Layers=[layer["Arn"] for layer in kept["Layers"]],
            Environment=kept.get("Environment", {}),
            Code={"ZipFile": packed(BUILT.parent / "RequireGroupRule")},
        )
        client.invoke(FunctionName=name, Payload=b"{}")


def test_without_permission_on_the_tables_guards_of_the_profile_refuse(
    stack: Stack, app: App, new_person: NewPerson
) -> None:
    """IAM denies the login function its tables: the flag cannot be read, so nobody gets in."""
    person = new_person(groups=["staff"])
    iam = stack.aws.client("iam")
    function = stack.aws.client("lambda").get_function(FunctionName=stack.login_function)
    role = function["Configuration"]["Role"].rpartition("/")[2]
    deny = {"Effect": "Deny", "Action": "dynamodb:*", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})

    iam.put_role_policy(RoleName=role, PolicyName="outage", PolicyDocument=document)
    try:
        with pytest.raises(SignInRefused) as refusal:
            app.srp(person.username, person.password)
    finally:
        iam.delete_role_policy(RoleName=role, PolicyName="outage")

    assert "access_denied: " in refusal.value.message or "try_again: " in refusal.value.message
    assert app.srp(person.username, person.password).id_token is not None


def test_a_chain_that_is_refused_changes_nothing(
    stack: Stack, app: App, new_person: NewPerson
) -> None:
    person = new_person(groups=["staff"])

    with pytest.raises(ClientError, match="does not pass its validator"):
        stack.use_chain('[[rules]]\nrule = "no_such_rule"\n')

    claims = app.srp(person.username, person.password).id_claims
    assert claims["https://example.com/chain"] == "decided"


def test_unicode_and_long_attributes_pass(stack: Stack, app: App, new_person: NewPerson) -> None:
    name = "Žofie \U0001f600 " + "x" * 2_000
    person = new_person(groups=["staff"], name=name)

    assert app.srp(person.username, person.password).id_claims["name"] == name
