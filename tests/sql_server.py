"""A SQL Server on loopback, as far as one query needs one: TDS 7.4 with its encryption.

Source: MS-TDS, "Packet Header", "PRELOGIN", "LOGIN7", "RPC Request", "Token Stream".
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.tcp_server import TcpServer

_HEADER = struct.Struct(">BBHHBB")
_RPC, _REPLY, _LOGIN, _PRELOGIN = 3, 4, 16, 18
_ENCRYPTED, _LAST = 1, 1
_COLLATION = bytes.fromhex("0904d00034")
_NVARCHAR = 0xE7
_DONE = struct.pack("<BHHQ", 0xFD, 0, 0, 0)
_DONE_PROC = struct.pack("<BHHQ", 0xFE, 0, 0, 0)


@dataclass(frozen=True)
class Query:
    """One query that came: its text, the declared parameters and their values by name."""

    text: str
    declared: str
    values: dict[str, str]


class SqlServer(TcpServer):
    """Give it rows; ``error`` is an error number instead, ``delay`` seconds come before an answer.

    ``queries`` came, ``logins`` are users who tried, ``connections`` how many clients there were.
    """

    def __init__(self, certificate: Path, password: str) -> None:
        self.rows: list[str | None] = []
        self.error = 0
        self.drops = 0  # so many queries lose their connection
        self.queries: list[Query] = []
        self.logins: list[str] = []
        self._password = password
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(certificate)
        self._tls.maximum_version = ssl.TLSVersion.TLSv1_2  # what can begin inside of packets
        super().__init__()

    def forget_connections(self) -> None:
        """Close what clients keep open."""
        for connection in self._open:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _serve(self, connection: socket.socket) -> None:
        # A client that goes away in the middle is what some tests are about.
        with contextlib.suppress(OSError, EOFError, ssl.SSLError), connection:
            channel = _Channel(connection, self._tls)
            channel.receive()
            # Options: version at 11, encryption at 17; then the end, and their data.
            options = struct.pack(">BHHBHHB", 0, 11, 6, 1, 17, 1, 0xFF)
            channel.send(_REPLY, options + bytes([16, 0, 0, 0, 0, 0, _ENCRYPTED]))
            channel.encrypt()
            _, login = channel.receive()
            if not self._is_known(login):
                channel.send(_REPLY, _error(18456) + _DONE)
                return
            name = "SQL".encode("utf-16-le")
            ack = struct.pack(">BIB", 1, 0x74000004, 3) + name + bytes([16, 0, 0, 0])
            channel.send(_REPLY, struct.pack("<BH", 0xAD, len(ack)) + ack + _DONE)
            while True:
                kind, request = channel.receive()
                channel.send(_REPLY, self._answer(request) if kind == _RPC else _DONE)

    def _is_known(self, login: bytes) -> bool:
        texts = []
        for place in (40, 44):
            offset, length = struct.unpack_from("<HH", login, place)
            texts.append(login[offset : offset + 2 * length])
        self.logins.append(texts[0].decode("utf-16-le"))
        # A password's bytes have their halves changed round, and then bits turned.
        plain = bytes(((b ^ 0xA5) >> 4) | (((b ^ 0xA5) & 15) << 4) for b in texts[1])
        return plain.decode("utf-16-le") == self._password

    def _answer(self, request: bytes) -> bytes:
        self.queries.append(_query(request))
        self._closing.wait(self.delay)
        if self.drops:
            self.drops -= 1
            raise EOFError
        if self.error:
            return _error(self.error) + struct.pack("<BHHQ", 0xFE, 2, 0, 0)
        name = "role".encode("utf-16-le")
        column = struct.pack("<IHBH", 0, 1, _NVARCHAR, 512) + _COLLATION + bytes([4]) + name
        rows = b"".join(b"\xd1" + _text(row) for row in self.rows)
        return b"\x81\x01\x00" + column + rows + _DONE_PROC


class _Channel:
    """Packets of one connection, in the clear and then encrypted."""

    def __init__(self, connection: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = connection
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_side=True)
        self._is_encrypted = False

    def receive(self) -> tuple[int, bytes]:
        """Return kind and content of one request, which may come in several packets."""
        content, status = b"", 0
        kind = 0
        while not status & _LAST:
            kind, status, length, _, _, _ = _HEADER.unpack(self._read(8))
            content += self._read(length - 8)
        return kind, content

    def send(self, kind: int, content: bytes) -> None:
        """Send an answer, in packets of at most 4 KB."""
        pieces = [content[i : i + 4088] for i in range(0, len(content), 4088)]
        for number, piece in enumerate(pieces, 1):
            status = _LAST if number == len(pieces) else 0
            self._write(_HEADER.pack(kind, status, len(piece) + 8, 0, number % 256, 0) + piece)

    def encrypt(self) -> None:
        """Shake hands inside of packets; what follows is encrypted as a whole."""
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                self._tls.do_handshake()
                break
            if self._out.pending:
                self.send(_PRELOGIN, self._out.read())
            self._in.write(self.receive()[1])
        if self._out.pending:
            self.send(_PRELOGIN, self._out.read())
        self._is_encrypted = True

    def _read(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            found += self._some(count - len(found))
        return found

    def _some(self, count: int) -> bytes:
        while self._is_encrypted:
            with contextlib.suppress(ssl.SSLWantReadError):
                return self._tls.read(count)
            self._in.write(self._received(65536))
        return self._received(count)

    def _received(self, count: int) -> bytes:
        piece = self._socket.recv(count)
        if not piece:
            raise EOFError
        return piece

    def _write(self, packet: bytes) -> None:
        if self._is_encrypted:
            self._tls.write(packet)
            packet = self._out.read()
        self._socket.sendall(packet)


def _query(request: bytes) -> Query:
    """Return the call of sp_executesql in a request."""
    at = struct.unpack_from("<I", request)[0]  # behind the headers
    assert struct.unpack_from("<HH", request, at) == (0xFFFF, 10)
    at += 6
    values: list[tuple[str, str]] = []
    while at < len(request):
        size = request[at]
        name = request[at + 1 : at + 1 + 2 * size].decode("utf-16-le")
        at += 2 + 2 * size
        kind, most = struct.unpack_from("<BH", request, at)
        assert kind == _NVARCHAR, f"a parameter of type {kind:#x}"
        at += 8
        if most == 0xFFFF:
            at += 8
            text = b""
            while length := struct.unpack_from("<I", request, at)[0]:
                text += request[at + 4 : at + 4 + length]
                at += 4 + length
            at += 4
        else:
            length = struct.unpack_from("<H", request, at)[0]
            text = request[at + 2 : at + 2 + length]
            at += 2 + length
        values.append((name, text.decode("utf-16-le")))
    (_, statement), (_, declared), *rest = values
    return Query(statement, declared, dict(rest))


def _text(value: str | None) -> bytes:
    if value is None:
        return b"\xff\xff"
    encoded = value.encode("utf-16-le")
    return struct.pack("<H", len(encoded)) + encoded


def _error(number: int) -> bytes:
    message = "Login failed or a query's own words".encode("utf-16-le")
    body = struct.pack("<IBBH", number, 1, 16, len(message) // 2) + message
    body += b"\0\0" + struct.pack("<I", 1)  # no names of server and procedure; line 1
    return struct.pack("<BH", 0xAA, len(body)) + body


@contextlib.contextmanager
def sql_server(certificate: Path, password: str) -> Iterator[SqlServer]:
    """Run a server with a certificate (PEM with its key) and one password for everybody."""
    server = SqlServer(certificate, password)
    try:
        yield server
    finally:
        server.close()
