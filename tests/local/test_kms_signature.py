"""Assertions that KMS signs, with the permission that template.yaml gives to a rule."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import jwt
import pytest
from botocore.exceptions import ClientError
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.serialization import load_der_public_key

from cognito_rules import kms_signature
from cognito_rules.errors import UpstreamError
from cognito_rules.kms_signature import sign_assertion
from local.server import EmbeddedAws
from tests.contract.stack_template import Stack

ANYBODY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}],
}


class Signer:
    """A key, another one, and the role of a rule that may sign with the first."""

    def __init__(self, aws: EmbeddedAws) -> None:
        self._admin = aws.client("kms")
        self.key, self.another = self._key(), self._key()
        [statement] = [
            found
            for owner, found in Stack(SalesforceSigningKeyArn=self.key).statements()
            if owner == "CreateLeadSalesforceRuleRole" and found["Action"] == "kms:Sign"
        ]
        iam, name = aws.client("iam"), f"leads-{uuid4().hex[:8]}"
        role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(ANYBODY))["Role"]
        policy = {"Version": "2012-10-17", "Statement": [statement]}
        iam.put_role_policy(RoleName=name, PolicyName="sign", PolicyDocument=json.dumps(policy))
        session = aws.client("sts").assume_role(RoleArn=role["Arn"], RoleSessionName="rule")
        self.credentials: dict[str, Any] = dict(session["Credentials"])
        self.kms = aws.client("kms", self.credentials)

    def _key(self) -> str:
        made = self._admin.create_key(KeySpec="RSA_2048", KeyUsage="SIGN_VERIFY")
        return str(made["KeyMetadata"]["Arn"])

    @property
    def public_key(self) -> RSAPublicKey:
        found = load_der_public_key(self._admin.get_public_key(KeyId=self.key)["PublicKey"])
        assert isinstance(found, RSAPublicKey)
        return found


@pytest.fixture(scope="module")
def made(aws: EmbeddedAws) -> Signer:
    return Signer(aws)


@pytest.fixture
def signer(aws: EmbeddedAws, made: Signer, monkeypatch: pytest.MonkeyPatch) -> Iterator[Signer]:
    for name, value in aws.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", made.credentials["AccessKeyId"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", made.credentials["SecretAccessKey"])
    monkeypatch.setenv("AWS_SESSION_TOKEN", made.credentials["SessionToken"])
    kms_signature._aws.cache_clear()
    yield made
    kms_signature._aws.cache_clear()


def test_what_kms_signs_is_what_the_keys_public_half_says(signer: Signer) -> None:
    claims = {"iss": "client-1", "sub": "leads@acme.test"}

    signed = sign_assertion(signer.key, claims)

    assert jwt.get_unverified_header(signed) == {"alg": "RS256", "typ": "JWT"}
    assert jwt.decode(signed, signer.public_key, ["RS256"]) == claims


def test_the_rule_signs_with_no_other_key(signer: Signer) -> None:
    with pytest.raises(UpstreamError) as caught:
        sign_assertion(signer.another, {})

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
    assert "AccessDenied" in str(caught.value)


def test_the_rule_signs_by_no_other_algorithm(signer: Signer) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        signer.kms.sign(KeyId=signer.key, Message=b"x", SigningAlgorithm="RSASSA_PSS_SHA_256")


def test_a_key_that_is_not_there(signer: Signer) -> None:
    with pytest.raises(UpstreamError) as caught:
        sign_assertion(signer.key[:-4] + "0000", {})

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
