"""A real HTTP server on loopback for tests: it answers what it is told and remembers what came."""

import contextlib
import datetime as dt
import ipaddress
import json
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, cast

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from cognito_rules.http import Endpoint


@dataclass(frozen=True)
class Reply:
    """One answer: after ``delay`` seconds, in pieces ``drip`` seconds apart, or a reset.

    ``drip_head`` are the seconds between the signs of one of its headers. ``after`` is called
    before anything is sent, as an event's ``wait``, and may break it off by an error.
    """

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    delay: float = 0.0
    after: Callable[[], object] | None = None
    drip: float = 0.0
    drip_head: float = 0.0
    reset: bool = False
    says_length: int | None = None


def reply(status: int, value: Any, **options: Any) -> Reply:
    """Return a reply whose body is ``value`` as JSON."""
    return Reply(status, json.dumps(value).encode(), **options)


@dataclass(frozen=True)
class Received:
    """One request as it came; header names in lower case.

    ``caller`` is the common name of the client certificate, where the server asks for one.
    """

    path: str
    headers: Mapping[str, str]
    body: bytes
    at: float
    method: str = "POST"
    caller: str = ""

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class Server(ThreadingHTTPServer):
    """Give it replies, the last of which is given again and again, or routes: path to reply.

    ``decide`` comes before them: what a test answers to a request, or None.
    """

    daemon_threads = True
    request_queue_size = 50

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.replies = [Reply()]
        self.routes: dict[str, Reply] = {}
        self.decide: Callable[[Received], Reply | None] = lambda received: None
        self.received: list[Received] = []
        self.connections = 0
        self.scheme = "http"
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        """Where it listens, without a path."""
        return f"{self.scheme}://127.0.0.1:{self.server_port}"

    def get_request(self) -> tuple[socket.socket, Any]:
        """Count and keep a connection that a client made."""
        made, address = super().get_request()
        self.connections += 1
        self._open.append(made)
        return made, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Stay silent: clients that give up are what these tests are about."""

    def next_reply(self, received: Received) -> Reply:
        """Note a request and return what to answer."""
        with self._lock:
            self.received.append(received)
            if decided := self.decide(received):
                return decided
            for begin, answer in self.routes.items():
                if received.path.startswith(begin):
                    return answer
            return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]

    def close_connections(self) -> None:
        """Close what clients keep open."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        server = cast(Server, self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        caller = _common_name(self.connection)
        received = Received(self.path, headers, body, time.monotonic(), self.command, caller)
        answer = server.next_reply(received)
        time.sleep(answer.delay)
        if answer.after is not None:
            answer.after()
        if answer.reset:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
            return
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        length = len(answer.body) if answer.says_length is None else answer.says_length
        self.send_header("Content-Length", str(length))
        if answer.drip_head:
            self.flush_headers()
            for sign in b"X-Slow: a header without an end, as it seems\r\n":
                self.wfile.write(bytes([sign]))
                time.sleep(answer.drip_head)
        self.end_headers()
        pieces = [answer.body]
        if answer.drip:
            pieces = [answer.body[i : i + 1] for i in range(len(answer.body))]
        for piece in pieces:
            self.wfile.write(piece)
            time.sleep(answer.drip)
        if answer.says_length is not None:
            self.close_connection = True

    do_GET = do_PUT = do_PATCH = do_DELETE = do_POST

    def log_message(self, format: str, *args: Any) -> None:
        """Write nothing."""


def _common_name(connection: Any) -> str:
    shown = connection.getpeercert() if isinstance(connection, ssl.SSLSocket) else None
    names = [part for part in (shown or {}).get("subject", ()) if part[0][0] == "commonName"]
    return str(names[0][0][1]) if names else ""


@contextlib.contextmanager
def serving(certificate: Path | None = None, *, callers: Path | None = None) -> Iterator[Server]:
    """Run a server; with ``certificate`` (a PEM file with its key) over TLS.

    With ``callers`` (a PEM file) only for clients who show a certificate that it vouches for.
    """
    server = Server()
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        if callers is not None:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(callers)
        server.socket = context.wrap_socket(server.socket, server_side=True)
        server.scheme = "https"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.close_connections()
        server.server_close()


def at(server: Server, path: str = "/") -> Endpoint:
    """Return the endpoint of a server, checked as one on a laptop."""
    return Endpoint.parse(server.url + path, allowed_hosts=None, allow_private_network=True)


def self_signed(folder: Path, name_of: str = "collector") -> Path:
    """Write a certificate for 127.0.0.1, and its key, into one PEM file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name_of)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=1))
        .not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / f"{name_of}.pem"
    path.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path
