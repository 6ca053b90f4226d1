"""AWS Signature Version 4, for what the login path sends: a POST, or a GET with a plain query.

botocore's signer takes every kind of request and several times the CPU, which made it the largest
part of an invocation. A test holds the two to the same signatures.

Source: AWS, IAM User Guide, "Create a signed AWS API request".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from botocore.credentials import ReadOnlyCredentials

_ALGORITHM = "AWS4-HMAC-SHA256"


def signed_headers(
    credentials: ReadOnlyCredentials,
    *,
    service: str,
    region: str,
    host: str,
    path: str,
    body: bytes,
    headers: Mapping[str, str],
    now: datetime,
    method: str = "POST",
    query: str = "",
) -> dict[str, str]:
    """Return ``headers`` with those that sign the request.

    Parameters
    ----------
    query : what stands behind the question mark, as it is sent: names in order, all quoted.
    host : the Host header that the request will carry, which is signed and not returned.
    path : absolute, as it is sent.
    now : in UTC; AWS takes a signature for five minutes.
    """
    moment = now.strftime("%Y%m%dT%H%M%SZ")
    sent = {**headers, "X-Amz-Date": moment}
    if credentials.token:
        sent["X-Amz-Security-Token"] = credentials.token
    lines = {name.lower(): " ".join(value.split()) for name, value in sent.items()}
    lines["host"] = host
    names = sorted(lines)
    request = "\n".join(
        (
            method,
            quote(path, safe="/-_.~"),
            query,
            *(f"{name}:{lines[name]}" for name in names),
            "",
            ";".join(names),
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{moment[:8]}/{region}/{service}/aws4_request"
    text = "\n".join((_ALGORITHM, moment, scope, hashlib.sha256(request.encode()).hexdigest()))
    key = _signing_key(credentials.secret_key, scope)
    signature = hmac.digest(key, text.encode(), "sha256").hex()
    sent["Authorization"] = (
        f"{_ALGORITHM} Credential={credentials.access_key}/{scope}, "
        f"SignedHeaders={';'.join(names)}, Signature={signature}"
    )
    return sent


@lru_cache(maxsize=8)
def _signing_key(secret_key: str, scope: str) -> bytes:
    """Return the key for a day, region and service: the same for thousands of requests."""
    key = f"AWS4{secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return key
