"""Publish a chain document in the embedded AWS, for logins from now on, in a tenth of a second.

``cognito-rules chain publish --emergency`` does the same and reports it; a login function that is
running asks for another chain once a minute, so its environments are replaced by new ones.
"""

import itertools
import time
import tomllib
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from weakref import WeakKeyDictionary

from cognito_rules.chain import canonical
from cognito_rules.manifest import catalogue
from local.server import EmbeddedAws

LOGIN, SIGN_UP = "LoginFunctionAlias", "SignUpFunctionAlias"
TRIGGERS = (LOGIN, SIGN_UP)

_restarts = itertools.count(1)
# Profile -> the version published last, where the sign-up function runs by a chain that has nothing
# for it. Another such chain is no reason to replace its environment.
_nothing_for_sign_ups: WeakKeyDictionary[EmbeddedAws, dict[str, int]] = WeakKeyDictionary()


def use_chain(aws: EmbeddedAws, outputs: Mapping[str, str], document: str) -> None:
    """Let the triggers decide by the chain ``document`` (TOML) from now on; as ``publish_chain``.

    The sign-up function goes on by the chain before where neither has a rule for sign-ups.
    """
    version = publish_chain(aws, outputs, document)
    quiet = _nothing_for_sign_ups.setdefault(aws, {})
    before = quiet.pop(outputs["ChainProfileId"], None)
    nothing = _has_nothing_for_sign_ups(document)
    # A version in between is somebody else's, whose chain may have something.
    concerned = (LOGIN,) if nothing and before == version - 1 else TRIGGERS
    _restart_all(aws, outputs, concerned)
    await_chain(aws, outputs, document, concerned)
    if nothing:
        quiet[outputs["ChainProfileId"]] = version


def _has_nothing_for_sign_ups(document: str) -> bool:
    chain = tomllib.loads(document)
    return "unregistered_applications" not in chain and not any(
        entry.get("runs_on_sign_up", catalogue()[entry["rule"]].runs_on_sign_up)
        for entry in chain.get("rules", [])
    )


def publish_chain(aws: EmbeddedAws, outputs: Mapping[str, str], document: str) -> int:
    """Deploy the chain ``document`` (TOML) through AppConfig and return its version's number.

    ``outputs`` are those of the stack.

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
    return int(created["VersionNumber"])


def restart_triggers(aws: EmbeddedAws, outputs: Mapping[str, str]) -> None:
    """Replace the environments of the triggers by new ones, as a deployment does."""
    _nothing_for_sign_ups.pop(aws, None)
    _restart_all(aws, outputs, TRIGGERS)


def _restart_all(aws: EmbeddedAws, outputs: Mapping[str, str], triggers: Collection[str]) -> None:
    client = aws.client("lambda")
    with ThreadPoolExecutor(len(triggers)) as threads:
        list(threads.map(lambda output: _restart(client, outputs[output]), triggers))


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


def await_chain(
    aws: EmbeddedAws, outputs: Mapping[str, str], document: str, triggers: Collection[str]
) -> None:
    """Call ``triggers`` until the chain ``document`` (TOML) decides.

    These are the outputs that name the functions, the login function among them.
    The first call of an environment may end before AppConfig answers on a busy machine, and then
    the chain before decides it. An event that says nothing is refused, whatever the chain. Whoever
    got no answer at all asks again in a minute only, and gives way to another environment.

    Raises
    ------
    TimeoutError : the chain does not decide after a minute.
    """
    client, began = aws.client("lambda"), time.monotonic()
    restarted = began
    wanted = canonical(tomllib.loads(document))
    while (now := time.monotonic()) < began + 60:
        if now > restarted + 5:
            _restart_all(aws, outputs, triggers)
            restarted = now
        for output in triggers:
            client.invoke(FunctionName=outputs[output], Payload=b"{}")
        # Where the login function keeps a chain once it decides.
        kept = aws.client("dynamodb").get_item(
            TableName=outputs["ProfilesTable"], Key={"pk": {"S": "CHAIN#live"}}, ConsistentRead=True
        )
        if kept.get("Item", {}).get("document", {}).get("S") == wanted:
            return
        time.sleep(0.05)
    raise TimeoutError("The chain was published, and the login function does not take it over.")
