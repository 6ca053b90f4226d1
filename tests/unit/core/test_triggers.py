"""Trigger events: what they are about, and what they tell of a login."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cognito_rules.chain import Application, When
from cognito_rules.errors import TriggerEventError
from cognito_rules.fields import FIELDS, Facts
from cognito_rules.triggers import Kind, Trigger
from tests.cognito_events import (
    CLIENT,
    FEDERATED,
    POOL,
    SUB,
    attributes,
    client_credentials,
    post_authentication,
    post_confirmation,
    pre_token,
)


def facts_of(event: Any, application: Application | None = None) -> Facts:
    return Trigger.parse(event).facts(application)


def identity(**changes: Any) -> dict[str, Any]:
    return {"userId": "4711", "providerName": "Acme", "providerType": "OIDC"} | changes


# What is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(None, id="nothing"),
        pytest.param("{}", id="a text"),
        pytest.param([], id="a list"),
        pytest.param({}, id="an empty object"),
        pytest.param({**pre_token(), "triggerSource": None}, id="no source"),
        pytest.param({**pre_token(), "triggerSource": ["x"]}, id="a list as source"),
        pytest.param({**pre_token(), "triggerSource": "CustomMessage_SignUp"}, id="a message"),
        pytest.param({**pre_token(), "triggerSource": "PreSignUp_Twice"}, id="no sign-up"),
        pytest.param({**pre_token(), "triggerSource": "TokenGeneration"}, id="half a source"),
        pytest.param({**pre_token(), "triggerSource": ""}, id="an empty source"),
        pytest.param(
            {**post_authentication(), "triggerSource": "PostAuthentication_New"},
            id="an authentication that nobody knows yet",
        ),
        pytest.param(
            {**post_confirmation(), "triggerSource": "PostConfirmation_New"},
            id="a confirmation that nobody knows yet",
        ),
        pytest.param({**pre_token(), "callerContext": None}, id="no caller"),
        pytest.param({**pre_token(), "callerContext": {}}, id="no client"),
        pytest.param({**pre_token(), "callerContext": {"clientId": ""}}, id="an empty client"),
        pytest.param({**pre_token(), "callerContext": {"clientId": 7}}, id="a number as client"),
        pytest.param({**pre_token(), "userPoolId": None}, id="no pool"),
        pytest.param({**pre_token(), "userPoolId": ["x"]}, id="a list as pool"),
        pytest.param({**pre_token(), "request": None}, id="no request"),
        pytest.param({**pre_token(), "request": []}, id="a list as request"),
        pytest.param({**pre_token(), "response": None}, id="no response"),
        pytest.param({**pre_token(user={"email": "x"}), "userName": ""}, id="nobody"),
        pytest.param({**pre_token(user={"email": "x"}), "userName": None}, id="no user"),
        pytest.param(pre_token(user={"sub": 7}), id="a number as user"),  # type: ignore[dict-item]
        pytest.param(
            {**pre_token(), "request": {"userAttributes": ["sub"]}}, id="a list of attributes"
        ),
        pytest.param({**pre_token(), "request": {"userAttributes": "sub"}}, id="a text of them"),
    ],
)
def test_a_malformed_event_is_refused(event: Any) -> None:
    with pytest.raises(TriggerEventError):
        Trigger.parse(event)


def test_a_refusal_names_no_person() -> None:
    with pytest.raises(TriggerEventError) as refused:
        Trigger.parse({**pre_token(user={"email": "jane@example.com"}), "userName": 7})

    assert str(refused.value) == "the event has no userName"


# What an event is about -----------------------------------------------------------------------

SOURCES = [
    ("TokenGeneration_Authentication", Kind.TOKEN),
    ("TokenGeneration_HostedAuth", Kind.TOKEN),
    ("TokenGeneration_NewPasswordChallenge", Kind.TOKEN),
    ("TokenGeneration_AuthenticateDevice", Kind.TOKEN),
    ("TokenGeneration_TokenExchange", Kind.TOKEN),
    ("TokenGeneration_RefreshTokens", Kind.REFRESH),
]


@pytest.mark.parametrize(("source", "kind"), SOURCES, ids=[source for source, _ in SOURCES])
def test_every_token_source_is_a_persons_unless_it_is_known_not_to_be(
    source: str, kind: Kind
) -> None:
    trigger = Trigger.parse(pre_token(source))

    assert trigger.kind is kind
    assert trigger.is_token_stage
    assert trigger.user_id == SUB


@pytest.mark.parametrize(
    ("event", "kind", "token_stage"),
    [
        pytest.param(post_authentication(), Kind.AUTHENTICATED, False, id="authentication"),
        pytest.param(post_confirmation(), Kind.SIGNED_UP, False, id="a local confirmation"),
        pytest.param(
            post_confirmation(user=attributes(**FEDERATED)),
            Kind.AUTHENTICATED,
            False,
            id="a first federated sign-in",
        ),
        pytest.param(
            post_confirmation(user={"sub": SUB, "identities": FEDERATED["identities"]}),
            Kind.AUTHENTICATED,
            False,
            id="one without a status",
        ),
        pytest.param(
            post_confirmation(user=attributes(identities=FEDERATED["identities"])),
            Kind.SIGNED_UP,
            False,
            id="a local account with a linked identity",
        ),
        pytest.param(
            post_confirmation("PostConfirmation_ConfirmForgotPassword"),
            Kind.PASSWORD_RESET,
            False,
            id="a forgotten password",
        ),
        pytest.param(client_credentials(), Kind.MACHINE, True, id="a machine"),
    ],
)
def test_an_event_is_about(event: Any, kind: Kind, token_stage: bool) -> None:
    trigger = Trigger.parse(event)

    assert trigger.kind is kind
    assert trigger.is_token_stage is token_stage


def test_new_fields_are_ignored() -> None:
    event = {**pre_token(), "newField": {"x": 1}}
    event["request"]["anotherNewField"] = [1]

    assert Trigger.parse(event).kind is Kind.TOKEN


def test_who_logs_in_where() -> None:
    trigger = Trigger.parse(pre_token())

    assert (trigger.pool_id, trigger.client_id) == (POOL, CLIENT)
    assert (trigger.user_id, trigger.username) == (SUB, "jane")


def test_a_user_without_sub_is_known_by_name() -> None:
    assert Trigger.parse(pre_token(user={"email": "x"})).user_id == "jane"


def test_a_machine_is_nobody() -> None:
    trigger = Trigger.parse(client_credentials())

    assert trigger.user_id == ""
    assert "user" not in trigger.facts(None)
    assert "connection" not in trigger.facts(None)


@pytest.mark.parametrize(
    ("version", "shape"), [("1", "V1_0"), ("2", "V3_0"), ("3", "V3_0"), ("4", "V3_0")]
)
def test_the_event_says_in_which_shape_it_is_answered(version: str, shape: str) -> None:
    assert Trigger.parse(pre_token(version=version)).token_version == shape


# What it tells --------------------------------------------------------------------------------


def test_every_fact_is_a_field_of_a_login() -> None:
    events = [
        pre_token(metadata={"a": "b"}, roles=["r"]),
        post_authentication(user=attributes(**FEDERATED)),
        client_credentials(),
    ]

    for event in events:
        for section, fields in facts_of(event, Application(CLIENT, "app")).items():
            assert set(fields) <= set(FIELDS[section])


def test_attributes_become_fields() -> None:
    user = facts_of(
        post_authentication(
            user=attributes(
                phone_number="+390612345678",
                phone_number_verified="false",
                given_name="Jane",
                family_name="Doe",
                nickname="jd",
                picture="https://x/p.png",
                name="Žofie \U0001f600",
                **{"custom:tenant": "acme"},
            )
        )
    )["user"]

    assert user["user_id"] == SUB
    assert user["name"] == "Žofie \U0001f600"
    assert user["phone_number"] == "+390612345678"
    assert user["attributes"]["custom:tenant"] == "acme"
    assert (user["email_verified"], user["phone_number_verified"]) == (True, False)


@pytest.mark.parametrize(
    ("sent", "verified"),
    [
        ("true", True),
        ("TRUE", True),
        ("false", False),
        ("False", False),
        ("", False),
        ("1", False),
        ("yes", False),
        (True, True),
        (False, False),
        (None, False),
    ],
)
def test_a_mail_address_is_verified_by_the_text_true_alone(sent: Any, verified: bool) -> None:
    user = facts_of(post_authentication(user=attributes(email_verified=sent)))["user"]

    assert user["email_verified"] is verified


def test_what_cognito_does_not_say_stays_unknown() -> None:
    facts = facts_of(post_authentication(user={"sub": SUB, "email": ""}))

    assert set(facts["user"]) == {"user_id", "username", "attributes", "identities"}
    assert set(facts) == {"client", "transaction", "user", "connection"}
    assert set(facts["transaction"]) == {"user_pool_id", "trigger"}


def test_only_the_token_stage_knows_groups_roles_and_scopes() -> None:
    facts = facts_of(pre_token(groups=["staff"], roles=["r"], scopes=["openid", "a/b"]))

    assert facts["user"]["groups"] == ["staff"]
    assert facts["aws"] == {"roles": ["r"]}
    assert facts["transaction"]["requested_scopes"] == ["openid", "a/b"]
    assert facts["transaction"]["scopes"] == ["openid", "a/b"]


@pytest.mark.parametrize(
    ("configuration", "groups"),
    [
        pytest.param({"groupsToOverride": None}, [], id="null groups are none"),
        pytest.param({}, [], id="an empty configuration tells of none"),
        pytest.param(None, None, id="no configuration tells nothing"),
        pytest.param("x", None, id="nor does junk"),
    ],
)
def test_groups_are_known_to_be_none_or_unknown(configuration: Any, groups: Any) -> None:
    event = pre_token()
    event["request"]["groupConfiguration"] = configuration

    assert facts_of(event)["user"].get("groups") == groups


def test_the_preferred_role_is_told_when_there_is_one() -> None:
    event = pre_token(roles=["a", "b"])
    event["request"]["groupConfiguration"]["preferredRole"] = "b"

    assert facts_of(event)["aws"] == {"roles": ["a", "b"], "preferred": "b"}


@pytest.mark.parametrize(
    ("event", "protocol"),
    [
        (pre_token("TokenGeneration_HostedAuth"), "oauth2"),
        (pre_token("TokenGeneration_RefreshTokens"), "oauth2-refresh-token"),
        (client_credentials(), "client_credentials"),
        (pre_token(), None),
        (post_authentication(), None),
    ],
)
def test_the_protocol_is_told_where_the_source_tells_it(event: Any, protocol: str | None) -> None:
    assert facts_of(event)["transaction"].get("protocol") == protocol


def test_client_metadata_is_unknown_or_what_was_sent() -> None:
    assert "request" not in facts_of(pre_token())
    assert facts_of(pre_token(metadata={}))["request"] == {"client_metadata": {}}
    assert facts_of(pre_token(metadata={"a": "b"}))["request"] == {"client_metadata": {"a": "b"}}


def test_client_metadata_never_becomes_an_address_or_a_method() -> None:
    metadata = {"ip": "10.0.0.1", "user_agent": "x", "methods": "mfa", "groups": "admin"}

    facts = facts_of(pre_token(metadata=metadata))

    assert set(facts["request"]) == {"client_metadata"}
    assert "authentication" not in facts
    assert facts["user"]["groups"] == []


def test_attributes_of_a_user_never_become_groups_or_metadata() -> None:
    written = {"groups": "admin", "custom:groups": "admin", "app_metadata": "x", "user_id": "x"}

    user = facts_of(post_authentication(user=attributes(**written)))["user"]

    assert user["user_id"] == SUB
    assert not {"groups", "app_metadata", "user_metadata"} & set(user)


def test_a_registered_application_has_a_name_and_metadata() -> None:
    application = Application(CLIENT, "payroll", {"tier": "gold"})

    client = facts_of(pre_token(), application)["client"]

    assert client == {"client_id": CLIENT, "name": "payroll", "metadata": {"tier": "gold"}}
    assert facts_of(pre_token())["client"] == {"client_id": CLIENT}


# Identities -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "junk",
    [
        pytest.param("{", id="no JSON"),
        pytest.param("7", id="a number"),
        pytest.param("null", id="null"),
        pytest.param('"x"', id="a text"),
        pytest.param('{"userId":"1"}', id="an object"),
        pytest.param('[7,null,"x",[]]', id="a list of anything"),
        pytest.param("", id="nothing"),
        pytest.param([identity()], id="a list that is no text"),
        pytest.param(7, id="a number that is no text"),
        pytest.param("[" * 200_000, id="endless nesting"),
    ],
)
def test_identities_that_cannot_be_read_are_none(junk: Any) -> None:
    local = facts_of(post_authentication(user=attributes(identities=junk)))
    federated = facts_of(post_authentication(user=attributes(**(FEDERATED | {"identities": junk}))))

    assert [found["connection"] for found in local["user"]["identities"]] == ["COGNITO"]
    assert local["connection"] == {"name": "COGNITO", "strategy": "cognito"}
    assert federated["user"]["identities"] == []
    assert "connection" not in federated


def test_a_federated_person_comes_by_the_provider() -> None:
    facts = facts_of(post_authentication(user=attributes(**FEDERATED)))

    assert facts["connection"] == {"name": "Acme", "strategy": "oidc"}
    assert facts["user"]["identities"] == [
        {"provider": "OIDC", "connection": "Acme", "user_id": "4711", "is_social": False}
    ]


@pytest.mark.parametrize(
    ("provider", "social"),
    [
        ("Google", True),
        ("Facebook", True),
        ("SignInWithApple", True),
        ("LoginWithAmazon", True),
        ("SAML", False),
        ("OIDC", False),
        ("google", False),
    ],
)
def test_social_providers_are_known_by_their_type(provider: str, social: bool) -> None:
    linked = json.dumps([identity(providerType=provider, providerName="Google")])

    [found] = facts_of(
        post_authentication(user=attributes(**(FEDERATED | {"identities": linked})))
    )["user"]["identities"]

    assert found["is_social"] is social


def test_a_person_with_linked_identities_matches_by_any_of_them() -> None:
    linked = json.dumps([identity(), identity(providerName="Google", providerType="Google")])
    facts = facts_of(post_authentication(user=attributes(identities=linked)))

    names = [found["connection"] for found in facts["user"]["identities"]]
    assert names == ["COGNITO", "Acme", "Google"]
    assert "connection" not in facts  # Cognito does not say which one was used
    for name in names:
        assert When(None, (name,)).matches(facts)
    assert not When(None, ("Other",)).matches(facts)
