"""Signed calls to AWS over pooled connections, for the login path.

A login makes two table calls and one invocation for each remote rule, inside a few hundred
milliseconds. botocore signs these calls and finds endpoints and credentials, urllib3 carries them;
the service clients above them cost more CPU than all the rest of a login and time out by the
client, not by the call. Everything off the login path uses boto3.
"""

from __future__ import annotations

import os
from functools import cached_property
from typing import Any

import botocore.session
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.regions import EndpointResolver

from cognito_rules.errors import UpstreamError, UpstreamTimeoutError

CONNECT_TIMEOUT = 0.3
_POOL_SIZE = 16


class Aws:
    """AWS as seen by one execution environment: region, credentials, connections."""

    def __init__(self) -> None:
        self._session = botocore.session.get_session()
        self.region: str = self._session.get_config_variable("region") or "us-east-1"
        self._pool = urllib3.PoolManager(maxsize=_POOL_SIZE, block=False, retries=False)

    @cached_property
    def _resolver(self) -> EndpointResolver:
        data = self._session.get_component("data_loader").load_data("endpoints")
        return EndpointResolver(data)

    def endpoint(self, service: str) -> str:
        """Return the URL of a service in this region, or the one that the environment sets."""
        name = f"AWS_ENDPOINT_URL_{service.upper()}"
        given = os.environ.get(name) or os.environ.get("AWS_ENDPOINT_URL")
        if given:
            return given.rstrip("/")
        endpoint = self._resolver.construct_endpoint(service, self.region)
        if endpoint is None:
            raise UpstreamError(service, f"there is no {service} in region {self.region}")
        return f"https://{endpoint['hostname']}"

    def post(
        self, service: str, url: str, body: bytes, headers: dict[str, str], *, timeout: float
    ) -> urllib3.BaseHTTPResponse:
        """Send one signed POST, once, and return the answer whatever its status.

        ``timeout`` is in seconds for the answer, after at most 0.3 s for the connection.

        Raises
        ------
        UpstreamTimeoutError : no answer in time; the call may have taken effect.
        UpstreamError : no connection, or no credentials.
        """
        credentials = self._session.get_credentials()
        if credentials is None:
            raise UpstreamError(service, "there are no AWS credentials")
        request = AWSRequest("POST", url, data=body, headers=headers)
        SigV4Auth(credentials.get_frozen_credentials(), service, self.region).add_auth(request)
        limits = urllib3.Timeout(connect=min(CONNECT_TIMEOUT, timeout), read=timeout)
        try:
            return self._pool.request(
                "POST", url, body=body, headers=dict(request.headers.items()), timeout=limits
            )
        except urllib3.exceptions.ReadTimeoutError as error:
            raise UpstreamTimeoutError(service, "no answer in time", retryable=True) from error
        except urllib3.exceptions.HTTPError as error:
            message = f"{type(error).__name__} on the connection"
            raise UpstreamError(service, message, retryable=True) from error


def error_code(document: Any) -> str:
    """Return the error type of an AWS JSON answer without its namespace."""
    kind = document.get("__type") or document.get("Type") if isinstance(document, dict) else None
    return str(kind or "unknown").rpartition("#")[2]
