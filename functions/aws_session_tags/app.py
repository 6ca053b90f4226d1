"""Give AWS sessions tags, so that one IAM policy can compare people with resources."""

import json
import re
from typing import Any

from cognito_rules import (
    UNKNOWN,
    ConfigurationError,
    Effects,
    Login,
    is_tag_key,
    is_tag_value,
    lambda_rule,
)

_SAML = "https://aws.amazon.com/SAML/Attributes/"
_MAX_TAGS = 50
_COMFORTABLE_BYTES = 2048
_SOURCE = re.compile(r"constant|group_map|app_metadata\.[^.]+(\.[^.]+)*|attributes\.custom:.+")


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set the principal tags of the template's table from what administrators control.

    Reads:  ``login.user.app_metadata``, ``login.user.groups`` and ``login.user.attributes``, as far
            as tags name them as their source; ``login.transaction.protocol``.
    Writes: ``set_session_tags``; ``set_saml_attribute`` where the protocol is samlp; ``deny`` with
            code ``session_tag_missing`` for a required tag without a legal value.
    Source: AWS, "Using attributes for access control" (Cognito identity pools), STS API reference
            "Tag"; Auth0 docs, "Session tags".
    """
    tags: dict[str, str] = {}
    for tag in login.configuration["tags"]:
        value = _value_of(login, effects, tag)
        if value is not None:
            tags[tag["key"]] = value
        elif tag["required"] or login.configuration["on_missing"] == "deny":
            effects.deny(
                "Your account lacks a detail that AWS access needs. Please contact support.",
                code="session_tag_missing",
            )
            return
    if not tags:
        return
    # STS packs policies and tags into a limited space: past it, every credential call fails.
    if sum(len(key.encode()) + len(value.encode()) for key, value in tags.items()) > (
        _COMFORTABLE_BYTES
    ):
        effects.warn("session_tags_too_large")
    effects.set_session_tags(tags)
    if login.transaction.protocol == "samlp":
        _write_assertion(login, effects, tags)


def _value_of(login: Login, effects: Effects, tag: dict[str, Any]) -> str | None:
    """Return the text of one tag; None, with a warning, when there is none or it is refused."""
    found = _find(login, tag)
    if found is None or found == []:
        effects.warn("tag_source_missing")
        return None
    joins = isinstance(found, list) and login.configuration["multi"] == "join"
    texts = [_text(item) for item in (found if joins else [found])]
    # A refused value is never cleaned: cleaning could turn one department into another.
    if not all(_is_legal(text, tag, joins) for text in texts):
        effects.warn("tag_value_refused")
        return None
    joined = ":" + ":".join(texts) + ":" if joins else texts[0]
    if not is_tag_value(joined):
        effects.warn("tag_value_refused")
        return None
    return joined


def _find(login: Login, tag: dict[str, Any]) -> Any:
    source = tag["source"]
    if source == "constant":
        return tag["value"]
    if source == "group_map":
        groups = set(login.user.groups or [])
        mapped = login.configuration["group_map"].items()
        values = list(dict.fromkeys(value for group, value in mapped if group in groups))
        return values[0] if len(values) == 1 else values
    if source.startswith("attributes."):
        return (login.user.attributes or {}).get(source.removeprefix("attributes."))
    found = login.at("user." + source)
    return None if found is UNKNOWN else found


def _text(value: Any) -> str:
    """Return a scalar as text; the empty text, which is no tag value, for anything else."""
    if isinstance(value, str):
        return value
    return json.dumps(value) if isinstance(value, (bool, int, float)) else ""


def _is_legal(text: str, tag: dict[str, Any], joins: bool) -> bool:
    # Inside a joined value the colon is the separator: one item could pretend to be two.
    if not is_tag_value(text) or (joins and ":" in text):
        return False
    if tag["allowed"] is not None and text not in tag["allowed"]:
        return False
    return tag["pattern"] is None or re.fullmatch(tag["pattern"], text) is not None


def _write_assertion(login: Login, effects: Effects, tags: dict[str, str]) -> None:
    for key, value in tags.items():
        effects.set_saml_attribute(f"{_SAML}PrincipalTag:{key}", [value])
    transitive = [
        tag["key"]
        for tag in login.configuration["tags"]
        if tag["transitive"] and tag["key"] in tags
    ]
    if transitive:
        effects.set_saml_attribute(_SAML + "TransitiveTagKeys", transitive)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse illegal keys, sources that people can write themselves, and bad patterns."""
    tags = configuration["tags"]
    if len(tags) > _MAX_TAGS:
        raise ConfigurationError(f"tags: {len(tags)} are configured, {_MAX_TAGS} are possible")
    seen: dict[str, str] = {}
    for tag in tags:
        key = tag["key"]
        if not is_tag_key(key):
            raise ConfigurationError(f"tags: {key!r} is no key of a tag")
        # Keys have no case in IAM, and CostCenter and cost_center would share one claim.
        folded = re.sub(r"\W|_", "", key.casefold())
        if folded in seen:
            raise ConfigurationError(f"tags: {key!r} and {seen[folded]!r} are one key")
        if folded == "granted":
            raise ConfigurationError(f"tags: {key!r} is the tag that names the granted roles")
        seen[folded] = key
        _check_source(tag)


def _check_source(tag: dict[str, Any]) -> None:
    where, source = f"tags: {tag['key']!r}", tag["source"]
    if not _SOURCE.fullmatch(source):
        raise ConfigurationError(
            f"{where}: the source {source!r} is none that only administrators write"
        )
    if source.startswith("attributes.") and not tag["i_know_it_is_read_only"]:
        raise ConfigurationError(
            f"{where}: app clients can be allowed to write {source}; "
            "set i_know_it_is_read_only when none is"
        )
    if (source == "constant") != (tag["value"] is not None):
        raise ConfigurationError(f"{where}: a constant has a value, and nothing else has one")
    if tag["pattern"] is not None:
        try:
            re.compile(tag["pattern"])
        except re.error as error:
            raise ConfigurationError(f"{where}: the pattern is none: {error}") from error
