"""The legal values of the fields of effects: each check returns a problem, or None.

A problem that is a code names the fault; another one is the end of a sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cognito_rules import claims, iam, json_values

MAX_METADATA_BYTES = 64 * 1024
MAX_ENRICHMENT_BYTES = 8 * 1024
ENRICHMENT_STATUSES = ("found", "none", "failed", "pending")
PROFILE_ATTRIBUTES = frozenset({"name", "given_name", "family_name", "nickname", "picture"})

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_GROUP = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff][^\x00-\x1f\x7f\ud800-\udfff]{0,127}")


def anything(value: Any) -> str | None:
    return None


def text(value: Any) -> str | None:
    return None if json_values.is_text(value) else "must be a text"


def is_code(value: Any) -> bool:
    """Say whether ``value`` is a code: snake_case, so that it can hold no sentence or address."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def code(value: Any) -> str | None:
    return None if is_code(value) else "must be snake_case"


def boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def token(value: Any) -> str | None:
    return None if value in ("id", "access") else "must be id or access"


def claim(value: Any) -> str | None:
    if not json_values.is_text(value) or len(value) > 512:
        return "must be a text of 1 to 512 characters"
    return "protected_claim" if claims.is_protected(value) else None


def removable_claim(value: Any) -> str | None:
    # These may be taken out of a token though never set; the roles go with the groups.
    removable = isinstance(value, str) and (value.startswith("dev:") or value == "cognito:groups")
    return None if removable else claim(value)


def scope(value: Any) -> str | None:
    return None if claims.is_scope(value) else "invalid_scope"


def claim_value(value: Any) -> str | None:
    return (
        "must not be null: leave the claim out" if value is None else json_values.problem_of(value)
    )


def texts(value: Any) -> str | None:
    good = isinstance(value, list) and all(json_values.is_text(item) for item in value)
    return None if good else "must be a list of texts"


def groups(value: Any) -> str | None:
    good = isinstance(value, list) and all(
        isinstance(item, str) and _GROUP.fullmatch(item) for item in value
    )
    return None if good else "must be a list of group names"


def role_arns(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "must be a list of role ARNs"
    for arn in value:
        if not iam.is_role_arn(arn):
            return f"{arn!r} is no ARN of a role that can be granted"
    return None


def optional_text(value: Any) -> str | None:
    return None if value is None else text(value)


def tags(value: Any) -> str | None:
    if not isinstance(value, dict) or len(value) > iam.MAX_TAGS:
        return f"must be a map of at most {iam.MAX_TAGS} tags"
    for key, item in value.items():
        if not iam.is_tag_key(key):
            return f"{key!r} is no tag key"
        if not iam.is_tag_value(item):
            return f"the value of tag {key!r} must be 1 to 256 legal characters"
        # It says which roles were granted: the chain alone derives it.
        if claims.tag_claim(key) == claims.GRANTED_TAG_CLAIM:
            return "protected_claim"
    return None


def metadata_value(value: Any) -> str | None:
    problem = json_values.problem_of(value)
    if problem is None and len(json.dumps(value).encode()) > MAX_METADATA_BYTES:
        return "metadata_too_large"
    if problem is None and not json_values.can_be_stored(value):
        return "holds a number that the table cannot keep"
    return problem


def profile_attribute(value: Any) -> str | None:
    names = ", ".join(sorted(PROFILE_ATTRIBUTES))
    return None if value in PROFILE_ATTRIBUTES else f"must be one of {names}"


def json_object(value: Any) -> str | None:
    return (
        None
        if isinstance(value, dict) and json_values.problem_of(value) is None
        else "must be a JSON object"
    )


def seconds(value: Any) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return None if good else "must be a number of seconds"


def enrichment_status(value: Any) -> str | None:
    return None if value in ENRICHMENT_STATUSES else "must be found, none, failed or pending"


def enrichment_facts(value: Any) -> str | None:
    """Refuse what is no small map of texts and numbers: a rule picks, and keeps no answer whole."""
    if not isinstance(value, dict) or "status" in value:
        return "must be a JSON object without a key status"
    if not all(json_values.is_text(key) for key in value):
        return "must have names that are texts"
    if not all(json_values.is_text(item) or _is_number(item) for item in value.values()):
        return "must hold texts and numbers only"
    return "enrichment_too_large" if len(json.dumps(value)) > MAX_ENRICHMENT_BYTES else None


def _is_number(value: Any) -> bool:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_number and json_values.can_be_stored(value)


def takes_no_object(effect: Mapping[str, Any]) -> str | None:
    plain = effect["token"] == "id" and effect["name"] in claims.SCALAR_ID_CLAIMS
    if plain and isinstance(effect["value"], dict):
        return f"the ID token's claim {effect['name']} takes no object"
    return None


def prefers_a_granted_role(effect: Mapping[str, Any]) -> str | None:
    preferred = effect.get("preferred")
    known = preferred is None or preferred in effect["role_arns"]
    return None if known else "the preferred role is not among the granted ones"
