"""Signed calls to AWS over pooled connections, for the login path.

A login makes two table calls and one invocation for each remote rule, inside a few hundred
milliseconds. botocore finds endpoints and credentials, ``sigv4`` signs, ``connections`` carries;
the service clients of boto3 cost more CPU than all the rest of a login and time out by the client,
not by the call. Everything off the login path uses boto3.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime
from functools import cache, cached_property
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.regions import EndpointResolver

from cognito_rules.connections import CONNECTION_BROKEN, Connections, HttpAnswer
from cognito_rules.errors import UpstreamError, UpstreamTimeoutError
from cognito_rules.sigv4 import signed_headers

CONNECT_TIMEOUT = 0.3


class Aws:
    """AWS as seen by one execution environment: region, credentials, connections."""

    def __init__(self) -> None:
        self._session = botocore.session.get_session()
        self.region: str = self._session.get_config_variable("region") or "us-east-1"
        self._connections: dict[str, Connections] = {}

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
        self,
        service: str,
        url: str,
        body: bytes,
        headers: dict[str, str],
        *,
        timeout: float,
        repeatable: bool = False,
    ) -> HttpAnswer:
        """Send one signed POST and return the answer whatever its status; see ``send``."""
        return self.send(
            "POST", service, url, body, headers, timeout=timeout, repeatable=repeatable
        )

    def send(
        self,
        method: str,
        service: str,
        url: str,
        body: bytes,
        headers: dict[str, str],
        *,
        timeout: float,
        repeatable: bool = False,
    ) -> HttpAnswer:
        """Send one signed request and return the answer whatever its status.

        ``service`` is the name under which AWS checks the signature; a query in ``url`` has its
        names in order, and all of it quoted. ``timeout`` is in seconds for all of it. A connection
        that dies while its environment is frozen shows it when it is used: a ``repeatable`` call is
        then sent once more.

        Raises
        ------
        UpstreamTimeoutError : no answer in time; the call may have taken effect.
        UpstreamError : no connection, or no credentials.
        """
        ends = time.monotonic() + timeout
        credentials = self._session.get_credentials()
        if credentials is None:
            raise UpstreamError(service, "there are no AWS credentials")
        origin, host, path, query = _split(url)
        signed = signed_headers(
            credentials.get_frozen_credentials(),
            service=service,
            region=self.region,
            host=host,
            path=path,
            body=body,
            headers=headers,
            now=datetime.now(UTC),
            method=method,
            query=query,
        )
        target = f"{path}?{query}" if query else path
        connections = self._connections.get(origin)
        if connections is None:  # setdefault: another thread may have been faster
            connections = self._connections.setdefault(origin, Connections(origin))
        while True:
            left = ends - time.monotonic()
            if left <= 0:
                raise UpstreamTimeoutError(service, "no time was left", retryable=True)
            try:
                return connections.send(
                    method, target, body, signed, connect=CONNECT_TIMEOUT, timeout=left
                )
            except UpstreamError as error:
                if error.code != CONNECTION_BROKEN or not repeatable:
                    raise
                repeatable = False


@cache
def function_aws() -> Aws:
    """Return the one of this function, for what a rule's parts ask of AWS one after the other."""
    return Aws()


def _split(url: str) -> tuple[str, str, str, str]:
    """Return the origin, the host as a Host header names it, the path and the query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}", parts.netloc, parts.path or "/", parts.query


def error_code(document: Any) -> str:
    """Return the error type of an AWS JSON answer without its namespace."""
    kind = document.get("__type") or document.get("Type") if isinstance(document, dict) else None
    return str(kind or "unknown").rpartition("#")[2]
