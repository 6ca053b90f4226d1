"""Events of every trigger source and version, in the shape in which Cognito sends them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from cognito_rules.effects import Effects
from cognito_rules.login import Login
from cognito_rules.pipeline import LoginRefusedError
from cognito_rules.triggers import Kind, Trigger
from tests.made_up_chain import GUARD, Decide, allow, refuse
from tests.unit.core.login_subject import Subject

RECORDED = {path.stem: path for path in sorted(Path("events/cognito").glob("*.json"))}

# Source -> what it is about, and the versions of the event that Cognito has.
PERSON, ALL = Kind.TOKEN, ("1", "2", "3")
EXPECTED: dict[str, tuple[Kind, tuple[str, ...]]] = {
    "PreSignUp_SignUp": (Kind.SIGN_UP, ("1",)),
    "PreSignUp_AdminCreateUser": (Kind.SIGN_UP, ("1",)),
    "PreSignUp_ExternalProvider": (Kind.SIGN_UP, ("1",)),
    "PostAuthentication_Authentication": (Kind.AUTHENTICATED, ("1",)),
    "PostConfirmation_ConfirmSignUp": (Kind.SIGNED_UP, ("1",)),
    "PostConfirmation_ConfirmForgotPassword": (Kind.PASSWORD_RESET, ("1",)),
    "TokenGeneration_HostedAuth": (PERSON, ALL),
    "TokenGeneration_Authentication": (PERSON, ALL),
    "TokenGeneration_NewPasswordChallenge": (PERSON, ALL),
    "TokenGeneration_AuthenticateDevice": (PERSON, ALL),
    "TokenGeneration_RefreshTokens": (Kind.REFRESH, ALL),
    "TokenGeneration_ClientCredentials": (Kind.MACHINE, ("3",)),
}
# The first sign-in of somebody from an identity provider comes as a confirmation.
FEDERATED = "PostConfirmation_ConfirmSignUp_Federated"
DECIDING = {Kind.SIGN_UP, Kind.AUTHENTICATED, Kind.TOKEN, Kind.REFRESH, Kind.MACHINE}
TOKEN_RULE: dict[str, Any] = {
    "stage": "token",
    "writes": ["id_token.claims", "access_token.claims", "access_token.scopes"],
    "runs_on_refresh": True,
    "runs_on_client_credentials": True,
}
NAME = "https://example.com/tenant"


def guard(subject: Subject, decide: Decide) -> None:
    """Put guards into the chain that are asked wherever one can be."""
    subject.rule("guard", decide, runs_on_refresh=True, runs_on_sign_up=True, **GUARD)
    machines: dict[str, Any] = {"stage": "token", "runs_on_client_credentials": True}
    subject.rule("machines", decide, **machines, **GUARD)


def event_of(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads(RECORDED[name].read_text())
    return event


def kind_of(name: str) -> Kind:
    return Kind.AUTHENTICATED if name == FEDERATED else EXPECTED[event_of(name)["triggerSource"]][0]


def named(kinds: set[Kind], *, version: str | None = None) -> list[str]:
    """Return the names of recorded events of these kinds, and of a version."""
    return [
        name
        for name in RECORDED
        if kind_of(name) in kinds and version in (None, event_of(name)["version"])
    ]


def test_every_source_is_recorded_in_every_version_that_it_has() -> None:
    found: dict[str, set[str]] = {}
    for name in RECORDED:
        event = event_of(name)
        found.setdefault(event["triggerSource"], set()).add(event["version"])

    assert found == {source: set(versions) for source, (_, versions) in EXPECTED.items()}


@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_event_is_taken_for_what_it_is(name: str) -> None:
    trigger = Trigger.parse(event_of(name))

    assert trigger.kind is kind_of(name)
    source = trigger.source
    suffix = f"_V{trigger.version}" if source.startswith("TokenGeneration") else ""
    assert name in (FEDERATED, f"{source}{suffix}")


@pytest.mark.parametrize("name", named(DECIDING))
def test_a_guard_can_refuse_it(subject: Subject, name: str) -> None:
    guard(subject, refuse)

    with pytest.raises(LoginRefusedError, match=r"^access_denied: No\.$"):
        subject.handle(event_of(name))


@pytest.mark.parametrize("name", named(set(Kind) - DECIDING))
def test_what_is_no_login_and_no_token_no_guard_is_asked_about(subject: Subject, name: str) -> None:
    guard(subject, refuse)
    event = event_of(name)

    assert subject.handle(event) == event["response"]
    assert subject.ran == []


@pytest.mark.parametrize("name", RECORDED)
def test_cognito_gets_its_own_event_back_with_what_we_do_not_know(
    subject: Subject, name: str
) -> None:
    """It may add fields at any time, and insists on the whole."""
    event = event_of(name)
    event["addedLater"] = {"by": "Cognito"}
    event["request"]["addedLater"] = ["too"]
    event["callerContext"]["addedLater"] = True
    before = copy.deepcopy(event)
    guard(subject, allow)

    answer = subject.function.handle(event)

    assert {k: v for k, v in answer.items() if k != "response"} == {
        k: v for k, v in before.items() if k != "response"
    }


def tenant_and_scope(login: Login, effects: Effects) -> None:
    effects.set_claim("id", NAME, "acme")
    effects.set_claim("access", NAME, "acme")
    effects.add_scope("orders/write")


@pytest.mark.parametrize("version", ["2", "3"])
@pytest.mark.parametrize("source", [s for s, (_, versions) in EXPECTED.items() if versions == ALL])
def test_claims_and_scopes_go_into_both_tokens(subject: Subject, source: str, version: str) -> None:
    subject.rule("tenant", tenant_and_scope, **TOKEN_RULE)

    answer = subject.handle(event_of(f"{source}_V{version}"))

    details = answer["claimsAndScopeOverrideDetails"]
    assert details["idTokenGeneration"]["claimsToAddOrOverride"] == {NAME: "acme"}
    assert details["accessTokenGeneration"]["claimsToAddOrOverride"] == {NAME: "acme"}
    assert details["accessTokenGeneration"]["scopesToAdd"] == ["orders/write"]
    assert "claimsOverrideDetails" not in answer


def test_a_machine_gets_claims_and_scopes_into_its_one_token(subject: Subject) -> None:
    subject.rule("tenant", tenant_and_scope, **TOKEN_RULE)

    answer = subject.handle(event_of("TokenGeneration_ClientCredentials_V3"))

    generation = answer["claimsAndScopeOverrideDetails"]["accessTokenGeneration"]
    assert generation["claimsToAddOrOverride"] == {NAME: "acme"}
    assert generation["scopesToAdd"] == ["orders/write"]


@pytest.mark.parametrize("name", named({Kind.TOKEN, Kind.REFRESH}, version="1"))
def test_a_v1_event_takes_claims_of_the_id_token_only(subject: Subject, name: str) -> None:
    subject.rule("tenant", tenant_and_scope, **TOKEN_RULE)

    answer = subject.handle(event_of(name))

    assert answer["claimsOverrideDetails"]["claimsToAddOrOverride"] == {NAME: "acme"}
    assert "claimsAndScopeOverrideDetails" not in answer
