"""Queries of a SQL Server over one kept connection.

Imported by the function that has the sqlserver layer, since it imports python-tds: with the
function's start, not within the time of a login.

Source: MS-TDS; python-tds documentation; RFC 9525 (service identity in TLS).
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import certifi
import pytds
from cryptography import x509
from OpenSSL import SSL

from cognito_rules.errors import ConfigurationError, UpstreamError, UpstreamTimeoutError

# No login of this user, none in this way, no such database; no permission for the query.
_REFUSED = frozenset({18456, 18452, 4060, 229})
# What lies between forgets a quiet connection after 350 seconds, mostly without a word: a query
# would wait for its whole time.
MAX_IDLE = 240.0
_VARIABLE = re.compile(r"(?<![@\w])@(\w+)")


@dataclass(frozen=True, slots=True)
class Server:
    """Where and as whom to ask. ``ca_bundle`` : PEM; "" trusts the public authorities."""

    host: str
    port: int
    database: str
    username: str
    password: str
    ca_bundle: str = ""


@dataclass(slots=True)
class _Kept:
    server: Server
    connection: pytds.Connection
    used_at: float  # in seconds of the wall's clock: the other one may stand still between calls


_kept: _Kept | None = None


def first_column(
    server: Server, query: str, values: Mapping[str, str], *, limit: int, seconds: float
) -> list[str]:
    """Return the first column of a query's rows as texts, ``limit`` at most; NULLs are left out.

    Parameters
    ----------
    query : T-SQL with ``@name`` where a value goes, which is bound as NVARCHAR.
    seconds : for connecting, and for the query, each.

    Raises
    ------
    UpstreamError : no answer, or a refusal; ``misconfigured`` for what an operator repairs.
    """
    text = "".join(_bound(query))
    is_old = _kept is not None and _kept.server == server
    try:
        return _rows(server, text, values, limit, seconds)
    except UpstreamError as error:
        close()
        # What was closed while this environment slept, the server is asked again, once.
        if not is_old or error.code != "upstream_unavailable":
            raise
    return _rows(server, text, values, limit, seconds)


def check_query(query: str, names: list[str]) -> None:
    """Refuse a query that asks about nobody, or that has other variables.

    Raises
    ------
    ConfigurationError : with what is wrong.
    """
    used = set(_VARIABLE.findall(query))
    if not used:
        raise ConfigurationError(
            "query names nobody: it needs " + " or ".join(map("@{}".format, names))
        )
    if used - set(names):
        raise ConfigurationError(
            f"query: @{min(used - set(names))} is none of @{', @'.join(names)}"
        )


def close() -> None:
    """Close the connection of this environment."""
    global _kept
    if _kept is not None:
        with contextlib.suppress(Exception):  # it is gone already, in one of many ways
            _kept.connection.close()
    _kept = None


def _bound(query: str) -> list[str]:
    """Return the query in the driver's words: %(name)s for a value, %% for a percent sign."""
    parts = _VARIABLE.split(query)
    return [f"%({part})s" if i % 2 else part.replace("%", "%%") for i, part in enumerate(parts)]


def _rows(
    server: Server, query: str, values: Mapping[str, str], limit: int, seconds: float
) -> list[str]:
    host = server.host
    started = time.monotonic()
    # Never with the cause: the driver's texts hold the query's values, and the server's own words.
    try:
        cursor = _connection(server, seconds).cursor()
        cursor.execute(query, {name: values[name] for name in _used(query)})
        found = cursor.fetchmany(limit)
        cursor.close()
    except SSL.Error:
        message = "the certificate is not trusted: put its authority into SQLSERVER_CA_BUNDLE"
        raise UpstreamError(host, message, code="misconfigured") from None
    except pytds.ClosedConnectionError:
        raise _no_connection(host) from None
    except pytds.DatabaseError as error:
        number = int(getattr(error, "msg_no", 0) or 0)
        code = "misconfigured" if number in _REFUSED else f"sql_{number}"
        raise UpstreamError(host, f"error {number} of the server", code=code) from None
    except TimeoutError:
        raise UpstreamTimeoutError(host, "no answer in time") from None
    except OSError:
        raise _no_connection(host) from None
    except pytds.Error:
        if time.monotonic() - started >= seconds:
            raise UpstreamTimeoutError(host, "no answer in time") from None
        message = "no encrypted connection to this host: look at its certificate's names"
        raise UpstreamError(host, message, code="misconfigured") from None
    return [str(row[0]) for row in found if row[0] is not None]


def _used(query: str) -> set[str]:
    return set(re.findall(r"%\((\w+)\)s", query))


def _no_connection(host: str) -> UpstreamError:
    return UpstreamError(host, "no connection", retryable=True, code="upstream_unavailable")


def _connection(server: Server, seconds: float) -> pytds.Connection:
    global _kept
    now = time.time()
    if _kept is not None and _kept.server == server and now - _kept.used_at < MAX_IDLE:
        _kept.used_at = now
        return _kept.connection
    close()
    made = pytds.connect(
        dsn=server.host,
        port=server.port,
        database=server.database,
        user=server.username,
        password=server.password,
        cafile=_authorities(server.ca_bundle),
        login_timeout=seconds,
        timeout=seconds,
        disable_connect_retry=True,
        autocommit=True,
        appname="cognito-rules",
    )
    _kept = _Kept(server, made, now)
    return made


def _is_for_host(cert: Any, name: bytes) -> bool:
    """Say whether a server's certificate names ``name``; its common name is no name of a host."""
    host = name.decode("ascii").lower()
    try:
        extensions = cert.to_cryptography().extensions
        names = extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    try:
        return ipaddress.ip_address(host) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        pass
    _, _, parent = host.partition(".")
    found = {found.lower() for found in names.get_values_for_type(x509.DNSName)}
    return host in found or (parent != "" and f"*.{parent}" in found)


def _authorities(bundle: str) -> str:
    """Return the path of the authorities to trust."""
    if not bundle:
        return certifi.where()
    name = f"cognito-rules-{sha256(bundle.encode()).hexdigest()[:16]}.pem"
    path = Path(tempfile.gettempdir()) / name
    if not path.exists():
        path.write_text(bundle)
    return str(path)


# The driver compares names by letters that it strips, and by a part of pyOpenSSL that is gone.
pytds.tls.validate_host = _is_for_host
