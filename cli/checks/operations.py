"""What decides whether logins hold under load, and whether a loss can be undone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from cli.attachment import STACK_TAG
from cli.checks import Finding, check, error, warning
from cli.checks.subject import Subject
from cognito_rules.chain import Entry
from cognito_rules.planner import make_plan
from cognito_rules.runner import MAX_AT_ONCE

_LOOKED_BACK_DAYS = 14
_LOOKED_BACK_SECONDS = 3600


@check
def concurrency(subject: Subject) -> Iterator[Finding]:
    """Lambda's quota holds the busiest moment: logins times one and the chain's width."""
    limits = subject.lambda_.get_account_settings()["AccountLimit"]
    free = int(limits["UnreservedConcurrentExecutions"])
    width = widest(subject.entries)
    peak = subject.peak if subject.peak is not None else _peak(subject)
    needed = (peak or 1) * (1 + width)
    said = f"{peak or 'one'} at once x (1 + {width} rule functions)"
    if free < needed:
        yield error(
            f"Logins need {needed} executions at once ({said}), and the account has {free}",
            "Raise Lambda's quota for concurrent executions, or place pure rules inline.",
        )
    elif peak is None:
        yield Finding(
            "ok",
            f"{free} executions are free, enough for {free // (1 + width)} logins at once; "
            "CloudWatch knows no peak yet (--peak)",
        )


def widest(entries: Sequence[Entry]) -> int:
    """Return how many rule functions a login calls at the same time, at most."""
    chain = [entry for entry in entries if entry.manifest.stage != "after_login"]
    plan = make_plan(chain, token_stage=True)
    depths: list[int] = []
    for step in plan.steps:
        before = step.waits_for | (step.guards_before if step.entry.manifest.external else set())
        depths.append(1 + max((depths[index] for index in before), default=0))
    remote = Counter(
        depth
        for depth, step in zip(depths, plan.steps, strict=True)
        if step.entry.placement == "function"
    )
    return min(max(remote.values(), default=0), MAX_AT_ONCE)


def _peak(subject: Subject) -> int | None:
    """Return the most trigger calls at the same time in two weeks, None where nothing is known."""
    now = datetime.now(UTC)
    answer = subject.stack.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="ConcurrentExecutions",
        Dimensions=[{"Name": "FunctionName", "Value": subject.wiring.login.split(":")[6]}],
        StartTime=now - timedelta(days=_LOOKED_BACK_DAYS),
        EndTime=now,
        Period=_LOOKED_BACK_SECONDS,
        Statistics=["Maximum"],
    )
    return max((int(point["Maximum"]) for point in answer["Datapoints"]), default=None)


@check
def rule_functions(subject: Subject) -> Iterator[Finding]:
    """Every rule that is on has its function."""
    remote = [entry for entry in subject.enforced if entry.placement == "function"]
    for rule, entry in {entry.manifest.name: entry for entry in remote}.items():
        function = f"{subject.stack.name}-rule-{rule}"
        try:
            subject.lambda_.get_function_configuration(FunctionName=function)
        except subject.lambda_.exceptions.ResourceNotFoundException:
            after = "refuses all for whom it runs" if entry.manifest.is_guard else "does nothing"
            yield error(
                f"The function {function} is gone: {entry.id} {after}",
                "Deploy again; until then switch the entry off, and publish with --emergency.",
            )


@check
def secrets(subject: Subject) -> Iterator[Finding]:
    """Every rule that is on has its secrets."""
    manager = subject.stack.client("secretsmanager")
    rules = {entry.manifest.name: entry.id for entry in subject.entries if entry.manifest.secrets}
    for rule, entry_id in rules.items():
        try:
            configuration = subject.lambda_.get_function_configuration(
                FunctionName=f"{subject.stack.name}-rule-{rule}"
            )
        except subject.lambda_.exceptions.ResourceNotFoundException:
            continue  # which is the finding of rule_functions
        variables = (configuration.get("Environment") or {}).get("Variables") or {}
        for secret in sorted(set(json.loads(variables.get("SECRET_NAMES") or "{}").values())):
            try:
                described = manager.describe_secret(SecretId=secret)
            except manager.exceptions.ResourceNotFoundException:
                yield error(f"The secret {secret} of {entry_id} is gone", "Deploy again.")
                continue
            stages = described.get("VersionIdsToStages") or {}
            if not any("AWSCURRENT" in names for names in stages.values()):
                yield error(
                    f"The secret {secret} of {entry_id} has no value: the rule fails each time",
                    f"Put it in: aws secretsmanager put-secret-value --secret-id {secret} "
                    "--secret-string file://…, or switch the entry off.",
                )


@check
def dead_letters(subject: Subject) -> Iterator[Finding]:
    """No event waits that another system did not take."""
    sqs = subject.stack.client("sqs")
    for resource in subject.resources:
        is_queue = resource["ResourceType"] == "AWS::SQS::Queue"
        if not is_queue or not resource["LogicalResourceId"].endswith("DeadLetterQueue"):
            continue
        answer = sqs.get_queue_attributes(
            QueueUrl=resource["PhysicalResourceId"], AttributeNames=["ApproximateNumberOfMessages"]
        )
        waiting = int(answer["Attributes"]["ApproximateNumberOfMessages"])
        if waiting:
            yield warning(
                f"{waiting} messages wait in {resource['PhysicalResourceId'].rpartition('/')[2]}",
                "Find the fault in the log, then run `cognito-rules redrive`.",
            )


@check
def tables(subject: Subject) -> Iterator[Finding]:
    """The tables cannot be deleted by mistake, and profiles can be restored."""
    dynamodb = subject.stack.client("dynamodb")
    for output in ("ProfilesTable", "SessionsTable"):
        name = subject.output(output)
        table = dynamodb.describe_table(TableName=name)["Table"]
        if not table.get("DeletionProtectionEnabled"):
            yield warning(
                f"The table {name} has no deletion protection",
                f"aws dynamodb update-table --table-name {name} --deletion-protection-enabled",
            )
        if output == "SessionsTable":
            if not (table.get("StreamSpecification") or {}).get("StreamEnabled"):
                yield error(
                    f"The table {name} has no stream: no login is announced",
                    "Deploy again.",
                )
            continue
        backups = dynamodb.describe_continuous_backups(TableName=name)
        recovery = backups["ContinuousBackupsDescription"].get("PointInTimeRecoveryDescription", {})
        if recovery.get("PointInTimeRecoveryStatus") != "ENABLED":
            yield warning(
                f"The table {name} has no point-in-time recovery: lost profiles stay lost",
                f"aws dynamodb update-continuous-backups --table-name {name} "
                "--point-in-time-recovery-specification PointInTimeRecoveryEnabled=true",
            )


@check
def pool_protection(subject: Subject) -> Iterator[Finding]:
    """The user pool cannot be deleted by mistake."""
    if subject.pool.get("DeletionProtection") != "ACTIVE":
        yield warning(
            f"The user pool {subject.pool_id} has no deletion protection",
            "Set DeletionProtection to ACTIVE, sending every other setting along.",
        )


@check
def stack_protection(subject: Subject) -> Iterator[Finding]:
    """The stack is not deleted under a pool that calls it."""
    found = subject.stack.client("cloudformation").describe_stacks(StackName=subject.stack.name)
    if found["Stacks"][0].get("EnableTerminationProtection"):
        return
    attached = STACK_TAG in (subject.pool.get("UserPoolTags") or {})
    yield warning(
        f"The stack {subject.stack.name} can be deleted while the pool calls it: then nobody gets "
        "in",
        "Run `cognito-rules attach`, which protects it."
        if not attached
        else f"aws cloudformation update-termination-protection --stack-name {subject.stack.name} "
        "--enable-termination-protection",
    )


@check
def retained_data(subject: Subject) -> Iterator[Finding]:
    """A deleted stack leaves profiles and people behind."""
    answer = subject.stack.client("cloudformation").get_template(
        StackName=subject.stack.name, TemplateStage="Processed"
    )
    template = answer["TemplateBody"]
    if isinstance(template, str):
        template = json.loads(template) if template.startswith("{") else {}
    resources = template.get("Resources") or {}
    made = {resource["LogicalResourceId"] for resource in subject.resources}
    for name in ("UserPool", "ProfilesTable"):
        if name in made and name not in resources:
            yield warning(
                f"Not checked: the deployed template does not show {name}",
                "Look at its DeletionPolicy, which should be Retain.",
            )
        elif name in made and resources[name].get("DeletionPolicy") != "Retain":
            yield error(
                f"{name} is deleted with the stack",
                "Set DeletionPolicy: Retain in template.yaml and deploy.",
            )


@check
def alarms(subject: Subject) -> Iterator[Finding]:
    """Somebody hears of failing logins."""
    if not any(found["ResourceType"] == "AWS::CloudWatch::Alarm" for found in subject.resources):
        yield warning(
            "No alarm tells anybody of failing logins",
            "Deploy with AlarmTopicArn, an SNS topic of yours.",
        )
