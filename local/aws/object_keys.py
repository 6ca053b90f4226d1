"""The resource of an S3 request is the object's whole key.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html (a key is any text)

ministack asks IAM about ``users/me`` for the keys ``users//me`` and ``users/me/`` too, so a person
could read or write beside the own folder.
"""

from importlib import import_module
from typing import Any

from local.aws.emulator import wrap

actions: Any = import_module("ministack.core.iam_actions")

PREFIX = "arn:aws:s3:::"


def _resource_arn(original: Any, service: str, method: str, path: str, *more: Any) -> str:
    arn: str = original(service, method, path, *more)
    bucket, _, key = path.removeprefix("/").partition("/")
    # Only where ministack found an object of that bucket; an access point has another ARN.
    if service == "s3" and key and arn.startswith(f"{PREFIX}{bucket}/"):
        return f"{PREFIX}{bucket}/{key}"
    return arn


def install() -> None:
    """Complete the resource of S3 requests."""
    wrap(actions, "extract_resource_arn", _resource_arn)
