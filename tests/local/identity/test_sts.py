"""Nobody assumes a role around the identity pool: AssumeRoleWithWebIdentity on the embedded AWS.

Our completion (``local.aws.sts``) decides about the token; about the role decides the emulator's
evaluation of its trust policy, with session tags and variables from our completion.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.local import forged_tokens as forged
from tests.local.identity_stack import (
    READ_ONE,
    TAGS,
    TOKEN_MAPPING,
    Directory,
    IdentityStack,
    Person,
    granting,
    trust,
)


@pytest.fixture(scope="module")
def classic(stack: IdentityStack) -> str:
    """An identity pool that somebody opened for the basic flow, with roles of its own."""
    pool_id = stack.add_identity_pool(TOKEN_MAPPING, tags=TAGS, AllowClassicFlow=True)
    for name in ("reader", "developer"):
        stack.add_role(f"classic-{name}", trust(pool_id, granted=name))
    return pool_id


@pytest.fixture(scope="module")
def person(stack: IdentityStack) -> Person:
    """A person to whom the rules granted ``reader``."""
    return stack.person(granting(stack.roles["reader"], claims=READ_ONE))


@pytest.fixture(scope="module")
def token(stack: IdentityStack, classic: str, person: Person) -> str:
    """The basic flow's token of that person."""
    return open_id_token(stack, classic, person)


def open_id_token(stack: IdentityStack, pool_id: str, person: Person) -> str:
    """GetId and GetOpenIdToken."""
    answer = stack.root("cognito-identity").get_open_id_token(
        IdentityId=stack.identity(person.logins, pool_id), Logins=person.logins
    )
    return str(answer["Token"])


def assume(stack: IdentityStack, role: str, token: str, **request: Any) -> dict[str, Any]:
    """AssumeRoleWithWebIdentity."""
    answer: dict[str, Any] = stack.root("sts").assume_role_with_web_identity(
        **{"RoleArn": role, "RoleSessionName": "ana", "WebIdentityToken": token} | request
    )
    return answer


def refusal(stack: IdentityStack, role: str, token: str, **request: Any) -> str:
    """Return the error code of an AssumeRoleWithWebIdentity that has to fail."""
    with pytest.raises(ClientError) as caught:
        assume(stack, role, token, **request)
    return str(caught.value.response["Error"]["Code"])


def test_the_basic_flow_opens_only_the_role_whose_tag_was_granted(
    stack: IdentityStack, token: str
) -> None:
    answer = assume(stack, stack.roles["classic-reader"], token)
    code = refusal(stack, stack.roles["classic-developer"], token)

    assert stack.role_name(answer["Credentials"]) == stack.roles["classic-reader"].split("/")[-1]
    assert code == "AccessDenied"


def test_the_answer_names_the_identity_and_the_pool(
    stack: IdentityStack, classic: str, person: Person, token: str
) -> None:
    answer = assume(stack, stack.roles["classic-reader"], token)

    assert answer["SubjectFromWebIdentityToken"] == stack.identity(person.logins, classic)
    assert answer["Audience"] == classic
    assert answer["Provider"] == "cognito-identity.amazonaws.com"


def test_a_token_without_the_granted_tag_opens_no_role_that_asks_for_it(
    stack: IdentityStack, classic: str
) -> None:
    token = open_id_token(stack, classic, stack.person(granting(stack.roles["reader"])))

    codes = [
        refusal(stack, stack.roles[name], token) for name in ("classic-reader", "classic-developer")
    ]

    assert codes == ["AccessDenied"] * 2


def test_a_token_of_one_identity_pool_opens_no_role_of_another(
    stack: IdentityStack, token: str
) -> None:
    codes = [
        refusal(stack, stack.roles[name], token)
        for name in ("none", "reader", "developer", "administrator")
    ]

    assert codes == ["AccessDenied"] * 4


@pytest.mark.parametrize("flaw", ["unknown", "of another path", "of another account", "guests'"])
def test_no_session_is_opened_for_a_role_that_is(
    stack: IdentityStack, classic: str, token: str, flaw: str
) -> None:
    role = stack.roles["classic-reader"]
    match flaw:
        case "unknown":
            role += "-2"
        case "of another path":
            role = role.replace(":role/", ":role/other/")
        case "of another account":
            role = role.replace(":000000000000:", ":111111111111:")
        case "guests'":
            role = stack.add_role("guests", trust(classic, amr="unauthenticated"))

    code = refusal(stack, role, token)

    assert code == "AccessDenied"


def test_a_role_that_does_not_allow_tags_refuses_a_tagged_token_only(
    stack: IdentityStack, classic: str, token: str
) -> None:
    role = stack.add_role("untagged", trust(classic, tag_session=False))
    plain_pool = stack.add_identity_pool(TOKEN_MAPPING, AllowClassicFlow=True)
    plain_role = stack.add_role("plain", trust(plain_pool, tag_session=False))
    plain_token = open_id_token(stack, plain_pool, stack.person())

    code = refusal(stack, role, token)

    assert code == "AccessDenied"
    assert assume(stack, plain_role, plain_token)["Credentials"]


def variants(
    stack: IdentityStack, token: str, person: Person, state: Path
) -> Iterator[tuple[str, str]]:
    """Yield tokens that open nothing: what is wrong, the token."""
    key = forged.identity_pool_key(state)
    pool_key = forged.user_pool_key(state, stack.people.pool_id)
    now = int(time.time())
    tags = {"https://aws.amazon.com/tags": {"principal_tags": {"granted": [":developer:"]}}}
    yield "signed by another key", forged.signed_by(forged.ANOTHER_KEY, token)
    yield "signed by a user pool", forged.signed_by(pool_key, token)
    yield "tag altered", forged.altered(token, **tags)
    yield "audience altered", forged.altered(token, aud=stack.identity_pool_id)
    yield "methods altered", forged.altered(token, amr=["authenticated", "administrator"])
    yield "end moved", forged.altered(token, exp=now + 9999)
    yield "without a signature", token.rpartition(".")[0] + "."
    yield "algorithm none", forged.unsigned(token, **tags)
    yield "signed with the public key", forged.signed_with_public_key(key.public_key(), token)
    yield "without an end", forged.signed_by(key, token, exp=None)
    yield "of another issuer", forged.signed_by(key, token, iss="https://accounts.google.com")
    yield "issued by a user pool", person.tokens["IdToken"]
    yield "an access token", person.tokens["AccessToken"]
    yield "not a token", "aaaa.bbbb.cccc"


def test_a_forged_or_altered_token_opens_no_role(
    stack: IdentityStack, token: str, person: Person, state: Path
) -> None:
    role = stack.roles["classic-reader"]

    codes = {
        name: refusal(stack, role, variant)
        for name, variant in variants(stack, token, person, state)
    }

    assert {name: code for name, code in codes.items() if code != "InvalidIdentityToken"} == {}
    assert len(codes) == 14


def test_a_stale_token_opens_no_role(stack: IdentityStack, token: str, state: Path) -> None:
    key = forged.identity_pool_key(state)
    now = int(time.time())

    codes = {
        refusal(stack, stack.roles["classic-reader"], forged.signed_by(key, token, exp=end))
        for end in (now - 1, now - 240, now - 9999)
    }
    fresh = assume(stack, stack.roles["classic-reader"], forged.signed_by(key, token, exp=now + 60))

    assert codes == {"ExpiredTokenException"}
    assert fresh["Credentials"]


# Tokens of a user pool, straight to STS: only where IAM has a provider for it.


@pytest.fixture(scope="module")
def provided(stack: IdentityStack) -> tuple[Directory, str, str]:
    """A user pool that IAM trusts for one client: the pool, the client, a role that trusts it."""
    people = Directory(stack.aws, stack.trigger_arn)
    client_id = people.client()
    arn = stack.root("iam").create_open_id_connect_provider(
        Url=f"https://{people.provider}", ClientIDList=[client_id], ThumbprintList=["0" * 40]
    )["OpenIDConnectProviderArn"]
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"Federated": arn},
            "Action": ["sts:AssumeRoleWithWebIdentity", "sts:TagSession"],
            "Condition": {"StringEquals": {f"{people.provider}:aud": client_id}},
        },
    }
    return people, client_id, stack.add_role("provided", policy)


def test_an_id_token_opens_a_role_that_trusts_its_user_pool(
    stack: IdentityStack, provided: tuple[Directory, str, str]
) -> None:
    people, client_id, role = provided
    person = people.sign_in(people.user(), client_id)

    answer = assume(stack, role, person.tokens["IdToken"])

    assert answer["Audience"] == client_id


def test_an_id_token_of_a_trusted_user_pool_opens_no_role_of_the_identity_pool(
    stack: IdentityStack, classic: str, provided: tuple[Directory, str, str]
) -> None:
    people, client_id, _ = provided
    person = people.sign_in(people.user(granting(claims=READ_ONE)), client_id)

    codes = [
        refusal(stack, stack.roles[name], person.tokens["IdToken"])
        for name in ("classic-reader", "none", "reader")
    ]

    assert codes == ["AccessDenied"] * 3


def test_only_the_id_token_of_the_listed_client_is_good_for_the_trusting_role(
    stack: IdentityStack, person: Person, provided: tuple[Directory, str, str]
) -> None:
    people, client_id, role = provided
    username = people.user()
    own = people.sign_in(username, client_id).tokens
    other_client = people.sign_in(username, people.client()).tokens

    codes = [
        refusal(stack, role, token)
        for token in (
            own["AccessToken"],
            own["RefreshToken"],
            other_client["IdToken"],
            person.tokens["IdToken"],
            forged.signed_by(forged.ANOTHER_KEY, own["IdToken"]),
        )
    ]

    assert codes == ["InvalidIdentityToken"] * 5


def test_the_tags_claim_of_an_id_token_counts_so_no_rule_may_write_it(
    stack: IdentityStack, provided: tuple[Directory, str, str]
) -> None:
    people, client_id, role = provided
    trusted = stack.root("iam").get_role(RoleName=role.rpartition("/")[2])["Role"]
    policy = trusted["AssumeRolePolicyDocument"]
    policy["Statement"]["Condition"]["StringLike"] = {"aws:RequestTag/granted": "*:developer:*"}
    tagged_role = stack.add_role("provided-by-tag", policy)
    claim = {"https://aws.amazon.com/tags": {"principal_tags": {"granted": [":developer:"]}}}
    with_claim = people.sign_in(people.user(granting(claims=claim)), client_id)
    without = people.sign_in(people.user(), client_id)

    answer = assume(stack, tagged_role, with_claim.tokens["IdToken"])
    code = refusal(stack, tagged_role, without.tokens["IdToken"])

    assert answer["Credentials"]
    assert code == "AccessDenied"


@pytest.mark.parametrize(
    ("request_part", "code"),
    [
        pytest.param(
            {"DurationSeconds": 3601}, "ValidationError", id="longer than the role allows"
        ),
        pytest.param({"DurationSeconds": 899}, "ValidationError", id="too short"),
        pytest.param({"RoleSessionName": "two words"}, "ValidationError", id="a name with a space"),
        pytest.param(
            {"Policy": "{}"}, "MalformedPolicyDocument", id="a session policy without statements"
        ),
    ],
)
def test_a_request_is_refusal(
    stack: IdentityStack, token: str, request_part: dict[str, Any], code: str
) -> None:
    # The client would refuse some of it itself.
    client = stack.aws.client("sts", config=Config(parameter_validation=False))
    given = {
        "RoleArn": stack.roles["classic-reader"],
        "RoleSessionName": "ana",
        "WebIdentityToken": token,
    }

    with pytest.raises(ClientError) as caught:
        client.assume_role_with_web_identity(**given | request_part)

    assert caught.value.response["Error"]["Code"] == code


def test_a_session_policy_narrows_what_the_role_may_do(
    stack: IdentityStack, classic: str, person: Person, token: str
) -> None:
    everything = {
        "Version": "2012-10-17",
        "Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"},
    }
    role = stack.add_role("wide", trust(classic, granted="reader"), everything)
    narrow = (
        '{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "s3:ListBucket",'
        ' "Resource": "*"}}'
    )
    credentials = assume(stack, role, token, Policy=narrow)["Credentials"]
    s3 = stack.aws.client("s3", credentials)

    listed = s3.list_objects_v2(Bucket=stack.bucket)
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=stack.bucket, Key="a", Body=b"")

    assert listed["Name"] == stack.bucket
    assert caught.value.response["Error"]["Code"] == "AccessDenied"
