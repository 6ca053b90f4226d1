"""map_aws_role where the protocol is samlp: what it writes into the assertion."""

from typing import Any

import pytest

from cognito_rules import Effects
from cognito_rules.testing import a_login
from functions.map_aws_role.app import rule

ACCOUNT = "arn:aws:iam::123456789012"
READER = f"{ACCOUNT}:role/cognito-rules/reader"
ADMIN = f"{ACCOUNT}:role/cognito-rules/admin"
PROVIDER = f"{ACCOUNT}:saml-provider/CognitoRules"
SAML = "https://aws.amazon.com/SAML/Attributes/"

TEMPLATE = {
    "roles": {"reader": READER, "admin": ADMIN},
    "mappings": [
        {"group": "DomainUser", "role": "reader", "priority": 20},
        {"group": "DomainAdmins", "role": "admin", "priority": 10},
    ],
}


def decide(login: dict[str, Any], settings: dict[str, Any]) -> Effects:
    return rule.decide(a_login(**login, configuration={**TEMPLATE, **settings}))


def attributes(effects: Effects) -> dict[str, list[str]]:
    """Return the SAML attributes by the last part of their names."""
    return {
        item["name"].removeprefix(SAML): item["values"]
        for item in effects.items
        if item["effect"] == "set_saml_attribute"
    }


def saml_login(**user: Any) -> dict[str, Any]:
    return {
        "user": {"user_id": "6f1c2d9e-0000-4000-8000-000000000001", "groups": ["DomainUser"]}
        | user,
        "transaction": {"protocol": "samlp"},
    }


@pytest.mark.parametrize(
    ("user", "probes", "expected"),
    [
        pytest.param(
            {"name": "Ana María Ñ", "email": "ana@example.com", "username": "ana"},
            None,
            "ana",
            id="an unverified email is not used, a display name never",
        ),
        pytest.param(
            {"email": "ana@example.com", "email_verified": True, "username": "ana"},
            None,
            "ana@example.com",
            id="a verified email is",
        ),
        pytest.param(
            {"email": "ana@example.com", "email_verified": "true", "username": "ana"},
            None,
            "ana",
            id="the text true is not verified",
        ),
        pytest.param({"username": "ana maría"}, None, "ana-mar-a", id="other characters"),
        pytest.param({"username": "a" * 80}, None, "a" * 64, id="cut to 64"),
        pytest.param(
            {"username": "a"}, None, "6f1c2d9e-0000-4000-8000-000000000001", id="too short"
        ),
        pytest.param(
            {"username": "日本"},
            None,
            "6f1c2d9e-0000-4000-8000-000000000001",
            id="nothing left that tells people apart",
        ),
        pytest.param(
            {"username": "ana"},
            ["user_id"],
            "6f1c2d9e-0000-4000-8000-000000000001",
            id="the configured probe",
        ),
    ],
)
def test_the_session_name_names_the_person(
    user: dict[str, Any], probes: list[str] | None, expected: str
) -> None:
    settings: dict[str, Any] = {"saml_provider_arn": PROVIDER}
    if probes is not None:
        settings["session_name"] = probes

    effects = decide(saml_login(**user), settings)

    assert attributes(effects)["RoleSessionName"] == [expected]


def test_an_assertion_pairs_each_role_with_the_provider() -> None:
    login = saml_login(username="ana", groups=["DomainUser", "DomainAdmins"])

    effects = decide(login, {"saml_provider_arn": PROVIDER, "session_duration": 1000})

    assert attributes(effects) == {
        "Role": [f"{ADMIN},{PROVIDER}", f"{READER},{PROVIDER}"],
        "RoleSessionName": ["ana"],
        "SessionDuration": ["1000"],
    }


@pytest.mark.parametrize(
    ("groups", "seconds"),
    [
        pytest.param(["a"], "1800", id="of one role, its own"),
        pytest.param(["a", "b"], "900", id="of two, the shorter"),
        pytest.param(["a", "c"], "1800", id="a role without one has that of the rule"),
    ],
)
def test_the_shortest_session_of_the_granted_roles_counts(groups: list[str], seconds: str) -> None:
    mappings = [
        {"group": "a", "role": "reader", "session_duration": 1800},
        {"group": "b", "role": "admin", "session_duration": 900},
        {"group": "c", "role": "admin"},
    ]
    login = saml_login(username="ana", groups=groups)

    effects = decide(login, {"saml_provider_arn": PROVIDER, "mappings": mappings})

    assert attributes(effects)["SessionDuration"] == [seconds]


def test_a_mapping_can_name_a_provider_of_its_own() -> None:
    other = f"{ACCOUNT}:saml-provider/Other"
    mappings = [{"group": "DomainUser", "role": "reader", "provider": other}]

    effects = decide(saml_login(username="ana"), {"mappings": mappings})

    assert attributes(effects)["Role"] == [f"{READER},{other}"]


def test_a_carried_role_of_another_account_is_not_asserted() -> None:
    foreign = "arn:aws:iam::999999999999:role/foreign"
    login = saml_login(username="ana") | {"aws": {"roles": [foreign]}}

    effects = decide(login, {"saml_provider_arn": PROVIDER, "mode": "add"})

    assert attributes(effects)["Role"] == [f"{READER},{PROVIDER}"]


def test_the_source_identity_is_the_user_id_when_asked_for() -> None:
    settings = {"saml_provider_arn": PROVIDER, "source_identity": True}

    effects = decide(saml_login(username="ana"), settings)

    assert attributes(effects)["SourceIdentity"] == ["6f1c2d9e-0000-4000-8000-000000000001"]


@pytest.mark.parametrize(
    ("login", "settings", "warnings"),
    [
        pytest.param(
            {"groups": ["DomainUser"], "protocol": "oauth2"},
            {"saml_provider_arn": PROVIDER},
            [],
            id="another protocol",
        ),
        pytest.param(
            saml_login(groups=["other"]), {"saml_provider_arn": PROVIDER}, [], id="no role"
        ),
        pytest.param(saml_login(username="ana"), {}, ["saml_provider_missing"], id="no provider"),
        pytest.param(
            saml_login(username="a"),
            {"saml_provider_arn": PROVIDER, "session_name": ["username"]},
            ["session_name_missing"],
            id="no name",
        ),
    ],
)
def test_no_half_assertion(
    login: dict[str, Any], settings: dict[str, Any], warnings: list[str]
) -> None:
    effects = decide(login, settings)

    assert attributes(effects) == {}
    assert effects.warnings == warnings


def test_the_default_session_name_probes_need_no_email() -> None:
    effects = decide(saml_login(), {"saml_provider_arn": PROVIDER})

    assert attributes(effects)["RoleSessionName"] == ["6f1c2d9e-0000-4000-8000-000000000001"]
