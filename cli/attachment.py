"""What attaching a user pool to a stack changes, and what detaching puts back; no AWS call here.

What a pool had before is remembered in its own tags, which are written together with its triggers:
they are there when the stack and its tables are gone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

STACK_TAG = "cognito-rules:stack"
PROTECTION_TAG = "cognito-rules:protects-stack"
_REPLACED = "cognito-rules:replaced:"
_LONGEST_TAG = 256

PRE_TOKEN = "PreTokenGenerationConfig"
PRE_TOKEN_TWIN = "PreTokenGeneration"

# What does not happen where a trigger belongs to another function.
WITHOUT = {
    "PreSignUp": "no rule runs at sign-up: accounts are made that rules would refuse",
    "PostAuthentication": "every rule waits for the tokens, where it still decides",
    "PostConfirmation": (
        "sign-ups are not announced, replaced passwords not recorded; a first federated sign-in "
        "is decided when its tokens are made"
    ),
    PRE_TOKEN: (
        "NO RULE CHANGES TOKENS: no claims, scopes, groups or AWS roles, and refreshes and first "
        "federated sign-ins are not refused by any rule"
    ),
}

Triggers = Mapping[str, Any]


@dataclass(frozen=True)
class Wiring:
    """The triggers that the rules need.

    stack : the stack's name.
    login, sign_up : ARNs of the aliases.
    version : of the pre token generation event, V3_0 or V1_0.
    """

    stack: str
    login: str
    sign_up: str
    version: str

    @property
    def triggers(self) -> dict[str, Any]:
        """The part of LambdaConfig that is ours."""
        return {
            "PreSignUp": self.sign_up,
            "PostAuthentication": self.login,
            "PostConfirmation": self.login,
            PRE_TOKEN: {"LambdaArn": self.login, "LambdaVersion": self.version},
        }


@dataclass(frozen=True)
class Change:
    """Triggers and tags as they are to be, and what a person should know of it.

    foreign : trigger -> ARN of another function that stands in its place.
    too_long : triggers whose ARN no tag can remember.
    left : triggers that somebody pointed elsewhere since; they stay.
    """

    triggers: dict[str, Any]
    tags: dict[str, str]
    foreign: dict[str, str] = field(default_factory=dict)
    too_long: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


def attach(
    triggers: Triggers, tags: Mapping[str, str], wiring: Wiring, *, replace: bool = False
) -> Change:
    """Return the change that gives the pool the wiring's triggers.

    Where another function stands, ``foreign`` says so; its trigger stays, unless ``replace``.
    """
    change = Change(dict(triggers), {**tags, STACK_TAG: wiring.stack})
    for name, ours in wiring.triggers.items():
        there = arn_of(triggers, name)
        if there not in (None, arn_of(wiring.triggers, name)):
            change.foreign[name] = str(there)
            if not replace:
                continue
            _remember(change, triggers, name)
        change.triggers[name] = ours
        if name == PRE_TOKEN:
            # Told both, Cognito wants both to name one function. Version 1 has the older name too.
            change.triggers.pop(PRE_TOKEN_TWIN, None)
            if wiring.version == "V1_0":
                change.triggers[PRE_TOKEN_TWIN] = wiring.login
    return change


def _remember(change: Change, triggers: Triggers, name: str) -> None:
    for part in (name, PRE_TOKEN_TWIN) if name == PRE_TOKEN else (name,):
        if part not in triggers:
            continue
        value = triggers[part]
        text = value if isinstance(value, str) else f"{value['LambdaVersion']} {value['LambdaArn']}"
        if len(text) > _LONGEST_TAG:
            change.too_long.append(part)
        change.tags[f"{_REPLACED}{part}"] = text


def detach(triggers: Triggers, tags: Mapping[str, str], stack: str) -> Change:
    """Return the change that takes the stack's triggers away and puts back what it replaced."""
    ours = is_of_stack(stack)
    change = Change(
        {name: value for name, value in triggers.items() if not ours(value)},
        {key: value for key, value in tags.items() if not is_our_tag(key)},
    )
    for key, text in tags.items():
        if not key.startswith(_REPLACED):
            continue
        name = key.removeprefix(_REPLACED)
        if name in change.triggers:
            change.left.append(name)
        elif name == PRE_TOKEN:
            version, _, arn = text.partition(" ")
            change.triggers[name] = {"LambdaVersion": version, "LambdaArn": arn}
        else:
            change.triggers[name] = text
    return change


def arn_of(triggers: Triggers, name: str) -> str | None:
    """Return the function that a trigger calls, by either of pre token generation's names."""
    value = triggers.get(name)
    if value is None and name == PRE_TOKEN:
        value = triggers.get(PRE_TOKEN_TWIN)
    return value["LambdaArn"] if isinstance(value, dict) else value


def is_of_stack(stack: str) -> Callable[[Any], bool]:
    """Return the test whether a trigger's value names a trigger function of ``stack``.

    By the functions' fixed names, so that it works for a stack that is gone.
    """
    function = re.compile(
        rf"arn:[a-z-]+:lambda:[a-z0-9-]+:[0-9]+:function:{re.escape(stack)}-(login|sign-up)(:.+)?"
    )

    def test(value: Any) -> bool:
        arn = value.get("LambdaArn") if isinstance(value, dict) else value
        return bool(arn and function.fullmatch(arn))

    return test


def is_our_tag(key: str) -> bool:
    """Whether a tag is one that attaching made."""
    return key in (STACK_TAG, PROTECTION_TAG) or key.startswith(_REPLACED)
