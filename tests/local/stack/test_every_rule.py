"""One chain of every rule that decides, through real sign-ins: they get along with each other.

Each guard refuses somebody whom all the others let in, and each other rule leaves its mark.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import tomlkit

from bench.access_rules import ORDERS, access_entries
from cognito_rules.manifest import catalogue
from cognito_rules.request_context import sign_context
from local.oidc_provider import OidcProvider
from local.sign_in import App, SignInRefused, Tokens
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN

# What asks another system, or looks on, has a test of its own.
DECIDING = {
    name
    for name, manifest in catalogue().items()
    if manifest.stage != "after_login" and not manifest.external
}
# A sign-in with a password is refused by disable_password_grant.
FLOWS = ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
PASSWORDS = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
SELF_SERVICE = "aws.cognito.signin.user.admin"
NAMESPACE = "https://example.com/"
INVOICES = "https://invoices.example.com"
OFFICE, BLOCKED, ELSEWHERE = "203.0.113.150", "203.0.113.66", "192.0.2.1"
_names = [f"listed{number}" for number in range(100)]
LISTED = [f"{name}@{domain}" for name in _names for domain in ("example.com", "example.org")]
_IN_THREE_DAYS = (datetime.now(UTC) + timedelta(days=3)).strftime("%a").lower()

# What the chain of the benchmark, which lets a good person in, leaves to do for some rules.
SETTINGS: dict[str, dict[str, Any]] = {
    "disable_social_signup": {"providers": ["Partner"]},
    "allow_email_domains": {"domains": ["example.com", "example.org"]},
    "connection_domain_match": {"connections": {"COGNITO": {"tenant_domain": "example.com"}}},
    "block_ip_addresses": {"networks": [BLOCKED]},
    "validate_token_scopes": {
        "permission_to_scope": f"{ORDERS}/{{permission}}",
        "known_permissions": ["write:orders"],
    },
    "add_custom_claims": {
        "claims": [
            {"name": "color", "from": "user.app_metadata.color", "acknowledge_private": True}
        ]
    },
}
# Rules that are for everybody or nobody, for one application more.
MORE: list[dict[str, Any]] = [
    {
        "rule": "weekday_access",
        "id": "another-day",
        "when": {"applications": ["shut"]},
        "configuration": {"days": [_IN_THREE_DAYS]},
    },
    {
        "rule": "mfa_for_passwordless_outside_network",
        "id": "inside-only",
        "when": {"applications": ["strict"]},
        "configuration": {"networks": ["203.0.113.0/24"]},
    },
]


def entries(placement: str) -> list[dict[str, Any]]:
    """Return the chain's entries; each guard says who refused."""
    found = access_entries("shop", LISTED, placement=placement)
    for entry in (*found, *MORE):
        name = entry["rule"]
        configuration = {**entry["configuration"], **SETTINGS.get(name, {})}
        if any(setting.name == "message" for setting in catalogue()[name].settings.settings):
            configuration["message"] = f"By {name}."
        entry["configuration"] = configuration
    return [*found, *MORE]


@dataclass(frozen=True)
class World:
    """The applications, and the people who try to get into them."""

    stack: Stack
    oidc: OidcProvider
    apps: dict[str, App]
    key: str

    def somebody(self, **changes: Any) -> Person:
        """Make a person whom every guard lets in, but for what is changed."""
        return self.stack.person(_names.pop(), **({"groups": ["staff"]} | changes))

    def moved(self, domain: str) -> Person:
        """Make such a person, whose address is of another domain since."""
        person = self.somebody()
        address = {"email": f"{person.name}@{domain}", "email_verified": "true"}
        self.stack.aws.client("cognito-idp").admin_update_user_attributes(
            UserPoolId=self.stack.pool_id,
            Username=person.user_id,
            UserAttributes=[{"Name": name, "Value": value} for name, value in address.items()],
        )
        return person

    def signs_in(
        self, person: Person | None = None, app: str = "shop", ip: str | None = None, **said: str
    ) -> Tokens:
        """Sign in by SRP; ``ip`` is what a backend vouches for, ``said`` is anybody's word."""
        person, application = person or self.somebody(), self.apps[app]
        if ip is not None:
            said |= sign_context(
                self.key,
                client_id=application.client_id,
                username=person.user_id,
                ip=ip,
                at=time.time(),
            )
        return application.srp(person.user_id, person.password, client_metadata=said or None)

    def sends_a_password(self) -> Tokens:
        """Sign in by the API with a plain password."""
        person = self.somebody()
        return self.apps["passwords"].password(person.username, person.password)

    def comes_by(self, provider: str) -> Tokens:
        """Sign in at an identity provider for the first time."""
        name = _names.pop()
        self.oidc.set_person(name, {"email": f"{name}@example.com"})
        return self.apps["shop"].federated(provider, name)


@pytest.fixture(scope="module")
def apps(stack: Stack) -> dict[str, App]:
    api = stack.aws.client("cognito-idp")
    asked = {ORDERS: ["read:orders", "write:orders"], INVOICES: ["read"]}
    for server, names in asked.items():
        api.create_resource_server(
            UserPoolId=stack.pool_id,
            Identifier=server,
            Name=server,
            Scopes=[{"ScopeName": name, "ScopeDescription": name} for name in names],
        )
    scopes = [f"{server}/{name}" for server, names in asked.items() for name in names]
    shop = stack.application(
        "shop", flows=FLOWS, providers=["COGNITO", "Partner"], scopes=["openid", *scopes]
    )
    others = {name: stack.application(name, flows=FLOWS) for name in ("closed", "shut", "strict")}
    return {"shop": shop, "passwords": stack.application("passwords", flows=PASSWORDS), **others}


@pytest.fixture(scope="module", params=["inline", "function"])
def world(
    request: pytest.FixtureRequest, stack: Stack, oidc: OidcProvider, apps: dict[str, App]
) -> Iterator[World]:
    """The chain, its pure rules in the login function or each in a function of its own."""
    applications = {app.client_id: {"name": name} for name, app in apps.items()}
    stack.use_chain(tomlkit.dumps({"applications": applications, "rules": entries(request.param)}))
    secret: str = stack.aws.client("secretsmanager").get_secret_value(
        SecretId=stack.outputs["RequestContextKeySecret"]
    )["SecretString"]
    yield World(stack, oidc, apps, secret)
    stack.use_chain(CHAIN)


# Who is refused ----------------------------------------------------------------------------------

REFUSALS: dict[str, Callable[[World], Tokens]] = {
    "disable_flagged_users": lambda w: w.signs_in(w.somebody(app_metadata={"suspended": True})),
    "disable_social_signup": lambda w: w.comes_by("Partner"),
    "require_verified_email": lambda w: w.signs_in(w.somebody(email_verified="false")),
    "allow_email_domains": lambda w: w.signs_in(w.moved("elsewhere.example")),
    "allow_listed_users": lambda w: w.signs_in(
        w.stack.person(f"unlisted-{_names.pop()}", groups=["staff"])
    ),
    "connection_domain_match": lambda w: w.signs_in(w.moved("example.org")),
    "password_age": lambda w: w.signs_in(
        w.somebody(app_metadata={"last_password_reset": "2020-01-01T00:00:00Z"})
    ),
    "weekday_access": lambda w: w.signs_in(app="shut"),
    "corporate_network_only": lambda w: w.signs_in(ip=ELSEWHERE),
    "block_ip_addresses": lambda w: w.signs_in(ip=BLOCKED),
    "mfa_for_passwordless_outside_network": lambda w: w.signs_in(app="strict"),
    "disable_password_grant": lambda w: w.sends_a_password(),
    "require_group": lambda w: w.signs_in(w.somebody(groups=[])),
    "deny_application": lambda w: w.signs_in(app="closed"),
    "deny_api_audience": lambda w: w.signs_in(resource="https://machines.example.com"),
}
SAID_OTHERWISE = {"mfa_for_passwordless_outside_network": "mfa_required: Please confirm"}


@pytest.mark.parametrize("rule", REFUSALS)
def test_one_guard_is_enough(world: World, rule: str) -> None:
    with pytest.raises(SignInRefused, match=SAID_OTHERWISE.get(rule, f": By {rule}\\.")):
        REFUSALS[rule](world)


@pytest.mark.parametrize("app", ["shop", "strict"])
def test_somebody_of_whose_address_nothing_bad_is_known_gets_in(world: World, app: str) -> None:
    assert world.signs_in(app=app, ip=OFFICE).id_token


def test_nobody_from_elsewhere_becomes_a_user(world: World) -> None:
    refused = "PreSignUp failed with error access_denied: By allow_email_domains"
    with pytest.raises(Exception, match=refused):
        world.stack.person("mallory", email="mallory@elsewhere.example")


# What tokens say ---------------------------------------------------------------------------------

IN_THE_ID_TOKEN: dict[str, dict[str, Any]] = {
    "assign_roles_by_email": {f"{NAMESPACE}assigned": ["Employee"]},
    "add_roles_to_tokens": {f"{NAMESPACE}roles": ["Employee"]},
    "delegated_admin_roles_claim": {
        f"{NAMESPACE}auth0-delegated-admin": {"roles": ["Delegated Admin - User"]}
    },
    "add_custom_claims": {f"{NAMESPACE}color": "blue"},
    "default_user_metadata": {f"{NAMESPACE}language": "en"},
    "connection_claims": {f"{NAMESPACE}local": True},
    "add_dashboard_metadata_luzmo": {f"{NAMESPACE}luzmo/tenant": "acme"},
    "aws_session_tags": {"aws_tag_cost_center": "marketing"},
    # Nothing of custom:groups, which the person has.
    "remove_claims": {},
}
IN_THE_ACCESS_TOKEN: dict[str, dict[str, Any]] = {
    "add_roles_to_tokens": {f"{NAMESPACE}roles": ["Employee"]},
    "add_dashboard_metadata_luzmo": {f"{NAMESPACE}luzmo/tenant": "acme"},
    "customize_token_claims_and_scopes": {f"{NAMESPACE}tenant": "acme"},
    "add_email_to_access_token": {f"{NAMESPACE}email_verified": True},
    "limit_scopes_by_role": {"scope": f"{SELF_SERVICE} read:orders"},
}
# Shown by a test of their own below.
ELSEWHERE_SHOWN = {
    "add_country_claim",
    "claim_from_query_parameter",
    "custom_api_scopes",
    "map_aws_role",
    "oidc_scope_claims",
    "set_access_token_id",
    "validate_token_scopes",
}


def test_every_rule_is_in_the_chain_and_is_shown_to_matter() -> None:
    assert {entry["rule"] for entry in entries("inline")} == DECIDING
    shown = {*REFUSALS, *IN_THE_ID_TOKEN, *IN_THE_ACCESS_TOKEN, *ELSEWHERE_SHOWN}
    assert shown == DECIDING


def told(claims: dict[str, Any]) -> dict[str, Any]:
    """Return what rules put into a token, what they could take out, and Cognito's own of these."""
    names = ("cognito:groups", "cognito:roles", "cognito:preferred_role", "scope", "email")
    return {
        name: value
        for name, value in claims.items()
        if name.startswith((NAMESPACE, "aws_tag_", "custom:")) or name in names
    }


def all_of(table: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {name: value for claims in table.values() for name, value in claims.items()}


def test_every_rule_adds_its_part_wherever_it_runs(world: World) -> None:
    group, role = next(iter(world.stack.role_of_group.items()))
    kept = {"color": "blue", "cost_center": "marketing", "last_place": {"country_name": "Chad"}}
    kept["cumulio"] = {"tenant": "acme"}
    person = world.somebody(
        groups=["staff", group], app_metadata=kept, **{"custom:groups": "[secret]"}
    )
    shop = world.apps["shop"]

    tokens = world.signs_in(person)

    granted: dict[str, Any] = {"cognito:groups": ["staff", group], "cognito:roles": [role]}
    granted |= {"cognito:preferred_role": role}
    of_id = told(tokens.id_claims)
    assert of_id.pop("aws_tag_granted").startswith(":")
    assert of_id == {**all_of(IN_THE_ID_TOKEN), **granted, "email": person.username}
    of_access = told(tokens.access_claims)
    token_id = of_access.pop(f"{NAMESPACE}token_id")
    assert len(token_id) == len("01M83TQG4620TS8NBVH02818W1")
    assert of_access == {
        **all_of(IN_THE_ACCESS_TOKEN),
        "cognito:groups": ["staff", group],
        f"{NAMESPACE}email": person.username,
    }
    assert world.stack.profile(person.user_id)["user_metadata"] == {"language": "en"}

    refreshed = shop.refresh_by_initiate_auth(str(tokens.refresh_token))
    # Known from an earlier login, and no part of one from nobody knows where.
    country = {f"{NAMESPACE}country": "Chad"}
    assert told(refreshed.id_claims) == {**told(tokens.id_claims), **country}
    again = shop.refresh_by_get_tokens(str(refreshed.refresh_token or tokens.refresh_token))
    assert told(again.id_claims) == told(tokens.id_claims)
    for later in (refreshed, again):
        claims = told(later.access_claims)
        assert claims.pop(f"{NAMESPACE}token_id") != token_id
        assert claims == of_access


def test_a_sign_in_page_gives_what_was_asked_for_and_is_allowed(world: World) -> None:
    """A bare name beside Cognito's (custom_api_scopes), nothing of another API (limit), nor what
    needs a permission (validate), and no attribute that no scope releases (oidc_scope_claims).
    """
    person = world.somebody()
    asked = ["openid", f"{ORDERS}/read:orders", f"{ORDERS}/write:orders", f"{INVOICES}/read"]

    tokens = world.apps["shop"].hosted_ui_code(person.username, person.password, scopes=asked)

    scopes = set(tokens.access_claims["scope"].split())
    assert scopes == {"openid", f"{ORDERS}/read:orders", "read:orders"}
    assert "email" not in tokens.id_claims


def test_a_parameter_of_the_sign_in_is_a_claim(world: World) -> None:
    tokens = world.signs_in(campaign="spring")

    assert tokens.id_claims[f"{NAMESPACE}campaign"] == "spring"


def test_a_machines_token_has_what_is_for_machines(world: World) -> None:
    claims = world.stack.machine.client_credentials().access_claims

    assert [name for name in claims if name.startswith(NAMESPACE)] == [f"{NAMESPACE}token_id"]
