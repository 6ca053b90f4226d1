"""Identity pools believe no token that the user pool did not issue for this, on the embedded AWS.

Our completion (``local.aws.login_tokens``) decides, by the key that the emulator's user pool really
signs with; whose identity it is decides the emulator.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.local import forged_tokens as forged
from tests.local.identity_stack import (
    READ_ONE,
    Directory,
    IdentityStack,
    Person,
    granting,
    refused_with,
)


def variants(stack: IdentityStack, reader: Person, state: Path) -> Iterator[tuple[str, str]]:
    """Yield the tokens that nobody may use: what is wrong, the token."""
    token = reader.tokens["IdToken"]
    key = forged.user_pool_key(state, stack.people.pool_id)
    access_key = forged.user_pool_key(state, stack.people.pool_id, "access")
    roles = [stack.roles["administrator"]]
    now = int(time.time())
    yield "signed by another key", forged.signed_by(forged.ANOTHER_KEY, token)
    yield (
        "signed by the identity pools' key",
        forged.signed_by(forged.identity_pool_key(state), token),
    )
    yield "signed by the key of access tokens", forged.signed_by(access_key, token)
    yield "roles altered", forged.altered(token, **{"cognito:roles": roles})
    yield "end moved", forged.altered(token, exp=now + 9999)
    yield "nothing altered, no signature", token.rpartition(".")[0] + "."
    yield "algorithm none", forged.unsigned(token, **{"cognito:roles": roles})
    yield "signed with the public key", forged.signed_with_public_key(key.public_key(), token)
    yield "over since a second", forged.signed_by(key, token, exp=now - 1)
    yield "over since four minutes", forged.signed_by(key, token, exp=now - 240)
    yield "without an end", forged.signed_by(key, token, exp=None)
    yield "with an end that is no number", forged.signed_by(key, token, exp=str(now + 600))
    yield "without an audience", forged.signed_by(key, token, aud=None)
    yield "with a list of audiences", forged.signed_by(key, token, aud=[stack.client_id])
    yield "of another issuer", forged.signed_by(key, token, iss="https://example.com")
    yield "not said to be an ID token", forged.signed_by(key, token, token_use="access")
    yield "an access token", reader.tokens["AccessToken"]
    yield (
        "an access token with an audience",
        forged.signed_by(access_key, reader.tokens["AccessToken"], aud=stack.client_id),
    )
    yield "a refresh token", reader.tokens["RefreshToken"]
    yield "not a token", "aaaa.bbbb.cccc"
    yield "only a word", "token"


def test_a_token_that_the_user_pool_did_not_issue_for_this_is_refused(
    stack: IdentityStack, reader: Person, state: Path
) -> None:
    identity_id = stack.identity(reader.logins)
    client = stack.root("cognito-identity")
    let_in = []

    for name, token in variants(stack, reader, state):
        logins = {reader.provider: token}
        codes = {
            refused_with(client.get_id, IdentityPoolId=stack.identity_pool_id, Logins=logins),
            refused_with(
                client.get_credentials_for_identity, IdentityId=identity_id, Logins=logins
            ),
        }
        if codes != {"NotAuthorizedException"}:
            let_in.append((name, codes))

    assert let_in == []


def test_the_same_token_with_its_own_signature_is_accepted(
    stack: IdentityStack, reader: Person, state: Path
) -> None:
    # Without this, the list above could be refused for a reason of its own.
    key = forged.user_pool_key(state, stack.people.pool_id)
    token = forged.signed_by(key, reader.tokens["IdToken"], exp=int(time.time()) + 60)

    identity_id = stack.identity({reader.provider: token})

    assert identity_id == stack.identity(reader.logins)


def test_a_client_that_the_identity_pool_does_not_list_gets_nothing(stack: IdentityStack) -> None:
    answer = granting(stack.roles["administrator"], claims={"aws_tag_granted": ":administrator:"})
    person = stack.person(answer, stack.foreign_client_id)

    code = refused_with(stack.identity, person.logins)

    assert code == "NotAuthorizedException"


def test_another_user_pool_gets_nothing_under_any_name(stack: IdentityStack) -> None:
    other = Directory(stack.aws, stack.trigger_arn)
    answer = granting(stack.roles["administrator"], claims={"aws_tag_granted": ":administrator:"})
    person = other.sign_in(other.user(answer), other.client())
    token = person.tokens["IdToken"]

    codes = [
        refused_with(stack.identity, {name: token})
        for name in (other.provider, stack.people.provider, "cognito-identity.amazonaws.com")
    ]

    assert codes == ["NotAuthorizedException"] * 3


@pytest.mark.parametrize("event", ["globally signed out", "disabled", "deleted", "token revoked"])
def test_a_person_gets_nothing_any_more_once(stack: IdentityStack, event: str) -> None:
    cognito = stack.root("cognito-idp")
    person = stack.person(granting(stack.roles["reader"], claims=READ_ONE))
    identity_id = stack.identity(person.logins)
    who = {"UserPoolId": stack.people.pool_id, "Username": person.username}

    match event:
        case "globally signed out":
            cognito.global_sign_out(AccessToken=person.tokens["AccessToken"])
        case "disabled":
            cognito.admin_disable_user(**who)
        case "deleted":
            cognito.admin_delete_user(**who)
        case "token revoked":
            cognito.revoke_token(Token=person.tokens["RefreshToken"], ClientId=stack.client_id)
    codes = [
        refused_with(stack.identity, person.logins),
        refused_with(
            stack.root("cognito-identity").get_credentials_for_identity,
            IdentityId=identity_id,
            Logins=person.logins,
        ),
    ]

    assert codes == ["NotAuthorizedException"] * 2


def test_a_person_who_signs_in_again_after_a_global_sign_out_is_served(
    stack: IdentityStack,
) -> None:
    person = stack.person(granting(stack.roles["reader"], claims=READ_ONE))
    stack.root("cognito-idp").admin_user_global_sign_out(
        UserPoolId=stack.people.pool_id, Username=person.username
    )

    again = stack.people.sign_in(person.username, stack.client_id)

    assert stack.role_name(stack.credentials(again))


def test_a_guest_gets_nothing(stack: IdentityStack) -> None:
    client = stack.root("cognito-identity")

    code = refused_with(client.get_id, IdentityPoolId=stack.identity_pool_id)

    assert code == "NotAuthorizedException"


def test_an_identity_is_not_served_without_its_login_or_with_that_of_another_person(
    stack: IdentityStack, reader: Person
) -> None:
    client = stack.root("cognito-identity")
    identity_id = stack.identity(reader.logins)
    other = stack.person(granting(stack.roles["reader"], claims=READ_ONE))
    call = client.get_credentials_for_identity

    codes = [
        refused_with(call, IdentityId=identity_id),
        refused_with(call, IdentityId=identity_id, Logins=other.logins),
        refused_with(call, IdentityId=f"{identity_id[:-4]}0000", Logins=reader.logins),
    ]

    assert codes == [
        "NotAuthorizedException",
        "NotAuthorizedException",
        "ResourceNotFoundException",
    ]
    assert stack.identity(other.logins) != identity_id


# The basic flow: our completion decides.


def test_the_basic_flow_is_refused_where_it_is_not_allowed(
    stack: IdentityStack, reader: Person
) -> None:
    client = stack.root("cognito-identity")
    identity_id = stack.identity(reader.logins)

    with pytest.raises(ClientError, match=r"Basic \(classic\) flow is not enabled") as caught:
        client.get_open_id_token(IdentityId=identity_id, Logins=reader.logins)

    assert caught.value.response["Error"]["Code"] == "InvalidParameterException"


def test_leaving_the_basic_flow_out_of_the_pool_allows_it(
    stack: IdentityStack, reader: Person
) -> None:
    # Reported for AWS: only an explicit false forbids it, so the template has to say false.
    client = stack.root("cognito-identity")
    pool_id = client.create_identity_pool(
        IdentityPoolName="no-word-about-it",
        AllowUnauthenticatedIdentities=False,
        CognitoIdentityProviders=[
            {"ProviderName": stack.people.provider, "ClientId": stack.client_id}
        ],
    )["IdentityPoolId"]
    identity_id = stack.identity(reader.logins, pool_id)

    answer = client.get_open_id_token(IdentityId=identity_id, Logins=reader.logins)

    assert forged.claims_of(answer["Token"])["aud"] == pool_id
