"""Publish a chain document in the embedded AWS, for logins from now on, in a tenth of a second.

``cognito-rules chain publish --emergency`` does the same and reports it; a login function that is
running asks for another chain once a minute, so its environments are replaced by new ones.
"""

import itertools
import time
import tomllib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from cognito_rules.chain import canonical
from local.server import EmbeddedAws

TRIGGERS = ("LoginFunctionAlias", "SignUpFunctionAlias")

_restarts = itertools.count(1)


def publish_chain(aws: EmbeddedAws, outputs: Mapping[str, str], document: str) -> None:
    """Deploy the chain ``document`` (TOML) through AppConfig; ``outputs`` are those of the stack.

    Raises
    ------
    botocore.exceptions.ClientError : the document is refused, and nothing changed.
    """
    app_config = aws.client("appconfig")
    profile = {
        "ApplicationId": outputs["ChainApplicationId"],
        "ConfigurationProfileId": outputs["ChainProfileId"],
    }
    created = app_config.create_hosted_configuration_version(
        **profile,
        Content=canonical(tomllib.loads(document)).encode(),
        ContentType="application/json",
    )
    app_config.start_deployment(
        **profile,
        EnvironmentId=outputs["ChainEnvironmentId"],
        ConfigurationVersion=str(created["VersionNumber"]),
        DeploymentStrategyId=outputs["ChainEmergencyStrategyId"],
    )


def restart_triggers(aws: EmbeddedAws, outputs: Mapping[str, str]) -> None:
    """Replace the environments of the triggers by new ones, as a deployment does."""
    client = aws.client("lambda")
    with ThreadPoolExecutor(len(TRIGGERS)) as threads:
        list(threads.map(lambda output: _restart(client, outputs[output]), TRIGGERS))


def _restart(client: Any, arn: str) -> None:
    name, _, alias = arn.rpartition(":")
    # Lambda publishes a version only of what has changed.
    client.update_function_configuration(
        FunctionName=name, Description=f"Restart {next(_restarts)}"
    )
    version = client.publish_version(FunctionName=name)["Version"]
    # Until its environment has started: a login would wait for that.
    while (
        client.get_function_configuration(FunctionName=name, Qualifier=version)["State"]
        == "Pending"
    ):
        time.sleep(0.02)
    client.update_alias(FunctionName=name, Name=alias, FunctionVersion=version)


def await_chain(aws: EmbeddedAws, outputs: Mapping[str, str], document: str) -> None:
    """Call the triggers until the chain ``document`` (TOML) decides.

    The first call of an environment may end before AppConfig answers on a busy machine, and then
    the chain before decides it. An event that says nothing is refused, whatever the chain.
    """
    client, ends = aws.client("lambda"), time.monotonic() + 20
    wanted = canonical(tomllib.loads(document))
    while time.monotonic() < ends:
        for output in TRIGGERS:
            client.invoke(FunctionName=outputs[output], Payload=b"{}")
        # Where the login function keeps a chain once it decides.
        kept = aws.client("dynamodb").get_item(
            TableName=outputs["ProfilesTable"], Key={"pk": {"S": "CHAIN#live"}}, ConsistentRead=True
        )
        if kept.get("Item", {}).get("document", {}).get("S") == wanted:
            return
        time.sleep(0.05)
