"""Texts that IAM and STS accept: role ARNs, tag keys, tag values.

Source: AWS, "IAM identifiers", STS API reference "Tag" (letters, spaces, digits and ``_.:/=+-@``;
keys of 1 to 128 and values of at most 256 characters).
"""

from __future__ import annotations

import re
from typing import Any

MAX_TAGS = 50

_ROLE_ARN = re.compile(r"arn:(aws|aws-cn|aws-us-gov):iam::\d{12}:role/[\w+=,.@/-]{1,512}", re.ASCII)
_TAG_KEY = re.compile(r"[\w .:/=+@-]{1,128}")
_TAG_VALUE = re.compile(r"[\w .:/=+@-]{1,256}")


def is_role_arn(value: Any) -> bool:
    """Say whether ``value`` is the ARN of a role that may be granted.

    Service-linked roles, and those that IAM Identity Center keeps, cannot be assumed this way.
    """
    return (
        isinstance(value, str)
        and _ROLE_ARN.fullmatch(value) is not None
        and "/aws-service-role/" not in value
        and "AWSReservedSSO_" not in value
    )


def account_of(arn: str) -> str:
    """Return the 12 digits of the account that an ARN belongs to."""
    return arn.split(":")[4]


def is_tag_key(value: Any) -> bool:
    """Say whether ``value`` is a tag key that a customer may use; keys on ``aws:`` are Amazon's."""
    return (
        isinstance(value, str)
        and _TAG_KEY.fullmatch(value) is not None
        and not value.lower().startswith("aws:")
    )


def is_tag_value(value: Any) -> bool:
    """Say whether ``value`` may be the value of a session tag.

    STS would take the empty text; we do not: an empty principal tag equals an empty resource tag.
    """
    return isinstance(value, str) and _TAG_VALUE.fullmatch(value) is not None
