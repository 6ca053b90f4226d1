"""Let only members of the configured groups log in."""

import json
import re
from urllib.parse import unquote_plus

from cognito_rules import UNKNOWN, Effects, Login, lambda_rule

_ENTRY_OF_DN = re.compile(r"(?<!\\)[;|\n]|,(?=\s*CN=)", re.IGNORECASE)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Deny the login when the user is in none (or not in all) of the groups.

    Reads:  ``login.user.groups`` (known at the token stage), ``login.user.attributes`` (one of
            them, as a directory's groups).
    Writes: ``deny`` with code ``group_required``.
    Source: Auth0 rules, "active-directory-groups".
    """
    settings = login.configuration
    groups = _groups_of(login, effects)
    if groups is None:
        if settings["on_missing"] == "deny":
            effects.deny(settings["message"], code="group_required")
        return

    fold = str if settings["case_sensitive"] else str.casefold
    held = {fold(group) for group in groups}
    wanted = [fold(group) in held for group in settings["groups"]]
    if not (all(wanted) if settings["match"] == "all" else any(wanted)):
        effects.deny(settings["message"], code="group_required")


def _groups_of(login: Login, effects: Effects) -> set[str] | None:
    """Return the groups from the configured sources; None when no source knows of any."""
    source = login.configuration["source"]
    known: list[list[str]] = []
    groups = login.user.groups
    if source != "attribute" and groups is not UNKNOWN:
        known.append([groups] if isinstance(groups, str) else groups)
    if source != "cognito" and login.user.attributes:
        text = login.user.attributes.get(login.configuration["attribute"])
        if text:
            try:
                known.append(_parse(text, login.configuration["attribute_format"]))
            except ValueError:
                effects.warn("malformed_group_attribute")
    return set().union(*known) if known else None


def _parse(text: str, form: str) -> list[str]:
    """Return the group names in a directory attribute; ValueError when it is malformed."""
    text = text.strip()
    if form == "auto":
        form = _detect(text)
    if form == "json":
        names = json.loads(text)
        names = [names] if isinstance(names, str) else names
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise ValueError("no list of names")
        return names
    if form == "dn":
        return [_common_name(entry) for entry in _ENTRY_OF_DN.split(text) if entry.strip()]
    if form == "bracketed":
        # Cognito writes a multi-valued SAML attribute as [a, b] with form-encoded values.
        text = text.removeprefix("[").removesuffix("]")
        return [unquote_plus(name.strip()) for name in text.split(",") if name.strip()]
    return [name.strip() for name in text.split(",") if name.strip()]


def _detect(text: str) -> str:
    if text.startswith(('["', '"', "[]")):
        return "json"
    if text.upper().startswith("CN="):
        return "dn"
    return "bracketed" if text.startswith("[") else "comma"


def _common_name(entry: str) -> str:
    name = re.match(r"\s*CN=((?:\\.|[^,\\])+)", entry, re.IGNORECASE)
    if name is None:
        raise ValueError("no distinguished name")
    return re.sub(r"\\(.)", r"\1", name[1])
