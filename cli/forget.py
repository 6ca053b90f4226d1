"""``cognito-rules forget``: delete a person, and have the systems forget them that were told."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

import typer

from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import err, out, print_json, stop

_SUB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Account:
    """A person's account in the pool; ``sub`` and ``email`` are known even of one that is gone."""

    def __init__(self, stack: DeployedStack, name: str) -> None:
        missing = f"{stack.name} is no stack of Cognito Rules."
        self._cognito = stack.client("cognito-idp")
        self._who = {
            "UserPoolId": stack.output("UserPoolId", otherwise=missing),
            "Username": name,
        }
        found = self._found()
        self.exists = found is not None
        attributes = {a["Name"]: a["Value"] for a in (found or {}).get("UserAttributes", [])}
        if not self.exists and not _SUB.fullmatch(name):
            stop(f"The pool has no {name}: of an account that is gone, give the sub.")
        self.sub = attributes.get("sub", name)
        verified = attributes.get("email_verified") == "true"
        self.email = attributes.get("email") if verified else None
        if found is not None:
            self._who["Username"] = found["Username"]

    def _found(self) -> Any:
        missing = self._cognito.exceptions.UserNotFoundException
        with one_line_errors(missing):
            try:
                return self._cognito.admin_get_user(**self._who)
            except missing:
                return None

    def disable(self) -> None:
        """Let nobody log in with it any more."""
        with one_line_errors():
            self._cognito.admin_disable_user(**self._who)

    def delete(self) -> None:
        """Delete it."""
        with one_line_errors():
            self._cognito.admin_delete_user(**self._who)


def forget(
    user: Annotated[
        str, typer.Argument(help="User name or sub; the sub, of an account that is gone.")
    ],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Delete a person's account and all that is kept of them, here and where they were told of.

    The account is disabled first and deleted last, so that a command that is cut off can be given
    again. Each system is asked through its rule's queue: what fails lies in the rule's dead-letter
    queue. Exit code 0: done; 2: it could not be done.
    """
    deployed = DeployedStack(stack)
    account = Account(deployed, user)
    if not yes:
        typer.confirm(
            f"Delete {user} for ever, here and in the systems that were told of them?",
            abort=True,
            err=True,
        )
    if account.exists:
        account.disable()
    done = _invoke(deployed, {"user_id": account.sub, "email": account.email})
    if account.exists:
        account.delete()
    if as_json:
        print_json({"user_id": account.sub, **done})
        return
    _show(done)


def _invoke(stack: DeployedStack, event: dict[str, Any]) -> dict[str, Any]:
    with one_line_errors():
        answer = stack.client("lambda").invoke(
            FunctionName=f"{stack.name}-forget", Payload=json.dumps(event).encode()
        )
        text = answer["Payload"].read()
    if "FunctionError" in answer:
        stop(
            "The forget function failed, and nothing was removed: see its log, and give the "
            "command again."
        )
    done: dict[str, Any] = json.loads(text)
    return done


def _show(done: dict[str, Any]) -> None:
    if done["outcome"] == "unknown_person":
        out.print("Nothing was kept of this person, who never logged in.")
        return
    if done["outcome"] == "done_before":
        out.print("The person was forgotten before.")
        return
    told = ", ".join(done["told"]) or "nobody"
    out.print(f"Forgotten. Asked to forget, through their queues: {told}.")
    if done["by_hand"]:
        err.print(f"To be looked after by hand: {', '.join(done['by_hand'])}.", highlight=False)
