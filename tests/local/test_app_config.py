"""AppConfig as the embedded AWS completes it: validators, locks, and who may read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from botocore.exceptions import ClientError

from local.server import EmbeddedAws
from tests.local.user_pool import create_function, zipped

VALIDATOR = """
import base64, json
def handler(event, context):
    print(json.dumps(event))
    if base64.b64decode(event["content"]) == b"bad":
        raise ValueError("it is bad")
"""


@dataclass
class Profile:
    """A configuration profile with a Lambda validator, in an environment of its own."""

    aws: EmbeddedAws
    ids: dict[str, str]
    environment: str
    function: str

    @property
    def client(self) -> Any:
        return self.aws.client("appconfig")

    def create(self, content: str, **options: Any) -> str:
        created = self.client.create_hosted_configuration_version(
            **self.ids, Content=content.encode(), ContentType="text/plain", **options
        )
        return str(created["VersionNumber"])

    def deploy(self, version: str, **options: Any) -> Any:
        return self.client.start_deployment(
            **self.ids,
            EnvironmentId=self.environment,
            ConfigurationVersion=version,
            DeploymentStrategyId="AppConfig.AllAtOnce",
            **options,
        )

    def versions(self) -> list[int]:
        items = self.client.list_hosted_configuration_versions(**self.ids)["Items"]
        return [item["VersionNumber"] for item in items]

    @property
    def configuration(self) -> dict[str, str]:
        """How the data plane is asked for it."""
        return {
            "ApplicationIdentifier": self.ids["ApplicationId"],
            "EnvironmentIdentifier": self.environment,
            "ConfigurationProfileIdentifier": self.ids["ConfigurationProfileId"],
        }


@pytest.fixture
def profile(aws: EmbeddedAws) -> Iterator[Profile]:
    function = create_function(aws, VALIDATOR)
    name = function.rpartition(":")[2]
    functions = aws.client("lambda")
    functions.add_permission(
        FunctionName=name,
        StatementId="appconfig",
        Action="lambda:InvokeFunction",
        Principal="appconfig.amazonaws.com",
    )
    client = aws.client("appconfig")
    application = client.create_application(Name=name)["Id"]
    environment = client.create_environment(ApplicationId=application, Name="live")["Id"]
    made = client.create_configuration_profile(
        ApplicationId=application,
        Name="chain",
        LocationUri="hosted",
        Validators=[{"Type": "LAMBDA", "Content": function}],
    )["Id"]
    ids = {"ApplicationId": application, "ConfigurationProfileId": made}
    yield Profile(aws, ids, environment, name)
    functions.delete_function(FunctionName=name)


def error_of(call: Callable[[], object]) -> dict[str, Any]:
    with pytest.raises(ClientError) as error:
        call()
    response: dict[str, Any] = error.value.response  # type: ignore[assignment]
    return response


def test_what_the_validator_refuses_is_not_stored(profile: Profile) -> None:
    error = error_of(lambda: profile.create("bad"))

    assert error["Error"]["Code"] == "BadRequestException"
    assert error["Reason"] == "InvalidConfiguration"
    [detail] = error["Details"]["InvalidConfiguration"]
    assert detail["Reason"] == "it is bad"
    assert profile.versions() == []


def test_a_version_is_validated_again_when_it_is_deployed(profile: Profile) -> None:
    version = profile.create("good")
    strict = 'def handler(event, context):\n    raise ValueError("no longer")'
    profile.aws.client("lambda").update_function_code(
        FunctionName=profile.function, ZipFile=zipped(strict)
    )

    error = error_of(lambda: profile.deploy(version))

    assert error["Details"]["InvalidConfiguration"][0]["Reason"] == "no longer"
    assert (
        profile.client.list_deployments(
            ApplicationId=profile.ids["ApplicationId"], EnvironmentId=profile.environment
        )["Items"]
        == []
    )


@pytest.mark.parametrize("missing", ["permission", "function"])
def test_a_validator_that_cannot_be_called_refuses(profile: Profile, missing: str) -> None:
    client = profile.aws.client("lambda")
    if missing == "permission":
        client.remove_permission(FunctionName=profile.function, StatementId="appconfig")
    else:
        profile.client.update_configuration_profile(
            **profile.ids,
            Validators=[{"Type": "LAMBDA", "Content": "arn:aws:lambda:eu-west-1:0:function:no"}],
        )

    error = error_of(lambda: profile.create("good"))

    assert "function" in error["Details"]["InvalidConfiguration"][0]["Reason"]


def test_a_version_that_does_not_exist_cannot_be_deployed(profile: Profile) -> None:
    error = error_of(lambda: profile.deploy("7"))

    assert error["Error"]["Code"] == "ResourceNotFoundException"


def test_of_two_who_publish_at_once_one_is_refused(profile: Profile) -> None:
    profile.create("good", LatestVersionNumber=0)

    error = error_of(lambda: profile.create("better", LatestVersionNumber=0))

    assert error["Error"]["Code"] == "ConflictException"
    assert profile.versions() == [1]


def test_deployments_are_listed_latest_first_and_in_pages(profile: Profile) -> None:
    environment = {
        "ApplicationId": profile.ids["ApplicationId"],
        "EnvironmentId": profile.environment,
    }
    version = profile.create("good")
    for _ in range(3):
        number = profile.deploy(version)["DeploymentNumber"]
        profile.client.stop_deployment(**environment, DeploymentNumber=number, AllowRevert=True)

    first = profile.client.list_deployments(**environment, MaxResults=2)
    second = profile.client.list_deployments(
        **environment, MaxResults=2, NextToken=first["NextToken"]
    )

    assert [item["DeploymentNumber"] for item in first["Items"]] == [3, 2]
    assert [item["DeploymentNumber"] for item in second["Items"]] == [1]
    assert "NextToken" not in second


def test_versions_are_listed_latest_first_and_in_pages(profile: Profile) -> None:
    for number in range(51):
        profile.create(f"good {number}")

    first = profile.client.list_hosted_configuration_versions(**profile.ids)
    second = profile.client.list_hosted_configuration_versions(
        **profile.ids, NextToken=first["NextToken"]
    )

    assert [item["VersionNumber"] for item in first["Items"]] == list(range(51, 1, -1))
    assert [item["VersionNumber"] for item in second["Items"]] == [1]
    assert "NextToken" not in second


def test_iam_decides_who_reads_a_configuration(profile: Profile, aws: EmbeddedAws) -> None:
    profile.deploy(profile.create("good"))
    arn = (
        f"arn:aws:appconfig:eu-west-1:000000000000:application/{profile.ids['ApplicationId']}"
        f"/environment/{profile.environment}/configuration/"
    )
    reader = _user(aws, arn + profile.ids["ConfigurationProfileId"])
    stranger = _user(aws, arn + "another")

    session = aws.client("appconfigdata", reader).start_configuration_session(
        **profile.configuration
    )
    token = session["InitialConfigurationToken"]
    refused = [
        error_of(
            lambda: aws.client("appconfigdata", stranger).start_configuration_session(
                **profile.configuration
            )
        ),
        error_of(
            lambda: aws.client("appconfigdata", stranger).get_latest_configuration(
                ConfigurationToken=token
            )
        ),
    ]
    read = aws.client("appconfigdata", reader).get_latest_configuration(ConfigurationToken=token)

    assert {error["Error"]["Code"] for error in refused} == {"AccessDeniedException"}
    assert read["Configuration"].read() == b"good"


def _user(aws: EmbeddedAws, configuration: str) -> dict[str, str]:
    """Return an access key of a new user who may read one configuration."""
    iam = aws.client("iam")
    name = f"reader-{uuid4()}"
    iam.create_user(UserName=name)
    allowed = ["appconfig:StartConfigurationSession", "appconfig:GetLatestConfiguration"]
    statement = {"Effect": "Allow", "Action": allowed, "Resource": configuration}
    iam.put_user_policy(
        UserName=name,
        PolicyName="read",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [statement]}),
    )
    key: dict[str, str] = iam.create_access_key(UserName=name)["AccessKey"]
    return {"AccessKeyId": key["AccessKeyId"], "SecretAccessKey": key["SecretAccessKey"]}
