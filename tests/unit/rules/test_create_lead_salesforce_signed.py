import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl

import boto3
import jwt
import pytest
import requests
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from simple_salesforce.login import SalesforceLogin

from cognito_rules import UpstreamError
from cognito_rules.login import Login
from functions.create_lead_salesforce.app import rule
from tests.deliveries import a_delivery, differences, facts_of, with_rotated
from tests.loopback import Received, Reply, Server, reply, serving
from tests.pool_tokens import private_key, private_pem
from tests.unit.rules.salesforce_org import CREATED, KNOWN, TOKEN, lead, org, sent_to, their_session

__all__ = ["org", "their_session"]  # fixtures

SIGN_IN = "https://login.salesforce.com"
AWS = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "eu-west-1"}
KEY = "arn:aws:kms:eu-west-1:111122223333:key/1"
SIGNS = {"auth_mode": "jwt_bearer", "signing_key": KEY}
INTEGRATION = {"SALESFORCE_CLIENT_ID": "client-1", "SALESFORCE_USERNAME": "leads@acme.test"}


class Kms:
    """AWS KMS on loopback: signs with the one private key, which nobody else has."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.public_key = private_key("salesforce").public_key()

    def sign(self, received: Received) -> Reply:
        asked = received.json()
        signature = private_key("salesforce").sign(
            b64decode(asked["Message"]), padding.PKCS1v15(), hashes.SHA256()
        )
        return reply(200, {"KeyId": asked["KeyId"], "Signature": b64encode(signature).decode()})


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kms]:
    with serving() as server:
        stand_in = Kms(server)
        server.decide = stand_in.sign
        monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", server.url)
        for name, value in AWS.items():
            monkeypatch.setenv(name, value)
        yield stand_in


def signed_lead(org: Server, settings: dict[str, Any] | None = None) -> Login:
    settings = {"my_domain": "acme", **SIGNS, **(settings or {})}
    return a_delivery(org, settings, INTEGRATION, **KNOWN)


def assertion_in(received: Received) -> str:
    return dict(parse_qsl(received.body.decode()))["assertion"]


@pytest.mark.parametrize(
    ("my_domain", "audience"),
    [
        pytest.param("acme", "https://login.salesforce.com", id="of an org"),
        pytest.param("acme--uat.sandbox", "https://test.salesforce.com", id="of a sandbox"),
        pytest.param("acme.develop", "https://login.salesforce.com", id="of a developer's org"),
    ],
)
def test_a_user_signs_in_by_an_assertion(
    org: Server, kms: Kms, my_domain: str, audience: str
) -> None:
    before = time.time()

    rule.decide(signed_lead(org, {"my_domain": my_domain}))

    asked, made = org.received
    form = dict(parse_qsl(asked.body.decode()))
    assert set(form) == {"grant_type", "assertion"}
    assert form["grant_type"] == "urn:ietf:params:oauth:grant-type:jwt-bearer"
    claims = jwt.decode(form["assertion"], kms.public_key, ["RS256"], audience=audience)
    assert (claims["iss"], claims["sub"]) == ("client-1", "leads@acme.test")
    assert before + 60 < claims["exp"] <= time.time() + 300
    assert made.headers["authorization"] == "Bearer token-1"


def test_our_request_to_kms_is_the_one_that_boto3_sends(org: Server, kms: Kms) -> None:
    rule.decide(signed_lead(org))
    [ours] = kms.server.received
    signed = assertion_in(org.received[0]).rpartition(".")[0]

    boto3.client("kms").sign(
        KeyId=KEY,
        Message=signed.encode(),
        MessageType="RAW",
        SigningAlgorithm="RSASSA_PKCS1_V1_5_SHA_256",
    )

    theirs = kms.server.received[-1]
    assert theirs.json() == ours.json()
    for header in ("x-amz-target", "content-type"):
        assert theirs.headers[header] == ours.headers[header]


def test_our_assertion_is_the_one_that_simple_salesforce_sends(
    org: Server, kms: Kms, their_session: requests.Session
) -> None:
    rule.decide(signed_lead(org))
    ours = org.received[0]
    org.received.clear()
    org.replies = [TOKEN]

    SalesforceLogin(
        session=their_session,
        username="leads@acme.test",
        consumer_key="client-1",
        privatekey=private_pem("salesforce"),
    )

    [theirs] = org.received
    assert differences(facts_of(theirs), facts_of(ours)) <= {"body.assertion"}
    made = [
        jwt.decode(assertion_in(sent), kms.public_key, ["RS256"], audience=SIGN_IN)
        for sent in (theirs, ours)
    ]
    assert differences(*made) <= {"exp"}


def test_a_token_is_signed_for_once(org: Server, kms: Kms) -> None:
    rule.decide(signed_lead(org))
    rule.decide(signed_lead(org))

    assert (len(kms.server.received), len(sent_to(org))) == (1, 2)


def test_a_token_is_not_that_of_an_entry_with_the_clients_secret(org: Server, kms: Kms) -> None:
    org.replies = [TOKEN, CREATED, TOKEN, CREATED]
    rule.decide(lead(org))

    rule.decide(signed_lead(org))

    grants = [
        dict(parse_qsl(sent.body.decode()))["grant_type"]
        for sent in org.received
        if sent not in sent_to(org)
    ]
    assert grants == ["client_credentials", "urn:ietf:params:oauth:grant-type:jwt-bearer"]


def test_a_user_that_was_replaced_is_read_again(org: Server, kms: Kms) -> None:
    org.replies = [reply(400, {"error": "invalid_grant"}), TOKEN, CREATED]
    newer = INTEGRATION | {"SALESFORCE_USERNAME": "leads2@acme.test"}

    rule.decide(with_rotated(signed_lead(org), INTEGRATION, newer))

    users = [
        jwt.decode(assertion_in(sent), kms.public_key, ["RS256"], audience=SIGN_IN)["sub"]
        for sent in org.received[:2]
    ]
    assert users == ["leads@acme.test", "leads2@acme.test"]


def test_a_user_who_stays_refused_is_for_an_operator(org: Server, kms: Kms) -> None:
    org.replies = [reply(400, {"error": "invalid_grant"})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(signed_lead(org))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
    assert len(org.received) == 1


@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        pytest.param(
            reply(400, {"__type": "AccessDeniedException"}), "misconfigured", False, id="not ours"
        ),
        pytest.param(
            reply(400, {"__type": "NotFoundException"}), "misconfigured", False, id="none"
        ),
        pytest.param(
            reply(400, {"__type": "DisabledException"}), "misconfigured", False, id="disabled"
        ),
        pytest.param(
            reply(400, {"__type": "ThrottlingException"}), "upstream_unavailable", True, id="busy"
        ),
        pytest.param(Reply(500), "upstream_unavailable", True, id="an error of KMS"),
        pytest.param(reply(200, {}), "upstream_unavailable", True, id="no signature"),
        pytest.param(Reply(reset=True), "upstream_unavailable", True, id="no answer"),
    ],
)
def test_without_a_signature_nothing_is_sent(
    org: Server, kms: Kms, answer: Reply, code: str, retryable: bool
) -> None:
    kms.server.decide = lambda received: answer

    with pytest.raises(UpstreamError) as caught:
        rule.decide(signed_lead(org))

    assert (caught.value.code, caught.value.retryable) == (code, retryable)
    assert org.received == []
