from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.testing import a_login
from functions.validate_token_scopes.app import rule
from tests.scopes import scopes_after

THREE = ["create:timesheets", "delete:timesheets", "read:timesheets"]
SELF_SERVICE = "aws.cognito.signin.user.admin"
UNSEEN: Any = object()


def decide(permissions: Any, scopes: Any, **settings: Any) -> Effects:
    transaction = {} if scopes is UNSEEN else {"requested_scopes": scopes, "scopes": scopes}
    authorization = {} if permissions is UNSEEN else {"permissions": permissions}
    return rule.decide(
        a_login(authorization=authorization, transaction=transaction, configuration=settings)
    )


@pytest.mark.parametrize(
    ("permissions", "scopes", "settings", "left"),
    [
        pytest.param(
            THREE,
            ["openid", "read:timesheets", "approve:timesheets"],
            {},
            ["openid", "read:timesheets"],
            id="what is permitted of what was asked for",
        ),
        pytest.param(
            THREE,
            ["openid", "read:timesheets", "approve:timesheets"],
            {"mode": "grant_all"},
            ["openid", "read:timesheets", "create:timesheets", "delete:timesheets"],
            id="all permissions when everything is granted",
        ),
        pytest.param([], ["read:timesheets"], {}, [], id="nothing without permissions"),
        pytest.param(UNSEEN, ["openid", "read:timesheets"], {}, ["openid"], id="nor with unknown"),
        pytest.param(THREE, [], {}, [], id="nothing of nothing"),
        pytest.param(THREE, UNSEEN, {}, None, id="unknown scopes stay unknown"),
        pytest.param(THREE, ["admin"], {}, [], id="not a word without a colon"),
        pytest.param(THREE, ["admin"], {"unknown_scopes": "keep"}, ["admin"], id="unless kept"),
        pytest.param(
            THREE,
            ["approve:timesheets", "admin"],
            {"unknown_scopes": "keep", "known_permissions": ["approve:timesheets"]},
            ["admin"],
            id="a known permission is no unknown scope",
        ),
        pytest.param(
            ["read:timesheets"],
            ["timesheets/read:timesheets", "read:timesheets"],
            {"permission_to_scope": "timesheets/{permission}"},
            ["timesheets/read:timesheets"],
            id="by the spelling of the API",
        ),
        pytest.param(
            [*THREE, *THREE], ["read:timesheets"], {}, ["read:timesheets"], id="duplicates and all"
        ),
        pytest.param(THREE, [SELF_SERVICE], {}, [SELF_SERVICE], id="the self-service scope"),
        pytest.param(
            THREE,
            [SELF_SERVICE],
            {"when_nothing_requested": "grant_all"},
            [SELF_SERVICE, *THREE],
            id="an SDK sign-in that gets all",
        ),
        pytest.param(
            THREE,
            ["openid"],
            {"when_nothing_requested": "grant_all"},
            ["openid"],
            id="a sign-in in the browser that does not",
        ),
    ],
)
def test_what_is_left(
    permissions: Any, scopes: Any, settings: dict[str, Any], left: list[str] | None
) -> None:
    effects = decide(permissions, scopes, **settings)

    assert scopes_after(effects, None if scopes is UNSEEN else scopes) == left
    assert effects.denied_with is None


@pytest.mark.parametrize(
    ("permissions", "warning"),
    [
        pytest.param(UNSEEN, "authorization_missing", id="no authorization result"),
        pytest.param(["read timesheets"], "invalid_scope", id="a permission with a blank"),
    ],
)
def test_what_is_missing_is_a_warning(permissions: Any, warning: str) -> None:
    effects = decide(permissions, ["read timesheets"][:0], mode="grant_all")

    assert effects.warnings == [warning]
    assert effects.items == []


@pytest.mark.parametrize(
    ("scopes", "code"),
    [
        pytest.param(["read:timesheets"], "insufficient_permissions", id="none is left"),
        pytest.param(["openid", "read:timesheets"], "insufficient_permissions", id="but openid"),
        pytest.param(["openid"], None, id="none was asked for"),
        pytest.param(["read:timesheets", "read:orders"], None, id="one is left"),
    ],
)
def test_when_a_login_is_refused(scopes: list[str], code: str | None) -> None:
    assert decide(["read:orders"], scopes, deny_if_none_left=True).denied_with == code


def test_a_permission_that_was_revoked_counts_at_the_next_refresh() -> None:
    assert rule.manifest.runs_on_refresh


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"permission_to_scope": "timesheets/"}, id="a template without a permission"),
        pytest.param({"permission_to_scope": "{permission}{permission}"}, id="with two"),
        pytest.param({"permission_to_scope": "time sheets/{permission}"}, id="with a blank"),
        pytest.param({"known_permissions": ["read timesheets"]}, id="a permission with a blank"),
        pytest.param({"passthrough": [""]}, id="an empty scope"),
        pytest.param({"mode": "all"}, id="an unknown mode"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        decide(THREE, [], **settings)
