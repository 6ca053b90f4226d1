"""Groups of a user, and the IAM roles that they bring.

https://docs.aws.amazon.com/cognito/latest/developerguide/cognito-user-pools-user-groups.html
"""

from typing import Any

from local.aws.emulator import Response, cognito, wrap
from local.aws.events import JsonObject
from local.aws.pre_token import GroupConfiguration


def of_user(pool: JsonObject, user: JsonObject) -> GroupConfiguration:
    """Return the user's groups, the lowest precedence number first and groups without one last.

    The preferred role is that of the first group; when groups share that precedence and have
    different roles, there is none.
    """
    found = [pool["_groups"][name] for name in user.get("_groups", []) if name in pool["_groups"]]
    ranked = sorted(found, key=_rank)
    with_role = [group for group in ranked if group.get("RoleArn")]
    first = {group["RoleArn"] for group in with_role if _rank(group) == _rank(with_role[0])}
    return GroupConfiguration(
        groups=[group["GroupName"] for group in ranked],
        roles=list(dict.fromkeys(group["RoleArn"] for group in with_role)),
        preferred=first.pop() if len(first) == 1 else None,
    )


def _rank(group: JsonObject) -> float:
    precedence = group.get("Precedence")
    return float("inf") if precedence is None else float(precedence)


def _create(original: Any, data: JsonObject) -> Response:
    """CreateGroup: a group made without a precedence has none, it is not the first."""
    response: Response = original(data)
    group = (
        cognito._user_pools.get(data.get("UserPoolId"), {})
        .get("_groups", {})
        .get(data.get("GroupName"))
    )
    if response[0] == 200 and "Precedence" not in data:
        group.pop("Precedence", None)
        answer: Response = cognito.json_response({"Group": cognito._group_out(group)})
        return answer
    return response


def install() -> None:
    """Complete CreateGroup."""
    wrap(cognito, "_create_group", _create)
