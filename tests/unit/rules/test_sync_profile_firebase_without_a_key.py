"""Firebase without a service account's key: AWS vouches for the function's role."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from urllib.parse import parse_qsl, unquote

import pytest
import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from google.auth import aws as google_aws
from google.auth.transport.requests import Request

from cognito_rules import ConfigurationError, Effects, UpstreamError, federated_account
from cognito_rules.access_tokens import _kept
from functions.sync_profile_firebase import app
from functions.sync_profile_firebase.app import rule
from tests.deliveries import a_delivery, differences, facts_of
from tests.loopback import Received, Reply, Server, reply, serving

USER = {"user_id": "u1", "email": "ann@acme.test", "name": "Ann Doe"}
DATABASE = {"database_url": "https://acme.firebaseio.com"}
ACCOUNT = "rules@acme.iam.gserviceaccount.com"
PROVIDER = "projects/42/locations/global/workloadIdentityPools/aws/providers/rules"
AUDIENCE = f"//iam.googleapis.com/{PROVIDER}"
IMPERSONATION = f"/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
FEDERATED = {"identity_provider": PROVIDER, "service_account": ACCOUNT}
SESSION = "session/token+=="
ROLE = Credentials("ASIAEXAMPLE", "secret-of-the-role", SESSION)


class Google:
    """Google's two token endpoints: they ask AWS who signed, and let one role be the account."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.given = 0
        self.exchange = Reply()
        self.life = timedelta(hours=1)
        server.decide = self.decide

    def decide(self, received: Received) -> Reply | None:
        if received.path == "/v1/token":
            return self._exchanged(dict(parse_qsl(received.body.decode())))
        if received.path.startswith("/v1/projects/"):
            return self._impersonated(received)
        return None

    def _exchanged(self, form: dict[str, str]) -> Reply:
        request = json.loads(unquote(form["subject_token"]))
        headers = {header["key"].lower(): header["value"] for header in request["headers"]}
        if not is_signed_by(ROLE, request) or headers["x-goog-cloud-target-resource"] != AUDIENCE:
            return reply(400, {"error": "invalid_grant"})
        return reply(200, {"access_token": "of-the-role", "expires_in": 3599})

    def _impersonated(self, received: Received) -> Reply:
        if received.headers["authorization"] != "Bearer of-the-role":
            return Reply(401)
        self.given += 1
        ends = (datetime.now(UTC) + self.life).strftime("%Y-%m-%dT%H:%M:%SZ")
        return reply(200, {"accessToken": f"ya29.{self.given}", "expireTime": ends})

    @property
    def asked(self) -> list[Received]:
        return [sent for sent in self.server.received if sent.path.startswith("/v1/")]


def is_signed_by(role: Credentials, request: dict[str, Any]) -> bool:
    """Say whether botocore signs the request in the same way, as AWS would."""
    headers = {header["key"].lower(): header["value"] for header in request["headers"]}
    found = re.search("SignedHeaders=([^,]*)", headers["authorization"])
    assert found, "no signature"
    # What botocore writes by itself.
    others = set(found[1].split(";")) - {"x-amz-date", "x-amz-security-token"}
    signed = {name: headers[name] for name in others}
    again = AWSRequest(request["method"], request["url"], headers=signed)
    at = datetime.fromisoformat(headers["x-amz-date"]).replace(tzinfo=None)
    with patch("botocore.auth.get_current_datetime", return_value=at):
        SigV4Auth(role, "sts", "eu-west-1").add_auth(again)
    return bool(again.headers["Authorization"] == headers["authorization"])


@pytest.fixture
def google(aws_environment: pytest.MonkeyPatch) -> Iterator[Google]:
    aws_environment.setenv("AWS_ACCESS_KEY_ID", ROLE.access_key)
    aws_environment.setenv("AWS_SECRET_ACCESS_KEY", ROLE.secret_key)
    aws_environment.setenv("AWS_SESSION_TOKEN", SESSION)
    # A new environment remembers nothing.
    for forget in (federated_account._session.cache_clear, _kept.clear, app._written.clear):
        forget()
    with serving() as server:
        server.replies = [Reply(204, b"")]
        yield Google(server)
    federated_account._session.cache_clear()


def sync_federated(google: Google, **settings: Any) -> Effects:
    login = a_delivery(google.server, DATABASE | FEDERATED | settings, {}, user=USER)
    return rule.decide(login)


def written_with(google: Google) -> list[str]:
    """Return the credentials of what was written."""
    sent = [received for received in google.server.received if received.method == "PATCH"]
    return [received.headers["authorization"] for received in sent]


def test_aws_vouches_for_the_function_and_no_secret_is_read(google: Google) -> None:
    sync_federated(google)

    assert written_with(google) == ["Bearer ya29.1"]
    exchange, impersonation = google.asked
    form = facts_of(exchange)["body"]
    request = json.loads(unquote(form.pop("subject_token")))
    assert form == {
        "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
        "audience": AUDIENCE,
        "scope": "https://www.googleapis.com/auth/iam",
        "requested_token_type": "urn:ietf:params:oauth:token-type:access_token",
        "subject_token_type": "urn:ietf:params:aws:token-type:aws4_request",
    }
    assert (request["method"], request["url"]) == (
        "POST",
        "https://sts.eu-west-1.amazonaws.com/?Action=GetCallerIdentity&Version=2011-06-15",
    )
    assert {header["key"].lower() for header in request["headers"]} == {
        *("authorization", "host", "x-amz-date", "x-amz-security-token"),
        "x-goog-cloud-target-resource",
    }
    assert "x-goog-cloud-target-resource" in str(request["headers"]).partition("SignedHeaders")[2]
    assert impersonation.json() == {"scope": app.SCOPES, "lifetime": "3600s"}
    assert ROLE.secret_key not in str(exchange.body)


def test_our_requests_are_those_of_googles_own_client(google: Google) -> None:
    sync_federated(google)
    ours = [facts_of(received) for received in google.asked]
    google.server.received.clear()
    stand_in = google.server.url
    client = google_aws.Credentials(  # type: ignore[no-untyped-call]
        audience=AUDIENCE,
        subject_token_type="urn:ietf:params:aws:token-type:aws4_request",
        token_url=f"{stand_in}/v1/token",
        service_account_impersonation_url=f"{stand_in}{IMPERSONATION}",
        credential_source={
            "environment_id": "aws1",
            "regional_cred_verification_url": (
                "https://sts.{region}.amazonaws.com?Action=GetCallerIdentity&Version=2011-06-15"
            ),
        },
        scopes=app.SCOPES,
    )
    with requests.Session() as session:
        client.refresh(Request(session))  # type: ignore[no-untyped-call]

    theirs = [facts_of(received) for received in google.asked]
    # Both were accepted; ours signs for whom it is meant, too.
    assert google.given == 2
    assert [differences(a, b) for a, b in zip(theirs, ours, strict=True)] == [
        {"body.subject_token"},
        set(),
    ]


def test_a_federated_token_is_kept_for_nine_tenths_of_its_time(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("cognito_rules.access_tokens.time.monotonic", lambda: clock[0])
    for now in (1000.0, 1000.0 + 3600 * 0.89, 1000.0 + 3600 * 0.91):
        clock[0] = now
        sync_federated(google, only_if_changed=False)

    assert written_with(google) == ["Bearer ya29.1", "Bearer ya29.1", "Bearer ya29.2"]


def test_a_federated_token_that_is_refused_is_renewed_once(google: Google) -> None:
    google.server.replies = [Reply(401), Reply(204, b"")]

    sync_federated(google)

    assert written_with(google) == ["Bearer ya29.1", "Bearer ya29.2"]


@pytest.mark.parametrize(
    ("path", "answer", "code", "retryable"),
    [
        pytest.param("/v1/token", Reply(400), "misconfigured", False, id="an unknown role"),
        pytest.param("/v1/projects", Reply(403), "misconfigured", False, id="not that account"),
        pytest.param("/v1/projects", Reply(404), "misconfigured", False, id="no such account"),
        pytest.param("/v1/token", Reply(503), "upstream_unavailable", True, id="exchange down"),
        pytest.param("/v1/projects", Reply(500), "upstream_unavailable", True, id="tokens down"),
        pytest.param("/v1/projects", reply(200, {}), "upstream_protocol", True, id="no token"),
        pytest.param("/v1/token", Reply(200, b"<p>"), "upstream_protocol", True, id="a page"),
    ],
)
def test_what_googles_answer_means(
    google: Google, path: str, answer: Reply, code: str, retryable: bool
) -> None:
    google.server.decide = lambda received: (
        answer if received.path.startswith(path) else google.decide(received)
    )

    with pytest.raises(UpstreamError) as caught:
        sync_federated(google)

    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert written_with(google) == []


def test_another_role_gets_nothing(google: Google, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "of-somebody-else")

    with pytest.raises(UpstreamError) as caught:
        sync_federated(google)

    assert (caught.value.code, google.given) == ("misconfigured", 0)


def test_a_function_without_credentials_says_so(
    google: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name)

    with pytest.raises(UpstreamError, match="no AWS credentials"):
        sync_federated(google)


@pytest.mark.parametrize("setting", FEDERATED)
def test_half_an_account_is_refused(setting: str) -> None:
    with pytest.raises(ConfigurationError, match="belong together"):
        rule.configure({}, DATABASE | {setting: FEDERATED[setting]})
