"""The effects of protocol version 1: their fields, legal values, and where later rules see them.

The table ``EFFECTS`` is read twice: by the recorder that a rule fills (``effects.py``), and by the
login function, which checks every answer again because it trusts no rule.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cognito_rules import claims, iam, json_values
from cognito_rules.errors import InvalidEffectError, UndeclaredEffectError
from cognito_rules.fields import Facts, Path, lookup

PUBLIC_CODES = frozenset(
    {
        "access_denied",
        "mfa_required",
        "consent_required",
        "email_not_verified",
        "password_expired",
        "interaction_required",
        "try_again",
    }
)
MAX_METADATA_BYTES = 64 * 1024
MAX_REASON_LENGTH = 256
PROFILE_ATTRIBUTES = frozenset({"name", "given_name", "family_name", "nickname", "picture"})

Effect = dict[str, Any]

_CODE = re.compile(r"[a-z][a-z0-9_]{0,63}")
_GROUP = re.compile(r"[^\s\x00-\x1f\x7f\ud800-\udfff][^\x00-\x1f\x7f\ud800-\udfff]{0,127}")


@dataclass(frozen=True, slots=True)
class EffectType:
    """How one effect is written down, which path it writes, and where later rules see it.

    fields : name -> check; a check returns a problem or None. A name ending in ``?`` is optional.
    writes : the path that a manifest must declare, from the effect's fields.
    apply : changes the facts that later rules see; what is unknown stays unknown.
    whole : a check of fields that are legal one by one.
    """

    fields: Mapping[str, Callable[[Any], str | None]]
    writes: Callable[[Effect], Path]
    apply: Callable[[Facts, Effect], None] | None = None
    whole: Callable[[Effect], str | None] | None = None


def _anything(value: Any) -> str | None:
    return None


def _text(value: Any) -> str | None:
    return None if json_values.is_text(value) else "must be a text"


def is_code(value: Any) -> bool:
    """Say whether ``value`` is a code: snake_case, so that it can hold no sentence or address."""
    return isinstance(value, str) and _CODE.fullmatch(value) is not None


def _code(value: Any) -> str | None:
    return None if is_code(value) else "must be snake_case"


def _boolean(value: Any) -> str | None:
    return None if isinstance(value, bool) else "must be true or false"


def _token(value: Any) -> str | None:
    return None if value in ("id", "access") else "must be id or access"


def _claim(value: Any) -> str | None:
    if not json_values.is_text(value) or len(value) > 512:
        return "must be a text of 1 to 512 characters"
    return "protected_claim" if claims.is_protected(value) else None


def _removable_claim(value: Any) -> str | None:
    # dev: attributes may be taken out of a token though never set.
    return None if isinstance(value, str) and value.startswith("dev:") else _claim(value)


def _scope(value: Any) -> str | None:
    return None if claims.is_scope(value) else "invalid_scope"


def _claim_value(value: Any) -> str | None:
    return (
        "must not be null: leave the claim out" if value is None else json_values.problem_of(value)
    )


def _texts(value: Any) -> str | None:
    good = isinstance(value, list) and all(json_values.is_text(item) for item in value)
    return None if good else "must be a list of texts"


def _groups(value: Any) -> str | None:
    good = isinstance(value, list) and all(
        isinstance(item, str) and _GROUP.fullmatch(item) for item in value
    )
    return None if good else "must be a list of group names"


def _role_arns(value: Any) -> str | None:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        return "must be a list of role ARNs"
    for arn in value:
        if not iam.is_role_arn(arn):
            return f"{arn!r} is no ARN of a role that can be granted"
    return None


def _optional_text(value: Any) -> str | None:
    return None if value is None else _text(value)


def _tags(value: Any) -> str | None:
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


def _metadata_value(value: Any) -> str | None:
    problem = json_values.problem_of(value)
    if problem is None and len(json.dumps(value).encode()) > MAX_METADATA_BYTES:
        return "metadata_too_large"
    if problem is None and not json_values.can_be_stored(value):
        return "holds a number that the table cannot keep"
    return problem


def _profile_attribute(value: Any) -> str | None:
    names = ", ".join(sorted(PROFILE_ATTRIBUTES))
    return None if value in PROFILE_ATTRIBUTES else f"must be one of {names}"


def _map(value: Any) -> str | None:
    return (
        None
        if isinstance(value, dict) and json_values.problem_of(value) is None
        else "must be a JSON object"
    )


def _seconds(value: Any) -> str | None:
    good = isinstance(value, int) and not isinstance(value, bool) and value > 0
    return None if good else "must be a number of seconds"


def _takes_no_object(effect: Effect) -> str | None:
    plain = effect["token"] == "id" and effect["name"] in claims.SCALAR_ID_CLAIMS
    if plain and isinstance(effect["value"], dict):
        return f"the ID token's claim {effect['name']} takes no object"
    return None


def _prefers_a_granted_role(effect: Effect) -> str | None:
    preferred = effect.get("preferred")
    known = preferred is None or preferred in effect["role_arns"]
    return None if known else "the preferred role is not among the granted ones"


def _add_scope(facts: Facts, effect: Effect) -> None:
    scopes = lookup(facts, ("transaction", "scopes"))
    if scopes is not None and effect["scope"] not in scopes:
        facts["transaction"]["scopes"] = [*scopes, effect["scope"]]


def _drop_scope(facts: Facts, effect: Effect) -> None:
    scopes = lookup(facts, ("transaction", "scopes"))
    if scopes is not None:
        facts["transaction"]["scopes"] = [scope for scope in scopes if scope != effect["scope"]]


def _set_groups(facts: Facts, effect: Effect) -> None:
    facts.setdefault("user", {})["groups"] = list(effect["groups"])


def _set_authorization(facts: Facts, effect: Effect) -> None:
    facts["authorization"] = {key: effect[key] for key in ("roles", "permissions", "groups")}


def _set_metadata(kind: str) -> Callable[[Facts, Effect], None]:
    def apply(facts: Facts, effect: Effect) -> None:
        known = lookup(facts, ("user", kind))
        if known is None:
            # One key of an unreadable profile would make the rest look empty to a guard.
            return
        metadata = dict(known)
        if effect["value"] is None:
            metadata.pop(effect["key"], None)
        elif not (effect.get("only_if_missing") and effect["key"] in metadata):
            metadata[effect["key"]] = effect["value"]
        facts.setdefault("user", {})[kind] = metadata

    return apply


def _set_profile(facts: Facts, effect: Effect) -> None:
    facts.setdefault("user", {})[effect["attribute"]] = effect["value"]


def _writes(*path: str) -> Callable[[Effect], Path]:
    return lambda effect: path


def _token_claim(effect: Effect) -> Path:
    return (f"{effect.get('token')}_token", "claims")


_METADATA_FIELDS = {"key": _text, "value": _metadata_value, "only_if_missing?": _boolean}

EFFECTS: Mapping[str, EffectType] = {
    # The text and the public code of a denial are never a reason to drop it: see clean_denial.
    "deny": EffectType(
        {"code": _code, "public_code?": _anything, "reason?": _anything}, _writes("deny")
    ),
    "set_claim": EffectType(
        {"token": _token, "name": _claim, "value": _claim_value},
        _token_claim,
        whole=_takes_no_object,
    ),
    "remove_claim": EffectType({"token": _token, "name": _removable_claim}, _token_claim),
    "add_scope": EffectType({"scope": _scope}, _writes("access_token", "scopes"), _add_scope),
    "remove_scope": EffectType({"scope": _scope}, _writes("access_token", "scopes"), _drop_scope),
    "set_groups": EffectType({"groups": _groups}, _writes("user", "groups"), _set_groups),
    "set_authorization": EffectType(
        {"roles": _texts, "permissions": _texts, "groups": _texts},
        _writes("authorization"),
        _set_authorization,
    ),
    "set_aws_role": EffectType(
        {"role_arns": _role_arns, "preferred?": _optional_text},
        _writes("aws", "role"),
        whole=_prefers_a_granted_role,
    ),
    "set_session_tags": EffectType({"tags": _tags}, _writes("aws", "tags")),
    "set_user_metadata": EffectType(
        _METADATA_FIELDS,
        lambda effect: ("user", "user_metadata", str(effect.get("key"))),
        _set_metadata("user_metadata"),
    ),
    "set_app_metadata": EffectType(
        _METADATA_FIELDS,
        lambda effect: ("user", "app_metadata", str(effect.get("key"))),
        _set_metadata("app_metadata"),
    ),
    "set_profile": EffectType(
        {"attribute": _profile_attribute, "value": _text},
        lambda effect: ("user", str(effect.get("attribute"))),
        _set_profile,
    ),
    "require_mfa": EffectType({"providers": _texts, "remember_device?": _boolean}, _writes("mfa")),
    "redirect": EffectType(
        {"url": _text, "parameters?": _map, "answer?": _text, "expires_in?": _seconds},
        _writes("redirect"),
    ),
    "set_saml_attribute": EffectType({"name": _text, "values": _texts}, _writes("saml")),
    "configure_saml": EffectType({"settings": _map}, _writes("saml")),
    "send_email": EffectType({"template": _text, "to": _text, "data?": _map}, _writes("email")),
}

# What each declared write looks like to later rules; a write that is not listed is never seen.
_SEEN_AS: tuple[tuple[Path, Path], ...] = (
    (("access_token", "scopes"), ("transaction", "scopes")),
    (("user",), ("user",)),
    (("authorization",), ("authorization",)),
)

WRITABLE: tuple[Path, ...] = (
    ("deny",),
    ("id_token", "claims"),
    ("access_token", "claims"),
    ("access_token", "scopes"),
    ("user", "groups"),
    ("authorization",),
    ("aws", "role"),
    ("aws", "tags"),
    ("user", "user_metadata"),
    ("user", "app_metadata"),
    *(("user", attribute) for attribute in sorted(PROFILE_ATTRIBUTES)),
    ("mfa",),
    ("redirect",),
    ("saml",),
    ("email",),
)


def seen_as(write: Path) -> Path | None:
    """Return the field at which later rules see a declared write, or None when they never do."""
    for prefix, seen in _SEEN_AS:
        if write[: len(prefix)] == prefix:
            return seen + write[len(prefix) :]
    return None


def check_effect(effect: Any, writes: Iterable[Path]) -> Effect:
    """Return ``effect`` with optional fields filled in, when it is declared and legal.

    Raises
    ------
    UndeclaredEffectError : ``writes`` does not cover it.
    InvalidEffectError : unknown effect, missing or unknown field, or an illegal value.
    """
    name = effect.get("effect") if isinstance(effect, dict) else None
    kind = EFFECTS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise InvalidEffectError("unknown_effect", f"{name!r} is no effect of protocol version 1")
    path = kind.writes(effect)
    if not any(path[: len(write)] == write for write in writes):
        raise UndeclaredEffectError(
            f"{name} writes {'.'.join(path)}, which rule.toml does not list in writes"
        )
    given = {key for key in effect if key != "effect"}
    for field, check in kind.fields.items():
        field_name = field.removesuffix("?")
        if field_name not in given:
            if field.endswith("?"):
                continue
            raise InvalidEffectError("invalid_effect", f"{name}.{field_name} is missing")
        given.discard(field_name)
        problem = check(effect[field_name])
        if problem is not None:
            code = problem if is_code(problem) else "invalid_effect"
            raise InvalidEffectError(code, f"{name}.{field_name}: {problem}")
    if given:
        raise InvalidEffectError("invalid_effect", f"{name} has no field {sorted(given)[0]!r}")
    problem = kind.whole(effect) if kind.whole is not None else None
    if problem is not None:
        raise InvalidEffectError("invalid_effect", f"{name}: {problem}")
    return clean_denial(effect) if name == "deny" else cast(Effect, effect)


def clean_denial(effect: Effect) -> Effect:
    """Return a denial whose text can be shown to a person: one line, no control characters.

    A denial with a bad text or an unlisted public code still denies.
    """
    given, public_code = effect.get("reason"), effect.get("public_code")
    reason = given if isinstance(given, str) else ""
    reason = " ".join("".join(c if c.isprintable() else " " for c in reason).split())
    listed = isinstance(public_code, str) and public_code in PUBLIC_CODES
    return {
        **effect,
        "reason": reason[:MAX_REASON_LENGTH] or "You cannot log in.",
        "public_code": public_code if listed else "access_denied",
    }


def apply_effects(facts: Facts, effects: Iterable[Effect]) -> None:
    """Change ``facts`` as later rules see them after ``effects``."""
    for effect in effects:
        apply = EFFECTS[effect["effect"]].apply
        if apply is not None:
            apply(facts, effect)


def after(facts: Facts, effects: Iterable[Effect]) -> Facts:
    """Return the facts after ``effects``, leaving the given ones as they are."""
    # As deep as effects reach: they put new values into sections and change none in place.
    changed = {section: dict(fields) for section, fields in facts.items()}
    apply_effects(changed, effects)
    return changed
