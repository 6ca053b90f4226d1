"""What happens after a login: does it cost the login time, how fast is it, how much does it send?

One stack on the embedded AWS, whose rules tell five systems of every login. All five are one server
on loopback that either takes everything or, when it is down, accepts each connection and answers
none. People sign in one after the other, in blocks with the systems up and with all of them down,
in turns; between blocks the queues are emptied, so that no block works off what another left.

Before that, for the burst, the login function in this process commits logins into the stack's
tables as fast as it can, and the clock stops when the last event is at the collector.
"""

from __future__ import annotations

import io
import json
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from bench.sampling import Target, percentile, ratio, spread
from local.committing import Committing
from local.server import EmbeddedAws
from local.sign_in import App
from local.stack import Stack

ROUNDS, IN_A_BLOCK = 12, 4
BURST = 300
MOST_SECONDS = 120.0
# What the rules of these systems need to be called; none of them asks for consent.
SECRETS: dict[str, Any] = {
    "splunk": "word",
    "mixpanel": {
        "MIXPANEL_SERVICE_ACCOUNT_USERNAME": "robot",
        "MIXPANEL_SERVICE_ACCOUNT_SECRET": "word",
    },
    "segment": {"SEGMENT_WRITE_KEY": "word"},
    "keen": {"KEEN_WRITE_KEY": "word"},
    "slack": {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/word"},
}
SPLUNK = "record_events_splunk"
ONLY_SPLUNK = f'[[rules]]\nrule = "{SPLUNK}"\n'
TELLING_ALL = (
    ONLY_SPLUNK
    + """
[[rules]]
rule = "track_login_mixpanel"
configuration = { project_id = "42" }
[[rules]]
rule = "record_events_segment"
[[rules]]
rule = "record_signup_keen"
configuration = { project_id = "p1" }
[[rules]]
rule = "notify_signup_slack"
"""
)


# Beginning of a path -> what says there that all is well.
_ANSWERS = {
    "/services/collector": b'{"text": "Success", "code": 0}',
    "/import": b'{"code": 200}',
    "/v1/batch": b'{"success": true}',
    "/3.0/projects": b'{"created": true}',
    "/services/T0": b"ok",
}


@dataclass
class Systems:
    """Everything outside, on one address; ``is_down`` while it answers nobody."""

    url: str = ""
    is_down: threading.Event = field(default_factory=threading.Event)
    requests: int = 0
    sent: int = 0
    last_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, size: int) -> None:
        """Count a request of ``size`` bytes."""
        with self._lock:
            self.requests += 1
            self.sent += size
            self.last_at = time.perf_counter()

    def forget(self) -> None:
        """Count from nothing again."""
        with self._lock:
            self.requests = self.sent = 0


@contextmanager
def _systems() -> Iterator[Systems]:
    systems, ended = Systems(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if systems.is_down.is_set():
                ended.wait(10)  # longer than any rule waits
                self.close_connection = True
                return
            head = f"{self.requestline}\r\n{self.headers.as_string()}"
            systems.note(len(head.encode()) + len(body))
            answer = next(_ANSWERS[begin] for begin in _ANSWERS if self.path.startswith(begin))
            self.send_response(200)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *args: Any) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    systems.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield systems
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()


def measure_deliveries(say: Callable[[str], None]) -> tuple[dict[str, Any], list[Target]]:
    """Deploy, sign people in with other systems up and down, send a burst; return the figures."""
    with EmbeddedAws.started() as aws, _systems() as systems:
        parameters = {"SplunkEndpoint": systems.url, "VendorStandIn": systems.url}
        stack = Stack.deployed(aws, parameters=parameters, say=say)
        for name, value in SECRETS.items():
            text = value if isinstance(value, str) else json.dumps(value)
            aws.client("secretsmanager").put_secret_value(
                SecretId=f"{stack.name}/{name}", SecretString=text
            )
        stack.use_chain(TELLING_ALL)
        # Before anything is down: a circuit that opened would hold the burst up for half a minute.
        say(f"Committing {BURST} logins at once.")
        burst, complete = _burst(stack, systems)
        say(f"Signing {2 * ROUNDS * IN_A_BLOCK} people in, with other systems up and down.")
        sign_ins, targets = _up_and_down(stack, systems)
    return {"sign_ins": sign_ins, "burst": burst}, [complete, *targets]


def _up_and_down(stack: Stack, systems: Systems) -> tuple[dict[str, Any], list[Target]]:
    app = stack.application("after")
    _block(stack, app, systems)  # starts the functions, and is not counted
    walls: dict[bool, list[float]] = {True: [], False: []}
    for number in range(ROUNDS):
        for down in (False, True) if number % 2 else (True, False):
            if down:
                systems.is_down.set()
            walls[down] += _block(stack, app, systems)
            systems.is_down.clear()
    slower = ratio(walls[True], walls[False])
    figures = {
        "sign_ins": len(walls[True]),
        "systems": len(SECRETS),
        "up": {f"p{n}_ms": percentile(walls[False], n) * 1000 for n in (50, 95)},
        "down": {f"p{n}_ms": percentile(walls[True], n) * 1000 for n in (50, 95)},
        "ratio": slower,
        "quartiles": spread(walls[True], walls[False]),
    }
    name = "a sign-in while every other system is down, to one while all are up"
    return figures, [Target(name, slower, 1.2)]


def _block(stack: Stack, app: App, systems: Systems) -> list[float]:
    """Sign new people in one after the other, and return how long each took."""
    walls = []
    people = [stack.person(f"after-{secrets.token_hex(4)}") for _ in range(IN_A_BLOCK)]
    for person in people:
        began = time.perf_counter()
        app.srp(person.username, person.password)
        walls.append(time.perf_counter() - began)
    _settle(systems)
    _empty_queues(stack)
    return walls


def _settle(systems: Systems) -> None:
    """Wait until nothing arrives any more: not at all while the systems are down."""
    if systems.is_down.is_set():
        return
    before = -1
    while before != systems.requests:
        before = systems.requests
        time.sleep(0.5)


def _wait_for(condition: Callable[[], bool]) -> None:
    """Wait until it is so, or for the longest time that a burst may take."""
    ends = time.perf_counter() + MOST_SECONDS
    while not condition() and time.perf_counter() < ends:
        time.sleep(0.02)


def _empty_queues(stack: Stack) -> None:
    sqs = stack.aws.client("sqs")
    for url in sqs.list_queues(QueueNamePrefix=f"{stack.name}-").get("QueueUrls", []):
        sqs.purge_queue(QueueUrl=url)


def _burst(stack: Stack, systems: Systems) -> tuple[dict[str, Any], Target]:
    _settle(systems)
    with redirect_stdout(io.StringIO()), Committing.to(stack, ONLY_SPLUNK) as login:
        systems.forget()
        login.commit(_somebody())  # opens the connections
        _wait_for(lambda: systems.requests >= 1)
        _settle(systems)
        systems.forget()
        people = [_somebody() for _ in range(BURST)]
        began = time.perf_counter()
        for person in people:
            login.commit(person)
        committed = time.perf_counter()
        _wait_for(lambda: systems.requests >= BURST)
        arrived = systems.last_at
        _settle(systems)
    announcement = _announcement(stack)
    view = announcement["views"][SPLUNK]
    figures = {
        "logins": BURST,
        "committed_per_second": BURST / (committed - began),
        "events_per_second": systems.requests / (arrived - began),
        "seconds": arrived - began,
        "requests_per_login": systems.requests / BURST,
        "bytes_per_login": systems.sent / systems.requests,
        "announcement_bytes": len(json.dumps(announcement, separators=(",", ":"))),
        "view_bytes": len(json.dumps(view, separators=(",", ":"))),
    }
    missing = float(abs(BURST - systems.requests))
    return figures, Target(f"of {BURST} logins at once, events missing or twice", missing, 0.0)


def _somebody() -> dict[str, str]:
    return {
        "sub": str(uuid4()),
        "email": f"{secrets.token_hex(6)}@example.com",
        "email_verified": "true",
        "name": "Jane Doe",
    }


def _announcement(stack: Stack) -> dict[str, Any]:
    """Return what was announced of any one login."""
    pages = stack.aws.client("dynamodb").get_paginator("scan")
    for page in pages.paginate(TableName=stack.outputs["SessionsTable"]):
        for item in page["Items"]:
            if item["pk"]["S"].startswith("login#") and "announcement" in item:
                announcement: dict[str, Any] = json.loads(item["announcement"]["S"])
                if announcement["rules"] == [SPLUNK]:
                    return announcement
    raise RuntimeError("no login was announced")
