"""Kept-alive HTTP/1.1 connections to AWS, shared by the threads of one execution environment.

The standard library parses the answers; what is left out against a general client is what AWS's
JSON services never need (redirects, proxies, cookies, compression) and what a login pays for: head
and body leave in one piece, and nothing is copied into objects that nobody reads. Measured in
docs/performance.md.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections import deque
from dataclasses import dataclass
from functools import cache
from http.client import HTTPException, HTTPMessage, HTTPResponse
from urllib.parse import urlsplit

from cognito_rules.errors import UpstreamError, UpstreamTimeoutError

# AWS closes a silent connection after a minute or more. A frozen environment does not hear of it.
IDLE_SECONDS = 30.0
CONNECTION_BROKEN = "connection_broken"


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """One answer, whatever its status; ``headers`` ignore case."""

    status: int
    headers: HTTPMessage
    data: bytes


class Connections:
    """The connections to one origin, such as ``https://dynamodb.eu-west-1.amazonaws.com``.

    As many are made as are in use at once; one that was idle for less than ``idle_seconds`` is
    used again.
    """

    def __init__(self, origin: str, *, idle_seconds: float = IDLE_SECONDS) -> None:
        parts = urlsplit(origin)
        self._is_secure = parts.scheme == "https"
        self._host = parts.hostname or ""
        self._port = parts.port or (443 if self._is_secure else 80)
        self._name = parts.netloc
        self._idle_seconds = idle_seconds
        self._idle: deque[tuple[socket.socket, float]] = deque()

    def send(
        self,
        method: str,
        target: str,
        body: bytes,
        headers: dict[str, str],
        *,
        connect: float,
        timeout: float,
    ) -> HttpAnswer:
        """Send one request, once, and return the answer.

        ``target`` is the path with its query. ``timeout`` is in seconds for all of it, of which a
        new connection may take ``connect``.

        Raises
        ------
        UpstreamTimeoutError : no answer in time; the call may have taken effect.
        UpstreamError : no connection, or (code ``connection_broken``) it broke; in the latter case
            too the call may have.
        """
        ends = time.monotonic() + timeout
        try:
            connection = self._kept() or self._connected(min(connect, timeout))
        except OSError as error:
            raise self._failed(error) from error
        try:
            connection.settimeout(max(0.001, ends - time.monotonic()))
            connection.sendall(self._head(method, target, body, headers) + body)
            answer, is_last = _read(connection)
        except TimeoutError as error:
            connection.close()
            raise UpstreamTimeoutError(self._host, "no answer in time", retryable=True) from error
        except (OSError, HTTPException) as error:
            connection.close()
            raise self._failed(error, code=CONNECTION_BROKEN) from error
        except BaseException:
            connection.close()
            raise
        if is_last:
            connection.close()
        else:
            self._idle.append((connection, time.monotonic()))
        return answer

    def close(self) -> None:
        """Close the idle connections."""
        while self._idle:
            self._idle.pop()[0].close()

    def __del__(self) -> None:
        self.close()

    def _head(self, method: str, target: str, body: bytes, headers: dict[str, str]) -> bytes:
        lines = [
            f"{method} {target} HTTP/1.1",
            f"Host: {self._name}",
            f"Content-Length: {len(body)}",
        ]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if any("\r" in line or "\n" in line for line in lines):
            raise HTTPException("a line break in the head of a request")
        return "\r\n".join((*lines, "", "")).encode("ascii")

    def _kept(self) -> socket.socket | None:
        """Return the idle connection that was used last, when it is still good."""
        while True:
            try:
                connection, used = self._idle.pop()
            except IndexError:
                return None
            # Readable without a request means that the other side has closed it.
            if time.monotonic() - used < self._idle_seconds and not _is_readable(connection):
                return connection
            connection.close()

    def _connected(self, timeout: float) -> socket.socket:
        connection = socket.create_connection((self._host, self._port), timeout)
        try:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._is_secure:
                return _trust().wrap_socket(connection, server_hostname=self._host)
        except BaseException:
            connection.close()
            raise
        return connection

    def _failed(self, error: Exception, *, code: str | None = None) -> UpstreamError:
        message = f"{type(error).__name__} on the connection"
        return UpstreamError(self._host, message, retryable=True, code=code)


def _read(connection: socket.socket) -> tuple[HttpAnswer, bool]:
    """Return the answer that comes, and whether it is the last one of its connection."""
    response = HTTPResponse(connection, method="POST")
    try:
        response.begin()
        return HttpAnswer(response.status, response.headers, response.read()), response.will_close
    finally:
        response.close()


def _is_readable(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


@cache
def _trust() -> ssl.SSLContext:
    """Return the authorities that the system trusts, read once."""
    return ssl.create_default_context()
