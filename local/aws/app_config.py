"""AppConfig calls a profile's Lambda validators, keeps versions from racing, and asks IAM.

https://docs.aws.amazon.com/appconfig/latest/userguide/appconfig-creating-configuration-and-profile-validators.html
https://docs.aws.amazon.com/appconfig/2019-10-09/APIReference/API_CreateHostedConfigurationVersion.html
https://docs.aws.amazon.com/appconfig/2019-10-09/APIReference/API_StartDeployment.html
https://docs.aws.amazon.com/appconfig/2019-10-09/APIReference/API_ListDeployments.html
https://docs.aws.amazon.com/appconfig/2019-10-09/APIReference/API_ListHostedConfigurationVersions.html
https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsappconfig.html

ministack lists the latest one last and fifty at most, stores validators and calls none, ignores
``Latest-Version-Number``, takes the version of a deployment on trust, and lets every caller read
configurations.
"""

import base64
import json
import re
from importlib import import_module
from typing import Any

from local.aws.emulator import Response, functions, iam, wrap
from local.aws.events import JsonObject

actions: Any = import_module("ministack.core.iam_actions")
app_config: Any = import_module("ministack.services.appconfig")
concurrency: Any = import_module("ministack.core.concurrency")

PRINCIPAL = "appconfig.amazonaws.com"
_VERSIONS = re.compile(
    r"/applications/([^/]+)/configurationprofiles/([^/]+)/hostedconfigurationversions"
)
_DEPLOYMENTS = re.compile(r"/applications/([^/]+)/environments/[^/]+/deployments")
_DATA_PLANE = ("/configurationsessions", "/configuration")


async def _handle(
    original: Any,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: JsonObject,
) -> Response:
    refused: Response | None = None
    if method == "POST" and (found := _VERSIONS.fullmatch(path)):
        # Off the event loop, which also serves what the function itself asks for.
        refused = await concurrency.run_offloop(_refuse_version, *found.groups(), headers, body)
    elif method == "POST" and (found := _DEPLOYMENTS.fullmatch(path)):
        refused = await concurrency.run_offloop(_refuse_deployment, found[1], body)
    if refused is not None:
        return refused
    response: Response = await original(method, path, headers, body, query)
    return response


def _refuse_version(
    application: str, profile: str, headers: dict[str, str], body: bytes
) -> Response | None:
    """CreateHostedConfigurationVersion: the lock, then the validators; nothing is stored before."""
    latest = app_config._latest_hosted_version_number(application, profile)
    expected = headers.get("latest-version-number")
    if expected is not None and int(expected) != latest:
        message = f"The latest version is {latest}, not {expected}."
        return _error(409, "ConflictException", message)
    return _validated(application, profile, str(latest + 1), body)


def _refuse_deployment(application: str, body: bytes) -> Response | None:
    """StartDeployment: its version has to be there, and to pass the validators once more."""
    try:
        wanted = json.loads(body or b"{}")
    except ValueError:
        return _error(400, "BadRequestException", "The request is no JSON.")
    profile, version = wanted.get("ConfigurationProfileId"), wanted.get("ConfigurationVersion")
    stored = app_config._hosted_versions.get(f"{application}/{profile}/{version}")
    if stored is None:
        return _error(404, "ResourceNotFoundException", f"There is no version {version}.")
    content = stored["Content"]
    content = content if isinstance(content, bytes) else content.encode()
    return _validated(application, profile, str(version), content)


def _validated(application: str, profile: str, version: str, content: bytes) -> Response | None:
    """Return the error of the first validator that refuses ``content``, or None."""
    stored = app_config._config_profiles.get(f"{application}/{profile}") or {}
    for validator in stored.get("Validators") or []:
        if validator.get("Type") != "LAMBDA":
            continue
        event = {
            "applicationId": application,
            "configurationProfileId": profile,
            "configurationVersion": version,
            "content": base64.b64encode(content).decode(),
            "uri": stored.get("LocationUri", "hosted"),
        }
        problem = _problem(validator["Content"], event)
        if problem is not None:
            detail = {"Type": "LAMBDA", "Reason": problem, "Value": validator["Content"]}
            return _error(
                400,
                "BadRequestException",
                "The configuration does not pass its validator.",
                Reason="InvalidConfiguration",
                Details={"InvalidConfiguration": [detail]},
            )
    return None


def _problem(arn: str, event: JsonObject) -> str | None:
    """Return why the function at ``arn`` refuses, or cannot be asked; None when it accepts."""
    record, config, _ = functions._get_func_record_for_ref(arn)
    if record is None or config is None:
        return "the validator's function does not exist"
    base, _, _ = functions._get_base_func_record_for_ref(arn)
    context = iam.EvalContext(
        principal_arn=PRINCIPAL,
        principal_type="Service",
        principal_account=arn.split(":")[4],
        action="lambda:InvokeFunction",
        resource_arn=arn,
        region=arn.split(":")[3],
        service_context={},
    )
    decision = iam.evaluate_resource_policy(base["policy"], context, service=PRINCIPAL)
    if decision.decision != "Allow":
        return "AppConfig may not invoke the validator's function"
    execution = functions._execution_record_for_config(record, {**config, "FunctionArn": arn})
    result = functions._execute_function_with_config_scope(execution, event)
    if not result.get("error"):
        return None
    failure = result.get("body")
    return str(failure.get("errorMessage") if isinstance(failure, dict) else failure)


def _latest_first(original: Any, application: str, of: str, query: JsonObject) -> Response:
    """ListDeployments, ListHostedConfigurationVersions: the latest first, in pages."""
    status, headers, body = original(application, of, {**query, "max_results": 1_000_000})
    if status != 200:
        return status, headers, body
    items = json.loads(body)["Items"][::-1]
    begin, size = int(query.get("next_token", 0)), int(query.get("max_results", 50))
    page: JsonObject = {"Items": items[begin : begin + size]}
    if begin + size < len(items):
        page["NextToken"] = str(begin + size)
    return status, headers, json.dumps(page).encode()


def _error(status: int, code: str, message: str, **more: Any) -> Response:
    document = {"__type": code, "Message": message, **more}
    headers = {"Content-Type": "application/json", "x-amzn-errortype": code}
    return status, headers, json.dumps(document).encode()


def _action(original: Any, service: str, method: str, path: str, *more: Any) -> str | None:
    """Both planes are signed for ``appconfig``; the path tells which one is meant."""
    if service == "appconfig" and path in _DATA_PLANE:
        service = "appconfigdata"
    action: str | None = original(service, method, path, *more)
    return action


def _resource(
    original: Any,
    service: str,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    query: JsonObject,
    *more: Any,
) -> str:
    if service == "appconfig" and path in _DATA_PLANE:
        return _configuration(path, body, query)
    arn: str = original(service, method, path, headers, body, query, *more)
    return arn


def _configuration(path: str, body: bytes, query: JsonObject) -> str:
    """Return the ARN of the configuration that a call of the data plane is for."""
    if path == "/configuration":
        token = query.get("configuration_token", "")
        wanted = app_config._sessions.get(token[0] if isinstance(token, list) else token) or {}
    else:
        try:
            wanted = json.loads(body)
        except ValueError:
            wanted = {}
    application = app_config._resolve_application_id(wanted.get("ApplicationIdentifier")) or "-"
    environment = app_config._resolve_environment_id(
        application, wanted.get("EnvironmentIdentifier")
    )
    profile = app_config._resolve_configuration_profile_id(
        application, wanted.get("ConfigurationProfileIdentifier")
    )
    of_environment: str = app_config._env_arn(application, environment or "-")
    return f"{of_environment}/configuration/{profile or '-'}"


def install() -> None:
    """Complete AppConfig, and what IAM is asked about it."""
    wrap(app_config, "handle_request", _handle)
    wrap(app_config, "_list_deployments", _latest_first)
    wrap(app_config, "_list_hosted_configuration_versions", _latest_first)
    wrap(actions, "extract_iam_action", _action)
    wrap(actions, "extract_resource_arn", _resource)
