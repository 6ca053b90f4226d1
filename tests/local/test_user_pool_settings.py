"""What UpdateUserPool resets, and that the command line loses none of it."""

from __future__ import annotations

from typing import Any

import pytest
import typer

from cli import user_pool
from cli.user_pool import UserPool
from local.server import EmbeddedAws
from tests.local import full_pool

TRIGGER = "arn:aws:lambda:eu-west-1:000000000000:function:other"


@pytest.fixture
def pool_id(aws: EmbeddedAws) -> str:
    return full_pool.create(aws, {"CustomMessage": TRIGGER})


def described(aws: EmbeddedAws, pool_id: str) -> dict[str, Any]:
    settings: dict[str, Any] = aws.client("cognito-idp").describe_user_pool(UserPoolId=pool_id)[
        "UserPool"
    ]
    return {name: value for name, value in settings.items() if name != "LastModifiedDate"}


def test_an_update_resets_what_it_is_not_told(aws: EmbeddedAws, pool_id: str) -> None:
    aws.client("cognito-idp").update_user_pool(UserPoolId=pool_id)

    settings = described(aws, pool_id)
    kept = {name for name, value in full_pool.SETTINGS.items() if settings.get(name) == value}
    assert kept == {"UsernameAttributes", "UsernameConfiguration"}
    assert settings["Name"] == "acme"
    assert settings["LambdaConfig"] == {}
    assert settings["MfaConfiguration"] == "OFF"


def test_an_update_that_tells_a_plain_pool_nothing_changes_nothing(aws: EmbeddedAws) -> None:
    cognito = aws.client("cognito-idp")
    made: str = cognito.create_user_pool(PoolName="plain")["UserPool"]["Id"]
    before = described(aws, made)

    cognito.update_user_pool(UserPoolId=made)

    assert before["VerificationMessageTemplate"] == {"DefaultEmailOption": "CONFIRM_WITH_CODE"}
    assert "SmsConfiguration" not in before
    assert described(aws, made) == before


def test_no_update_takes_away_the_tags_of_aws(aws: EmbeddedAws) -> None:
    cognito = aws.client("cognito-idp")
    of_cloudformation = {"aws:cloudformation:stack-name": "theirs"}
    pool_id: str = cognito.create_user_pool(
        PoolName="of a stack", UserPoolTags=of_cloudformation | {"team": "identity"}
    )["UserPool"]["Id"]

    cognito.update_user_pool(UserPoolId=pool_id, UserPoolTags={"team": "payroll"})

    tags = described(aws, pool_id)["UserPoolTags"]
    assert tags == of_cloudformation | {"team": "payroll"}


def test_a_setting_that_was_lost_is_noticed(aws: EmbeddedAws, pool_id: str) -> None:
    cognito = aws.client("cognito-idp")
    before = UserPool.read(cognito, pool_id)

    cognito.update_user_pool(**before.request() | {"EmailConfiguration": {}})

    assert before.differences(UserPool.read(cognito, pool_id)) == ["EmailConfiguration"]


@pytest.mark.parametrize("setting", sorted(user_pool.AS_READ | {"AdminCreateUserConfig"}))
def test_every_setting_has_to_be_told(aws: EmbeddedAws, pool_id: str, setting: str) -> None:
    cognito = aws.client("cognito-idp")
    before = UserPool.read(cognito, pool_id)
    request = before.request()
    del request[setting]
    if setting == "UserPoolTier":
        del request["UserPoolAddOns"]  # which the default plan does not have
    cognito.update_user_pool(**request)

    assert setting in before.differences(UserPool.read(cognito, pool_id))


def test_writing_all_settings_back_changes_none(aws: EmbeddedAws, pool_id: str) -> None:
    cognito = aws.client("cognito-idp")
    before = described(aws, pool_id)
    pool = UserPool.read(cognito, pool_id)

    user_pool.write(cognito, pool, pool)

    assert described(aws, pool_id) == before
    assert UserPool.read(cognito, pool_id).mfa == pool.mfa


def test_both_names_of_one_setting_are_refused(aws: EmbeddedAws, pool_id: str) -> None:
    cognito = aws.client("cognito-idp")
    pool = UserPool.read(cognito, pool_id)
    assert pool.settings["AdminCreateUserConfig"]["UnusedAccountValidityDays"] == 2

    with pytest.raises(cognito.exceptions.InvalidParameterException, match="Temporary"):
        cognito.update_user_pool(
            **pool.request() | {"AdminCreateUserConfig": pool.settings["AdminCreateUserConfig"]}
        )


def test_a_change_that_another_one_raced_writes_nothing(
    aws: EmbeddedAws, pool_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cognito = aws.client("cognito-idp")
    read = UserPool.read(cognito, pool_id)
    wanted = read.changed({"PreSignUp": TRIGGER}, {})
    cognito.update_user_pool(**read.request() | {"DeletionProtection": "INACTIVE"})
    theirs = described(aws, pool_id)

    with pytest.raises(typer.Exit) as ended:
        user_pool.write(cognito, read, wanted)

    assert ended.value.exit_code == 2
    assert "(DeletionProtection): nothing was written" in capsys.readouterr().err
    assert described(aws, pool_id) == theirs


def test_an_equal_write_of_another_is_a_race_too(
    aws: EmbeddedAws, pool_id: str, capsys: pytest.CaptureFixture[str]
) -> None:
    cognito = aws.client("cognito-idp")
    read = UserPool.read(cognito, pool_id)
    cognito.update_user_pool(**read.request())

    with pytest.raises(typer.Exit):
        user_pool.write(cognito, read, read)

    assert "nothing was written" in capsys.readouterr().err


def test_kinds_of_mfa_that_an_update_turned_off_are_put_back(
    aws: EmbeddedAws, pool_id: str
) -> None:
    cognito = aws.client("cognito-idp")
    pool = UserPool.read(cognito, pool_id)
    mfa = {**pool.mfa, "SoftwareTokenMfaConfiguration": {"Enabled": False}}
    wanted = UserPool(pool.settings, mfa)

    user_pool.write(cognito, pool, wanted)

    assert UserPool.read(cognito, pool_id).mfa == mfa


def test_there_is_no_such_pool(aws: EmbeddedAws, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        UserPool.read(aws.client("cognito-idp"), "eu-west-1_absent000")

    said = capsys.readouterr().err
    assert "DescribeUserPool: ResourceNotFoundException" in said
    assert said.count("\n") == 1
