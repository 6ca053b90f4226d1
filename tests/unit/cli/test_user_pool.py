"""Every setting of a user pool that AWS's model knows has a decision; others stop the command."""

from __future__ import annotations

import copy
from typing import Any

import boto3
import pytest
import typer
from botocore.model import ServiceModel
from botocore.session import get_session

from cli.user_pool import (
    AS_READ,
    FIXED,
    OF_MFA,
    TRANSLATED,
    UserPool,
    strange_names,
    unknown_settings,
)
from tests.loopback import Server, reply

DESCRIPTION = (
    get_session().get_component("data_loader").load_service_model("cognito-idp", "service-2")
)
MODEL: Any = ServiceModel(DESCRIPTION, "cognito-idp")
UPDATE = MODEL.operation_model("UpdateUserPool").input_shape
POOL = MODEL.shape_for("UserPoolType")
MFA = MODEL.operation_model("SetUserPoolMfaConfig").input_shape
POOL_ID = "eu-west-1_abc123DEF"


@pytest.mark.parametrize("name", UPDATE.members)
def test_every_setting_of_an_update_has_one_decision(name: str) -> None:
    assert (name in AS_READ) != (name in TRANSLATED)


@pytest.mark.parametrize("name", sorted(AS_READ))
def test_what_is_written_as_it_was_read_has_one_shape(name: str) -> None:
    assert UPDATE.members[name].name == POOL.members[name].name


@pytest.mark.parametrize("name", POOL.members)
def test_everything_that_a_pool_tells_has_one_decision(name: str) -> None:
    assert (name in FIXED) != (name in AS_READ | TRANSLATED)


def test_the_kinds_of_mfa_are_read_as_they_are_written() -> None:
    told = MODEL.operation_model("GetUserPoolMfaConfig").output_shape.members

    assert told.keys() == OF_MFA
    assert {name: MFA.members[name].name for name in OF_MFA} == {
        name: shape.name for name, shape in told.items()
    }


@pytest.mark.parametrize("shape", ["UpdateUserPoolRequest", "UserPoolType"])
def test_a_setting_that_a_newer_model_has_is_unknown(shape: str) -> None:
    newer = copy.deepcopy(DESCRIPTION)
    newer["shapes"][shape]["members"]["Weather"] = {"shape": "StringType"}

    assert unknown_settings(MODEL) == set()
    assert unknown_settings(ServiceModel(newer, "cognito-idp")) == {"Weather"}


def test_a_setting_that_the_model_does_not_know_stops_it(
    amazon: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"Id": POOL_ID, "Name": "acme", "EmailConfiguration": {"From": "a", "Weather": "b"}}
    amazon.replies = [reply(200, {"UserPool": settings}), reply(200, {"Climate": {}})]

    with pytest.raises(typer.Exit) as ended:
        UserPool.read(boto3.Session().client("cognito-idp"), POOL_ID)

    assert ended.value.exit_code == 2
    assert "(Climate, Weather) and would reset: nothing was changed" in capsys.readouterr().err


def test_a_setting_that_may_be_reset_stops_nothing(amazon: Server) -> None:
    settings = {"Id": POOL_ID, "Name": "acme", "Weather": "fair"}
    amazon.replies = [reply(200, {"UserPool": settings}), reply(200, {})]

    pool = UserPool.read(boto3.Session().client("cognito-idp"), POOL_ID, ["Weather"])

    assert pool.changed({}, {}).may_reset == ["Weather"]


def test_strange_names_are_found_in_lists_and_maps() -> None:
    answer = {
        "AcrConfiguration": {"Level1": {"AcrValue": "a", "Odd": 1}},
        "SchemaAttributes": [{"Name": "email"}, {"Strange": 2}],
        "UserPoolTags": {"any": "tag"},
    }

    assert set(strange_names(answer, POOL)) == {"Odd", "Strange"}


def request(**settings: Any) -> dict[str, Any]:
    return UserPool({"Id": POOL_ID, "Name": "acme", **settings}, {}).request()


def test_the_older_name_of_a_setting_goes_only_where_it_stands_alone() -> None:
    creation = {"AllowAdminCreateUserOnly": True, "UnusedAccountValidityDays": 9}
    policy = {"PasswordPolicy": {"TemporaryPasswordValidityDays": 9}}

    alone = request(AdminCreateUserConfig=creation)
    beside = request(AdminCreateUserConfig=creation, Policies=policy)

    assert alone["AdminCreateUserConfig"] == creation
    assert beside["AdminCreateUserConfig"] == {"AllowAdminCreateUserOnly": True}


def test_tags_of_aws_are_left_to_it() -> None:
    tags = {"aws:cloudformation:stack-name": "theirs", "team": "identity"}

    assert request(UserPoolTags=tags)["UserPoolTags"] == {"team": "identity"}


def test_what_is_empty_is_not_told() -> None:
    told = request(LambdaConfig={}, AutoVerifiedAttributes=[], SmsVerificationMessage="")

    assert told == {"UserPoolId": POOL_ID, "PoolName": "acme"}
