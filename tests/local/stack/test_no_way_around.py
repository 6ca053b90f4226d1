"""One test for each flow of Cognito: the chain decided, or no token came out.

Flows: AWS, "Authentication flows", "Customizing user pool workflows with Lambda triggers".
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cli.user_pool import UserPool
from local.oidc_provider import OidcProvider
from local.server import ACCOUNT_ID, REGION, EmbeddedAws
from local.sign_in import App, SignInRefused, Tokens
from local.stack import Person, Stack
from tests.local.user_pool import create_function, let_cognito_call

CLAIM = "https://example.com/chain"
FLAGGED = "access_denied: Access denied."
NO_MEMBER = "access_denied: You do not have access to this application."

CHALLENGE = """
def handler(event, context):
    response, source = event["response"], event["triggerSource"]
    if source.startswith("DefineAuthChallenge"):
        answered = [c for c in event["request"]["session"] if c["challengeResult"]]
        response["issueTokens"] = bool(answered)
        response["failAuthentication"] = False
        if not answered:
            response["challengeName"] = "CUSTOM_CHALLENGE"
    elif source.startswith("CreateAuthChallenge"):
        response["publicChallengeParameters"] = {}
        response["privateChallengeParameters"] = {"answer": "42"}
    else:
        expected = event["request"]["privateChallengeParameters"]["answer"]
        response["answerCorrect"] = event["request"]["challengeAnswer"] == expected
    return event
"""

SignIn = Callable[[App, Person], Tokens]

FLOWS: dict[str, SignIn] = {
    "USER_PASSWORD_AUTH": lambda app, who: app.password(who.username, who.password),
    "USER_SRP_AUTH": lambda app, who: app.srp(who.username, who.password),
    "ADMIN_USER_PASSWORD_AUTH": lambda app, who: app.admin(who.username, who.password),
    "USER_AUTH with a password": lambda app, who: app.user_auth(who.username, who.password),
    "USER_AUTH with SRP": lambda app, who: app.user_auth(
        who.username, who.password, preferred="PASSWORD_SRP"
    ),
    "USER_AUTH with a choice": lambda app, who: app.user_auth(
        who.username, who.password, preferred=None, select="PASSWORD"
    ),
    "USER_AUTH by a server": lambda app, who: app.user_auth(who.username, who.password, admin=True),
    "CUSTOM_AUTH": lambda app, who: app.custom_auth(who.username, ["42"]),
    "the sign-in page": lambda app, who: app.hosted_ui_code(who.username, who.password),
}
TEMPORARY: dict[str, SignIn] = {
    "by password": lambda app, who: app.password(
        who.username, who.password, new_password="Bb2-new-password"
    ),
    "by SRP": lambda app, who: app.srp(who.username, who.password, new_password="Bb2-new-password"),
    "by a server": lambda app, who: app.admin(
        who.username, who.password, new_password="Bb2-new-password"
    ),
    "on the sign-in page": lambda app, who: app.hosted_ui_code(
        who.username, who.password, new_password="Bb2-new-password"
    ),
}
REFRESHES: dict[str, Callable[[App, str], Tokens]] = {
    "InitiateAuth": lambda app, token: app.refresh_by_initiate_auth(token),
    "GetTokensFromRefreshToken": lambda app, token: app.refresh_by_get_tokens(token),
    "the token endpoint": lambda app, token: app.refresh_by_token_endpoint(token),
}


@pytest.fixture(scope="module", autouse=True)
def custom_challenge(aws: EmbeddedAws, stack: Stack) -> None:
    """Give the pool the triggers of CUSTOM_AUTH, beside those of the stack."""
    arn = create_function(aws, CHALLENGE)
    let_cognito_call(
        aws, arn, f"arn:aws:cognito-idp:{REGION}:{ACCOUNT_ID}:userpool/{stack.pool_id}"
    )
    cognito = aws.client("cognito-idp")
    pool = UserPool.read(cognito, stack.pool_id)
    triggers = ("DefineAuthChallenge", "CreateAuthChallenge", "VerifyAuthChallengeResponse")
    wired = {**pool.triggers, **dict.fromkeys(triggers, arn)}
    cognito.update_user_pool(**pool.changed(wired, pool.tags).request())


def decided(tokens: Tokens) -> bool:
    return tokens.id_claims.get(CLAIM) == tokens.access_claims.get(CLAIM) == "decided"


@pytest.mark.parametrize("sign_in", FLOWS.values(), ids=FLOWS)
def test_tokens_carry_what_the_chain_decided(
    app: App, new_person: Callable[..., Person], sign_in: SignIn
) -> None:
    assert decided(sign_in(app, new_person(groups=["staff"])))


@pytest.mark.parametrize("sign_in", FLOWS.values(), ids=FLOWS)
@pytest.mark.parametrize(
    ("who", "text"),
    [
        pytest.param({"groups": ["staff"], "app_metadata": {"deleted": True}}, FLAGGED, id="early"),
        pytest.param({"groups": ["others"]}, NO_MEMBER, id="token stage"),
    ],
)
def test_a_refused_person_gets_no_token(
    app: App, new_person: Callable[..., Person], sign_in: SignIn, who: dict[str, object], text: str
) -> None:
    with pytest.raises(SignInRefused) as refusal:
        sign_in(app, new_person(**who))

    assert text in refusal.value.message


@pytest.mark.parametrize("sign_in", FLOWS.values(), ids=FLOWS)
def test_without_post_authentication_the_token_stage_decides(
    app: App,
    new_person: Callable[..., Person],
    configure: Callable[..., object],
    sign_in: SignIn,
) -> None:
    configure(post_authentication_fires=False)
    person = new_person(groups=["staff"])
    flagged = new_person(groups=["staff"], app_metadata={"deleted": True})

    assert decided(sign_in(app, person))
    with pytest.raises(SignInRefused, match=FLAGGED):
        sign_in(app, flagged)


@pytest.mark.parametrize("sign_in", TEMPORARY.values(), ids=TEMPORARY)
def test_a_replaced_temporary_password(
    app: App, new_person: Callable[..., Person], sign_in: SignIn
) -> None:
    assert decided(sign_in(app, new_person(groups=["staff"], temporary=True)))
    with pytest.raises(SignInRefused, match=NO_MEMBER):
        sign_in(app, new_person(temporary=True))


@pytest.mark.parametrize("refresh", REFRESHES.values(), ids=REFRESHES)
def test_a_refresh_is_decided_again(
    stack: Stack,
    app: App,
    new_person: Callable[..., Person],
    refresh: Callable[[App, str], Tokens],
) -> None:
    person = new_person(groups=["staff"])
    token = str(app.srp(person.username, person.password).refresh_token)

    assert decided(refresh(app, token))
    stack.remove_from_group(person.username, "staff")
    with pytest.raises(SignInRefused):
        refresh(app, token)


@pytest.mark.parametrize("refresh", REFRESHES.values(), ids=REFRESHES)
def test_a_flagged_persons_refresh_is_refused(
    stack: Stack,
    app: App,
    new_person: Callable[..., Person],
    refresh: Callable[[App, str], Tokens],
) -> None:
    person = new_person(groups=["staff"])
    token = str(app.srp(person.username, person.password).refresh_token)
    stack.set_app_metadata(person.user_id, {"deleted": True})

    with pytest.raises(SignInRefused):
        refresh(app, token)


def test_a_first_federated_sign_in_is_decided_and_so_is_the_next(
    stack: Stack, app: App, oidc: OidcProvider
) -> None:
    oidc.set_person("first", {"email": "first@partner.example"})

    with pytest.raises(SignInRefused, match=NO_MEMBER):
        app.federated("Partner", "first")
    stack.add_to_group("Partner_first", "staff")

    assert decided(app.federated("Partner", "first"))


def test_a_federated_person_who_is_flagged_is_refused(
    stack: Stack, app: App, oidc: OidcProvider
) -> None:
    oidc.set_person("flagged", {"email": "flagged@partner.example"})
    with pytest.raises(SignInRefused):
        app.federated("Partner", "flagged")
    stack.add_to_group("Partner_flagged", "staff")
    tokens = app.federated("Partner", "flagged")

    stack.set_app_metadata(tokens.id_claims["sub"], {"deleted": True})

    with pytest.raises(SignInRefused, match=FLAGGED):
        app.federated("Partner", "flagged")


def test_a_machine_gets_what_the_chain_decided(stack: Stack) -> None:
    tokens = stack.machine.client_credentials(scopes=["example-api/read"])

    assert tokens.access_claims[CLAIM] == "decided"
