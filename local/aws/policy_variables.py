"""Policy variables, and the condition keys of people who came through an identity pool.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/id_session-tags.html

ministack matches ``${aws:PrincipalTag/Project}`` as the letters that it consists of. Here a
variable becomes its value before a statement is matched. One without a value matches nothing.
"""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from typing import Any

from local.aws.emulator import iam, wrap

sts: Any = import_module("ministack.services.sts")

# Version of the policy language that has variables; in the older one "${" is plain text.
WITH_VARIABLES = "2012-10-17"

# In a session of ministack: condition key in lower case -> value.
SESSION_KEYS = "_web_identity_keys"

_VARIABLE = re.compile(r"\$\{\s*([^},]+?)\s*(?:,\s*'([^']*)'\s*)?\}")
_SPECIAL = frozenset({"*", "?", "$"})
# No ARN is a line break: a statement that has only this resource applies to nothing.
_NOTHING = "\n"


def expand(pattern: str, context: Any) -> str | None:
    """Return ``pattern`` with its variables replaced, or None when one of them has no value.

    A value with ``*`` or ``?`` counts as none: in a pattern it would match more than itself.
    """
    missing = False

    def value_of(match: re.Match[str]) -> str:
        nonlocal missing
        name, default = match.group(1), match.group(2)
        if name in _SPECIAL:
            # ${$} is a dollar; ministack's patterns have no literal star or question mark.
            missing = missing or name != "$"
            return name
        value = iam._resolve_condition_key(name, context)
        if value is None or isinstance(value, list):
            value = default
        if value is None or "*" in str(value) or "?" in str(value):
            missing = True
            return ""
        return str(value)

    expanded = _VARIABLE.sub(value_of, pattern)
    return None if missing else expanded


def expand_statement(statement: Any, context: Any) -> Any:
    """Return a parsed statement without variables, equal in effect for this request."""
    if not getattr(statement, "has_variables", True):
        return statement
    changed: dict[str, Any] = {}
    if _any_variable(statement.resources):
        known = [
            text
            for text in (expand(one, context) for one in statement.resources)
            if text is not None
        ]
        changed["resources"] = known or [_NOTHING]
    if _any_variable(statement.not_resources):
        texts = [expand(one, context) for one in statement.not_resources]
        if None in texts and statement.effect == "Allow":
            # "Everything but an unknown resource" must not become everything.
            changed |= {"resources": [_NOTHING], "not_resources": []}
        else:
            changed["not_resources"] = [text for text in texts if text is not None] or [_NOTHING]
    if "${" in repr(statement.conditions):
        changed["conditions"] = expand_conditions(statement.conditions, context)
    return replace(statement, **changed) if changed else statement


def expand_conditions(conditions: Any, context: Any) -> Any:
    """Return a ``Condition`` block with its variables replaced; unknown values are left out."""
    if not isinstance(conditions, dict):
        return conditions
    expanded: dict[str, Any] = {}
    for operator, keys in conditions.items():
        if not isinstance(keys, dict):
            continue
        expanded[operator] = {}
        for key, values in keys.items():
            listed = values if isinstance(values, list) else [values]
            texts = [expand(str(value), context) for value in listed]
            expanded[operator][key] = [text for text in texts if text is not None]
    return expanded


def _any_variable(patterns: list[str]) -> bool:
    return any("${" in pattern for pattern in patterns)


def _parse(original: Callable[[Any], list[Any]], document: Any) -> list[Any]:
    statements = original(document)
    body = json.loads(document) if isinstance(document, str) and statements else document
    # Without a version it is ministack's own call with the statements of a resource policy.
    version = body.get("Version", WITH_VARIABLES) if isinstance(body, dict) else WITH_VARIABLES
    for statement in statements:
        statement.has_variables = version == WITH_VARIABLES
    return statements


def _first_match(original: Any, context: Any, statements: list[Any], effect: str) -> Any:
    return original(context, [expand_statement(one, context) for one in statements], effect)


def _principal_keys(original: Any, credential: Any) -> dict[str, Any]:
    keys: dict[str, Any] = original(credential)
    session = sts._sessions.get(credential.access_key_id) or {}
    keys.update(session.get(SESSION_KEYS) or {})
    return keys


def install() -> None:
    """Complete the policy evaluation."""
    wrap(iam, "parse_policy_document", _parse)
    wrap(iam, "_first_match", _first_match)
    wrap(iam, "_principal_keys", _principal_keys)
    # sts imported the function by its name.
    sts._principal_keys = iam._principal_keys
