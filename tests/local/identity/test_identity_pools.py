"""Nobody gets an AWS role that no rule granted: how an identity pool chooses.

Who decides is said beside each group of tests: the emulator (ministack as it is), our completion of
it (``local.aws``), or the role-selection model (``local.aws.roles``), which the completion calls.
"""

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.local import forged_tokens as forged
from tests.local.identity_stack import (
    READ_ONE,
    TAGS,
    TOKEN_MAPPING,
    IdentityStack,
    Person,
    granting,
    refused_with,
    trust,
)

BOTH = {"aws_tag_granted": ":reader:developer:", "aws_tag_project": "apollo"}


@pytest.fixture(scope="module")
def reader_and_developer(stack: IdentityStack) -> Person:
    """A person with two granted roles, none of them preferred."""
    roles = stack.roles
    return stack.person(granting(roles["reader"], roles["developer"], claims=BOTH))


# Which role: the role-selection model decides, called by our completion with verified claims.


def test_a_role_that_no_rule_granted_cannot_be_named_by_the_client(
    stack: IdentityStack, reader: Person
) -> None:
    account, name = stack.roles["reader"].split(":role/")
    not_granted = [
        *(stack.roles[role] for role in ("developer", "administrator", "none")),
        f"{account}:role/other/path/{name}",
        stack.roles["reader"].replace(":000000000000:", ":111111111111:"),
        stack.roles["reader"] + "-2",
        stack.roles["reader"].upper(),
    ]

    codes = {arn: refused_with(stack.credentials, reader, CustomRoleArn=arn) for arn in not_granted}

    assert set(codes.values()) == {"NotAuthorizedException"}
    assert len(codes) == 7


def test_the_only_granted_role_is_the_one_that_the_credentials_have(
    stack: IdentityStack, reader: Person
) -> None:
    name = stack.role_name(stack.credentials(reader))

    assert stack.roles["reader"].endswith(f"/{name}")


def test_of_two_granted_roles_the_client_may_name_either(
    stack: IdentityStack, reader_and_developer: Person
) -> None:
    wanted = [stack.roles["reader"], stack.roles["developer"]]

    names = [
        stack.role_name(stack.credentials(reader_and_developer, CustomRoleArn=arn))
        for arn in wanted
    ]

    assert [arn.rpartition("/")[2] for arn in wanted] == names


def test_of_two_granted_roles_none_is_chosen_when_none_is_preferred(
    stack: IdentityStack, reader_and_developer: Person
) -> None:
    with pytest.raises(
        ClientError, match="ambiguous role mapping rules for: cognito-idp"
    ) as caught:
        stack.credentials(reader_and_developer)

    assert caught.value.response["Error"]["Code"] == "NotAuthorizedException"


def test_the_preferred_role_is_chosen_of_two(stack: IdentityStack) -> None:
    roles = stack.roles
    person = stack.person(
        granting(roles["reader"], roles["developer"], preferred=roles["developer"], claims=BOTH)
    )

    name = stack.role_name(stack.credentials(person))

    assert roles["developer"].endswith(f"/{name}")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(None, id="whom no rule spoke about"),
        pytest.param(granting(), id="whose groups bring no role"),
        pytest.param(granting(claims={"aws_tag_granted": ":none:"}), id="whose tag says none"),
    ],
)
def test_no_role_goes_to_a_person(stack: IdentityStack, answer: dict[str, Any] | None) -> None:
    person = stack.person(answer)

    code = refused_with(stack.credentials, person)

    assert code == "NotAuthorizedException"


def test_a_role_claim_that_another_rule_wrote_does_not_count(stack: IdentityStack) -> None:
    # The user pool drops the claims (completion: local.aws.pre_token), so nothing is granted.
    smuggled = {
        "cognito:roles": [stack.roles["administrator"]],
        "cognito:preferred_role": stack.roles["administrator"],
        "aws_tag_granted": ":administrator:",
    }
    person = stack.person(granting(claims=smuggled))

    codes = [
        refused_with(stack.credentials, person),
        refused_with(stack.credentials, person, CustomRoleArn=stack.roles["administrator"]),
    ]

    assert codes == ["NotAuthorizedException"] * 2


def test_a_role_list_is_not_extended_by_a_claim_of_the_same_name(stack: IdentityStack) -> None:
    smuggled = READ_ONE | {"cognito:roles": [stack.roles["administrator"]]}
    person = stack.person(granting(stack.roles["reader"], claims=smuggled))

    name = stack.role_name(stack.credentials(person))

    assert stack.roles["reader"].endswith(f"/{name}")
    assert stack.roles["administrator"] not in forged.claims_of(person.tokens["IdToken"]).values()


def test_a_client_without_a_mapping_gets_the_default_role_whatever_its_token_says(
    stack: IdentityStack,
) -> None:
    answer = granting(stack.roles["reader"], preferred=stack.roles["reader"], claims=READ_ONE)
    person = stack.person(answer, stack.unmapped_client_id)

    name = stack.role_name(stack.credentials(person))
    code = refused_with(stack.credentials, person, CustomRoleArn=stack.roles["reader"])

    assert stack.roles["none"].endswith(f"/{name}")
    assert code == "NotAuthorizedException"


def test_the_default_role_stands_in_only_where_the_pool_says_so(
    stack: IdentityStack, reader_and_developer: Person
) -> None:
    open_mapping = {"Type": "Token", "AmbiguousRoleResolution": "AuthenticatedRole"}
    pool_id = stack.add_identity_pool(open_mapping)
    default = stack.add_role("default", trust(pool_id))
    stack.set_roles(pool_id, open_mapping, {"authenticated": default})

    name = stack.role_name(stack.credentials(reader_and_developer, pool_id))
    stack.set_roles(pool_id, open_mapping, {})
    code = refused_with(stack.credentials, reader_and_developer, pool_id)

    assert default.endswith(f"/{name}")
    assert code == "InvalidIdentityPoolConfigurationException"


def test_rules_of_the_pool_choose_by_claim_and_deny_what_they_do_not_name(
    stack: IdentityStack,
) -> None:
    mapping: dict[str, Any] = {"Type": "Rules", "AmbiguousRoleResolution": "Deny"}
    rule = {"Claim": "aws_tag_project", "MatchType": "Equals", "Value": "apollo"}
    pool_id = stack.add_identity_pool(None)
    role = stack.add_role("by-rule", trust(pool_id))
    mapping["RulesConfiguration"] = {"Rules": [rule | {"RoleARN": role}]}
    stack.set_roles(pool_id, mapping, {})
    apollo = stack.person(granting(stack.roles["reader"], claims={"aws_tag_project": "apollo"}))
    zeus = stack.person(granting(stack.roles["reader"], claims={"aws_tag_project": "zeus"}))

    name = stack.role_name(stack.credentials(apollo, pool_id))
    codes = [
        refused_with(stack.credentials, zeus, pool_id),
        refused_with(stack.credentials, zeus, pool_id, CustomRoleArn=role),
        refused_with(stack.credentials, apollo, pool_id, CustomRoleArn=stack.roles["reader"]),
    ]

    assert role.endswith(f"/{name}")
    assert codes == ["NotAuthorizedException"] * 3


@pytest.mark.parametrize(
    ("provider", "mapping"),
    [
        pytest.param("{provider}", TOKEN_MAPPING, id="a user pool without its client"),
        pytest.param("{provider}:unknown", TOKEN_MAPPING, id="a client the pool does not list"),
        pytest.param("{provider}:{client}", {"Type": "Token"}, id="no resolution"),
        pytest.param(
            "{provider}:{client}",
            {"Type": "Rules", "AmbiguousRoleResolution": "Deny"},
            id="rules without rules",
        ),
    ],
)
def test_a_mapping_is_refused_that_names(
    stack: IdentityStack, provider: str, mapping: dict[str, Any]
) -> None:
    key = provider.format(provider=stack.people.provider, client=stack.client_id)

    code = refused_with(
        stack.root("cognito-identity").set_identity_pool_roles,
        IdentityPoolId=stack.identity_pool_id,
        Roles={},
        RoleMappings={key: mapping},
    )

    assert code == "InvalidParameterException"


# Whether the role admits the identity: the emulator's trust evaluation, with our completion of it.


@pytest.mark.parametrize(
    "flaw",
    [
        "does not exist",
        "trusts another identity pool",
        "trusts guests only",
        "wants a tag the person does not have",
        "does not allow tags",
        "trusts a provider of another name",
    ],
)
def test_a_granted_role_is_not_given_that(stack: IdentityStack, flaw: str) -> None:
    pool_id = stack.add_identity_pool(TOKEN_MAPPING, tags=TAGS)
    policy = trust(pool_id, granted="reader")
    match flaw:
        case "trusts another identity pool":
            policy = trust(stack.identity_pool_id, granted="reader")
        case "trusts guests only":
            policy = trust(pool_id, amr="unauthenticated")
        case "wants a tag the person does not have":
            policy = trust(pool_id, granted="developer")
        case "does not allow tags":
            policy = trust(pool_id, granted="reader", tag_session=False)
        case "trusts a provider of another name":
            policy["Statement"][0]["Principal"] = {"Federated": "accounts.google.com"}
    role = stack.add_role("flawed", policy)
    if flaw == "does not exist":
        stack.root("iam").delete_role(RoleName=role.rpartition("/")[2])
    person = stack.person(granting(role, claims=READ_ONE))

    code = refused_with(stack.credentials, person, pool_id)

    assert code == "InvalidIdentityPoolConfigurationException"


def test_a_role_without_a_tag_condition_is_given_to_tagged_and_untagged_people(
    stack: IdentityStack,
) -> None:
    # The control of the test above: the same trust policy without a flaw.
    pool_id = stack.add_identity_pool(TOKEN_MAPPING, tags=TAGS)
    role = stack.add_role("sound", trust(pool_id))
    people = [stack.person(granting(role, claims=claims)) for claims in (READ_ONE, {})]

    names = [stack.role_name(stack.credentials(person, pool_id)) for person in people]

    assert names == [role.rpartition("/")[2]] * 2


def test_a_role_that_the_claims_list_still_needs_the_granted_tag(stack: IdentityStack) -> None:
    # The second defence: a list of roles alone, from wherever it came, opens no role.
    person = stack.person(granting(stack.roles["administrator"], claims=READ_ONE))

    code = refused_with(stack.credentials, person)

    assert code == "InvalidIdentityPoolConfigurationException"
