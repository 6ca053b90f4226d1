"""The chain document in template.yaml: who reads and publishes it, what it is checked against."""

from __future__ import annotations

from typing import Any

import pytest

from cognito_rules.startup import CHAIN_ENVIRONMENT, CHAIN_PROFILE
from tests.contract.stack_template import ACCOUNT, REGION, Stack, as_list

APP_CONFIG = f"arn:aws:appconfig:{REGION}:{ACCOUNT}"
APPLICATION = f"{APP_CONFIG}:application/<ChainApplication>"
TOPIC = "arn:aws:sns:eu-west-1:111122223333:alarms"
CHECKED_WITH = ("PRIVILEGED_RULES", "REQUIRED_ENTRIES", "PRE_TOKEN_VERSION")


@pytest.fixture(scope="module")
def stack() -> Stack:
    return Stack()


def statements(stack: Stack, owner: str) -> list[dict[str, Any]]:
    return [statement for name, statement in stack.statements() if name == owner]


@pytest.mark.parametrize("plan", ["LITE", "ESSENTIALS"])
def test_command_validator_and_triggers_check_against_the_same(plan: str) -> None:
    stack = Stack(
        FeaturePlan=plan, RequiredEntries="door,audit", PrivilegedRules="map_aws_role,other"
    )

    functions = ("LoginFunction", "SignUpFunction", "ValidateChainFunction")
    terms = [[stack.environment(name)[key] for key in CHECKED_WITH] for name in functions]

    version = "V1_0" if plan == "LITE" else "V3_0"
    assert terms == [["map_aws_role,other", "door,audit", version]] * 3


def test_nothing_is_published_that_the_validator_did_not_see(stack: Stack) -> None:
    profile = stack.properties("ChainProfile")

    assert profile["LocationUri"] == "hosted"
    assert profile["Validators"] == [
        {"Type": "LAMBDA", "Content": "<ValidateChainFunction.Arn>"},
    ]
    assert stack.properties("ValidateChainPermission") == {
        "Action": "lambda:InvokeFunction",
        "FunctionName": "<ValidateChainFunction>",
        "Principal": "appconfig.amazonaws.com",
    }


def test_the_validator_may_only_log(stack: Stack) -> None:
    [statement] = statements(stack, "ValidateChainRole")

    assert statement["Action"] == ["logs:CreateLogStream", "logs:PutLogEvents"]


def test_the_triggers_look_where_the_document_is(stack: Stack) -> None:
    applications = {
        stack.environment(name)["CHAIN_APPLICATION"] for name in ("LoginFunction", "SignUpFunction")
    }

    assert applications == {stack.properties("ChainApplication")["Name"]} == {"stack"}
    assert stack.properties("ChainEnvironment")["Name"] == CHAIN_ENVIRONMENT
    assert stack.properties("ChainProfile")["Name"] == CHAIN_PROFILE


def test_whoever_needs_the_chain_may_read_this_document_and_no_other(stack: Stack) -> None:
    [statement] = statements(stack, "ReadChainPolicy")

    assert stack.properties("ReadChainPolicy")["Roles"] == [
        *("<LoginRole>", "<SignUpRole>", "<ForgetRole>")
    ]
    assert statement["Action"] == [
        "appconfig:GetLatestConfiguration",
        "appconfig:StartConfigurationSession",
    ]
    assert statement["Resource"] == (
        f"{APPLICATION}/environment/<ChainEnvironment>/configuration/<ChainProfile>"
    )


def test_alarms_watch_a_publication_when_there_are_any(stack: Stack) -> None:
    watched = Stack(AlarmTopicArn=TOPIC).properties("ChainEnvironment")["Monitors"]

    assert "Monitors" not in stack.properties("ChainEnvironment")
    assert [monitor["AlarmArn"] for monitor in watched] == [
        "<LoginFaultsAlarm.Arn>",
        "<LoginErrorsAlarm.Arn>",
        "<DenyRateAlarm.Arn>",
    ]
    assert {monitor["AlarmRoleArn"] for monitor in watched} == {"<ChainMonitorRole.Arn>"}


def test_a_publication_reaches_everybody_at_once_and_then_bakes() -> None:
    strategies = Stack(ChainBakeMinutes="25").of_type("AWS::AppConfig::DeploymentStrategy")

    assert {name: s["FinalBakeTimeInMinutes"] for name, s in strategies.items()} == {
        "ChainStrategy": "25",
        "ChainEmergencyStrategy": 0,
    }
    assert {(s["DeploymentDurationInMinutes"], s["GrowthFactor"]) for s in strategies.values()} == {
        (0, 100)
    }


def test_publishers_may_publish_and_roll_back_this_chain_and_no_more(stack: Stack) -> None:
    allowed: dict[str, set[str]] = {}
    for statement in statements(stack, "PublishChainPolicy"):
        for action in as_list(statement["Action"]):
            allowed.setdefault(action, set()).update(as_list(statement["Resource"]))
    chain = {
        APPLICATION,
        f"{APPLICATION}/environment/<ChainEnvironment>",
        f"{APPLICATION}/environment/<ChainEnvironment>/deployment/*",
        f"{APPLICATION}/configurationprofile/<ChainProfile>",
        f"{APPLICATION}/configurationprofile/<ChainProfile>/hostedconfigurationversion/*",
    }
    strategies = {
        f"{APP_CONFIG}:deploymentstrategy/<ChainStrategy>",
        f"{APP_CONFIG}:deploymentstrategy/<ChainEmergencyStrategy>",
    }

    assert allowed.pop("cloudformation:DescribeStacks") == {
        f"arn:aws:cloudformation:{REGION}:{ACCOUNT}:stack/stack/*"
    }
    assert allowed.pop("appconfig:StartDeployment") == chain | strategies
    assert allowed == dict.fromkeys(
        (
            "appconfig:CreateHostedConfigurationVersion",
            "appconfig:DeleteHostedConfigurationVersion",
            "appconfig:GetDeployment",
            "appconfig:GetHostedConfigurationVersion",
            "appconfig:ListDeployments",
            "appconfig:ListHostedConfigurationVersions",
            "appconfig:StopDeployment",
        ),
        chain,
    )


def test_a_publisher_needs_nothing_but_the_policy(stack: Stack) -> None:
    assert stack.outputs["PublishChainPolicyArn"] == "<PublishChainPolicy>"
