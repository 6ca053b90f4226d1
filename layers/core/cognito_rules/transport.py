"""One HTTP exchange: pooled connections to checked addresses, bounded in time and size.

Imported by ``http.py`` when the first call is made, because it imports requests.
"""

from __future__ import annotations

import io
import ipaddress
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from functools import lru_cache
from http.client import HTTPResponse
from http.cookiejar import DefaultCookiePolicy
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
)
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context

from cognito_rules.client_certificate import ClientCertificate
from cognito_rules.endpoint import Endpoint, refusal
from cognito_rules.errors import UpstreamError, UpstreamTimeoutError

_POOL_SIZE = 4
_PIECE = 16 * 1024
_USER_AGENT = "cognito-rules/1"
_OUR_CERTIFICATE = re.compile("ALERT_(.*CERTIFICATE|UNKNOWN_CA|ACCESS_DENIED)")

Exchange = tuple[int, Mapping[str, str], bytes]

# The moment on the monotonic clock at which the exchange of this thread has to be over.
_ends: ContextVar[float] = ContextVar("ends", default=float("inf"))


def exchange(
    method: str,
    endpoint: Endpoint,
    body: bytes,
    headers: Mapping[str, str],
    *,
    connect: float,
    read: float,
    ends: float,
    ca_bundle: str | None,
    client_certificate: ClientCertificate | None,
    max_bytes: int,
) -> Exchange:
    """Send one request and return status, headers and body of the answer, whatever the status.

    Parameters
    ----------
    method : the HTTP method, in capitals.
    connect, read : seconds, for the connection with its handshake and for each wait for data.
    ends : moment on the monotonic clock at which the answer must be complete.
    ca_bundle : path of a PEM file with the authorities to trust instead of the public ones.
    client_certificate : what to show to a server that asks who calls.
    max_bytes : size of the largest body, after decompression, that is read.

    Raises
    ------
    UpstreamTimeoutError : the request may have been sent, and no whole answer came.
    UpstreamError : nothing was sent (retryable), the endpoint is ``misconfigured`` (its address,
        either side's certificate, the bundle), or the answer is too large.
    """
    try:
        session = _session(endpoint.allow_private_network, client_certificate)
    except ValueError:
        raise UpstreamError(
            endpoint.host,
            "the client certificate and its key are no pair in PEM without a password",
            code="misconfigured",
        ) from None
    over = _ends.set(ends)
    try:
        response = session.request(
            method,
            endpoint.url,
            data=body,
            headers=headers,
            timeout=(connect, read),
            verify=ca_bundle or True,
            allow_redirects=False,  # a 307 would send body and credential to another host
            stream=True,
        )
    except requests.exceptions.RequestException as error:
        # Without its cause: the texts and the request in it hold the query and the credential.
        raise _what_happened(endpoint.host, error) from None
    except OSError:
        raise UpstreamError(
            endpoint.host, "the file that ca_bundle names cannot be read", code="misconfigured"
        ) from None
    finally:
        _ends.reset(over)
    with response:
        answer = _read_body(endpoint.host, response, ends, max_bytes)
        return response.status_code, response.headers, answer


def _read_body(service: str, response: requests.Response, ends: float, max_bytes: int) -> bytes:
    body = b""
    try:
        while piece := response.raw.read1(_PIECE, decode_content=True):
            body += piece
            if len(body) > max_bytes:
                raise UpstreamError(
                    service,
                    f"the answer is larger than {max_bytes} bytes",
                    status=response.status_code,
                    code="upstream_protocol",
                )
    except (HTTPError, OSError):
        what = "came too slowly" if time.monotonic() >= ends else "broke off"
        raise UpstreamTimeoutError(
            service, f"the answer {what}", status=response.status_code
        ) from None
    return body


def _what_happened(service: str, error: Exception) -> UpstreamError:
    causes = list(_causes(error))
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return UpstreamError(
            service,
            "the certificate is not trusted: for a private authority, set ca_bundle",
            code="misconfigured",
        )
    if any(_is_of_our_certificate(cause) for cause in causes):
        return UpstreamError(
            service, "the service refused the client certificate", code="misconfigured"
        )
    if isinstance(error, (requests.exceptions.InvalidURL, requests.exceptions.InvalidHeader)):
        return UpstreamError(service, "the request cannot be made", code="misconfigured")
    not_connected = (NewConnectionError, ConnectTimeoutError)
    if isinstance(error, requests.exceptions.SSLError) or any(
        isinstance(cause, not_connected) for cause in causes
    ):
        return UpstreamError(service, "no connection", retryable=True, code="upstream_unavailable")
    if isinstance(error, requests.exceptions.ReadTimeout):
        return UpstreamTimeoutError(service, "no answer in time")
    return UpstreamTimeoutError(service, "the connection broke off")


def _is_of_our_certificate(cause: BaseException) -> bool:
    """Say whether the other side ended the handshake over who calls (RFC 8446, 6.2)."""
    reason = cause.reason if isinstance(cause, ssl.SSLError) else None
    return isinstance(reason, str) and bool(_OUR_CERTIFICATE.search(reason))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it was made from; requests and urllib3 nest them in three ways."""
    waiting, seen = [error], set()
    while waiting:
        cause = waiting.pop()
        if id(cause) in seen:
            continue
        seen.add(id(cause))
        yield cause
        nested = [getattr(cause, "reason", None), cause.__cause__, cause.__context__, *cause.args]
        waiting += [item for item in nested if isinstance(item, BaseException)]


# Of a certificate that was replaced, no more than a few are left behind.
@lru_cache(maxsize=8)
def _session(
    allow_private_network: bool, client_certificate: ClientCertificate | None
) -> requests.Session:
    context = None
    if client_certificate is not None:
        context = create_urllib3_context()
        client_certificate.load_into(context)
    session = requests.Session()
    # Else .netrc would replace the Authorization header, and variables would name a proxy.
    session.trust_env = False
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
    session.headers.update({"User-Agent": _USER_AGENT, "Accept-Encoding": "gzip"})
    adapter = _GuardedAdapter(allow_private_network, context)
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session


class _GuardedAdapter(HTTPAdapter):
    def __init__(self, allow_private_network: bool, context: ssl.SSLContext | None) -> None:
        self._pools = _guarded_pools(allow_private_network)
        self._context = context
        super().__init__(_POOL_SIZE, _POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs, ssl_context=self._context)
        self.poolmanager.pool_classes_by_scheme = self._pools


def _guarded_pools(allow_private_network: bool) -> dict[str, type[HTTPConnectionPool]]:
    """Return urllib3's pools with connections that resolve, check and connect in one place."""

    class Connection(HTTPConnection):
        response_class = _TimelyResponse

        def _new_conn(self) -> socket.socket:
            return _connect(self, allow_private_network)

    class SecureConnection(HTTPSConnection):
        response_class = _TimelyResponse

        def _new_conn(self) -> socket.socket:
            return _connect(self, allow_private_network)

    class Pool(HTTPConnectionPool):
        ConnectionCls = Connection

    class SecurePool(HTTPSConnectionPool):
        ConnectionCls = SecureConnection

    return {"http": Pool, "https": SecurePool}


class _TimelyResponse(HTTPResponse):
    """An answer of which no part is waited for longer than until the exchange has to be over.

    A read timeout bounds one wait: a server that sends its headers sign by sign would have many.
    """

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Timely(self.fp.detach(), sock, _ends.get()))


class _Timely(io.RawIOBase):
    def __init__(self, raw: io.RawIOBase, sock: socket.socket, ends: float) -> None:
        self._raw = raw
        self._sock = sock
        self._ends = ends
        self._wait: float = sock.gettimeout() or 0.0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left = self._ends - time.monotonic()
        if left <= 0:
            raise TimeoutError("the time of the exchange is over")
        self._sock.settimeout(min(self._wait, left))
        return self._raw.readinto(buffer)

    def close(self) -> None:
        super().close()
        self._raw.close()


def _connect(connection: HTTPConnection, allow_private_network: bool) -> socket.socket:
    """Return a socket to the first address of the host that answers, after checking all of them."""
    host, port = connection.host, connection.port
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise NameResolutionError(host, connection, error) from error
    addresses = [str(target[0]) for *_, target in found]
    for checked in map(ipaddress.ip_address, addresses):
        problem = refusal(host, checked, allow_private_network=allow_private_network)
        if problem:
            raise UpstreamError(host, problem, code="misconfigured")
    ends = time.monotonic() + float(connection.timeout or 0)
    failure: OSError | None = None
    for left, address in zip(range(len(addresses), 0, -1), addresses, strict=True):
        # An address that is silent leaves time for those after it.
        share = max(0.001, (ends - time.monotonic()) / left)
        try:
            made = create_connection(
                (address, port), share, socket_options=connection.socket_options
            )
        except OSError as error:
            failure = error
        else:
            made.settimeout(connection.timeout)
            return made
    raise NewConnectionError(connection, "no connection") from failure
