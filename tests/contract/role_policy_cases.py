"""The table of who may do what with the AWS roles of template.yaml."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.contract.stack_template import ACCOUNT, REGION
from tests.contract.template_roles import BUCKET, arn_of

COGNITO = "cognito-identity.amazonaws.com"

# Logical id -> key in the group table and in the tag "granted".
GRANTED = {
    "ReadOnlyRole": "read_only",
    "DeveloperRole": "developer",
    "AdministratorRole": "administrator",
}
EVERY_ROLE = ("NoAccessRole", *GRANTED)

ME = "eu-west-1:11111111-2222-4333-8444-555555555555"
ANOTHER = "eu-west-1:99999999-2222-4333-8444-555555555555"
INSTANCE = f"arn:aws:ec2:{REGION}:{ACCOUNT}:instance/i-0123456789abcdef0"


@dataclass(frozen=True)
class Case:
    """One request of a session: the tags of the person, further context, and whether it may be."""

    action: str
    resource: str
    allowed: bool
    tags: Mapping[str, str] = field(default_factory=dict)
    context: Mapping[str, str] = field(default_factory=dict)


def yes(action: str, resource: str, **more: Any) -> Case:
    return Case(action, resource, True, **more)


def no(action: str, resource: str, **more: Any) -> Case:
    return Case(action, resource, False, **more)


def own(name: str = "note.txt", identity: str = ME) -> str:
    return f"{BUCKET}/users/{identity}/{name}"


def project(name: str) -> str:
    return f"{BUCKET}/projects/{name}/plan.txt"


def listing(prefix: str) -> dict[str, str]:
    return {"s3:prefix": prefix}


APOLLO = {"Project": "apollo", "CostCenter": "marketing"}
NO_TAGS: dict[str, str] = {}
EMPTY_TAGS = {"Project": "", "CostCenter": ""}
OF_MARKETING = {"aws:ResourceTag/CostCenter": "marketing"}

READ_ONLY = [
    yes("s3:GetObject", own()),
    yes("s3:GetObject", own("deep/er/note.txt")),
    yes("s3:ListBucket", BUCKET, context=listing(f"users/{ME}/")),
    no("s3:GetObject", own(identity=ANOTHER)),
    no("s3:GetObject", own(identity=ME + "-2")),
    no("s3:GetObject", f"{BUCKET}/users/note.txt"),
    no("s3:GetObject", f"{BUCKET}/note.txt"),
    no("s3:GetObject", f"{BUCKET}2/users/{ME}/note.txt"),
    no("s3:GetObject", project("apollo"), tags=APOLLO),
    no("s3:PutObject", own()),
    no("s3:DeleteObject", own()),
    no("s3:ListBucket", BUCKET),
    no("s3:ListBucket", BUCKET, context=listing("")),
    no("s3:ListBucket", BUCKET, context=listing("users/")),
    no("s3:ListBucket", BUCKET, context=listing(f"users/{ANOTHER}/")),
    no("ec2:DescribeInstances", "*"),
]

DEVELOPER = [
    *(yes(f"s3:{verb}Object", own()) for verb in ("Get", "Put", "Delete")),
    *(yes(f"s3:{verb}Object", project("apollo"), tags=APOLLO) for verb in ("Get", "Put", "Delete")),
    yes("s3:ListBucket", BUCKET, context=listing(f"users/{ME}/")),
    yes("s3:ListBucket", BUCKET, context=listing("projects/apollo/"), tags=APOLLO),
    *(no(f"s3:{verb}Object", own(identity=ANOTHER)) for verb in ("Get", "Put", "Delete")),
    no("s3:GetObject", project("zeus"), tags=APOLLO),
    no("s3:GetObject", project("apollo2"), tags=APOLLO),
    no("s3:GetObject", project("Apollo"), tags=APOLLO),
    no("s3:GetObject", project("apollo"), tags=NO_TAGS),
    no("s3:GetObject", project(""), tags=NO_TAGS),
    no("s3:GetObject", project("${aws:PrincipalTag/Project}"), tags=NO_TAGS),
    no("s3:GetObject", project("apollo"), tags=EMPTY_TAGS),
    no("s3:GetObject", project(""), tags=EMPTY_TAGS),
    no("s3:ListBucket", BUCKET, context=listing("projects/"), tags=APOLLO),
    no("s3:ListBucket", BUCKET, context=listing("projects/zeus/"), tags=APOLLO),
    no("s3:ListBucket", BUCKET, context=listing("projects//"), tags=EMPTY_TAGS),
    no("s3:ListBucket", BUCKET, context=listing("projects//"), tags=NO_TAGS),
    no("ec2:StartInstances", INSTANCE, tags=APOLLO, context=OF_MARKETING),
]

ADMINISTRATOR = [
    *(yes(f"s3:{verb}Object", own(identity=ANOTHER)) for verb in ("Get", "Put", "Delete")),
    yes("s3:ListBucket", BUCKET),
    yes("ec2:DescribeInstances", "*"),
    yes("ec2:StartInstances", INSTANCE, tags=APOLLO, context=OF_MARKETING),
    yes("ec2:StopInstances", INSTANCE, tags=APOLLO, context=OF_MARKETING),
    no("s3:GetObject", f"{BUCKET}2/note.txt"),
    no(
        "ec2:StartInstances", INSTANCE, tags=APOLLO, context={"aws:ResourceTag/CostCenter": "sales"}
    ),
    no("ec2:StartInstances", INSTANCE, tags=APOLLO),
    no("ec2:StartInstances", INSTANCE, tags=NO_TAGS),
    no("ec2:StartInstances", INSTANCE, tags=NO_TAGS, context={"aws:ResourceTag/CostCenter": ""}),
    no("ec2:StartInstances", INSTANCE, tags=EMPTY_TAGS, context={"aws:ResourceTag/CostCenter": ""}),
    no("ec2:TerminateInstances", INSTANCE, tags=APOLLO, context=OF_MARKETING),
    no("s3:DeleteBucket", BUCKET),
    no("s3:PutBucketPolicy", BUCKET),
    no("s3:PutBucketAcl", BUCKET),
    no("s3:PutObjectAcl", own()),
]

A_ROLE = arn_of("AdministratorRole")
A_USER = f"arn:aws:iam::{ACCOUNT}:user/mallory"

# What leads out of this table: other roles, other people's rights, tags that decide about rights.
ESCAPES = [
    *(
        no(f"iam:{action}", A_ROLE)
        for action in (
            "AttachRolePolicy",
            "CreateRole",
            "DeleteRolePermissionsBoundary",
            "GetRole",
            "PassRole",
            "PutRolePolicy",
            "TagRole",
            "UpdateAssumeRolePolicy",
        )
    ),
    no("iam:CreateUser", A_USER),
    no("iam:CreateAccessKey", A_USER),
    no("iam:ListRoles", "*"),
    no("sts:AssumeRole", A_ROLE),
    no("ec2:CreateTags", INSTANCE),
    no("ec2:DeleteTags", INSTANCE),
    no("s3:PutObjectTagging", own()),
    no("s3:DeleteObjectTagging", own()),
    no("s3:PutBucketTagging", BUCKET),
    no("tag:TagResources", "*"),
    no("tag:UntagResources", "*"),
]

# What no statement names.
ELSEWHERE = [
    no("cognito-identity:SetIdentityPoolRoles", "*"),
    no(
        "cognito-idp:AdminAddUserToGroup",
        f"arn:aws:cognito-idp:{REGION}:{ACCOUNT}:userpool/{REGION}_abcdefghi",
    ),
    no("dynamodb:PutItem", f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/profilestable"),
    no("lambda:InvokeFunction", f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:login-login"),
    no(
        "secretsmanager:GetSecretValue",
        f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:splunk-abcdef",
    ),
    no("sts:GetFederationToken", f"arn:aws:sts::{ACCOUNT}:federated-user/me"),
]

TABLE: dict[str, list[Case]] = {
    "ReadOnlyRole": READ_ONLY,
    "DeveloperRole": DEVELOPER,
    "AdministratorRole": ADMINISTRATOR,
    "NoAccessRole": [
        Case(case.action, case.resource, False, case.tags, case.context)
        for case in (*READ_ONLY, *DEVELOPER, *ADMINISTRATOR)
        if case.allowed
    ],
}
