"""An HTTP event collector on loopback that speaks Splunk's protocol and can be told to fail.

Source: Splunk, "HTTP Event Collector REST API endpoints" (/services/collector/event).
"""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Collector:
    """What arrived, and how often the collector still answers 503."""

    url: str = ""
    token: str = "local-hec-token"
    failures_left: int = 0
    attempts: int = 0
    events: list[dict[str, Any]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    @contextlib.contextmanager
    def started(cls) -> Iterator[Collector]:
        """Serve on a free port of this machine until the context ends."""
        collector = cls()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status, answer = collector.take(self.headers.get("Authorization", ""), body)
                text = json.dumps(answer).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, format: str, *args: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        collector.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield collector
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def take(self, authorization: str, body: bytes) -> tuple[int, dict[str, Any]]:
        """Return status and body of the answer to one request."""
        with self._lock:
            self.attempts += 1
            if self.failures_left > 0:
                self.failures_left -= 1
                return 503, {"text": "Server is busy", "code": 9}
            if authorization != f"Splunk {self.token}":
                return 403, {"text": "Invalid token", "code": 4}
            self.events.append(json.loads(body))
            return 200, {"text": "Success", "code": 0}
