"""What the doctor finds in triggers and the chain behind them."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from local.chain import publish_chain
from local.deployment import BUILT, packed
from local.server import ACCOUNT_ID, EmbeddedAws
from local.stack import Stack
from tests.local.doctor.broken import (
    CHAIN,
    OTHER,
    Finds,
    publish,
    rewire,
    wire_back,
    without_validator,
)
from tests.local.user_pool import let_cognito_call


@pytest.mark.parametrize(
    ("trigger", "value", "said"),
    [
        pytest.param("PostAuthentication", None, "is not set", id="missing"),
        pytest.param("PreSignUp", OTHER, "calls arn:aws:lambda", id="another function"),
        pytest.param("PostConfirmation", "login", "not its alias", id="unqualified"),
    ],
)
def test_a_trigger_that_is_not_ours(
    aws: EmbeddedAws, stack: Stack, finds: Finds, trigger: str, value: str | None, said: str
) -> None:
    if value == "login":
        value = stack.outputs["LoginFunctionAlias"].rpartition(":")[0]
    rewire(aws, stack, triggers={trigger: value})

    [(level, what)] = finds("triggers")

    assert level == "error"
    assert what.startswith(trigger)
    assert said in what
    wire_back(aws, stack)
    assert finds("triggers") == []


def test_an_old_version_of_pre_token_generation(
    aws: EmbeddedAws, stack: Stack, finds: Finds
) -> None:
    old = {"LambdaArn": stack.outputs["LoginFunctionAlias"], "LambdaVersion": "V1_0"}
    rewire(aws, stack, triggers={"PreTokenGenerationConfig": old})

    [(level, what)] = finds("trigger_version")

    assert level == "error"
    assert "see no machines" in what
    wire_back(aws, stack)


def test_permissions_of_other_pools_and_of_none(
    aws: EmbeddedAws, stack: Stack, finds: Finds
) -> None:
    function, _, alias = stack.outputs["SignUpFunctionAlias"].rpartition(":")
    arn = f"arn:aws:cognito-idp:eu-west-1:{ACCOUNT_ID}:userpool/*"
    let_cognito_call(aws, function, arn, Qualifier=alias)
    [(level, what)] = finds("trigger_permission")
    assert (level, what[:16]) == ("error", "Other user pools")

    client = aws.client("lambda")
    policy = json.loads(client.get_policy(FunctionName=function, Qualifier=alias)["Policy"])
    for statement in policy["Statement"]:
        client.remove_permission(
            FunctionName=function, Qualifier=alias, StatementId=statement["Sid"]
        )
    [(level, what)] = finds("trigger_permission")
    assert (level, "every sign-in fails" in what) == ("error", True)


def test_a_plan_that_lacks_what_rules_do(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    stack.use_chain(CHAIN)
    rewire(aws, stack, UserPoolTier="LITE")

    found = finds("feature_plan")

    assert [level for level, _ in found] == ["error", "error"]
    assert "add_email_to_access_token changes access tokens" in found[1][1]
    rewire(aws, stack, UserPoolTier="ESSENTIALS")


def test_an_alias_behind_the_layer(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    client = aws.client("lambda")
    layers = client.get_function_configuration(FunctionName=stack.login_function)["Layers"]
    client.update_function_configuration(FunctionName=stack.login_function, Layers=[])

    found = finds("alias")  # also that the function is pending, for a moment

    assert {level for level, _ in found} == {"error"}
    assert layers[0]["Arn"] in found[0][1]
    client.update_function_configuration(
        FunctionName=stack.login_function, Layers=[layer["Arn"] for layer in layers]
    )


def test_another_checkout_was_deployed(aws: EmbeddedAws, stack: Stack, finds: Finds) -> None:
    client = aws.client("lambda")
    code = packed(BUILT.parent / "LoginFunction", {"layer.sha256": "0" * 64})
    client.update_function_code(FunctionName=stack.login_function, ZipFile=code)
    layers = client.get_function_configuration(FunctionName=stack.login_function)["Layers"]
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("python/cognito_rules/catalogue.json", "{}")
    other = client.publish_layer_version(
        LayerName="cognito-rules-core", Content={"ZipFile": buffer.getvalue()}
    )
    publish(aws, stack, Layers=[other["LayerVersionArn"]])

    levels = [level for level, _ in finds("checkout")]

    assert levels == ["warning", "error"]
    built = packed(BUILT.parent / "LoginFunction")
    client.update_function_code(FunctionName=stack.login_function, ZipFile=built)
    publish(aws, stack, Layers=[layer["Arn"] for layer in layers])


@pytest.mark.parametrize(
    ("document", "level", "said"),
    [
        pytest.param('[[rules]]\nrule = "absent"', "error", "no rule 'absent'", id="refused"),
        pytest.param("", "warning", "everybody logs in", id="empty"),
    ],
)
def test_a_chain_that_decides_nothing(
    stack: Stack, finds: Finds, document: str, level: str, said: str
) -> None:
    with without_validator(stack):
        publish_chain(stack.aws, stack.outputs, document)

    [(found, what)] = finds("chain")

    assert found == level
    assert said in what
    stack.use_chain(CHAIN)


def test_applications_that_the_chain_does_not_know(stack: Stack, finds: Finds) -> None:
    named = '[applications.gone]\nname = "gone"\n' + CHAIN
    stack.use_chain('unregistered_applications = "refuse"\n' + named)
    refused = [what for _, what in finds("registered_applications")]
    stack.use_chain(named.replace('["*"]', '["gone"]', 1))
    left_out = [what for _, what in finds("registered_applications")]

    assert any("nobody logs in there" in what for what in refused)
    assert any("gone (gone), which the pool does not have" in what for what in refused)
    assert any("entries for named applications do not run" in what for what in left_out)


def test_secrets_without_a_value(stack: Stack, finds: Finds) -> None:
    stack.use_chain('[[rules]]\nrule = "record_events_splunk"\n')

    [(level, what)] = finds("secrets")

    assert level == "error"
    assert "cognito-rules/splunk of record_events_splunk has no value" in what


def test_more_logins_than_the_account_has_executions_for(stack: Stack, finds: Finds) -> None:
    stack.use_chain(CHAIN)

    [(level, what)] = finds("concurrency", "--peak", "1000")

    assert level == "error"
    assert "Logins need 4000 executions at once (1000 at once x (1 + 3 rule functions))" in what
    assert finds("concurrency", "--peak", "1") == []
