"""What the servers of other protocols than HTTP share: they listen on loopback, and end cleanly."""

from __future__ import annotations

import contextlib
import socket
import threading


class TcpServer:
    """Serves each client on a thread of its own.

    ``port`` is where it listens, ``connections`` how many clients were accepted; answers come
    after ``delay`` seconds, unless it closes before.
    """

    def __init__(self) -> None:
        self.delay = 0.0
        self.connections = 0
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def close(self) -> None:
        """Close the listener and every connection, and wait for their threads."""
        self._closing.set()
        for connection in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection,))
                self._threads.append(thread)
                thread.start()

    def _serve(self, connection: socket.socket) -> None:
        raise NotImplementedError
