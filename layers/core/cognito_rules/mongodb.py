"""Documents of a MongoDB, read by a client that is kept.

Imported by the function that has the mongodb layer, since it imports pymongo: with the function's
start, not within the time of a login.

Source: MongoDB docs, "Connection String Options", "Client-Side Operations Timeout"; PyMongo API.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pymongo
from pymongo import MongoClient, errors

from cognito_rules.errors import UpstreamError, UpstreamTimeoutError

# Would have the client take any server for the right one.
_UNSAFE = frozenset(
    {
        "tlsinsecure",
        "tlsallowinvalidcertificates",
        "tlsallowinvalidhostnames",
        "tlsdisableocspendpointcheck",
        "ssl_cert_reqs",
        "ssl_match_hostname",
    }
)
_REFUSED = frozenset({13, 18, 8000})  # Unauthorized, AuthenticationFailed, Atlas's own
# Compares letters without their case, as people write addresses.
_WITHOUT_CASE = {"locale": "en", "strength": 2}
# Brings boto3, which Lambda has, and would make the layer four times as large.
_AWS_PACKAGE = "pymongo-auth-aws"
_NO_AWS = f"MONGODB-AWS needs {_AWS_PACKAGE} in a layer of yours: see docs/asked-systems.md"
_CONNECT_MS = 500
# What lies between forgets a quiet connection after 350 seconds, mostly without a word.
_MAX_IDLE_MS = 240_000

_client: tuple[str, MongoClient[dict[str, Any]]] | None = None


def find_documents(
    uri: str,
    database: str,
    collection: str,
    match: Mapping[str, str],
    fields: list[str],
    *,
    seconds: float,
    without_case: bool = False,
) -> list[dict[str, Any]]:
    """Return the documents that match, two at most, with ``fields`` alone.

    Parameters
    ----------
    uri : ``mongodb+srv://…``, or ``mongodb://…`` with ``tls=true``; a loopback address needs none.
    match : field -> text that it must be equal to.
    seconds : the whole call.
    without_case : whether ``Ann@Acme.test`` equals ``ann@acme.test``.

    Raises
    ------
    UpstreamError : no answer, or a refusal; ``misconfigured`` for what an operator repairs.
    """
    host = check_uri(uri)
    options: dict[str, Any] = {"collation": _WITHOUT_CASE} if without_case else {}
    projection = {"_id": "_id" in fields, **{field: True for field in fields if field != "_id"}}
    try:
        with pymongo.timeout(seconds):
            found = (
                _kept_client(uri, seconds)[database][collection]
                .find(dict(match), projection, limit=2, **options)
                .to_list()
            )
    # From the narrow to the wide; never with the cause, whose text can hold the match.
    except (errors.ConfigurationError, ValueError) as error:
        message = _NO_AWS if _AWS_PACKAGE in str(error) else "the URI cannot be used"
        raise UpstreamError(host, message, code="misconfigured") from None
    except errors.OperationFailure as error:
        code = "misconfigured" if error.code in _REFUSED else f"mongodb_{error.code}"
        if error.timeout:
            raise UpstreamTimeoutError(host, "no answer in time") from None
        raise UpstreamError(host, f"refused with code {error.code}", code=code) from None
    except errors.PyMongoError as error:
        if error.timeout:
            raise UpstreamTimeoutError(host, "no answer in time") from None
        raise UpstreamError(
            host, "no connection", retryable=True, code="upstream_unavailable"
        ) from None
    return found


def check_uri(uri: str) -> str:
    """Return the host of a URI that is encrypted with checked certificates.

    Raises
    ------
    UpstreamError : ``misconfigured``; without the URI, which holds a password.
    """
    try:
        parts = urlsplit(uri)
        host = parts.netloc.rpartition("@")[2].partition(",")[0].rpartition(":")
        name = host[0] or host[2]
        query = parts.query.replace(";", "&")  # the client takes either between two options
        options = {key.lower(): value.lower() for key, value in parse_qsl(query)}
    except ValueError:
        parts, name, options = urlsplit(""), "", {}
    if parts.scheme not in ("mongodb", "mongodb+srv") or not name:
        raise UpstreamError(
            "mongodb", "the secret MONGODB_URI is no mongodb:// URI", code="misconfigured"
        )
    if _UNSAFE & options.keys():
        message = "the URI switches checks of certificates off: take that option out"
        raise UpstreamError(name, message, code="misconfigured")
    tls = options.get("tls", options.get("ssl"))
    is_encrypted = tls == "true" or (tls is None and parts.scheme == "mongodb+srv")
    if not is_encrypted and not _is_loopback(parts.netloc):
        raise UpstreamError(name, "the URI needs tls=true", code="misconfigured")
    return name


def _is_loopback(netloc: str) -> bool:
    """Say whether all hosts are loopback addresses, written as such."""
    hosts = [host.rpartition(":")[0] or host for host in netloc.rpartition("@")[2].split(",")]
    try:
        return all(ipaddress.ip_address(host.strip("[]")).is_loopback for host in hosts)
    except ValueError:
        return False


def _kept_client(uri: str, seconds: float) -> MongoClient[dict[str, Any]]:
    """Return the client of this environment; another URI, after a rotation, takes its place."""
    global _client
    if _client is not None and _client[0] == uri:
        return _client[1]
    close()
    milliseconds = int(seconds * 1000)
    made: MongoClient[dict[str, Any]] = MongoClient(
        uri,
        serverSelectionTimeoutMS=milliseconds,
        connectTimeoutMS=_CONNECT_MS,
        socketTimeoutMS=milliseconds,
        maxPoolSize=2,
        maxIdleTimeMS=_MAX_IDLE_MS,
        retryReads=False,
        appname="cognito-rules",
        connect=False,
    )
    _client = uri, made
    return made


def close() -> None:
    """Close the client of this environment."""
    global _client
    if _client is not None:
        _client[1].close()
    _client = None
