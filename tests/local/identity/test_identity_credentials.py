"""What the credentials of an identity may do, on the embedded AWS with IAM enforced.

The emulator's IAM decides, with policy variables and session tags from our completion.
"""

import time
from typing import Any

import pytest
import urllib3
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


@pytest.fixture(scope="module")
def files(stack: IdentityStack, reader: Person) -> dict[str, str]:
    """Files of the reader, of somebody else and of two projects: what it is -> key."""
    keys = {
        "own": f"users/{stack.identity(reader.logins)}/note.txt",
        "of another person": "users/eu-west-1:00000000-0000-4000-8000-000000000000/note.txt",
        "beside the own folder": f"users/{stack.identity(reader.logins)}-2/note.txt",
        "in a nameless folder": f"users//{stack.identity(reader.logins)}/note.txt",
        "behind a slash": f"/users/{stack.identity(reader.logins)}/note.txt",
        "own project": "projects/apollo/plan.txt",
        "other project": "projects/zeus/plan.txt",
        "nameless project": "projects//plan.txt",
        "project that a variable would spell": "projects/${aws:PrincipalTag/Project}/plan.txt",
        "outside": "plan.txt",
    }
    for key in keys.values():
        stack.root("s3").put_object(Bucket=stack.bucket, Key=key, Body=b"secret")
    return keys


def readable(stack: IdentityStack, credentials: dict[str, Any], files: dict[str, str]) -> set[str]:
    """Return which of the files the credentials read; anything but AccessDenied is a failure."""
    s3 = stack.aws.client("s3", credentials)
    answers = {}
    for name, key in files.items():
        try:
            s3.get_object(Bucket=stack.bucket, Key=key)
            answers[name] = "read"
        except ClientError as error:
            answers[name] = error.response["Error"]["Code"]
    assert set(answers.values()) <= {"read", "AccessDenied"}
    return {name for name, answer in answers.items() if answer == "read"}


def test_credentials_read_their_own_folder_and_project_and_nothing_else(
    stack: IdentityStack, reader: Person, files: dict[str, str]
) -> None:
    credentials = stack.credentials(reader)

    found = readable(stack, credentials, files)

    assert found == {"own", "own project"}


def test_credentials_write_and_list_only_what_the_role_says(
    stack: IdentityStack, reader: Person, files: dict[str, str]
) -> None:
    s3 = stack.aws.client("s3", stack.credentials(reader))
    own_folder = files["own"].rpartition("/")[0] + "/"

    listed = s3.list_objects_v2(Bucket=stack.bucket, Prefix=own_folder)["KeyCount"]
    codes = [
        refused_with(s3.put_object, Bucket=stack.bucket, Key=files["own"], Body=b""),
        refused_with(s3.list_objects_v2, Bucket=stack.bucket, Prefix="users/"),
        refused_with(s3.list_objects_v2, Bucket=stack.bucket),
        refused_with(s3.delete_object, Bucket=stack.bucket, Key=files["own"]),
    ]

    assert listed == 1
    assert codes == ["AccessDenied"] * 4


def test_no_roundabout_request_reaches_another_person_s_file(
    stack: IdentityStack, files: dict[str, str]
) -> None:
    claims = {"aws_tag_granted": ":developer:"}
    person = stack.person(granting(stack.roles["developer"], claims=claims))
    own_folder = f"users/{stack.identity(person.logins)}"
    s3 = stack.aws.client("s3", stack.credentials(person))
    source = {"Bucket": stack.bucket, "Key": files["of another person"]}
    link = s3.generate_presigned_url("get_object", Params=source)

    own_copy = s3.put_object(Bucket=stack.bucket, Key=f"{own_folder}/mine", Body=b"mine")
    code = refused_with(
        s3.copy_object, Bucket=stack.bucket, Key=f"{own_folder}/stolen", CopySource=source
    )
    by_link = urllib3.request("GET", link, retries=False)

    assert own_copy["ETag"]
    assert code == "AccessDenied"
    assert by_link.status == 403
    assert b"secret" not in by_link.data


@pytest.mark.parametrize(
    "project",
    [
        pytest.param(None, id="no project"),
        pytest.param("", id="an empty project"),
        pytest.param(["apollo", "zeus"], id="a list of projects"),
        pytest.param({"name": "apollo"}, id="an object"),
    ],
)
def test_no_project_file_is_readable_with(
    stack: IdentityStack, files: dict[str, str], project: Any
) -> None:
    claims = {"aws_tag_granted": ":reader:"}
    claims |= {} if project is None else {"aws_tag_project": project}
    person = stack.person(granting(stack.roles["reader"], claims=claims))

    found = readable(stack, stack.credentials(person), files)

    assert found == set()


def test_a_policy_that_forgot_to_ask_for_the_tag_gives_nothing_without_it(
    stack: IdentityStack, files: dict[str, str]
) -> None:
    # A variable without a value matches nothing, it is not empty text.
    pool_id = stack.add_identity_pool(TOKEN_MAPPING, tags=TAGS)
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{stack.bucket}/projects/${{aws:PrincipalTag/Project}}/*",
        },
    }
    role = stack.add_role("unguarded", trust(pool_id), policy)
    people = [stack.person(granting(role, claims=claims)) for claims in ({}, READ_ONE)]

    found = [readable(stack, stack.credentials(person, pool_id), files) for person in people]

    assert found == [set(), {"own project"}]


@pytest.mark.parametrize("project", ["*", "apo??o", "a*", "apollo\nzeus", "x" * 257])
def test_a_project_with_characters_that_no_tag_has_gives_no_credentials(
    stack: IdentityStack, project: str
) -> None:
    claims = {"aws_tag_granted": ":reader:", "aws_tag_project": project}
    person = stack.person(granting(stack.roles["reader"], claims=claims))

    code = refused_with(stack.credentials, person)

    assert code == "InvalidIdentityPoolConfigurationException"


def test_default_tags_are_the_person_and_the_client(stack: IdentityStack) -> None:
    pool_id = stack.add_identity_pool(TOKEN_MAPPING, use_default_tags=True)
    policy = {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Action": "s3:GetObject",
            "Resource": f"arn:aws:s3:::{stack.bucket}/${{aws:PrincipalTag/client}}"
            "/${aws:PrincipalTag/username}/*",
        },
    }
    role = stack.add_role("by-default-tags", trust(pool_id), policy)
    person = stack.person(granting(role, claims=READ_ONE))
    subject = forged.claims_of(person.tokens["IdToken"])["sub"]
    files = {"own": f"{stack.client_id}/{subject}/a", "other": f"{stack.client_id}/other/a"}
    for key in files.values():
        stack.root("s3").put_object(Bucket=stack.bucket, Key=key, Body=b"secret")

    found = readable(stack, stack.credentials(person, pool_id), files)

    assert found == {"own"}


def test_the_credentials_cannot_become_another_role_or_change_their_tags(
    stack: IdentityStack, reader: Person
) -> None:
    credentials = stack.credentials(reader)
    sts, iam = stack.aws.client("sts", credentials), stack.aws.client("iam", credentials)
    role = stack.roles["administrator"]

    codes = [
        refused_with(sts.assume_role, RoleArn=role, RoleSessionName="again"),
        refused_with(
            iam.tag_role,
            RoleName=role.rpartition("/")[2],
            Tags=[{"Key": "granted", "Value": ":reader:"}],
        ),
        refused_with(
            stack.aws.client("cognito-identity", credentials).set_identity_pool_roles,
            IdentityPoolId=stack.identity_pool_id,
            Roles={"authenticated": role},
        ),
    ]

    assert {code.removesuffix("Exception") for code in codes} == {"AccessDenied"}


def test_the_credentials_end_after_an_hour(stack: IdentityStack, reader: Person) -> None:
    # That an ended session is refused is shown in test_session_clock.
    before = time.time()

    expires = stack.credentials(reader)["Expiration"].timestamp()

    assert before + 3590 <= expires <= time.time() + 3600
