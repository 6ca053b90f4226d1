"""What docs/examples/ gives to others: a pipeline, and what it may do in AWS."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache
from typing import Any

import pytest
import yaml
from cfnlint.decode import decode

from tests.contract.stack_template import PROJECT, Stack

EXAMPLES = PROJECT / "docs/examples"
WORKFLOW = EXAMPLES / "deploy.yml"
PINNED = re.compile(r"uses: ([\w-]+/[\w-]+)@([0-9a-f]{40}) # v\d+\.\d+\.\d+")
DEPLOYMENTS = ("test", "production")
# With everything that a parameter can switch on.
EVERYTHING = {
    "KmsKeyArn": "arn:aws:kms:eu-west-1:111122223333:key/example",
    "EnableDenylist": "true",
    "DenylistCascade": "true",
    "EnableMachineClient": "true",
    "HostedDomainPrefix": "acme",
    "RecordFromCloudTrail": "true",
    "RecordLoginsDays": "7",
    "WafBlockedNetworks": "203.0.113.0/24",
    "AlarmTopicArn": "arn:aws:sns:eu-west-1:111122223333:alarms",
}
# Where the prefix of a service's actions is not the name in its resource types.
PREFIXES = {
    "apigatewayv2": "apigateway",
    "cloudwatch": "cloudwatch",
    "cognito": "cognito-idp",
}


@cache
def workflow() -> dict[str, Any]:
    parsed: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return parsed


@cache
def roles() -> dict[str, Any]:
    template, problems = decode(str(EXAMPLES / "deploy-role.yaml"))
    assert not problems
    resources: dict[str, Any] = json.loads(json.dumps(template))["Resources"]
    return resources


def allowed(*names: str) -> list[str]:
    """Return the patterns of actions that these managed policies of the example allow."""
    return [
        action
        for name in names
        for statement in roles()[name]["Properties"]["PolicyDocument"]["Statement"]
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
    ]


def as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


# The pipeline ---------------------------------------------------------------------------------


def test_every_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    lines = [line for line in WORKFLOW.read_text().splitlines() if "uses:" in line]

    assert lines
    assert [line for line in lines if not PINNED.search(line)] == []


def test_only_deployments_get_a_token_and_no_job_may_write() -> None:
    jobs = workflow()["jobs"]

    assert workflow()["permissions"] == {"contents": "read"}
    assert [name for name, job in jobs.items() if "permissions" in job] == list(DEPLOYMENTS)
    for name in DEPLOYMENTS:
        assert jobs[name]["permissions"] == {"contents": "read", "id-token": "write"}


def test_production_comes_after_the_checks_and_the_test_stack_and_its_reviewers() -> None:
    jobs = workflow()["jobs"]

    assert jobs["production"]["needs"] == "test"
    assert jobs["test"]["needs"] == "check"
    assert [jobs[name]["environment"] for name in DEPLOYMENTS] == list(DEPLOYMENTS)
    # A pull request is checked, and deploys nothing.
    assert jobs["test"]["if"] == "github.event_name == 'push'"


@pytest.mark.parametrize("job", DEPLOYMENTS)
def test_a_deployment_ends_with_the_chain(job: str) -> None:
    runs = [step["run"] for step in workflow()["jobs"][job]["steps"] if "run" in step]

    order = [next(i for i, run in enumerate(runs) if text in run) for text in STEPS]
    assert order == sorted(order)


STEPS = ("make setup", "sam build", "sam deploy", "chain check", "chain publish")


def test_nothing_of_it_is_a_secret() -> None:
    assert "secrets." not in WORKFLOW.read_text()


def test_commands_take_no_text_from_a_pull_request() -> None:
    """An expression in a command is pasted into it: a title or a branch could be a command."""
    runs = [step.get("run", "") for job in workflow()["jobs"].values() for step in job["steps"]]

    assert [run for run in runs if "${{" in run] == []


# What it may do in AWS ------------------------------------------------------------------------


def test_one_environment_of_one_repository_is_trusted() -> None:
    [statement] = roles()["DeployRole"]["Properties"]["AssumeRolePolicyDocument"]["Statement"]

    assert statement["Condition"] == {
        "StringEquals": {
            "token.actions.githubusercontent.com:aud": "sts.amazonaws.com",
            "token.actions.githubusercontent.com:sub": {
                "Fn::Sub": "repo:${Repository}:environment:${Environment}"
            },
        }
    }


def actions_of_the_stack() -> Iterator[tuple[str, str]]:
    """Yield what each policy of template.yaml allows a role of it."""
    stack = Stack(**EVERYTHING)
    given = set(stack.of_type("AWS::IAM::Role")) | set(stack.of_type("AWS::IAM::Policy"))
    for name, statement in stack.statements():
        if name in given and statement["Effect"] == "Allow":
            for action in as_list(statement["Action"]):
                yield name, action


def test_the_boundary_lets_every_role_of_the_stack_do_its_work() -> None:
    patterns = allowed("Boundary")

    missing = [
        f"{name}: {action}"
        for name, action in actions_of_the_stack()
        if not any(fnmatchcase(action, pattern) for pattern in patterns)
    ]

    assert missing == []


def test_the_boundary_lets_nobody_change_permissions_or_take_on_other_roles() -> None:
    assert [a for a in allowed("Boundary") if a == "*" or a.startswith(("iam:", "sts:"))] == []


def test_cloudformation_may_make_every_kind_of_resource_of_the_stack() -> None:
    kinds = {resource["Type"] for resource in Stack(**EVERYTHING).resources.values()}
    services = {kind.split("::")[1].lower() for kind in kinds}

    granted = {action.partition(":")[0] for action in allowed("ResourcesPolicy", "RolesPolicy")}

    assert {PREFIXES.get(service, service) for service in services} - granted == set()


def test_no_role_gets_a_permission_without_the_boundary() -> None:
    statements = roles()["RolesPolicy"]["Properties"]["PolicyDocument"]["Statement"]
    giving = {"iam:CreateRole", "iam:PutRolePolicy", "iam:AttachRolePolicy"}

    for statement in statements:
        if statement["Effect"] == "Allow" and giving.intersection(as_list(statement["Action"])):
            assert statement["Condition"] == {
                "StringEquals": {"iam:PermissionsBoundary": {"Ref": "Boundary"}}
            }
            giving -= set(as_list(statement["Action"]))

    assert giving == set()


def test_what_it_may_change_is_not_where_it_stands_itself() -> None:
    """Its own roles and policies have a path; the ARNs that it may change have another, or none."""
    own = [
        resource["Properties"]
        for resource in roles().values()
        if resource["Type"] in ("AWS::IAM::Role", "AWS::IAM::ManagedPolicy")
    ]
    changed = json.dumps(roles()["RolesPolicy"]["Properties"]["PolicyDocument"])

    assert {properties["Path"] for properties in own} == {"/deployment/"}
    assert "/deployment/" not in changed
    assert re.findall(r":(?:role|policy)/\*", changed) == []


def test_no_secret_is_read_and_no_data() -> None:
    reading = (
        "secretsmanager:GetSecretValue",
        "dynamodb:GetItem",
        "dynamodb:Scan",
        "kms:Decrypt",
    )
    patterns = allowed("ResourcesPolicy")

    assert [a for a in reading if any(fnmatchcase(a, pattern) for pattern in patterns)] == []
