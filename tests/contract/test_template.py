"""What template.yaml must hold: for CloudFormation, for every rule, for the login path."""

from __future__ import annotations

import importlib
import json
import re
from typing import Any

import pytest
from cfnlint.api import ManualArgs, RulesCollection, lint
from cfnlint.rules.resources.CircularDependency import CircularDependency

from cognito_rules.rule import Rule
from tests.contract.stack_template import (
    AFTER_LOGIN,
    MANIFESTS,
    PROJECT,
    RULES,
    RULES_WITH_ROLES,
    STACK,
    TEMPLATE,
    Stack,
    as_list,
    pascal,
    source,
    transformed,
)

FROM_TEMPLATE = [name for name in RULES if MANIFESTS[name].settings.from_template]

TRACE = PROJECT / "layers/core/cognito_rules/trace.py"
TRIGGERS = ["LoginFunction", "SignUpFunction"]
FUNCTION_NAME_LIMIT = 64
STACK_NAME_LIMIT = 22  # promised in the template's description


@pytest.fixture(scope="module")
def stack() -> Stack:
    return Stack()


def lint_findings(template: dict[str, Any], rules: RulesCollection | None = None) -> list[str]:
    """Return what all of cfn-lint's rules, or only the given ones, find in a template."""
    config = ManualArgs(regions=["us-east-1", "eu-west-1"])
    findings = lint(json.dumps(template), rules, config=config)
    return [f"{finding.rule.id} {finding.message}" for finding in findings]


# -- for CloudFormation ------------------------------------------------------------------------


def test_the_transformed_template_is_clean() -> None:
    assert lint_findings(transformed(source())) == []


def test_a_circle_between_pool_and_trigger_would_be_found() -> None:
    template = transformed(source())
    variables = template["Resources"]["LoginFunction"]["Properties"]["Environment"]["Variables"]
    variables["USER_POOL_ID"] = {"Ref": "UserPool"}

    # Of the rules of the test above, the one that finds it; the others take most of the time.
    circles = RulesCollection()
    circles.register(CircularDependency())

    assert any(finding.startswith("E3004") for finding in lint_findings(template, circles))


def test_the_stack_stays_below_four_hundred_resources() -> None:
    assert len(transformed(source())["Resources"]) <= 400


def test_function_and_role_names_leave_room_for_the_stack_name() -> None:
    functions = [f"{'s' * STACK_NAME_LIMIT}-rule-{rule}" for rule in RULES]
    role = f"{'s' * STACK_NAME_LIMIT}-ap-southeast-2-administrator"

    assert max(map(len, [*functions, role])) <= FUNCTION_NAME_LIMIT
    assert f"may have {STACK_NAME_LIMIT} characters" in source()["Description"]


def test_every_parameter_is_described_and_has_a_default() -> None:
    parameters = source()["Parameters"]

    assert [name for name, p in parameters.items() if not p.get("Description")] == []
    assert [name for name, p in parameters.items() if "Default" not in p] == []


def test_every_parameter_stands_in_one_group_in_the_order_of_the_groups() -> None:
    groups = source()["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert [n for group in groups for n in group["Parameters"]] == list(source()["Parameters"])


@pytest.mark.parametrize(
    "name",
    [
        "AllowSelfSignUp",
        "EnableMachineClient",
        "EnablePusher",
        "EnableFullContactWebhook",
        "LocalEmulator",
    ],
)
def test_what_opens_something_is_off_by_default(name: str) -> None:
    assert source()["Parameters"][name]["Default"] == "false"


def test_every_output_is_described() -> None:
    assert [name for name, o in source()["Outputs"].items() if not o.get("Description")] == []


@pytest.mark.parametrize("name", ["UserPool", "ProfilesTable", "SessionsTable", "ExampleBucket"])
def test_what_holds_peoples_data_outlives_the_stack(name: str) -> None:
    resource = source()["Resources"][name]

    assert resource["DeletionPolicy"] == "Retain"
    assert resource["UpdateReplacePolicy"] == "Retain"


def test_pool_and_tables_cannot_be_deleted_by_mistake(stack: Stack) -> None:
    tables = stack.of_type("AWS::DynamoDB::Table")

    assert stack.properties("UserPool")["DeletionProtection"] == "ACTIVE"
    assert {name: t["DeletionProtectionEnabled"] for name, t in tables.items()} == {
        "ProfilesTable": True,
        "SessionsTable": True,
    }


def test_only_named_resources_are_left_out_of_the_embedded_aws() -> None:
    local = Stack(LocalEmulator="true")

    assert set(Stack().resources) - set(local.resources) == {"EventArchive", "ExampleBucketPolicy"}


def test_a_deletion_in_the_pool_forgets_nobody_unless_it_is_asked_for() -> None:
    on_demand = {"ForgetSubscription", "ForgetPermission"}

    assert on_demand.isdisjoint(Stack().resources)
    assert on_demand <= set(Stack(ForgetDeletedUsers="true").resources)
    assert "ForgetFunction" in Stack().resources


# -- for every rule ----------------------------------------------------------------------------


def test_there_is_a_function_for_each_rule_and_no_other() -> None:
    functions = source()["Resources"]
    stanzas = {name for name, r in functions.items() if r["Type"] == "AWS::Serverless::Function"}

    rules = {f"{pascal(rule)}Rule" for rule in RULES}
    flows = {
        "AnnounceFunction",
        "DeliverFunction",
        "ForgetFunction",
        "RecordPasswordFunction",
        "ValidateChainFunction",
    }
    doors = {
        *("PusherFunction", "TokenAuthorizerFunction", "TokenDenylistFunction", "ZendeskFunction"),
        "WebhooksFunction",
    }
    others = {"LoginFunction", "SignUpFunction", *flows, *doors}
    assert stanzas - others == rules


@pytest.mark.parametrize("rule", RULES)
def test_a_rules_stanza_has_its_name_folder_and_handler(rule: str) -> None:
    stanza = source()["Resources"][f"{pascal(rule)}Rule"]["Properties"]

    assert stanza["FunctionName"] == {"Fn::Sub": f"${{AWS::StackName}}-rule-{rule}"}
    assert stanza["CodeUri"] == f"functions/{rule}"
    assert Stack().properties(f"{pascal(rule)}Rule")["Handler"] == "app.rule"
    assert "AutoPublishAlias" not in stanza


@pytest.mark.parametrize("rule", RULES)
def test_a_rules_stanza_stands_under_the_banner_of_its_category(rule: str) -> None:
    text = TEMPLATE.read_text()
    before = text[: text.index(f"\n  {pascal(rule)}Rule:\n")]
    banner = re.findall(r"^  # ([A-Z: ]+?) -+$", before, re.MULTILINE)[-1]

    assert banner == f"RULES: {MANIFESTS[rule].category.upper()}"


@pytest.mark.parametrize("rule", [n for n in RULES if n not in RULES_WITH_ROLES])
def test_a_rule_without_secrets_and_aws_calls_has_the_role_that_may_only_log(
    stack: Stack, rule: str
) -> None:
    assert stack.properties(f"{pascal(rule)}Rule")["Role"] == "<PlainRuleRole.Arn>"


@pytest.mark.parametrize("rule", [name for name in RULES if MANIFESTS[name].secrets])
def test_a_rule_can_read_exactly_its_own_secrets(stack: Stack, rule: str) -> None:
    names = json.loads(stack.environment(f"{pascal(rule)}Rule")["SECRET_NAMES"])
    ids = {p["Name"]: f"<{n}.Id>" for n, p in stack.of_type("AWS::SecretsManager::Secret").items()}
    statements = [
        statement
        for owner, statement in stack.statements()
        if owner == f"{pascal(rule)}RuleRole"
        and not set(as_list(statement["Action"])) <= set(MANIFESTS[rule].aws)
    ]

    assert set(names) == set(MANIFESTS[rule].secrets)
    actions = [statement["Action"] for statement in statements]
    assert actions == [["secretsmanager:GetSecretValue"]] * len(set(names.values()))
    assert {s["Resource"] for s in statements} == {ids[secret] for secret in names.values()}


SIGNING_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"


@pytest.mark.parametrize("given", [{}, {"SalesforceSigningKeyArn": SIGNING_KEY}])
def test_who_makes_leads_signs_with_the_given_key_and_no_other(given: dict[str, str]) -> None:
    signing = [
        (owner, statement["Resource"], statement["Condition"])
        for owner, statement in Stack(**given).statements()
        if "kms:Sign" in as_list(statement["Action"])
    ]

    algorithm = {"StringEquals": {"kms:SigningAlgorithm": "RSASSA_PKCS1_V1_5_SHA_256"}}
    rules = [name for name in RULES if "kms:Sign" in MANIFESTS[name].aws]
    assert len(rules) == 3
    expected = [(f"{pascal(rule)}RuleRole", SIGNING_KEY, algorithm) for rule in rules if given]
    assert sorted(signing, key=str) == expected


@pytest.mark.parametrize("rule", [name for name in RULES if MANIFESTS[name].aws])
def test_a_rule_may_make_exactly_the_calls_that_its_manifest_says(rule: str) -> None:
    stack = Stack(
        DeploymentStage="test",  # what is for developers has no permission in production
        SalesforceSigningKeyArn=SIGNING_KEY,
        EnableFullContactWebhook="true",
    )
    allowed = {
        action
        for owner, statement in stack.statements()
        if owner == f"{pascal(rule)}RuleRole"
        for action in as_list(statement["Action"])
    }

    assert allowed - {"secretsmanager:GetSecretValue"} == set(MANIFESTS[rule].aws)


def test_no_two_rules_share_a_secret(stack: Stack) -> None:
    read = [
        resource
        for _, statement in stack.statements()
        if "secretsmanager:GetSecretValue" in as_list(statement["Action"])
        for resource in as_list(statement["Resource"])
    ]

    assert len(read) == len(set(read))


@pytest.mark.parametrize("rule", FROM_TEMPLATE)
def test_the_templates_settings_are_complete_and_legal(rule: str) -> None:
    stack = Stack(
        SplunkEndpoint="https://http-inputs-example.splunkcloud.com:443",
        SalesforceMyDomain="example",
        ShopifyShop="example.myshopify.com",
        FirebaseDatabaseUrl="https://example.firebaseio.com",
        FirebaseIdentityProvider=(
            "projects/42/locations/global/workloadIdentityPools/aws/providers/rules"
        ),
        FirebaseServiceAccount="rules@example.iam.gserviceaccount.com",
        DeploymentStage="dev",
        SoapEndpoint="https://roles.example.com/service",
    )
    settings = json.loads(stack.environment(f"{pascal(rule)}Rule")["RULE_SETTINGS"])
    module = importlib.import_module(f"functions.{rule}.app")
    assert isinstance(module.rule, Rule)

    event = json.loads((PROJECT / "events" / f"{rule}.json").read_text())

    configuration = module.rule.configure(event["configuration"], settings)

    assert {name: configuration[name] for name in settings}.keys() == settings.keys()


@pytest.mark.parametrize("rule", [name for name in RULES if name not in FROM_TEMPLATE])
def test_a_rule_without_template_settings_gets_none(stack: Stack, rule: str) -> None:
    assert "RULE_SETTINGS" not in stack.environment(f"{pascal(rule)}Rule")


@pytest.mark.parametrize("rule", RULES)
def test_a_rules_function_outlives_the_rules_own_timeout(stack: Stack, rule: str) -> None:
    timeout = stack.properties(f"{pascal(rule)}Rule")["Timeout"]

    assert timeout * 1000 > MANIFESTS[rule].timeout_ms


def test_a_driver_comes_with_the_one_rule_that_needs_it() -> None:
    resources = source()["Resources"]
    layers = {n for n, r in resources.items() if r["Type"] == "AWS::Serverless::LayerVersion"}

    users = {
        layer: [
            name
            for name, resource in resources.items()
            if {"Ref": layer} in resource["Properties"].get("Layers", [])
        ]
        for layer in layers - {"CoreLayer", "NetLayer"}
    }

    assert users == {
        "MongoLayer": ["EnrichFromMongodbRule"],
        "SqlLayer": ["AddRolesFromSqlserverRule"],
        "XmlLayer": ["AddRolesFromSoapServiceRule"],
    }


# -- for the login path ------------------------------------------------------------------------


def test_every_function_logs_json_into_a_group_that_forgets(stack: Stack) -> None:
    groups = stack.of_type("AWS::Logs::LogGroup")

    for name, function in stack.of_type("AWS::Lambda::Function").items():
        logging = function["LoggingConfig"]
        assert logging["LogFormat"] == "JSON", name
        assert logging["LogGroup"].strip("<>") in groups, name
    assert {group["RetentionInDays"] for group in groups.values()} == {30}


@pytest.mark.parametrize("function", TRIGGERS)
def test_the_alias_is_published_from_snapshots(stack: Stack, function: str) -> None:
    alias = stack.properties(f"{function}Aliaslive")

    assert alias["Name"] == "live"
    assert stack.properties(function)["SnapStart"] == {"ApplyOn": "PublishedVersions"}
    assert stack.properties(function)["Timeout"] == 5
    assert source()["Resources"][function]["Metadata"]["BuildMethod"] == "makefile"


@pytest.mark.parametrize(
    ("plan", "version", "legacy"),
    [
        pytest.param("LITE", "V1_0", True, id="lite has the first version only"),
        pytest.param("ESSENTIALS", "V3_0", False, id="essentials"),
        pytest.param("PLUS", "V3_0", False, id="plus"),
    ],
)
def test_the_pools_triggers_are_the_alias(plan: str, version: str, legacy: bool) -> None:
    stack = Stack(FeaturePlan=plan)
    alias = "<LoginFunctionAliaslive>"
    wired = {
        "PreSignUp": "<SignUpFunctionAliaslive>",
        "PostAuthentication": alias,
        "PostConfirmation": alias,
        "PreTokenGenerationConfig": {"LambdaArn": alias, "LambdaVersion": version},
    }

    assert stack.properties("UserPool")["LambdaConfig"] == (
        wired | {"PreTokenGeneration": alias} if legacy else wired
    )
    assert stack.environment("LoginFunction")["PRE_TOKEN_VERSION"] == version


@pytest.mark.parametrize(
    ("parameters", "pool_arn"),
    [
        pytest.param({}, "<UserPool.Arn>", id="the created pool"),
        pytest.param(
            {"UserPoolId": "eu-west-1_abc"},
            "arn:aws:cognito-idp:eu-west-1:111122223333:userpool/eu-west-1_abc",
            id="an existing pool",
        ),
    ],
)
def test_only_the_pool_may_call_its_triggers(parameters: dict[str, str], pool_arn: str) -> None:
    stack = Stack(**parameters)
    permissions = stack.of_type("AWS::Lambda::Permission")
    del permissions["ValidateChainPermission"]  # of another function, for AppConfig

    assert permissions == {
        trigger.replace("Function", "Permission"): {
            "Action": "lambda:InvokeFunction",
            "FunctionName": f"<{trigger}Aliaslive>",
            "Principal": "cognito-idp.amazonaws.com",
            "SourceAccount": "111122223333",
            "SourceArn": pool_arn,
        }
        for trigger in TRIGGERS
    }
    assert ("UserPool" in stack.resources) == (not parameters)


def test_the_web_client_has_safe_flows_and_no_writable_custom_attribute(stack: Stack) -> None:
    client = stack.properties("UserPoolClient")

    assert client["ExplicitAuthFlows"] == ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    assert client["AllowedOAuthFlows"] == ["code"]
    assert client["PreventUserExistenceErrors"] == "ENABLED"
    assert client["EnableTokenRevocation"] is True
    assert [name for name in client["WriteAttributes"] if ":" in name] == []


# -- after a login -----------------------------------------------------------------------------


def test_only_announcements_leave_the_sessions_table(stack: Stack) -> None:
    mapping = stack.properties("AnnounceFunctionAnnouncements")
    (pattern,) = mapping["FilterCriteria"]["Filters"]

    assert json.loads(pattern["Pattern"]) == {
        "eventName": ["INSERT", "MODIFY"],
        "dynamodb": {"NewImage": {"announcement": {"S": [{"exists": True}]}}},
    }
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["DestinationConfig"]["OnFailure"] == {
        "Destination": "<AnnounceDeadLetterQueue.Arn>"
    }


@pytest.mark.parametrize("rule", AFTER_LOGIN)
def test_an_after_login_rule_hears_of_its_own_view_only(stack: Stack, rule: str) -> None:
    name = pascal(rule)
    subscription = stack.properties(f"{name}Subscription")
    (target,) = subscription["Targets"]

    assert subscription["EventBusName"] == STACK
    assert subscription["EventPattern"] == {
        "source": ["cognito.rules"],
        "detail": {"rules": [rule]},
    }
    assert target["Arn"] == f"<{name}Queue.Arn>"
    assert target["InputPath"] == f"$.detail.views.{rule}"
    assert target["DeadLetterConfig"] == {"Arn": f"<{name}DeadLetterQueue.Arn>"}


@pytest.mark.parametrize("rule", AFTER_LOGIN)
def test_what_an_after_login_rule_cannot_deliver_is_kept(stack: Stack, rule: str) -> None:
    name = pascal(rule)
    queue = stack.properties(f"{name}Queue")
    mapping = stack.properties(f"DeliverFunction{name}")
    deliver = stack.properties("DeliverFunction")

    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": f"<{name}DeadLetterQueue.Arn>",
        "maxReceiveCount": 12,
    }
    assert queue["VisibilityTimeout"] == 6 * deliver["Timeout"]
    # A message that gets no turn is received for nothing, and is given up after twelve times.
    slowest_batch = mapping["BatchSize"] * MANIFESTS[rule].timeout_ms / 1000
    assert deliver["Timeout"] >= slowest_batch + 3
    assert mapping["EventSourceArn"] == f"<{name}Queue.Arn>"
    assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert mapping["ScalingConfig"]["MaximumConcurrency"] >= 2
    fortnight = 14 * 24 * 3600
    assert queue["MessageRetentionPeriod"] == fortnight
    assert stack.properties(f"{name}DeadLetterQueue")["MessageRetentionPeriod"] == fortnight
    assert stack.properties("SubscriptionQueuesPolicy")["Queues"].count(f"<{name}Queue>") == 1


@pytest.mark.parametrize("rule", AFTER_LOGIN)
def test_the_replay_commands_find_what_they_ask_for(stack: Stack, rule: str) -> None:
    name = pascal(rule)

    assert stack.properties(f"{name}Queue")["QueueName"] == f"{STACK}-{rule}"
    assert stack.properties(f"{name}DeadLetterQueue")["QueueName"] == f"{STACK}-{rule}-dead"
    assert stack.outputs.keys() >= {"UserPoolId", "ProfilesTable", "SessionsTable", "EventBus"}


def test_alarms_exist_when_somebody_listens() -> None:
    topic = "arn:aws:sns:eu-west-1:111122223333:alarms"
    alarms = Stack(AlarmTopicArn=topic).of_type("AWS::CloudWatch::Alarm")

    assert Stack().of_type("AWS::CloudWatch::Alarm") == {}
    assert {alarm["AlarmActions"][0] for alarm in alarms.values()} == {topic}


def of_our_namespace(resource: Any) -> set[str]:
    """Return the names of our own metrics that a part of the template asks for."""
    if isinstance(resource, list):
        return {name for item in resource for name in of_our_namespace(item)}
    if not isinstance(resource, dict):
        return set()
    own = {resource["MetricName"]} if resource.get("Namespace") == "CognitoRules" else set()
    return own.union(*map(of_our_namespace, resource.values()))


def test_alarms_ask_for_metrics_that_traces_hold() -> None:
    topic = "arn:aws:sns:eu-west-1:111122223333:alarms"
    alarms = Stack(AlarmTopicArn=topic).of_type("AWS::CloudWatch::Alarm")
    written = TRACE.read_text(encoding="utf-8")

    asked = of_our_namespace(list(alarms.values())) - {"stack-login-faults"}

    assert asked == {"Allowed", "Announced", "Denied", "Overruns", "RuleFaults"}
    assert [name for name in asked if f'"{name}"' not in written] == []


def test_the_dashboard_shows_metrics_that_traces_hold(stack: Stack) -> None:
    body = json.loads(stack.properties("Dashboard")["DashboardBody"])
    written = TRACE.read_text(encoding="utf-8")
    own = {
        metric[1]
        for widget in body["widgets"]
        for metric in widget["properties"]["metrics"]
        if isinstance(metric[0], str) and metric[0] == "CognitoRules"
    }
    searched = {
        name
        for widget in body["widgets"]
        for metric in widget["properties"]["metrics"]
        if isinstance(metric[0], dict)
        for name in re.findall(r'"([A-Z]\w+)"', metric[0]["expression"].partition("MetricName")[2])
    }

    assert own >= {"Allowed", "Announced", "Duration", "RuleFaults"}
    assert {"Milliseconds", "Denials", "ShadowDenials", "Faults", "Timeouts"} <= searched
    found = own | searched - {"ApproximateNumberOfMessagesVisible"}
    assert [name for name in found if f'"{name}"' not in written] == []
    # The dashboard's grid is 24 wide.
    assert max(widget["x"] + widget["width"] for widget in body["widgets"]) == 24
    assert {widget["properties"]["region"] for widget in body["widgets"]} == {"eu-west-1"}


@pytest.mark.parametrize("rule", AFTER_LOGIN)
def test_an_alarm_hears_of_dead_letters(rule: str) -> None:
    topic = "arn:aws:sns:eu-west-1:111122223333:alarms"
    alarms = Stack(AlarmTopicArn=topic).of_type("AWS::CloudWatch::Alarm")
    queue = {"Name": "QueueName", "Value": f"<{pascal(rule)}DeadLetterQueue.QueueName>"}

    listening = [a for a in alarms.values() if queue in [d for m in metrics(a) for d in m]]

    assert len(listening) == 1
    # CloudWatch's limit for one alarm, beside the expression that adds them up.
    assert len(metrics(listening[0])) <= 10


def metrics(alarm: dict[str, Any]) -> list[list[dict[str, str]]]:
    """Return the dimensions of each metric that an alarm is about."""
    if "Metrics" not in alarm:
        return [alarm.get("Dimensions", [])]
    return [m["MetricStat"]["Metric"]["Dimensions"] for m in alarm["Metrics"] if "MetricStat" in m]
