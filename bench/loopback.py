"""AWS as a login sees it, reduced to nothing but its waiting: Lambda's Invoke and DynamoDB.

A small asyncio server in a process of its own, on loopback. The embedded AWS is one Python process
that does the work of a whole cloud: measured through it, a login would be the smaller part of the
figure. This one answers from memory with bodies of the real shapes, so what is left is the
client's own work.

- ``POST /2015-03-31/functions/<name>/invocations`` answers after N ms when the name begins with
  ``wait-N-``: a rule that sets one claim; as ``still-N-`` it causes nothing.
- ``POST /`` is DynamoDB; at ``/wait-N/`` every operation takes N ms. Each person has a profile, and
  what a login writes into the sessions table is found again, so two triggers share one decision.
- ``GET /calls`` tells how often each operation was called, ``GET /units`` what the tables charge.

Source: AWS, "Lambda API reference, Invoke"; "DynamoDB API reference", the five operations;
"DynamoDB developer guide", read and write operations, item sizes.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import os
import re
import subprocess
import sys
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import urllib3

HOST = "127.0.0.1"
FLAGGED = "flagged-"
_WAIT = re.compile(r"/wait-(\d+)")
_INVOKE = re.compile(r"/2015-03-31/functions/(?:(wait|still)-(\d+)-)?(\w+)/invocations")
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_TARGET = re.compile(rb"\r\nx-amz-target: *DynamoDB_20120810\.(\w+)", re.IGNORECASE)

Item = dict[str, Any]


def profile_of(user_id: str) -> Item:
    """Return the DynamoDB item of a person; one whose id begins with ``flagged-`` is flagged."""
    flagged = {"deleted": {"BOOL": user_id.startswith(FLAGGED)}}
    return {
        "pk": {"S": f"USER#{user_id}"},
        "logins_count": {"N": "41"},
        "first_login_at": {"N": "1781000000.25"},
        "last_login_at": {"N": "1795000000.5"},
        "updated_at": {"N": "1795000000.5"},
        "username": {"S": "jane"},
        "user_metadata": {"M": {"color": {"S": "red"}, "language": {"S": "en"}}},
        "app_metadata": {"M": {"plan": {"S": "gold"}, "seats": {"N": "12"}, **flagged}},
        "profile": {"M": {}},
    }


def bytes_of(value: Item) -> int:
    """Return how large DynamoDB takes one value in its own form, such as ``{"S": "jane"}``, for."""
    [(kind, held)] = value.items()
    match kind:
        case "M":
            return 3 + item_bytes(held) + len(held)
        case "L":
            return 3 + sum(1 + bytes_of(part) for part in held)
        case "N":
            return 1 + math.ceil(len(held.strip("-").replace(".", "")) / 2)
        case "BOOL" | "NULL":
            return 1
    return len(held.encode())


def item_bytes(item: Item) -> int:
    """Return the size of an item: the names and the values of its attributes."""
    return sum(len(name.encode()) + bytes_of(value) for name, value in item.items())


class Tables:
    """The items of both tables; a person who never came has a profile nevertheless.

    ``units`` holds the request units of on-demand tables: one ``read`` for each 4 KB that are read
    strongly consistent, one ``write`` for each KB, two in a transaction.
    """

    def __init__(self) -> None:
        self._items: dict[tuple[str, str], Item] = {}
        self.units: Counter[str] = Counter(read=0, write=0)

    def answer(self, operation: str, request: Item) -> Item:
        """Return DynamoDB's answer; conditions always hold, updates are not carried out."""
        match operation:
            case "GetItem":
                item = self._get(request["TableName"], request["Key"])
                return {} if item is None else {"Item": item}
            case "BatchGetItem":
                found = {
                    table: [item for key in wanted["Keys"] if (item := self._get(table, key))]
                    for table, wanted in request["RequestItems"].items()
                }
                return {"Responses": found, "UnprocessedKeys": {}}
            case "PutItem":
                self._put(request)
            case "TransactWriteItems":
                for write in request["TransactItems"]:
                    if "Put" in write:
                        self._put(write["Put"], times=2)
                    elif "Update" in write:
                        self._update(write["Update"], times=2)
            case "UpdateItem":
                self._update(request)
            case _:
                raise ValueError(f"{operation} is not served here")
        return {}

    def _get(self, table: str, key: Item) -> Item | None:
        item = self._held(table, key["pk"]["S"])
        self.units["read"] += max(1, math.ceil(item_bytes(item or {}) / 4096))
        return item

    def _held(self, table: str, name: str) -> Item | None:
        if name.startswith("USER#"):
            return profile_of(name.removeprefix("USER#"))
        return self._items.get((table, name))

    def _put(self, put: Item, *, times: int = 1) -> None:
        self._items[put["TableName"], put["Item"]["pk"]["S"]] = put["Item"]
        self._count_write(put["Item"], times)

    def _update(self, update: Item, *, times: int = 1) -> None:
        held = self._held(update["TableName"], update["Key"]["pk"]["S"])
        self._count_write(held or update["Key"], times)

    def _count_write(self, item: Item, times: int) -> None:
        self.units["write"] += times * max(1, math.ceil(item_bytes(item) / 1024))


class Server(asyncio.Protocol):
    """One kept-alive connection; a client sends its next request after the answer."""

    def __init__(self, tables: Tables, calls: Counter[str]) -> None:
        self._tables = tables
        self._calls = calls
        self._received = b""
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport of a new connection."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer as soon as the request is complete."""
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        length = _LENGTH.search(head)
        if not separator or len(body) < (int(length[1]) if length else 0):
            return
        self._received = b""
        delay, answer = self._answer(head, body)
        if delay:
            asyncio.get_running_loop().call_later(delay, self._send, answer)
        else:
            self._send(answer)

    def _answer(self, head: bytes, body: bytes) -> tuple[float, bytes]:
        """Return how many seconds to wait, and the body to answer with."""
        path = head.split(b" ", 2)[1].decode()
        if path == "/calls":
            return 0.0, json.dumps(self._calls).encode()
        if path == "/units":
            return 0.0, json.dumps(self._tables.units).encode()
        if invoke := _INVOKE.fullmatch(path):
            self._calls["Invoke"] += 1
            name = f"https://rules.example/{invoke[3]}"
            effects = [{"effect": "set_claim", "token": "id", "name": name, "value": "gold"}]
            if invoke[1] == "still":
                effects = []
            answer = json.dumps({"version": 1, "effects": effects}).encode()
            return int(invoke[2] or 0) / 1000, answer
        target = _TARGET.search(head)
        operation = target[1].decode() if target else ""
        self._calls[operation] += 1
        answer = json.dumps(self._tables.answer(operation, json.loads(body))).encode()
        wait = _WAIT.match(path)
        return int(wait[1]) / 1000 if wait else 0.0, answer

    def _send(self, body: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        head = (
            "HTTP/1.1 200 OK\r\nContent-Type: application/x-amz-json-1.0\r\n"
            "x-amzn-RequestId: 6f1c2d9e-0000-4000-8000-000000000001\r\n"
            f"x-amz-crc32: {zlib.crc32(body)}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


async def serve() -> None:
    """Say the port on standard output, then answer until standard input closes."""
    loop = asyncio.get_running_loop()
    tables, calls = Tables(), Counter[str]()
    server = await loop.create_server(lambda: Server(tables, calls), HOST, 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    # The other end of standard input is the benchmark's: it closes however the benchmark ends.
    await loop.run_in_executor(None, sys.stdin.buffer.read)


@dataclass(frozen=True)
class Loopback:
    """The running server, as the benchmark sees it."""

    port: int

    def environment(self, *, table_wait_ms: int = 0) -> dict[str, str]:
        """Return the AWS variables that lead here; a table operation takes ``table_wait_ms``."""
        url = f"http://{HOST}:{self.port}"
        return {
            "AWS_ENDPOINT_URL_LAMBDA": url,
            "AWS_ENDPOINT_URL_DYNAMODB": f"{url}/wait-{table_wait_ms}" if table_wait_ms else url,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "loopback",
            # As long as a role's, since it is signed and sent with every call.
            "AWS_SESSION_TOKEN": "t" * 700,
            "AWS_DEFAULT_REGION": "eu-west-1",
            "AWS_REGION": "eu-west-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": HOST,
            # Lambda's runtime brings no awscrt; where it is installed, botocore would sign with it.
            "BOTO_DISABLE_CRT": "true",
        }

    def calls(self) -> Counter[str]:
        """Return how often each operation was called so far."""
        return self._counter("calls")

    def units(self) -> Counter[str]:
        """Return the ``read`` and ``write`` request units that both tables took so far."""
        return self._counter("units")

    def _counter(self, name: str) -> Counter[str]:
        response = urllib3.request("GET", f"http://{HOST}:{self.port}/{name}", retries=False)
        return Counter(response.json())


@contextlib.contextmanager
def started() -> Iterator[Loopback]:
    """Start the server in a process of its own, yield it when it answers, and end it."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.loopback"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = process.stdout.readline().strip()
        if not port:
            raise RuntimeError("the loopback server did not start")
        yield Loopback(int(port))
    finally:
        process.stdin.close()
        process.stdout.close()
        try:
            process.wait(timeout=3)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


if __name__ == "__main__":
    asyncio.run(serve())
