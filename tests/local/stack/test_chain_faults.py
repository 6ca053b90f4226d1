"""Who may publish chains, and what decides logins while AppConfig is away."""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cognito_rules.chain import canonical, version_of
from local.chain import restart_triggers
from local.sign_in import App
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN
from tests.local.stack.operator import STAFF, Operator, chain, entry, records, roles

NewPerson = Callable[..., Person]


@pytest.fixture
def operator(stack: Stack, tmp_path: Path) -> Operator:
    return Operator(stack, tmp_path)


@pytest.fixture(scope="module", autouse=True)
def as_before(stack: Stack) -> Iterator[None]:
    yield
    stack.use_chain(CHAIN)


# Who may ---------------------------------------------------------------------------------------


@pytest.fixture
def user(stack: Stack) -> Iterator[Callable[[str | None], dict[str, str]]]:
    """Make users with one managed policy, or none; return their credentials."""
    iam = stack.aws.client("iam")
    made: list[tuple[str, str | None, str]] = []

    def make(policy: str | None) -> dict[str, str]:
        name = f"user-{uuid4()}"
        iam.create_user(UserName=name)
        if policy is not None:
            iam.attach_user_policy(UserName=name, PolicyArn=policy)
        key = iam.create_access_key(UserName=name)["AccessKey"]
        made.append((name, policy, key["AccessKeyId"]))
        return {"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"]}

    yield make
    for name, policy, key in made:
        iam.delete_access_key(UserName=name, AccessKeyId=key)
        if policy is not None:
            iam.detach_user_policy(UserName=name, PolicyArn=policy)
        iam.delete_user(UserName=name)


def as_user(operator: Operator, credentials: dict[str, str]) -> None:
    operator.environment |= {
        "AWS_ACCESS_KEY_ID": credentials["AccessKeyId"],
        "AWS_SECRET_ACCESS_KEY": credentials["SecretAccessKey"],
    }


def test_a_publisher_can_publish_look_and_roll_back(
    operator: Operator, stack: Stack, user: Callable[[str | None], dict[str, str]]
) -> None:
    operator.goes_live(CHAIN)
    as_user(operator, user(stack.outputs["PublishChainPolicyArn"]))

    for arguments in (["publish", str(operator.file), "--emergency"], ["show"], ["rollback"]):
        result = operator.run(*arguments, document=chain(entry()))
        assert result.exit_code == 0, result.output

    assert operator.publish(chain(entry(mode="off")), "--no-wait").exit_code == 0
    assert operator.run("rollback").exit_code == 0


def test_a_publisher_can_do_nothing_else(
    stack: Stack, user: Callable[[str | None], dict[str, str]]
) -> None:
    credentials = user(stack.outputs["PublishChainPolicyArn"])
    outputs = stack.outputs
    function = {"FunctionName": stack.login_function}
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("lambda", "update_function_configuration", function),
        ("lambda", "update_function_code", {**function, "ZipFile": b"x"}),
        ("lambda", "invoke", function),
        ("dynamodb", "scan", {"TableName": outputs["ProfilesTable"]}),
        ("cognito-idp", "list_users", {"UserPoolId": outputs["UserPoolId"]}),
        ("iam", "list_users", {}),
        ("cloudformation", "delete_stack", {"StackName": "cognito-rules"}),
        (
            "appconfig",
            "update_configuration_profile",
            {
                "ApplicationId": outputs["ChainApplicationId"],
                "ConfigurationProfileId": outputs["ChainProfileId"],
                "Validators": [],
            },
        ),
        (
            "appconfig",
            "update_environment",
            {
                "ApplicationId": outputs["ChainApplicationId"],
                "EnvironmentId": outputs["ChainEnvironmentId"],
                "Monitors": [],
            },
        ),
        (
            "appconfig",
            "update_deployment_strategy",
            {"DeploymentStrategyId": outputs["ChainStrategyId"], "FinalBakeTimeInMinutes": 0},
        ),
    ]

    refused = []
    for service, operation, request in calls:
        client = stack.aws.client(service, credentials)
        with pytest.raises(client.exceptions.ClientError) as error:
            getattr(client, operation)(**request)
        refused.append(error.value.response["Error"]["Code"])

    assert {code.removesuffix("Exception") for code in refused} == {"AccessDenied"}


def test_without_the_policy_nothing_is_published(
    operator: Operator, user: Callable[[str | None], dict[str, str]]
) -> None:
    operator.goes_live(CHAIN)
    before = operator.live()
    administrator = dict(operator.environment)
    as_user(operator, user(None))

    result = operator.publish(chain(entry()))

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "AccessDenied" in result.stderr
    operator.environment = administrator
    assert operator.live() == before


# Faults ----------------------------------------------------------------------------------------


@pytest.fixture
def outage(stack: Stack) -> Iterator[Callable[[str], None]]:
    """Take away what the login function may do, by IAM, until the test ends."""
    iam = stack.aws.client("iam")
    function = stack.aws.client("lambda").get_function(FunctionName=stack.login_function)
    role = function["Configuration"]["Role"].rpartition("/")[2]
    denied: list[str] = []

    def deny(action: str) -> None:
        statement = {"Effect": "Deny", "Action": action, "Resource": "*"}
        document = {"Version": "2012-10-17", "Statement": [statement]}
        denied.append(f"outage-{len(denied)}")
        iam.put_role_policy(
            RoleName=role, PolicyName=denied[-1], PolicyDocument=json.dumps(document)
        )

    yield deny
    for name in denied:
        iam.delete_role_policy(RoleName=role, PolicyName=name)
    restart_triggers(stack.aws, stack.outputs)


def kept(stack: Stack, document: str | None) -> None:
    """Put a document into the place of the last good one."""
    table, key = stack.outputs["ProfilesTable"], {"pk": {"S": "CHAIN#live"}}
    client = stack.aws.client("dynamodb")
    if document is None:
        client.delete_item(TableName=table, Key=key)
    else:
        client.put_item(TableName=table, Item={**key, "document": {"S": document}})


def decided_by(stack: Stack, person: Person) -> tuple[str, str]:
    """Return where the chain of a person's last decision came from, and its version."""
    last = records(stack, person.user_id)[-1]
    return last["chain_source"], last["chain"]


def test_without_appconfig_a_new_environment_decides_by_the_last_good_chain(
    stack: Stack, app: App, operator: Operator, new_person: NewPerson, outage: Callable[[str], None]
) -> None:
    person, other = new_person(groups=["staff"]), new_person(groups=["staff"])
    operator.goes_live(chain(entry()))
    assert roles(app, person) == STAFF

    outage("appconfig:*")
    restart_triggers(stack.aws, stack.outputs)

    assert roles(app, other) == STAFF
    assert decided_by(stack, other)[0] == "kept"


@pytest.mark.parametrize(
    "document", ['{"rules":[{"rule":"no_such_rule"}]}', "junk", None], ids=["refused", "junk", "-"]
)
def test_below_it_the_packaged_chain_decides(
    stack: Stack,
    operator: Operator,
    new_person: NewPerson,
    outage: Callable[[str], None],
    document: str | None,
) -> None:
    person = new_person()
    operator.goes_live(chain(entry()))

    outage("appconfig:*")
    kept(stack, document)
    restart_triggers(stack.aws, stack.outputs)
    stack.web.srp(person.username, person.password)

    packaged = canonical(tomllib.loads(Path("chain.toml").read_text()))
    assert decided_by(stack, person) == ("packaged", version_of(packaged))
