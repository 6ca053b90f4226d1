"""Access tokens for a Google service account without a key: AWS vouches for who asks.

The function signs a request to AWS that asks who it is, and sends that to Google instead. Google
asks AWS, gives a token for the role of the function, and for that one of the service account. So
there is no secret of Google's here; who may do so is written down there.

Source: Google, "Configure Workload Identity Federation with AWS" and its sample "Create a token for
Workload Identity Federation with AWS"; "Security Token Service API: Method: token"; "Service
Account Credentials API: generateAccessToken"; RFC 8693; AWS STS API, "GetCallerIdentity".
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING
from urllib.parse import quote

from cognito_rules.access_tokens import AccessToken, access_token, keep_token, kept_token
from cognito_rules.endpoint import vendor_endpoint
from cognito_rules.errors import UpstreamError
from cognito_rules.http import Answer, Budget, encode, post
from cognito_rules.login import parse_time
from cognito_rules.sigv4 import signed_headers

if TYPE_CHECKING:
    from botocore.session import Session

STS = "sts.googleapis.com"
IAM = "iamcredentials.googleapis.com"
LIFETIME_SECONDS = 3600
_EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
_ACCESS_TOKEN = "urn:ietf:params:oauth:token-type:access_token"
_AWS_REQUEST = "urn:ietf:params:aws:token-type:aws4_request"
# All that the first token is for.
_IMPERSONATE = "https://www.googleapis.com/auth/iam"
_QUERY = "Action=GetCallerIdentity&Version=2011-06-15"


@dataclass(frozen=True, slots=True)
class FederatedAccount:
    """A service account, and whom Google asks about who may be it.

    Attributes
    ----------
    email : its address.
    provider : the workload identity provider, as
        ``projects/123/locations/global/workloadIdentityPools/aws/providers/cognito-rules``.
    """

    email: str
    provider: str

    @property
    def audience(self) -> str:
        """The provider's full name."""
        return f"//iam.googleapis.com/{self.provider}"


def federated_token(
    account: FederatedAccount,
    scopes: list[str],
    *,
    stand_in: str | None,
    budget: Budget,
    renew: bool = False,
) -> str:
    """Return an access token of the account for ``scopes``, a kept one while it lasts.

    Parameters
    ----------
    stand_in : see ``vendor_endpoint``.
    budget : for both calls together.
    renew : whether to get a new one in any case, for a service that just refused the kept one.

    Raises
    ------
    UpstreamError : as ``post``; ``misconfigured`` when Google gives this role no token, or has not
        let it be the account; ``upstream_protocol`` for an answer without a token.
    """
    path = f"/v1/projects/-/serviceAccounts/{quote(account.email, safe='@')}:generateAccessToken"
    endpoint = vendor_endpoint(IAM, path, stand_in=stand_in)
    kept = kept_token(endpoint.url, renew=renew)
    if kept is not None:
        return kept.text
    ends = time.monotonic() + budget.seconds
    vouched = _vouched(account, stand_in, budget)
    answer = post(
        endpoint,
        encode({"scope": scopes, "lifetime": f"{LIFETIME_SECONDS}s"}),
        budget=budget.within(max(0.0, ends - time.monotonic())),
        authorize=lambda refresh: {"Authorization": f"Bearer {vouched}"},
        repeatable=True,  # a token more does no harm
    )
    if not answer.is_success:
        message = f"answered {answer.status}: may the function's role be {account.email}?"
        raise UpstreamError(answer.service, message, status=answer.status, code="misconfigured")
    text, seconds = _token_in(answer)
    return keep_token(endpoint.url, AccessToken(text, {}), seconds).text


def _vouched(account: FederatedAccount, stand_in: str | None, budget: Budget) -> str:
    """Return Google's token for the role of this function."""

    def form(again: bool) -> Mapping[str, str]:
        return {
            "grant_type": _EXCHANGE,
            "audience": account.audience,
            "scope": _IMPERSONATE,
            "requested_token_type": _ACCESS_TOKEN,
            "subject_token_type": _AWS_REQUEST,
            "subject_token": _who_i_am(account.audience),
        }

    endpoint = vendor_endpoint(STS, "/v1/token", stand_in=stand_in)
    # It is used once, for a token that lasts as long.
    return access_token(
        endpoint, form, budget=budget, lifetime_seconds=LIFETIME_SECONDS, renew=True
    ).text


def _who_i_am(audience: str) -> str:
    """Return a signed request to AWS STS as Google wants it: good for minutes, at this audience."""
    session = _session()
    credentials = session.get_credentials()
    if credentials is None:
        raise UpstreamError(STS, "there are no AWS credentials to show", code="misconfigured")
    region = session.get_config_variable("region") or "us-east-1"
    host = f"sts.{region}.amazonaws.com"
    headers = signed_headers(
        credentials.get_frozen_credentials(),
        service="sts",
        region=region,
        host=host,
        path="/",
        body=b"",
        # Signed too, or whoever sees the request could use it at another provider.
        headers={"x-goog-cloud-target-resource": audience},
        now=datetime.now(UTC),
        query=_QUERY,
    )
    request = {
        "url": f"https://{host}/?{_QUERY}",
        "method": "POST",
        "headers": [
            {"key": key, "value": value} for key, value in {**headers, "Host": host}.items()
        ],
    }
    return quote(json.dumps(request, separators=(",", ":")))


def _token_in(answer: Answer) -> tuple[str, float]:
    """Return the token in an answer and the seconds that it lives."""
    facts = answer.fields()
    text = facts.get("accessToken")
    if not isinstance(text, str) or not text:
        raise UpstreamError(
            answer.service,
            "the answer holds no access token",
            status=answer.status,
            retryable=True,
            code="upstream_protocol",
        )
    try:
        ends = parse_time(facts.get("expireTime", ""))
    except (TypeError, ValueError):
        return text, LIFETIME_SECONDS
    return text, (ends - datetime.now(UTC)).total_seconds()


@cache
def _session() -> Session:
    from botocore.session import get_session

    return get_session()
