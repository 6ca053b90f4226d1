"""A client certificate for mutual TLS: from the texts of a secret into an SSL context.

OpenSSL reads certificates and keys from files only. Where the system has files in memory they are
of that kind; elsewhere they are there, for this user alone, while they are read.

Source: Python docs, ``ssl.SSLContext.load_cert_chain`` and ``os.memfd_create`` (Linux).
"""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """A certificate, with those between it and its authority behind it, and its private key.

    Both are PEM, the key without a password.
    """

    certificate: str = field(repr=False)
    private_key: str = field(repr=False)

    def load_into(self, context: ssl.SSLContext) -> None:
        """Let ``context`` show this certificate; raises ValueError when the two are no pair."""
        try:
            with (
                _readable(self.certificate) as certificate,
                _readable(self.private_key) as key,
            ):
                # Without a password OpenSSL would ask for that of a locked key at a terminal.
                context.load_cert_chain(certificate, key, password="")
        except (ssl.SSLError, ValueError):
            raise ValueError("no certificate and private key that belong together") from None


@contextlib.contextmanager
def _readable(text: str) -> Iterator[str]:
    """Yield a path at which ``text`` can be read during the block."""
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("pem", os.MFD_CLOEXEC), "w") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{file.fileno()}"
    else:
        import tempfile

        with tempfile.NamedTemporaryFile("w") as file:  # mode 0600
            file.write(text)
            file.flush()
            yield file.name
