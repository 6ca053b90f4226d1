"""Carry the filters of Luzmo's dashboards, such as the tenant, in the tokens."""

import json
from typing import Any

from cognito_rules import Effects, Login, claim_name, lambda_rule

SCALARS = (str, int, float, bool)


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Set one claim for each listed key of the person's filters, or none at all.

    A filter that is missing can show a dashboard's reader more than is theirs, so half of the
    filters are never set.

    Reads:  ``login.user.app_metadata.cumulio`` or ``.luzmo``.
    Writes: ``set_claim`` on the tokens in ``targets``; ``deny`` with code
            ``dashboard_metadata_invalid`` where ``on_invalid`` says so.
    Source: Auth0 rules, "cumulio-add-metadata-to-tokens"; Luzmo docs, "Authorization" (the names
            of the rule are from when Luzmo was called Cumul.io).
    """
    settings = login.configuration
    metadata = login.at(f"user.app_metadata.{settings['source']}", None)
    if metadata is None or not settings["keys"]:
        return
    claims = _claims(settings, metadata)
    if claims is None:
        # An operator's alarm counts this warning.
        effects.warn("dashboard_metadata_invalid")
        if settings["on_invalid"] == "deny":
            effects.deny(
                "Your dashboards cannot be shown. Please contact support.",
                code="dashboard_metadata_invalid",
            )
        return
    for token in settings["targets"]:
        for name, value in claims.items():
            effects.set_claim(token, name, value)


def _claims(settings: dict[str, Any], metadata: Any) -> dict[str, Any] | None:
    """Return claim -> value for the listed keys; None when they are not good as a whole."""
    if not isinstance(metadata, dict):
        return None
    chosen = {key: metadata[key] for key in settings["keys"] if metadata.get(key) is not None}
    claims = {claim_name(settings["namespace"], key): value for key, value in chosen.items()}
    if not all(map(_is_filter, chosen.values())):
        return None
    text = json.dumps(claims, ensure_ascii=False, separators=(",", ":"))
    grows_by = len(text.encode()) - 1  # two braces less, one comma more
    return claims if grows_by <= settings["max_bytes"] else None


def _is_filter(value: Any) -> bool:
    items = value if isinstance(value, list) else [value]
    return all(isinstance(item, SCALARS) for item in items)


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse protected claims, and a namespace that is none."""
    claims(configuration)


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    names = [claim_name(configuration["namespace"], key) for key in configuration["keys"]]
    return [(token, name) for name in names for token in configuration["targets"]]
