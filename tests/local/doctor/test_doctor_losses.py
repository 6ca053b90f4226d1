"""What the doctor finds that can be lost."""

from __future__ import annotations

import json

from local.server import EmbeddedAws
from local.stack import Stack
from tests.local.doctor.broken import CHAIN, Finds, rewire


def test_events_that_nobody_took(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    queue = stack.outputs["RecordEventsSplunkDeadLetterQueue"]
    aws.client("sqs").send_message(QueueUrl=queue, MessageBody="{}")

    [(level, what)] = finds("dead_letters")

    assert level == "warning"
    assert what.startswith("1 messages wait in")


def test_a_rule_whose_function_is_gone(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    # Of a rule that no other test here needs.
    stack.use_chain(CHAIN + '[[rules]]\nrule = "weekday_access"\nwhen = { applications = ["*"] }\n')
    assert finds("rule_functions") == []
    aws.client("lambda").delete_function(FunctionName="cognito-rules-rule-weekday_access")

    [(level, what)] = finds("rule_functions")

    assert level == "error"
    assert (
        "cognito-rules-rule-weekday_access is gone: weekday_access refuses all for whom it runs"
        in what
    )
    assert all("weekday_access" not in what for _, what in finds("secrets"))
    stack.use_chain(CHAIN)


def test_tables_that_can_be_lost(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    dynamodb = aws.client("dynamodb")
    profiles, sessions = stack.outputs["ProfilesTable"], stack.outputs["SessionsTable"]
    told = dynamodb.describe_table(TableName=sessions)["Table"]["StreamSpecification"]

    def backups(*, are_made: bool) -> None:
        dynamodb.update_continuous_backups(
            TableName=profiles,
            PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": are_made},
        )

    backups(are_made=True)
    assert finds("tables") == []

    dynamodb.update_table(TableName=profiles, DeletionProtectionEnabled=False)
    dynamodb.update_table(TableName=sessions, StreamSpecification={"StreamEnabled": False})
    found = finds("tables")
    backups(are_made=False)
    dynamodb.update_table(TableName=profiles, DeletionProtectionEnabled=True)
    dynamodb.update_table(TableName=sessions, StreamSpecification=told)

    assert [level for level, _ in found] == ["warning", "error"]
    assert "no deletion protection" in found[0][1]
    assert "no login is announced" in found[1][1]


def test_a_pool_that_can_be_deleted(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    rewire(aws, stack, DeletionProtection="INACTIVE")

    assert [level for level, _ in finds("pool_protection")] == ["warning"]
    rewire(aws, stack, DeletionProtection="ACTIVE")


def test_a_stack_that_can_be_deleted(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    assert [level for level, _ in finds("stack_protection")] == ["warning"]

    aws.client("cloudformation").update_termination_protection(
        StackName="cognito-rules", EnableTerminationProtection=True
    )

    assert finds("stack_protection") == []
    aws.client("cloudformation").update_termination_protection(
        StackName="cognito-rules", EnableTerminationProtection=False
    )


def test_tables_that_go_with_the_stack(aws: EmbeddedAws, finds: Finds) -> None:
    key = {"AttributeName": "pk", "AttributeType": "S"}
    table = {
        "Type": "AWS::DynamoDB::Table",
        "Properties": {
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [key],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        },
    }
    names = ("LoginFunctionAlias", "SignUpFunctionAlias", "PreTokenVersion", "UserPoolId")
    template = {
        "Resources": {"ProfilesTable": table},
        "Outputs": {name: {"Value": "x"} for name in names},
    }
    cloudformation = aws.client("cloudformation")
    cloudformation.create_stack(StackName="careless", TemplateBody=json.dumps(template))
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="careless", WaiterConfig={"Delay": 1}
    )

    found = finds("retained_data", "--stack", "careless")

    assert found == [("error", "ProfilesTable is deleted with the stack")]
