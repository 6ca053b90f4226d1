"""Who may do what, by template.yaml: the stack's functions, and signed-in people."""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from cognito_rules.pusher_door import pusher_door
from cognito_rules.zendesk_door import zendesk_door
from tests.contract.stack_template import (
    AFTER_LOGIN,
    BASIC_EXECUTION,
    RULES_WITH_ROLES,
    Stack,
    as_list,
    pascal,
    source,
)

FEDERATED = ["AdministratorRole", "DeveloperRole", "ReadOnlyRole"]
ACCOUNT_ARN = "eu-west-1:111122223333"

LEADING_KEYS = "dynamodb:LeadingKeys"
GIVEN_KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"

# The whole list of what may be allowed on "*", with the reason.
ALLOWED_ON_EVERYTHING = {
    # In a queue's policy "*" is that queue; a condition names the bus.
    ("SubscriptionQueuesPolicy", "sqs:SendMessage"),
    # AWS knows no resource for it.
    ("AdministratorRole", "ec2:DescribeInstances"),
    # A boundary grants nothing by itself.
    ("FederatedBoundary", "ec2:DescribeInstances"),
    ("FederatedBoundary", "ec2:StartInstances"),
    ("FederatedBoundary", "ec2:StopInstances"),
}


@pytest.fixture(scope="module")
def stack() -> Stack:
    return Stack()


def allowed(stack: Stack, owner: str) -> dict[str, set[str]]:
    """Return action -> resources of all that ``owner``'s policies allow, the stack's own ones."""
    result: dict[str, set[str]] = {}
    attached = stack.properties(owner).get("ManagedPolicyArns", [])
    owners = {owner, *(arn.strip("<>") for arn in attached)}
    for name, statement in stack.statements():
        if name in owners and statement["Effect"] == "Allow":
            for action in as_list(statement["Action"]):
                result.setdefault(action, set()).update(as_list(statement["Resource"]))
    return result


def keys_of(statement: dict[str, Any]) -> str:
    """Return the pattern of keys that a statement is limited to."""
    [keys] = statement["Condition"]["ForAllValues:StringLike"].values()
    return str(keys)


# -- the stack's functions ---------------------------------------------------------------------


def test_login_may_invoke_rules_use_the_two_tables_read_one_key_and_no_more(stack: Stack) -> None:
    tables = {"<ProfilesTable.Arn>", "<SessionsTable.Arn>"}

    assert allowed(stack, "LoginRole") == {
        "lambda:InvokeFunction": {f"arn:aws:lambda:{ACCOUNT_ARN}:function:stack-rule-*"},
        "logs:CreateLogStream": {"<LoginLogGroup.Arn>"},
        "logs:PutLogEvents": {"<LoginLogGroup.Arn>"},
        "dynamodb:BatchGetItem": tables,
        "dynamodb:PutItem": tables,
        "dynamodb:UpdateItem": {"<ProfilesTable.Arn>"},
        "secretsmanager:GetSecretValue": {"<RequestContextKeySecret.Id>"},
    }


def test_login_puts_nothing_but_the_kept_chain_among_the_profiles(stack: Stack) -> None:
    [putting] = [
        statement
        for name, statement in stack.statements()
        if name == "LoginRole"
        and "dynamodb:PutItem" in as_list(statement["Action"])
        and "<ProfilesTable.Arn>" in as_list(statement["Resource"])
    ]

    assert putting["Condition"] == leading_keys("CHAIN#*")


def test_sign_up_may_invoke_rules_and_read_the_kept_chain(stack: Stack) -> None:
    [reading] = [
        statement["Condition"]
        for name, statement in stack.statements()
        if name == "SignUpRole" and "dynamodb:BatchGetItem" in as_list(statement["Action"])
    ]

    assert reading == leading_keys("CHAIN#*")
    assert allowed(stack, "SignUpRole") == {
        "lambda:InvokeFunction": {f"arn:aws:lambda:{ACCOUNT_ARN}:function:stack-rule-*"},
        "logs:CreateLogStream": {"<LoginLogGroup.Arn>"},
        "logs:PutLogEvents": {"<LoginLogGroup.Arn>"},
        "dynamodb:BatchGetItem": {"<ProfilesTable.Arn>"},
    }


@pytest.mark.parametrize(
    ("parameters", "key"),
    [
        pytest.param({}, "<RecordingKey.Arn>", id="a key of the stack"),
        pytest.param({"KmsKeyArn": GIVEN_KEY}, GIVEN_KEY, id="a given key"),
    ],
)
def test_login_may_seal_recordings_and_open_none(parameters: dict[str, str], key: str) -> None:
    stack = Stack(RecordLoginsDays="7", **parameters)
    of_this_stack = {"StringEquals": {"kms:EncryptionContext:stack": "stack"}}
    own = [s for n, s in stack.statements() if n == "LoginRole" and "kms:" in str(s["Action"])]
    reading = [s for n, s in stack.statements() if n == "ReadRecordingsPolicy"]

    assert own == [
        {
            "Effect": "Allow",
            "Action": "kms:GenerateDataKey",
            "Resource": key,
            "Condition": of_this_stack,
        }
    ]
    assert {
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": key,
        "Condition": of_this_stack,
    } in reading
    assert {
        "Effect": "Allow",
        "Action": "dynamodb:Query",
        "Resource": "<SessionsTable.Arn>/index/by_recorded",
    } in reading
    # Without a key of its own the stack pays for none.
    assert ("RecordingKey" in stack.resources) == (not parameters)
    assert stack.environment("LoginFunction")["RECORDING_KEY"] == key


def test_nothing_is_recorded_unless_it_is_asked_for(stack: Stack) -> None:
    assert "ReadRecordingsPolicy" not in stack.resources
    assert "RecordingKey" not in stack.resources
    assert stack.environment("LoginFunction")["RECORDING_KEY"] == ""
    assert len(stack.properties("LoginFunction")["Layers"]) == 1
    # What it seals with comes in the other layer.
    _, net = Stack(RecordLoginsDays="1").properties("LoginFunction")["Layers"]
    assert net.startswith("<NetLayer")


def test_a_plain_rule_may_only_log(stack: Stack) -> None:
    assert allowed(stack, "PlainRuleRole") == {
        "logs:CreateLogStream": {"<RulesLogGroup.Arn>"},
        "logs:PutLogEvents": {"<RulesLogGroup.Arn>"},
    }


def test_the_endpoint_that_cancels_tokens_may_write_its_own_entries_and_no_more() -> None:
    stack = Stack(EnableDenylist="true")
    keys = {
        action: statement["Condition"]
        for name, statement in stack.statements()
        if name == "TokenDenylistRole" and "Condition" in statement
        for action in as_list(statement["Action"])
    }

    assert allowed(stack, "TokenDenylistRole") == {
        "logs:CreateLogStream": {"<DoorsLogGroup.Arn>"},
        "logs:PutLogEvents": {"<DoorsLogGroup.Arn>"},
        "dynamodb:DeleteItem": {"<ProfilesTable.Arn>"},
        "dynamodb:UpdateItem": {"<ProfilesTable.Arn>"},
        "dynamodb:GetItem": {"<ProfilesTable.Arn>"},
        "dynamodb:Query": {"<ProfilesTable.Arn>/index/by_listing"},
    }
    assert keys == {
        "dynamodb:DeleteItem": leading_keys("DENY#*"),
        "dynamodb:UpdateItem": leading_keys("DENY#*"),
        "dynamodb:GetItem": leading_keys("LEDGER#*"),
        "dynamodb:Query": {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": "DENY"}},
    }


def leading_keys(pattern: str) -> dict[str, Any]:
    return {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": pattern}}


def test_only_with_the_cascade_may_the_endpoint_sign_people_out() -> None:
    stack = Stack(EnableDenylist="true", DenylistCascade="true")

    actions = allowed(stack, "TokenDenylistRole")

    assert actions["cognito-idp:AdminUserGlobalSignOut"] == {"<UserPool.Arn>"}
    assert actions["cognito-idp:ListUsers"] == {"<UserPool.Arn>"}


def test_the_authorizer_may_read_cancelled_tokens_and_nothing_of_people() -> None:
    stack = Stack(EnableDenylist="true")
    reading = [
        statement["Condition"]
        for name, statement in stack.statements()
        if name == "TokenAuthorizerRole" and "dynamodb:BatchGetItem" in as_list(statement["Action"])
    ]

    assert allowed(stack, "TokenAuthorizerRole") == {
        "logs:CreateLogStream": {"<DoorsLogGroup.Arn>"},
        "logs:PutLogEvents": {"<DoorsLogGroup.Arn>"},
        "dynamodb:BatchGetItem": {"<ProfilesTable.Arn>"},
    }
    assert reading == [leading_keys("DENY#*")]


def test_only_callers_with_iam_permission_reach_the_endpoint_that_cancels_tokens() -> None:
    stack = Stack(EnableDenylist="true")

    routes = stack.of_type("AWS::ApiGatewayV2::Route")

    assert [(r["RouteKey"], r["AuthorizationType"]) for r in routes.values()] == [
        ("ANY /tokens/denylist", "AWS_IAM")
    ]


def test_nothing_of_cancelled_tokens_is_made_unless_asked_for(stack: Stack) -> None:
    made = [name for name in stack.resources if name.startswith(("Token", "Doors"))]

    assert made == []


def test_the_doors_of_browsers_may_read_their_own_secrets_and_log() -> None:
    stack = Stack(EnablePusher="true", ZendeskSubdomain="acme", HostedDomainPrefix="acme")
    logging = {
        "logs:CreateLogStream": {"<DoorsLogGroup.Arn>"},
        "logs:PutLogEvents": {"<DoorsLogGroup.Arn>"},
    }

    for door in ("Pusher", "Zendesk"):
        secret = {"secretsmanager:GetSecretValue": {f"<{door}Secret.Id>"}}
        assert allowed(stack, f"{door}Role") == logging | secret


def test_pushers_door_may_read_cancelled_tokens_where_there_are_some() -> None:
    stack = Stack(EnablePusher="true", EnableDenylist="true")
    reading = [
        statement["Condition"]
        for name, statement in stack.statements()
        if name == "PusherRole" and "dynamodb:BatchGetItem" in as_list(statement["Action"])
    ]

    assert reading == [leading_keys("DENY#*")]
    assert stack.environment("PusherFunction")["DENYLIST_TABLE"] == "<ProfilesTable>"


def test_the_settings_of_the_doors_of_browsers_are_legal() -> None:
    stack = Stack(EnablePusher="true", ZendeskSubdomain="acme", HostedDomainPrefix="acme")
    pusher = json.loads(stack.environment("PusherFunction")["PUSHER_SETTINGS"])
    zendesk = json.loads(stack.environment("ZendeskFunction")["ZENDESK_SETTINGS"])
    real = {"user_pool_id": "eu-west-1_abc", "client_id": "1abc"}

    pusher_door(pusher | {"allowed_clients": ["1abc"], "user_pool_id": "eu-west-1_abc"}, str)
    door = zendesk_door(zendesk | real, str)

    assert door.settings["return_to_hosts"] == [""]
    assert pusher["channels"] == ["private-user-{sub}"]
    assert pusher["key_version"] == "current"
    client = stack.properties("ZendeskClient")
    assert client["CallbackURLs"] == [zendesk["callback_url"]]


@pytest.mark.parametrize(
    ("parameters", "routes"),
    [
        pytest.param({}, set(), id="none by default"),
        pytest.param({"EnablePusher": "true"}, {"POST /pusher/auth"}, id="pusher"),
        pytest.param(
            {"ZendeskSubdomain": "acme", "HostedDomainPrefix": "a"},
            {"GET /zendesk/{step}"},
            id="zendesk",
        ),
        pytest.param(
            {"EnableFullContactWebhook": "true"},
            {"POST /webhooks/fullcontact/{nonce}"},
            id="fullcontact",
        ),
    ],
)
def test_there_are_only_the_doors_that_were_asked_for(
    parameters: dict[str, str], routes: set[str]
) -> None:
    stack = Stack(**parameters)

    found = {route["RouteKey"] for route in stack.of_type("AWS::ApiGatewayV2::Route").values()}
    functions = stack.of_type("AWS::Lambda::Function")

    assert found == routes
    for door, parameter in (
        ("Pusher", "EnablePusher"),
        ("Zendesk", "ZendeskSubdomain"),
        ("Webhooks", "EnableFullContactWebhook"),
    ):
        assert (f"{door}Function" in functions) == (parameter in parameters)


def test_the_door_of_late_answers_touches_those_alone() -> None:
    stack = Stack(EnableFullContactWebhook="true")
    found = {
        (name, action, statement["Resource"], keys_of(statement))
        for name, statement in stack.statements()
        for action in as_list(statement["Action"])
        if name in ("WebhooksRole", "EnrichProfileFullcontactRuleRole") and "dynamodb" in action
    }

    nonces, counts = ("<SessionsTable.Arn>", "webhook#*"), ("<ProfilesTable.Arn>", "CALLS#*")
    assert found == {
        ("WebhooksRole", "dynamodb:GetItem", *nonces),
        ("WebhooksRole", "dynamodb:DeleteItem", *nonces),
        ("WebhooksRole", "dynamodb:PutItem", "<ProfilesTable.Arn>", "ENRICHMENT#*#fullcontact"),
        ("WebhooksRole", "dynamodb:ConditionCheckItem", "<ProfilesTable.Arn>", "FORGOTTEN#*"),
        ("EnrichProfileFullcontactRuleRole", "dynamodb:PutItem", *nonces),
        ("EnrichProfileFullcontactRuleRole", "dynamodb:UpdateItem", *counts),
    }


def test_fullcontact_is_told_where_to_call_and_without_the_door_nothing() -> None:
    told = [
        json.loads(stack.environment("EnrichProfileFullcontactRule")["RULE_SETTINGS"])[
            "webhook_url"
        ]
        for stack in (Stack(), Stack(EnableFullContactWebhook="true"))
    ]

    assert told[0] == ""
    assert urlsplit(told[1]).path == "/webhooks/fullcontact"
    assert told[1].startswith("https://<DoorsApi>.execute-api.")


def test_only_outside_of_production_are_pictures_of_logins_kept() -> None:
    captures = [
        (stage, statement["Resource"], statement["Condition"])
        for stage in ("dev", "test", "prod")
        for name, statement in Stack(DeploymentStage=stage).statements()
        if name == "DebugCaptureRuleRole"
    ]

    table, keys = "<SessionsTable.Arn>", leading_keys("CAPTURE#*")
    assert captures == [("dev", table, keys), ("test", table, keys)]


def test_announce_may_publish_on_the_one_bus(stack: Stack) -> None:
    actions = allowed(stack, "AnnounceRole")

    assert actions["events:PutEvents"] == {"<EventBus.Arn>"}
    assert actions["dynamodb:GetRecords"] == {"<SessionsTable.StreamArn>"}
    assert not {"dynamodb:PutItem", "dynamodb:GetItem", "lambda:InvokeFunction"} & set(actions)


def test_deliver_may_invoke_after_login_rules_only(stack: Stack) -> None:
    actions = allowed(stack, "DeliverRole")

    assert actions["lambda:InvokeFunction"] == {f"<{pascal(r)}Rule.Arn>" for r in AFTER_LOGIN}
    assert actions["sqs:ReceiveMessage"] == {f"<{pascal(r)}Queue.Arn>" for r in AFTER_LOGIN}
    assert actions["sqs:SendMessage"] == {f"<{pascal(r)}DeadLetterQueue.Arn>" for r in AFTER_LOGIN}
    assert actions["dynamodb:PutItem"] == {"<SessionsTable.Arn>", "<ProfilesTable.Arn>"}


def test_deliver_may_touch_nothing_of_people_but_its_own_items(stack: Stack) -> None:
    assert by_leading_keys(stack, "DeliverRole", "<ProfilesTable.Arn>") == {
        ("DeleteItem", "GetItem", "PutItem"): ["ENRICHMENT#*", "ONCE#*"],
        ("UpdateItem",): ["ONCE#*"],
        ("GetItem",): ["FORGOTTEN#*"],
    }


def test_forget_may_remove_what_is_kept_of_people_and_announce_that(stack: Stack) -> None:
    assert by_leading_keys(stack, "ForgetRole", "<ProfilesTable.Arn>") == {
        ("BatchGetItem", "DeleteItem"): ["ENRICHMENT#*", "FORGOTTEN#*", "ONCE#*", "USER#*"],
        ("PutItem",): ["FORGOTTEN#*"],
    }
    assert by_leading_keys(stack, "ForgetRole", "<SessionsTable.Arn>") == {
        ("PutItem",): ["deleted#*"]
    }
    assert set(allowed(stack, "ForgetRole")) == {
        *("logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"),
        *("dynamodb:BatchGetItem", "dynamodb:DeleteItem", "dynamodb:PutItem"),
    }
    assert allowed(stack, "ForgetRole")["sqs:SendMessage"] == {"<AnnounceDeadLetterQueue.Arn>"}


def by_leading_keys(stack: Stack, owner: str, table: str) -> dict[tuple[str, ...], list[str]]:
    """Return actions on a table -> keys that they are allowed on; each has such a condition."""
    found = {}
    for name, statement in stack.statements():
        if name == owner and statement["Resource"] == table:
            actions = (action.partition(":")[2] for action in as_list(statement["Action"]))
            [(operator, condition)] = statement["Condition"].items()
            assert (operator, set(condition)) == ("ForAllValues:StringLike", {LEADING_KEYS})
            found[tuple(actions)] = as_list(condition[LEADING_KEYS])
    return found


def test_nothing_else_is_allowed_on_everything(stack: Stack) -> None:
    found = {
        (name, action)
        for name, statement in stack.statements()
        if statement["Effect"] == "Allow" and "*" in as_list(statement["Resource"])
        for action in as_list(statement["Action"])
    }

    assert found == ALLOWED_ON_EVERYTHING


def test_no_policy_allows_actions_by_pattern(stack: Stack) -> None:
    found = [
        (name, action)
        for name, statement in stack.statements()
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
        if "*" in action or "NotAction" in statement
    ]

    assert found == []


def test_no_role_has_a_managed_policy_but_the_one_sam_gives_rules_with_roles_of_their_own(
    stack: Stack,
) -> None:
    attached = {
        name: role["ManagedPolicyArns"]
        for name, role in stack.of_type("AWS::IAM::Role").items()
        if role.get("ManagedPolicyArns") and name != "DeliverRole"
    }

    assert set(attached) == {f"{pascal(r)}RuleRole" for r in RULES_WITH_ROLES}
    assert all(arns == [BASIC_EXECUTION] for arns in attached.values())


def test_only_policies_of_the_stack_are_attached_to_deliver(stack: Stack) -> None:
    own = {f"<{name}>" for name in stack.of_type("AWS::IAM::ManagedPolicy")}

    assert set(stack.properties("DeliverRole")["ManagedPolicyArns"]) <= own


def test_a_given_permissions_boundary_is_on_every_role() -> None:
    boundary = "arn:aws:iam::111122223333:policy/everybody"
    roles = Stack(PermissionsBoundaryArn=boundary).of_type("AWS::IAM::Role")

    assert {name: role.get("PermissionsBoundary") for name, role in roles.items()} == dict.fromkeys(
        roles, boundary
    )


def test_a_given_key_encrypts_tables_queues_secrets_and_logs() -> None:
    key = "arn:aws:kms:eu-west-1:111122223333:key/1"
    stack = Stack(KmsKeyArn=key)

    used = {
        name: resource["Properties"].get("KmsKeyId")
        or resource["Properties"].get("KmsMasterKeyId")
        or resource["Properties"].get("SSESpecification", {}).get("KMSMasterKeyId")
        for name, resource in stack.resources.items()
        if resource["Type"]
        in (
            "AWS::DynamoDB::Table",
            "AWS::Logs::LogGroup",
            "AWS::SQS::Queue",
            "AWS::SecretsManager::Secret",
        )
    }

    assert used == dict.fromkeys(used, key)
    assert len(used) >= 9


# -- signed-in people --------------------------------------------------------------------------


def test_the_identity_pool_hands_out_only_what_the_token_grants(stack: Stack) -> None:
    pool = stack.properties("IdentityPool")
    roles = stack.properties("IdentityPoolRoles")
    (mapping,) = roles["RoleMappings"].values()
    (provider,) = pool["CognitoIdentityProviders"]

    assert pool["AllowClassicFlow"] is False
    assert pool["AllowUnauthenticatedIdentities"] is False
    assert provider == {
        "ProviderName": "cognito-idp.eu-west-1.amazonaws.com/<UserPool>",
        "ClientId": "<UserPoolClient>",
        "ServerSideTokenCheck": True,
    }
    assert mapping == {
        "IdentityProvider": "cognito-idp.eu-west-1.amazonaws.com/<UserPool>:<UserPoolClient>",
        "Type": "Token",
        "AmbiguousRoleResolution": "Deny",
    }
    assert roles["Roles"] == {"authenticated": "<NoAccessRole.Arn>"}


def test_the_role_of_a_person_without_a_grant_may_do_nothing(stack: Stack) -> None:
    assert allowed(stack, "NoAccessRole") == {}
    assert "ManagedPolicyArns" not in stack.properties("NoAccessRole")


def federated_trusts(stack: Stack) -> dict[str, list[dict[str, Any]]]:
    return {
        name: role["AssumeRolePolicyDocument"]["Statement"]
        for name, role in stack.of_type("AWS::IAM::Role").items()
        if "Federated" in json.dumps(role["AssumeRolePolicyDocument"])
    }


def test_every_federated_role_trusts_this_pools_signed_in_identities_only(stack: Stack) -> None:
    trusts = federated_trusts(stack)

    assert sorted(trusts) == sorted([*FEDERATED, "NoAccessRole"])
    for name, statements in trusts.items():
        (statement,) = statements
        assert statement["Principal"] == {"Federated": "cognito-identity.amazonaws.com"}, name
        assert statement["Action"] == ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"], name
        condition = statement["Condition"]
        assert condition["StringEquals"] == {
            "cognito-identity.amazonaws.com:aud": "<IdentityPool>"
        }, name
        assert condition["ForAnyValue:StringLike"] == {
            "cognito-identity.amazonaws.com:amr": "authenticated"
        }, name


@pytest.mark.parametrize("role", FEDERATED)
def test_a_federated_role_checks_its_own_grant_again(stack: Stack, role: str) -> None:
    (statement,) = federated_trusts(stack)[role]
    table = json.loads(stack.environment("LoginFunction")["AWS_ROLE_TABLE"])
    properties = stack.properties(role)
    arn = f"arn:aws:iam::111122223333:role{properties['Path']}{properties['RoleName']}"
    (key,) = (key for key, granted in table.items() if granted == arn)

    assert statement["Condition"]["StringLike"] == {"aws:RequestTag/granted": f"*:{key}:*"}
    assert properties["MaxSessionDuration"] == 3600
    assert properties["PermissionsBoundary"] == "<FederatedBoundary>"
    assert f"<{role}>" in stack.properties("FederatedDenials")["Roles"]


def test_the_login_function_and_the_rule_know_the_same_roles(stack: Stack) -> None:
    table = json.loads(stack.environment("LoginFunction")["AWS_ROLE_TABLE"])
    settings = json.loads(stack.environment("MapAwsRoleRule")["RULE_SETTINGS"])

    assert settings["roles"] == table
    assert len(table) == len(FEDERATED)


def test_the_output_is_the_table_that_the_rule_applies() -> None:
    stack = Stack(ReadOnlyGroup="Readers", DeveloperGroup="Dev", AdministratorGroup="Admins")
    settings = json.loads(stack.environment("MapAwsRoleRule")["RULE_SETTINGS"])

    applied = {m["group"]: settings["roles"][m["role"]] for m in settings["mappings"]}
    assert json.loads(stack.outputs["GroupRoleTable"]) == applied
    assert set(applied) == {"Readers", "Dev", "Admins"}


def test_the_more_powerful_role_is_preferred(stack: Stack) -> None:
    settings = json.loads(stack.environment("MapAwsRoleRule")["RULE_SETTINGS"])
    ranked = sorted(settings["mappings"], key=lambda mapping: int(mapping["priority"]))

    assert [mapping["role"] for mapping in ranked] == ["administrator", "developer", "read_only"]
    assert len({mapping["priority"] for mapping in ranked}) == len(ranked)


def test_people_cannot_retag_resources_or_take_on_other_roles(stack: Stack) -> None:
    denied = {
        action
        for name, statement in stack.statements()
        if name == "FederatedDenials" and statement["Effect"] == "Deny"
        for action in statement["Action"]
    }

    assert {"ec2:CreateTags", "iam:*", "s3:PutObjectTagging", "sts:AssumeRole"} <= denied


def used_tags(statement: dict[str, Any]) -> set[str]:
    return set(re.findall(r"\$\{aws:PrincipalTag/(\w+)\}", json.dumps(statement)))


def test_a_statement_that_uses_a_tag_requires_it_to_be_there_and_not_empty(stack: Stack) -> None:
    using = [(n, s) for n, s in stack.statements() if used_tags(s)]

    assert {tag for _, statement in using for tag in used_tags(statement)} == {
        "CostCenter",
        "Project",
    }
    for name, statement in using:
        for tag in used_tags(statement):
            condition = statement["Condition"]
            assert condition["Null"][f"aws:PrincipalTag/{tag}"] == "false", name
            assert condition["StringLike"][f"aws:PrincipalTag/{tag}"] == "?*", name


def test_a_tag_in_a_path_may_not_reach_into_a_folder(stack: Stack) -> None:
    paths = [
        statement
        for _, statement in stack.statements()
        if "projects/${aws:PrincipalTag/Project}/*" in json.dumps(statement)
    ]

    assert len(paths) == 2
    for statement in paths:
        assert statement["Condition"]["StringNotLike"] == {"aws:PrincipalTag/Project": "*/*"}


def test_every_tag_comes_from_a_claim_that_a_rule_writes(stack: Stack) -> None:
    mapped = stack.properties("IdentityPoolTags")
    written = json.loads(stack.environment("AwsSessionTagsRule")["RULE_SETTINGS"])["tags"]

    assert mapped["UseDefaults"] is False
    assert mapped["PrincipalTags"] == {
        "CostCenter": "aws_tag_cost_center",
        "Project": "aws_tag_project",
        "granted": "aws_tag_granted",
    }
    assert {tag["key"] for tag in written} | {"granted"} == set(mapped["PrincipalTags"])


@pytest.mark.parametrize("value", ["a/../b", "a/b", "", "a*"])
def test_a_tag_is_one_segment_of_a_path(stack: Stack, value: str) -> None:
    written = json.loads(stack.environment("AwsSessionTagsRule")["RULE_SETTINGS"])["tags"]

    assert [tag["key"] for tag in written if re.fullmatch(tag["pattern"], value)] == []


def test_the_example_bucket_is_private_and_encrypted(stack: Stack) -> None:
    bucket = stack.properties("ExampleBucket")

    assert set(bucket["PublicAccessBlockConfiguration"].values()) == {True}
    assert bucket["BucketEncryption"]["ServerSideEncryptionConfiguration"]
    assert bucket["OwnershipControls"] == {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}


def test_an_existing_client_needs_its_pool() -> None:
    rule = source()["Rules"]["ClientNeedsItsPool"]

    assert rule["RuleCondition"] == {"Fn::Not": [{"Fn::Equals": [{"Ref": "UserPoolClientId"}, ""]}]}
    stack = Stack(UserPoolId="eu-west-1_abc", UserPoolClientId="client")
    (provider,) = stack.properties("IdentityPool")["CognitoIdentityProviders"]
    assert provider["ClientId"] == "client"
    assert "UserPoolClient" not in stack.resources
