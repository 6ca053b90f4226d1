"""The effects of protocol version 1: their fields, and where later rules see them.

``effect_values`` says which values are legal. The table ``EFFECTS`` is read twice: by the recorder
that a rule fills (``effects.py``), and by the login function, which checks every answer again
because it trusts no rule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from cognito_rules import effect_values as values
from cognito_rules.errors import InvalidEffectError, UndeclaredEffectError
from cognito_rules.fields import ENRICHMENT, Facts, Path, lookup

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
MAX_REASON_LENGTH = 256

Effect = dict[str, Any]


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


def _set_enrichment(facts: Facts, effect: Effect) -> None:
    known = lookup(facts, ENRICHMENT) or {}
    user = facts.setdefault("user", {})
    user["enrichment"] = {**known, effect["source"]: enrichment_of(effect)}


def enrichment_of(effect: Effect) -> Facts:
    """Return what later rules see of a ``set_enrichment``: its status beside its facts."""
    return {"status": effect["status"], **effect.get("facts", {})}


def _writes(*path: str) -> Callable[[Effect], Path]:
    return lambda effect: path


def _token_claim(effect: Effect) -> Path:
    return (f"{effect.get('token')}_token", "claims")


_METADATA_FIELDS = {
    "key": values.text,
    "value": values.metadata_value,
    "only_if_missing?": values.boolean,
}

EFFECTS: Mapping[str, EffectType] = {
    # The text and the public code of a denial are never a reason to drop it: see clean_denial.
    "deny": EffectType(
        {"code": values.code, "public_code?": values.anything, "reason?": values.anything},
        _writes("deny"),
    ),
    "set_claim": EffectType(
        {"token": values.token, "name": values.claim, "value": values.claim_value},
        _token_claim,
        whole=values.takes_no_object,
    ),
    "remove_claim": EffectType(
        {"token": values.token, "name": values.removable_claim}, _token_claim
    ),
    "add_scope": EffectType({"scope": values.scope}, _writes("access_token", "scopes"), _add_scope),
    "remove_scope": EffectType(
        {"scope": values.scope}, _writes("access_token", "scopes"), _drop_scope
    ),
    "set_groups": EffectType({"groups": values.groups}, _writes("user", "groups"), _set_groups),
    "set_authorization": EffectType(
        {"roles": values.texts, "permissions": values.texts, "groups": values.texts},
        _writes("authorization"),
        _set_authorization,
    ),
    "set_aws_role": EffectType(
        {"role_arns": values.role_arns, "preferred?": values.optional_text},
        _writes("aws", "role"),
        whole=values.prefers_a_granted_role,
    ),
    "set_session_tags": EffectType({"tags": values.tags}, _writes("aws", "tags")),
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
        {"attribute": values.profile_attribute, "value": values.text},
        lambda effect: ("user", str(effect.get("attribute"))),
        _set_profile,
    ),
    "set_enrichment": EffectType(
        {
            "source": values.code,
            "status": values.enrichment_status,
            "facts?": values.enrichment_facts,
            "expires_in": values.seconds,
        },
        lambda effect: (*ENRICHMENT, str(effect.get("source"))),
        _set_enrichment,
    ),
    "require_mfa": EffectType(
        {"providers": values.texts, "remember_device?": values.boolean}, _writes("mfa")
    ),
    "redirect": EffectType(
        {
            "url": values.text,
            "parameters?": values.json_object,
            "answer?": values.text,
            "expires_in?": values.seconds,
        },
        _writes("redirect"),
    ),
    "set_saml_attribute": EffectType(
        {"name": values.text, "values": values.texts}, _writes("saml")
    ),
    "configure_saml": EffectType({"settings": values.json_object}, _writes("saml")),
    "send_email": EffectType(
        {"template": values.text, "to": values.text, "data?": values.json_object}, _writes("email")
    ),
}

# What each declared write looks like to later rules; a write that is not listed is never seen.
_SEEN_AS: tuple[tuple[Path, Path], ...] = (
    (("access_token", "scopes"), ("transaction", "scopes")),
    (("user",), ("user",)),
    (("authorization",), ("authorization",)),
)

# Effect -> (field, whether it is optional, check); every answer is checked, so it is split once.
_CHECKS = {
    name: [
        (field.removesuffix("?"), field.endswith("?"), check)
        for field, check in kind.fields.items()
    ]
    for name, kind in EFFECTS.items()
}

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
    ENRICHMENT,
    *(("user", attribute) for attribute in sorted(values.PROFILE_ATTRIBUTES)),
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
    if not _covers(writes, path):
        raise UndeclaredEffectError(
            f"{name} writes {'.'.join(path)}, which rule.toml does not list in writes"
        )
    checked = 1  # the effect's name
    for field, is_optional, check in _CHECKS[cast(str, name)]:
        if field not in effect:
            if is_optional:
                continue
            raise InvalidEffectError("invalid_effect", f"{name}.{field} is missing")
        checked += 1
        problem = check(effect[field])
        if problem is not None:
            code = problem if values.is_code(problem) else "invalid_effect"
            raise InvalidEffectError(code, f"{name}.{field}: {problem}")
    if checked < len(effect):
        known = {"effect", *(field for field, _, _ in _CHECKS[cast(str, name)])}
        raise InvalidEffectError(
            "invalid_effect", f"{name} has no field {min(map(str, set(effect) - known))!r}"
        )
    problem = kind.whole(effect) if kind.whole is not None else None
    if problem is not None:
        raise InvalidEffectError("invalid_effect", f"{name}: {problem}")
    return clean_denial(effect) if name == "deny" else cast(Effect, effect)


def _covers(writes: Iterable[Path], path: Path) -> bool:
    for write in writes:  # noqa: SIM110 (a generator costs several times as much)
        if path[: len(write)] == write:
            return True
    return False


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
