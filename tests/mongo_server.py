"""A MongoDB on loopback, as far as a read needs one: the wire protocol, hello, and find.

Source: MongoDB, "MongoDB Wire Protocol" (OP_MSG, and OP_QUERY for the first hello).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Iterator
from typing import Any

import bson

from tests.tcp_server import TcpServer

_HEADER = struct.Struct("<iiii")
_OP_REPLY, _OP_QUERY, _OP_MSG = 1, 2004, 2013
_HELLO = {
    "ok": 1.0,
    "helloOk": True,
    "isWritablePrimary": True,
    "ismaster": True,
    "minWireVersion": 0,
    "maxWireVersion": 25,
    "maxBsonObjectSize": 16 * 1024 * 1024,
    "maxMessageSizeBytes": 48_000_000,
    "maxWriteBatchSize": 100_000,
    "logicalSessionTimeoutMinutes": 30,
    "readOnly": False,
}


class MongoServer(TcpServer):
    """Give it documents; ``failure`` is a find's answer instead, ``delay`` seconds come before it.

    ``uri`` is where it listens, ``finds`` are the commands that came, ``connections`` how many
    clients were accepted.
    """

    def __init__(self) -> None:
        self.documents: list[dict[str, Any]] = []
        self.failure: dict[str, Any] | None = None
        self.drops = False
        self.finds: list[dict[str, Any]] = []
        super().__init__()
        self.uri = f"mongodb://127.0.0.1:{self.port}/?directConnection=true"

    def _serve(self, connection: socket.socket) -> None:
        # A client that goes away in the middle is what some tests are about.
        with contextlib.suppress(OSError, EOFError), connection:
            while True:
                length, request, _, operation = _HEADER.unpack(_exactly(connection, 16))
                body = _exactly(connection, length - 16)
                if operation == _OP_QUERY:
                    _, _, rest = body[4:].partition(b"\0")
                    answer = bson.encode(self._answer(bson.decode(rest[8:])))
                    fields = struct.pack("<iqii", 8, 0, 0, 1)
                    _send(connection, request, _OP_REPLY, fields + answer)
                else:  # flags, then one section of kind 0
                    answer = bson.encode(self._answer(bson.decode(body[5:])))
                    _send(connection, request, _OP_MSG, struct.pack("<IB", 0, 0) + answer)

    def _answer(self, command: dict[str, Any]) -> dict[str, Any]:
        name = next(iter(command))
        if name.lower() in ("hello", "ismaster"):
            return _HELLO
        if name != "find":
            return {"ok": 1.0}
        self.finds.append(command)
        self._closing.wait(self.delay)
        if self.drops:
            raise EOFError
        if self.failure is not None:
            return {"ok": 0.0, **self.failure}
        found = [_projected(d, command) for d in self.documents if _matches(d, command)]
        space = f"{command['$db']}.{command['find']}"
        batch = found[: command.get("limit") or None]
        return {"ok": 1.0, "cursor": {"firstBatch": batch, "id": 0, "ns": space}}


def _matches(document: dict[str, Any], command: dict[str, Any]) -> bool:
    folds = command.get("collation", {}).get("strength") == 2

    def fold(value: Any) -> Any:
        return value.lower() if folds and isinstance(value, str) else value

    return all(fold(document.get(k)) == fold(v) for k, v in command["filter"].items())


def _projected(document: dict[str, Any], command: dict[str, Any]) -> dict[str, Any]:
    kept = {name.partition(".")[0] for name, wanted in command["projection"].items() if wanted}
    return {name: value for name, value in document.items() if name in kept}


def _exactly(connection: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = connection.recv(count - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def _send(connection: socket.socket, request: int, operation: int, body: bytes) -> None:
    connection.sendall(_HEADER.pack(16 + len(body), 1, request, operation) + body)


@contextlib.contextmanager
def mongo_server() -> Iterator[MongoServer]:
    """Run a server."""
    server = MongoServer()
    try:
        yield server
    finally:
        server.close()
