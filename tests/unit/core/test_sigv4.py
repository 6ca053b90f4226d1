from __future__ import annotations

from datetime import UTC, datetime
from unittest.mock import patch
from urllib.parse import quote

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials
from hypothesis import given
from hypothesis import strategies as st

from cognito_rules.sigv4 import signed_headers

NOW = datetime(2026, 11, 22, 23, 59, 59, tzinfo=UTC)
INVOKE = "/2015-03-31/functions/cognito-rules-rule-require_group/invocations"
ROLE = ReadOnlyCredentials("AKIAIOSFODNN7EXAMPLE", "secret", "session/token+==")


def ours(
    path: str = INVOKE,
    *,
    body: bytes = b"{}",
    host: str = "lambda.eu-west-1.amazonaws.com",
    credentials: ReadOnlyCredentials = ROLE,
    now: datetime = NOW,
    service: str = "lambda",
    headers: dict[str, str] | None = None,
) -> dict[str, str]:
    return signed_headers(
        credentials,
        service=service,
        region="eu-west-1",
        host=host,
        path=path,
        body=body,
        headers={"Content-Type": "application/json"} if headers is None else headers,
        now=now,
    )


def botocores(
    path: str, body: bytes, host: str, credentials: ReadOnlyCredentials, headers: dict[str, str]
) -> dict[str, str]:
    request = AWSRequest("POST", f"https://{host}{path}", data=body, headers=headers)
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        SigV4Auth(credentials, "lambda", "eu-west-1").add_auth(request)
    return dict(request.headers.items())


VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


@given(
    path=st.text("abcXYZ019-_.~/ $%+,:@", max_size=40).map(lambda text: "/a" + text + "z"),
    body=st.binary(max_size=200),
    secret=VALUES,
    token=st.none() | VALUES,
    header=VALUES,
)
def test_signatures_are_botocores(
    path: str, body: bytes, secret: str, token: str | None, header: str
) -> None:
    credentials = ReadOnlyCredentials("AKIAIOSFODNN7EXAMPLE", secret, token)
    headers = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": header}
    # Both sign a path that stays as it is: one with //, /./ or /../ names another resource.
    while any(part in path + "/" for part in ("//", "/./", "/../")):
        path = path.replace("//", "/").replace("/./", "/").replace("/../", "/")
    host = "lambda.eu-west-1.amazonaws.com"

    signed = ours(path, body=body, credentials=credentials, headers=headers)

    assert signed == botocores(path, body, host, credentials, headers)


def test_a_port_is_part_of_the_signed_host() -> None:
    host = "127.0.0.1:4566"

    signed = ours(host=host)

    assert signed == botocores(INVOKE, b"{}", host, ROLE, {"Content-Type": "application/json"})


@pytest.mark.parametrize(
    "changed",
    [
        pytest.param(ours(INVOKE + "x"), id="path"),
        pytest.param(ours(body=b"{ }"), id="body"),
        pytest.param(ours(host="lambda.us-east-1.amazonaws.com"), id="host"),
        pytest.param(ours(service="dynamodb"), id="service"),
        pytest.param(ours(headers={"Content-Type": "text/plain"}), id="header"),
        pytest.param(ours(now=NOW.replace(second=58)), id="second"),
        pytest.param(ours(now=NOW.replace(day=21)), id="day"),
        pytest.param(ours(credentials=ROLE._replace(secret_key="other")), id="secret key"),
        pytest.param(ours(credentials=ROLE._replace(token="other")), id="session token"),
    ],
)
def test_the_signature_changes_with_the(changed: dict[str, str]) -> None:
    assert (
        changed["Authorization"].partition("Signature=")[2]
        != (ours()["Authorization"].partition("Signature=")[2])
    )


def test_the_secret_key_is_in_no_header() -> None:
    credentials = ROLE._replace(secret_key="very-secret")

    assert "very-secret" not in str(ours(credentials=credentials))


@given(token=VALUES)
def test_signatures_of_a_get_with_a_query_are_botocores(token: str) -> None:
    host, query = (
        "appconfigdata.eu-west-1.amazonaws.com",
        f"configuration_token={quote(token, safe='')}",
    )
    request = AWSRequest("GET", f"https://{host}/configuration?{query}")
    with patch("botocore.auth.get_current_datetime", return_value=NOW.replace(tzinfo=None)):
        SigV4Auth(ROLE, "appconfig", "eu-west-1").add_auth(request)

    signed = signed_headers(
        ROLE,
        service="appconfig",
        region="eu-west-1",
        host=host,
        path="/configuration",
        body=b"",
        headers={},
        now=NOW,
        method="GET",
        query=query,
    )

    assert signed["Authorization"] == request.headers["Authorization"]
