"""The trigger that a team without this project writes: one Lambda handler, boto3, plain code.

It does what the thirty entries of ``bench/thirty_rules.py`` do. Nothing is slow on purpose: the
table resource and the time zones are made once, each trigger reads the profile once, and the
count and the new preference are one update.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import boto3
from aws_lambda_powertools import Logger

if TYPE_CHECKING:
    from mypy_boto3_dynamodb.service_resource import Table

NAMESPACE = "https://example.com/"
APPLICATIONS = {"1example23456789clientid00": "payroll"}
FLAGGED_IDENTITIES = {"Acme|4711", "Acme|4712"}
CLOSED = {"Europe/Berlin": {"2020-12-25"}, "America/New_York": {"2020-07-03"}, "Asia/Tokyo": set()}
ZONES = {name: ZoneInfo(name) for name in CLOSED}
DEFAULTS = {"color": "blue", "language": "de", "theme": "light", "density": "wide"}
NO_ACCESS = "You do not have access to this application."
CLOSED_NOW = "This app is only available during the week."

logger = Logger(service="hand-written")


class AccessDenied(Exception):
    """Ends the trigger; Cognito shows the text."""


@cache
def profiles() -> Table:
    """Return the table of profiles; made once in each execution environment."""
    return boto3.resource("dynamodb").Table(os.environ["PROFILES_TABLE"])


def handler(event: dict[str, Any], context: object = None) -> dict[str, Any]:
    """Serve PostAuthentication and PreTokenGeneration V3_0."""
    user_id = event["request"]["userAttributes"]["sub"]
    try:
        if event["triggerSource"].startswith("PostAuthentication"):
            post_authentication(event, user_id)
        else:
            event["response"]["claimsAndScopeOverrideDetails"] = pre_token(event, user_id)
    except AccessDenied:
        logger.info("login denied", user_id=user_id, trigger=event["triggerSource"])
        raise
    logger.info("login allowed", user_id=user_id, trigger=event["triggerSource"])
    return event


def read_profile(user_id: str) -> dict[str, Any]:
    """Return the person's item, empty for one who never came."""
    answer = profiles().get_item(Key={"pk": f"USER#{user_id}"}, ConsistentRead=True)
    return dict(answer.get("Item", {}))


def post_authentication(event: dict[str, Any], user_id: str) -> None:
    """Refuse flagged people; count the login, and store the preferences that are missing."""
    attributes = event["request"]["userAttributes"]
    profile = read_profile(user_id)
    app_metadata = profile.get("app_metadata", {})
    if is_set(app_metadata, "deleted") or is_set(app_metadata, "suspended"):
        raise AccessDenied("access_denied: Access denied.")
    if is_set(app_metadata, "legal", "hold") or is_set(app_metadata, "fraud", "confirmed"):
        raise AccessDenied("access_denied: Access denied.")
    for identity in json.loads(attributes.get("identities", "[]")):
        if f"{identity['providerName']}|{identity['userId']}" in FLAGGED_IDENTITIES:
            raise AccessDenied("access_denied: Access denied.")
    if is_set(app_metadata, "payment", "overdue"):
        raise AccessDenied("access_denied: Please contact your administrator.")

    user_metadata = profile.get("user_metadata", {})
    wanted = DEFAULTS | {"greeting": greeting(attributes)}
    missing = {key: value for key, value in wanted.items() if key not in user_metadata}
    names = {"#metadata": "user_metadata"}
    values: dict[str, Any] = {":one": 1, ":now": Decimal(str(datetime.now(UTC).timestamp()))}
    sets = ["last_login_at = :now"]
    for number, (key, value) in enumerate(missing.items()):
        names[f"#k{number}"], values[f":v{number}"] = key, value
        path = f"#metadata.#k{number}"
        sets.append(f"{path} = if_not_exists({path}, :v{number})")
    profiles().update_item(
        Key={"pk": f"USER#{user_id}"},
        UpdateExpression=f"SET {', '.join(sets)} ADD logins_count :one",
        ExpressionAttributeNames=names if missing else {},
        ExpressionAttributeValues=values,
    )


def pre_token(event: dict[str, Any], user_id: str) -> dict[str, Any]:
    """Refuse people without the groups and closed days; return claims and scopes."""
    request = event["request"]
    attributes = request["userAttributes"]
    groups = request["groupConfiguration"]["groupsToOverride"]
    check_groups(groups, attributes)
    check_days(groups)

    profile = read_profile(user_id)
    preferences = DEFAULTS | {"greeting": greeting(attributes)} | profile.get("user_metadata", {})
    plan = profile.get("app_metadata", {}).get("plan")
    pool_groups = sorted(g for g in groups if not g.startswith(event["userPoolId"] + "_"))
    finance = sorted("fin" if g == "finance" else g for g in groups if g != "staff")
    id_claims = {
        "favorite_color": preferences["color"],
        "language": preferences["language"],
        "theme": preferences["theme"],
        "greeting": preferences["greeting"],
        "plan": plan,
        "tenant": "acme",
        "department": attributes.get("custom:department"),
        "roles": pool_groups,
        "finance_roles": finance,
        "teams": [group for group in pool_groups if not group.startswith("tmp-")],
    }
    access_claims = {
        "plan": plan,
        "app": APPLICATIONS.get(event["callerContext"]["clientId"]),
        "roles": pool_groups,
        "finance_roles": finance,
        "duties": sorted("payroll" if g == "finance" else g for g in pool_groups),
        "groups": pool_groups[:10],
    }
    scopes = request["scopes"]
    return {
        "idTokenGeneration": {
            "claimsToAddOrOverride": with_namespace(id_claims),
            "claimsToSuppress": [],
        },
        "accessTokenGeneration": {
            "claimsToAddOrOverride": with_namespace(access_claims),
            "claimsToSuppress": [],
            "scopesToAdd": ["orders/read"] if "openid" in scopes else [],
            "scopesToSuppress": ["email"] if "email" in scopes else [],
        },
        "groupOverrideDetails": {"groupsToOverride": groups, "iamRolesToOverride": []},
    }


def check_groups(groups: list[str], attributes: dict[str, str]) -> None:
    """Refuse people outside of the groups that payroll is for."""
    of_directory = json.loads(attributes.get("custom:groups", "[]"))
    if not {"staff", "partners"}.intersection(groups):
        raise AccessDenied(f"access_denied: {NO_ACCESS}")
    if not {"staff", "finance"}.issubset(groups):
        raise AccessDenied(f"access_denied: {NO_ACCESS}")
    if not {"finance", "board"}.intersection(group.casefold() for group in groups):
        raise AccessDenied(f"access_denied: {NO_ACCESS}")
    if "finance" not in of_directory:
        raise AccessDenied(f"access_denied: {NO_ACCESS}")
    if not {"finance", "audit"}.intersection([*groups, *of_directory]):
        raise AccessDenied("access_denied: Payroll is for finance.")


def check_days(groups: list[str]) -> None:
    """Refuse logins on closed days, and outside of working hours where they count."""
    now = datetime.now(UTC)
    for name, closed in CLOSED.items():
        if now.astimezone(ZONES[name]).date().isoformat() in closed:
            raise AccessDenied(f"access_denied: {CLOSED_NOW}")
    if "finance" not in groups and now.weekday() > 4:
        raise AccessDenied(f"access_denied: {CLOSED_NOW}")
    in_hours = now.weekday() < 5 and 8 <= now.hour < 18
    if not in_hours and not {"on-call", "staff"}.intersection(groups):
        raise AccessDenied(f"access_denied: {CLOSED_NOW}")


def is_set(metadata: dict[str, Any], *path: str) -> bool:
    """Say whether a flag in the metadata is set."""
    value: Any = metadata
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value in (True, "true", "1")


def greeting(attributes: dict[str, str]) -> str:
    """Return how the application greets the person."""
    name = attributes.get("given_name")
    return f"Hello {name}" if name else "Hello"


def with_namespace(claims: dict[str, Any]) -> dict[str, Any]:
    """Return the claims that have a value, under the namespace."""
    return {NAMESPACE + name: value for name, value in claims.items() if value is not None}
