"""A pool that was there before the stack: attached by the command line, and left again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.main import app
from cli.user_pool import UserPool
from local.server import EmbeddedAws
from local.stack import Stack
from tests.local import full_pool
from tests.local.user_pool import create_function, let_cognito_call

THEIRS = """
def handler(event, context):
    print("called")
    return event
"""
CHAIN = """
[[rules]]
rule = "customize_token_claims_and_scopes"
when = { applications = ["*"] }
[rules.configuration]
namespace = "https://example.com/"
id_token_claims = { chain = "decided" }
"""
CLAIM = "https://example.com/chain"

Command = Callable[..., Result]


@pytest.fixture(scope="module")
def aws() -> Iterator[EmbeddedAws]:
    """An emulator of its own: the stack has another pool than that of the other tests."""
    with EmbeddedAws.started() as running:
        yield running


@pytest.fixture(scope="module")
def theirs(aws: EmbeddedAws) -> str:
    """A function that the pool's owner wrote."""
    return create_function(aws, THEIRS)


@pytest.fixture(scope="module")
def pool_id(aws: EmbeddedAws, theirs: str) -> str:
    return full_pool.create(aws, {"CustomMessage": theirs})


@pytest.fixture(scope="module")
def stack(aws: EmbeddedAws, pool_id: str) -> Stack:
    deployed = Stack.deployed(aws, parameters={"UserPoolId": pool_id, "FeaturePlan": "PLUS"})
    deployed.use_chain(CHAIN)
    return deployed


@pytest.fixture
def command(aws: EmbeddedAws) -> Command:
    environment = {n: v for n, v in aws.environment.items() if n.startswith("AWS_")}

    def run(*arguments: str, **environs: str) -> Result:
        return CliRunner().invoke(
            app, arguments, env=environment | {"COLUMNS": "240", "AWS_PROFILE": None} | environs
        )

    return run


@pytest.fixture(autouse=True)
def as_before(aws: EmbeddedAws, stack: Stack, theirs: str) -> Iterator[dict[str, Any]]:
    """Yield the pool as it is before, and require that the test leaves it so."""
    before = described(aws, stack.pool_id)
    yield before
    assert described(aws, stack.pool_id) == before


def described(aws: EmbeddedAws, pool_id: str) -> dict[str, Any]:
    cognito = aws.client("cognito-idp")
    settings = cognito.describe_user_pool(UserPoolId=pool_id)["UserPool"]
    mfa = cognito.get_user_pool_mfa_config(UserPoolId=pool_id)
    for moving in ("LastModifiedDate", "EstimatedNumberOfUsers"):
        settings.pop(moving)
    mfa.pop("ResponseMetadata")
    return {"settings": settings, "mfa": mfa}


def set_triggers(aws: EmbeddedAws, pool_id: str, **triggers: Any) -> None:
    cognito = aws.client("cognito-idp")
    pool = UserPool.read(cognito, pool_id)
    kept = {name: value for name, value in triggers.items() if value is not None}
    without = {n: v for n, v in pool.settings["LambdaConfig"].items() if n not in triggers}
    cognito.update_user_pool(**pool.changed(without | kept, pool.tags).request())


def protection(aws: EmbeddedAws) -> bool:
    found = aws.client("cloudformation").describe_stacks(StackName="cognito-rules")["Stacks"][0]
    return bool(found["EnableTerminationProtection"])


def test_attaching_shows_what_changes_and_changes_nothing_unasked(command: Command) -> None:
    result = command("attach")

    assert result.exit_code == 0, result.output
    assert "PreSignUp" in result.output
    assert "V3_0 arn:aws:lambda:eu-west-1:000000000000:function:cognito-rules-login:live" in (
        result.output
    )
    assert "CustomMessage" not in result.output
    assert "other settings are written back" in result.output
    assert "--yes does it" in result.output


def test_an_attached_pool_is_decided_by_the_chain_and_a_detached_one_as_before(
    aws: EmbeddedAws, stack: Stack, command: Command
) -> None:
    person = stack.person("ada")
    application = stack.application("everything")
    before = application.srp(person.username, person.password)

    attached = command("attach", stack.pool_id, "--yes")
    settings = described(aws, stack.pool_id)["settings"]
    after = application.srp(person.username, person.password)
    again = command("attach", "--yes")
    detached = command("detach", stack.pool_id, "--yes")
    left = application.srp(person.username, person.password)

    assert attached.exit_code == again.exit_code == detached.exit_code == 0, attached.output
    assert "already" in again.output
    assert settings["LambdaConfig"]["CustomMessage"]
    assert settings["LambdaConfig"]["PreTokenGenerationConfig"]["LambdaVersion"] == "V3_0"
    assert [CLAIM in tokens.id_claims for tokens in (before, after, left)] == [False, True, False]
    cognito = aws.client("cognito-idp")
    cognito.admin_delete_user(UserPoolId=stack.pool_id, Username=person.username)
    cognito.delete_user_pool_client(UserPoolId=stack.pool_id, ClientId=application.client_id)


def test_the_stack_cannot_be_deleted_under_an_attached_pool(
    aws: EmbeddedAws, stack: Stack, command: Command
) -> None:
    cloudformation = aws.client("cloudformation")

    command("attach", "--yes")
    with pytest.raises(cloudformation.exceptions.ClientError, match="TerminationProtection"):
        cloudformation.delete_stack(StackName="cognito-rules")
    protected = protection(aws)
    command("detach", "--yes")

    assert (protected, protection(aws)) == (True, False)


def test_a_protection_that_was_taken_off_is_given_again(
    aws: EmbeddedAws, stack: Stack, command: Command
) -> None:
    command("attach", "--yes")
    aws.client("cloudformation").update_termination_protection(
        StackName="cognito-rules", EnableTerminationProtection=False
    )

    again = command("attach", "--yes")

    assert "gets termination protection" in again.output
    assert protection(aws)
    command("detach", "--yes")
    assert not protection(aws)


def test_a_protection_that_was_there_before_stays(
    aws: EmbeddedAws, stack: Stack, command: Command
) -> None:
    cloudformation = aws.client("cloudformation")
    cloudformation.update_termination_protection(
        StackName="cognito-rules", EnableTerminationProtection=True
    )

    command("attach", "--yes")
    command("detach", "--yes")

    assert protection(aws)
    cloudformation.update_termination_protection(
        StackName="cognito-rules", EnableTerminationProtection=False
    )


def test_a_setting_that_cognito_lost_is_named_and_the_stack_is_protected_all_the_same(
    stack: Stack, aws: EmbeddedAws, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = UserPool.read(aws.client("cognito-idp"), stack.pool_id)
    everything = UserPool.request

    def without_tags(pool: UserPool) -> dict[str, Any]:
        request = everything(pool)
        request["UserPoolTags"] = {
            name: value for name, value in request["UserPoolTags"].items() if "stack" in name
        }
        return request

    monkeypatch.setattr(UserPool, "request", without_tags)
    attached = command("attach", "--yes")
    protected = protection(aws)
    monkeypatch.undo()
    command("detach", "--yes")

    assert attached.exit_code == 2
    assert "not as it should be in UserPoolTags" in attached.stderr
    assert (protected, protection(aws)) == (True, False)
    aws.client("cognito-idp").update_user_pool(**before.request())


def test_a_function_of_others_is_never_replaced_silently(
    aws: EmbeddedAws, stack: Stack, command: Command, theirs: str
) -> None:
    set_triggers(aws, stack.pool_id, PostAuthentication=theirs)
    before = described(aws, stack.pool_id)

    result = command("attach", "--yes")

    assert result.exit_code == 2
    assert f"PostAuthentication ({theirs})" in result.stderr
    assert result.stderr.count("\n") == 1
    assert described(aws, stack.pool_id) == before
    set_triggers(aws, stack.pool_id, PostAuthentication=None)


def test_a_kept_function_is_named_with_what_it_costs(
    aws: EmbeddedAws, stack: Stack, command: Command, theirs: str
) -> None:
    version_2 = {"LambdaArn": theirs, "LambdaVersion": "V2_0"}
    set_triggers(aws, stack.pool_id, PreTokenGenerationConfig=version_2)

    result = command("attach", "--yes", "--keep-foreign")
    triggers = described(aws, stack.pool_id)["settings"]["LambdaConfig"]
    command("detach", "--yes")

    assert "NO RULE CHANGES TOKENS" in result.stderr
    assert triggers["PreTokenGenerationConfig"] == version_2
    assert triggers["PostAuthentication"] == stack.outputs["LoginFunctionAlias"]
    set_triggers(aws, stack.pool_id, PreTokenGenerationConfig=None)


def test_a_replaced_function_comes_back(
    aws: EmbeddedAws, stack: Stack, command: Command, theirs: str
) -> None:
    version_2 = {"LambdaArn": theirs, "LambdaVersion": "V2_0"}
    triggers = {"PreSignUp": theirs, "PreTokenGenerationConfig": version_2}
    set_triggers(aws, stack.pool_id, **triggers, PreTokenGeneration=theirs)
    before = described(aws, stack.pool_id)

    command("attach", "--yes", "--replace")
    attached = described(aws, stack.pool_id)["settings"]
    command("detach", "--yes")

    assert attached["LambdaConfig"]["PreSignUp"] == stack.outputs["SignUpFunctionAlias"]
    assert attached["UserPoolTags"]["cognito-rules:replaced:PreSignUp"] == theirs
    assert described(aws, stack.pool_id) == before
    set_triggers(aws, stack.pool_id, **dict.fromkeys([*triggers, "PreTokenGeneration"]))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(
            ["eu-west-1_other1234"],
            "deploy it with UserPoolId=eu-west-1_other1234",
            id="other pool",
        ),
        pytest.param(["--stack", "absent"], "There is no stack absent", id="no such stack"),
        pytest.param(["--keep-foreign", "--replace"], "not both", id="both"),
    ],
)
def test_wrong_input_is_one_line(command: Command, arguments: list[str], said: str) -> None:
    result = command("attach", "--yes", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("environment", "said"),
    [
        pytest.param(
            {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, "cannot be asked", id="no network"
        ),
        pytest.param({"AWS_ACCESS_KEY_ID": "AKIANOBODY"}, "DescribeStacks: ", id="wrong key"),
        pytest.param({"AWS_PROFILE": "absent"}, "cannot be asked", id="no such profile"),
    ],
)
def test_an_aws_that_does_not_answer_is_one_line(
    command: Command, environment: dict[str, str], said: str
) -> None:
    result = command("attach", **environment)

    assert result.exit_code == 2, result.output
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_pool_that_the_stack_may_not_be_called_for_is_refused(
    aws: EmbeddedAws, stack: Stack, command: Command
) -> None:
    client = aws.client("lambda")
    function, _, alias = stack.outputs["SignUpFunctionAlias"].rpartition(":")
    policy = json.loads(client.get_policy(FunctionName=function, Qualifier=alias)["Policy"])
    statement = policy["Statement"][0]["Sid"]
    client.remove_permission(FunctionName=function, Qualifier=alias, StatementId=statement)

    result = command("attach", "--yes")

    assert result.exit_code == 2
    assert "every sign-in would fail" in result.stderr
    arn = aws.client("cognito-idp").describe_user_pool(UserPoolId=stack.pool_id)["UserPool"]["Arn"]
    let_cognito_call(aws, function, arn, Qualifier=alias)


def test_a_pool_is_freed_when_the_stack_is_gone(
    aws: EmbeddedAws, stack: Stack, command: Command
) -> None:
    set_triggers(
        aws,
        stack.pool_id,
        PostAuthentication="arn:aws:lambda:eu-west-1:000000000000:function:gone-login:live",
    )

    result = command("detach", stack.pool_id, "--stack", "gone", "--yes")

    assert result.exit_code == 0, result.output


def test_there_is_nothing_to_detach(command: Command, stack: Stack) -> None:
    result = command("detach", stack.pool_id, "--yes")

    assert result.exit_code == 0
    assert "calls nothing of the stack cognito-rules" in result.output


def test_the_plan_lite_needs_a_stack_for_it(
    aws: EmbeddedAws, stack: Stack, command: Command
) -> None:
    cognito = aws.client("cognito-idp")
    pool = UserPool.read(cognito, stack.pool_id)
    request = pool.request()
    policies = {"PasswordPolicy": {"MinimumLength": 8}}
    cognito.update_user_pool(**request | {"UserPoolTier": "LITE", "Policies": policies})

    result = command("attach", "--yes")

    assert result.exit_code == 2
    assert "FeaturePlan=LITE" in result.stderr
    cognito.update_user_pool(**request)
