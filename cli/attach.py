"""``cognito-rules attach`` and ``detach``: point a user pool's triggers at a stack, and back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated, Any

import typer

from cli import attachment, user_pool
from cli.attachment import WITHOUT, Change, Wiring
from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import err, out, stop, table_of
from cli.user_pool import UserPool

PoolId = Annotated[
    str | None,
    typer.Argument(
        metavar="[POOL]", help="Id of the user pool; default: the stack's.", show_default=False
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do it; without, only show what would change.")]
MayReset = Annotated[
    list[str] | None,
    typer.Option(
        metavar="NAME",
        help="A setting that this version does not know, which the update may reset.",
        show_default=False,
    ),
]
_NO_STACK = "{} is no stack of Cognito Rules: give --stack."


def attach(
    pool_id: PoolId = None,
    stack: StackName = DEFAULT_STACK,
    yes: Yes = False,
    keep_foreign: Annotated[
        bool,
        typer.Option(
            "--keep-foreign", help="Leave triggers that call another function as they are."
        ),
    ] = False,
    replace: Annotated[
        bool,
        typer.Option(
            "--replace",
            help="Take the place of other functions, and remember them for `detach`.",
        ),
    ] = False,
    may_reset: MayReset = None,
) -> None:
    """Point the triggers of an existing user pool at the deployed stack.

    Shows what would change, and with --yes changes it: the triggers, tags of the pool that say what
    was there before, and the stack's termination protection, so that it is not deleted under a pool
    that calls it. Every other setting is written back as it is.

    Exit code 2, with nothing changed: another function stands in the place of a trigger, Cognito
    may not call the stack's functions for this pool, or somebody changed the pool meanwhile.
    """
    if keep_foreign and replace:
        stop("Give --keep-foreign or --replace, not both.")
    deployed = DeployedStack(stack)
    wiring, pool_of_stack = _wiring(deployed)
    if pool_id not in (None, pool_of_stack):
        stop(
            f"The stack {stack} works for the pool {pool_of_stack}, and Cognito may call it for no "
            f"other: deploy it with UserPoolId={pool_id} first."
        )
    cognito = deployed.client("cognito-idp")
    pool = UserPool.read(cognito, pool_of_stack, may_reset or ())
    _refuse_unfit(deployed, pool, wiring)
    triggers = pool.settings.get("LambdaConfig") or {}
    change = attachment.attach(triggers, pool.tags, wiring, replace=replace)
    if change.foreign and not (keep_foreign or replace):
        names = ", ".join(f"{name} ({arn})" for name, arn in change.foreign.items())
        stop(
            f"Other functions stand in the place of {names}: --keep-foreign leaves them, --replace "
            "takes their place and remembers them for `cognito-rules detach`. Nothing was changed."
        )
    if change.too_long:
        stop(f"The ARN of {', '.join(change.too_long)} is too long to remember in a tag.")
    protects = not _is_protected(deployed)
    if protects:
        change.tags[attachment.PROTECTION_TAG] = "true"
    wanted = pool.changed(change.triggers, change.tags)
    if not pool.differences(wanted) and not protects:
        out.print(f"The pool {pool.id} is attached to {stack} already.", highlight=False)
        return
    _show(pool, change)
    if protects:
        out.print(f"The stack {stack} gets termination protection.", highlight=False)
    if not replace:
        for name in change.foreign:
            err.print(f"[yellow]kept[/] {name}: {WITHOUT[name]}.", highlight=False)
    owner = pool.tags.get("aws:cloudformation:stack-name")
    if owner and pool.tags.get(attachment.STACK_TAG) != stack and owner != stack:
        err.print(
            f"[yellow]warning[/] The stack {owner} made this pool, and its next deployment sets "
            "the triggers back: put the same ARNs into its template.",
            highlight=False,
        )
    if not yes:
        out.print("Nothing was changed: --yes does it.")
        return
    lost = user_pool.write(cognito, pool, wanted) if pool.differences(wanted) else []
    # The triggers stand, whatever was lost: the stack may not be deleted under them.
    if protects:
        _set_protection(deployed, True)
    user_pool.refuse_lost(pool.id, lost)
    out.print(
        f"Attached. Before the stack is deleted: cognito-rules detach {pool.id} --yes",
        soft_wrap=True,
    )


def detach(
    pool_id: PoolId = None,
    stack: Annotated[
        str | None,
        typer.Option(
            envvar="COGNITO_RULES_STACK",
            help="Name of the stack, which may be gone; default: the one that the pool says.",
            show_default=False,
        ),
    ] = None,
    yes: Yes = False,
    may_reset: MayReset = None,
) -> None:
    """Take the stack's triggers off a user pool, and put back what stood there before.

    To be done before the stack is deleted: a pool whose triggers call functions that are gone lets
    nobody in. It works after the deletion as well. Shows what would change; --yes changes it.
    """
    deployed = DeployedStack(stack or DEFAULT_STACK)
    if pool_id is None:
        pool_id = deployed.output("UserPoolId", otherwise=_NO_STACK.format(deployed.name))
    cognito = deployed.client("cognito-idp")
    pool = UserPool.read(cognito, pool_id, may_reset or ())
    name = stack or pool.tags.get(attachment.STACK_TAG) or DEFAULT_STACK
    triggers = pool.settings.get("LambdaConfig") or {}
    change = attachment.detach(triggers, pool.tags, name)
    wanted = pool.changed(change.triggers, change.tags)
    if not pool.differences(wanted):
        out.print(f"The pool {pool.id} calls nothing of the stack {name}.", highlight=False)
        return
    _show(pool, change)
    for trigger in change.left:
        err.print(
            f"[yellow]left[/] {trigger} was pointed elsewhere since; it stays so.", highlight=False
        )
    if not yes:
        out.print("Nothing was changed: --yes does it.")
        return
    lost = user_pool.write(cognito, pool, wanted)
    if pool.tags.get(attachment.PROTECTION_TAG):
        _set_protection(DeployedStack(name), False)
    user_pool.refuse_lost(pool.id, lost)
    out.print("Detached: no rule decides about this pool any more.")


def _wiring(stack: DeployedStack) -> tuple[Wiring, str]:
    otherwise = _NO_STACK.format(stack.name)
    names = ("LoginFunctionAlias", "SignUpFunctionAlias", "PreTokenVersion", "UserPoolId")
    login, sign_up, version, pool_id = (stack.output(name, otherwise=otherwise) for name in names)
    return Wiring(stack.name, login, sign_up, version), pool_id


def _refuse_unfit(stack: DeployedStack, pool: UserPool, wiring: Wiring) -> None:
    """End the command where attaching would lock people out."""
    if pool.settings.get("UserPoolTier") == "LITE" and wiring.version != "V1_0":
        stop(
            f"The pool {pool.id} is on the feature plan LITE, which does not know {wiring.version} "
            "of pre token generation: deploy the stack with FeaturePlan=LITE."
        )
    for alias in (wiring.login, wiring.sign_up):
        if not may_call(stack, alias, str(pool.settings["Arn"])):
            stop(
                f"Cognito may not call {alias} for this pool, and every sign-in would fail: deploy "
                f"the stack with UserPoolId={pool.id}, which permits it."
            )


def may_call(stack: DeployedStack, alias: str, pool_arn: str) -> bool:
    """Say whether the alias has a permission for Cognito, for exactly this pool."""
    with one_line_errors():
        return any(pool_arn in sources for sources in cognito_sources(stack, alias))


def cognito_sources(stack: DeployedStack, alias: str) -> Iterator[list[str]]:
    """Yield, for each permission that Cognito has on an alias, the source ARNs it is limited to."""
    function, _, qualifier = alias.rpartition(":")
    client = stack.client("lambda")
    try:
        answer = client.get_policy(FunctionName=function, Qualifier=qualifier)
    except client.exceptions.ResourceNotFoundException:
        return
    for statement in json.loads(answer["Policy"])["Statement"]:
        principal = statement.get("Principal")
        service = principal.get("Service") if isinstance(principal, dict) else principal
        if statement.get("Effect") == "Allow" and service == "cognito-idp.amazonaws.com":
            yield list(_source_arns(statement.get("Condition") or {}))


def _source_arns(condition: dict[str, Any]) -> Iterator[str]:
    for operator in condition.values():
        for key, value in operator.items():
            if key.lower() == "aws:sourcearn":
                yield from [value] if isinstance(value, str) else value


def _is_protected(stack: DeployedStack) -> bool:
    with one_line_errors():
        found = stack.client("cloudformation").describe_stacks(StackName=stack.name)
    return bool(found["Stacks"][0].get("EnableTerminationProtection"))


def _set_protection(stack: DeployedStack, protected: bool) -> None:
    """Set the stack's termination protection; the pool is written already, so only warn."""
    from botocore.exceptions import ClientError

    client = stack.client("cloudformation")
    try:
        with one_line_errors(ClientError):
            client.update_termination_protection(
                StackName=stack.name, EnableTerminationProtection=protected
            )
    except ClientError as error:
        if "does not exist" not in str(error):  # a stack that is gone needs none
            err.print(
                f"[yellow]warning[/] The stack's termination protection stays as it is: {error}",
                highlight=False,
            )


def _show(pool: UserPool, change: Change) -> None:
    """Show the settings that change, each with what it is and what it becomes."""
    before = {**pool.triggers, **{f"tag {key}": value for key, value in pool.tags.items()}}
    triggers = UserPool({**pool.settings, "LambdaConfig": change.triggers}, pool.mfa).triggers
    after = {**triggers, **{f"tag {key}": value for key, value in change.tags.items()}}
    out.print(f"User pool [bold]{pool.id}[/] ({pool.settings['Name']})", highlight=False)
    table = table_of("setting", "from", "to")
    for name in sorted(before.keys() | after.keys()):
        if before.get(name) != after.get(name):
            table.add_row(name, _said(before.get(name), "red"), _said(after.get(name), "green"))
    out.print(table)
    kept = pool.request().keys() - {"UserPoolId", "LambdaConfig", "UserPoolTags"}
    out.print(f"{len(kept)} other settings are written back as they are.")


def _said(value: Any, colour: str) -> str:
    if value is None:
        return "[dim]nothing[/]"
    if isinstance(value, dict):
        value = f"{value['LambdaVersion']} {value['LambdaArn']}"
    return f"[{colour}]{value}[/]"
