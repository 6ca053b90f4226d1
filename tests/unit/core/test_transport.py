import contextlib
import gzip
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization

from cognito_rules import UpstreamError
from cognito_rules.client_certificate import ClientCertificate
from cognito_rules.errors import UpstreamTimeoutError
from cognito_rules.http import Budget, Endpoint, post, post_json
from tests.loopback import Reply, Server, at, self_signed, serving
from tests.moments import ends_soon

HAS_MEMORY_FILES = hasattr(os, "memfd_create")

# As AFTER_LOGIN, at the pace of a test.
QUICK = Budget(2.0, connect=0.3, read=0.3, tries=3, base=0.01, cap=0.05, least=0.05)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


def test_a_connection_is_used_again(server: Server) -> None:
    for _ in range(3):
        post(at(server), b"{}")

    assert (len(server.received), server.connections) == (3, 1)


def test_an_answer_that_drips_ends_with_the_budget(server: Server) -> None:
    server.replies = [Reply(body=b"x" * 1000, drip=0.05)]

    with ends_soon(), pytest.raises(UpstreamTimeoutError, match="slowly"):
        post(at(server), b"{}", budget=QUICK.within(0.4))


def test_headers_that_drip_end_with_the_budget_too(server: Server) -> None:
    server.replies = [Reply(drip_head=0.25)]

    with ends_soon(), pytest.raises(UpstreamTimeoutError, match="no answer in time"):
        post(at(server), b"{}", budget=QUICK.within(0.4))


def test_a_slow_answer_leaves_the_next_one_its_time(server: Server) -> None:
    server.replies = [Reply(delay=0.35), Reply(delay=0.35)]
    budget = Budget(0.5, connect=0.3, read=0.5, tries=1, base=0.01, cap=0.01, least=0.05)

    for _ in range(2):
        assert post(at(server), b"{}", budget=budget).is_success

    assert server.connections == 1


def test_an_answer_that_breaks_off_is_a_doubt(server: Server) -> None:
    server.replies = [Reply(body=b'{"a"', says_length=100)]

    with pytest.raises(UpstreamTimeoutError, match="broke off"):
        post(at(server), b"{}", budget=QUICK)


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        pytest.param(b"x" * 2000, {}, id="as it is"),
        pytest.param(gzip.compress(b"x" * 2_000_000), {"Content-Encoding": "gzip"}, id="unpacked"),
    ],
)
def test_an_answer_that_is_too_large_is_refused(
    server: Server, body: bytes, headers: Mapping[str, str]
) -> None:
    server.replies = [Reply(body=body, headers=headers)]

    with pytest.raises(UpstreamError, match="larger") as caught:
        post(at(server), b"{}", budget=QUICK, max_bytes=1999)

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", False)


def test_a_compressed_answer_is_read(server: Server) -> None:
    packed = gzip.compress(b'{"a": 1}')
    server.replies = [Reply(body=packed, headers={"Content-Encoding": "gzip"})]

    assert post_json(at(server), {}) == {"a": 1}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: Server, status: int) -> None:
    with serving() as elsewhere:
        server.replies = [Reply(status, headers={"Location": elsewhere.url})]

        with pytest.raises(UpstreamError) as caught:
            post(at(server), b"{}", budget=QUICK)

        assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
        assert elsewhere.received == []


def test_nobody_listens() -> None:
    with serving() as gone:
        endpoint = at(gone)

    with pytest.raises(UpstreamError) as caught:
        post(endpoint, b"{}", budget=QUICK)

    assert not isinstance(caught.value, UpstreamTimeoutError)
    assert (caught.value.code, caught.value.retryable) == ("upstream_unavailable", True)


def test_a_name_that_does_not_exist() -> None:
    endpoint = Endpoint.parse("https://nowhere.invalid/", allowed_hosts=["nowhere.invalid"])

    with pytest.raises(UpstreamError) as caught:
        post(endpoint, b"{}", budget=QUICK)

    assert (caught.value.code, caught.value.retryable) == ("upstream_unavailable", True)


def test_a_certificate_that_nobody_vouches_for(tmp_path: Path) -> None:
    with serving(self_signed(tmp_path)) as server:
        with pytest.raises(UpstreamError, match="ca_bundle") as caught:
            post(at(server), b"{}", budget=QUICK)

        assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
        assert server.received == []


def test_a_private_authority_is_trusted_by_its_bundle(tmp_path: Path) -> None:
    bundle = self_signed(tmp_path)

    with serving(bundle) as server:
        answer = post(at(server), b"{}", budget=QUICK, ca_bundle=str(bundle))

    assert answer.is_success


# -- a client certificate --------------------------------------------------------------------------


def pair(pem: Path) -> ClientCertificate:
    """Return what a secret would hold of a PEM file with a certificate and its key."""
    certificate, begin, key = pem.read_text().partition("-----BEGIN PRIVATE KEY-----")
    return ClientCertificate(certificate, begin + key)


def files_of(folder: Path, monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Let ``folder`` take what is written for a while; return what is in it when one is loaded."""
    found: list[Path] = []
    load = ssl.SSLContext.load_cert_chain

    def loading(context: ssl.SSLContext, *args: Any, **options: Any) -> None:
        found.extend(folder.iterdir())
        load(context, *args, **options)

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", loading)
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return found


@pytest.mark.parametrize(
    ("has_files_in_memory", "written"),
    [
        pytest.param(
            True, 0, id="Linux", marks=pytest.mark.skipif(not HAS_MEMORY_FILES, reason="no Linux")
        ),
        pytest.param(False, 2, id="another system"),
    ],
)
def test_a_service_that_asks_who_calls_is_told_and_no_file_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, has_files_in_memory: bool, written: int
) -> None:
    folder = tmp_path / "written"
    folder.mkdir()
    server_pem, client_pem = self_signed(tmp_path), self_signed(tmp_path, "robot")
    with serving(server_pem, callers=client_pem) as server:
        if not has_files_in_memory:
            monkeypatch.delattr(os, "memfd_create", raising=False)
        while_loading = files_of(folder, monkeypatch)
        before = open_files()

        answer = post(
            at(server),
            b"{}",
            budget=QUICK,
            ca_bundle=str(server_pem),
            client_certificate=pair(client_pem),
        )

        assert answer.is_success
        assert [received.caller for received in server.received] == ["robot"]
        assert (len(while_loading), list(folder.iterdir())) == (written, [])
        assert not any("pem" in name for name in open_files() - before)


def open_files() -> set[str]:
    """Return what this process has open, where the system tells."""
    names = set()
    for number in Path("/proc/self/fd").glob("*"):
        with contextlib.suppress(OSError):
            names.add(str(number.readlink()))
    return names


def test_two_callers_have_connections_of_their_own(tmp_path: Path) -> None:
    server_pem, first, second = (self_signed(tmp_path, name) for name in ("s", "one", "two"))
    both = tmp_path / "both.pem"
    both.write_text(pair(first).certificate + pair(second).certificate)

    with serving(server_pem, callers=both) as server:
        for pem in (first, second, first):
            post(
                at(server),
                b"{}",
                budget=QUICK,
                ca_bundle=str(server_pem),
                client_certificate=pair(pem),
            )

        assert [received.caller for received in server.received] == ["one", "two", "one"]
        assert server.connections == 2


@pytest.mark.parametrize("shows", [True, False], ids=["another's certificate", "none"])
def test_who_is_refused_as_a_caller_is_told(tmp_path: Path, shows: bool) -> None:
    server_pem, known, stranger = (self_signed(tmp_path, name) for name in ("s", "known", "x"))

    with serving(server_pem, callers=known) as server:
        with pytest.raises(UpstreamError, match="client certificate") as caught:
            post(
                at(server),
                b"{}",
                budget=QUICK,
                ca_bundle=str(server_pem),
                client_certificate=pair(stranger) if shows else None,
            )

        assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)
        assert server.received == []


def test_showing_a_certificate_does_not_trust_the_other_side(tmp_path: Path) -> None:
    server_pem, client_pem = self_signed(tmp_path), self_signed(tmp_path, "robot")

    with serving(server_pem, callers=client_pem) as server:
        with pytest.raises(UpstreamError, match="ca_bundle"):
            post(at(server), b"{}", budget=QUICK, client_certificate=pair(client_pem))

        assert server.received == []


@pytest.mark.parametrize("fault", ["another key", "no PEM", "a locked key", "a half character"])
def test_a_pair_that_is_none(server: Server, tmp_path: Path, fault: str) -> None:
    good, other = (pair(self_signed(tmp_path, name)) for name in ("one", "two"))
    key = serialization.load_pem_private_key(good.private_key.encode(), None)
    locked = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    texts = {
        "another key": other.private_key,
        "no PEM": "no key",
        "a locked key": locked.decode(),
        "a half character": "\ud800",
    }

    shown = ClientCertificate(good.certificate, texts[fault])

    with pytest.raises(UpstreamError, match="no pair") as caught:
        post(at(server), b"{}", budget=QUICK, client_certificate=shown)

    assert (caught.value.code, server.received) == ("misconfigured", [])
    assert texts[fault] not in f"{caught.value!r} {shown!r}"


def test_a_bundle_that_is_missing(server: Server, tmp_path: Path) -> None:
    endpoint = Endpoint.parse(
        server.url.replace("http:", "https:"),
        allowed_hosts=["127.0.0.1"],
        allow_private_network=True,
    )

    with pytest.raises(UpstreamError, match="ca_bundle") as caught:
        post(endpoint, b"{}", budget=QUICK, ca_bundle=str(tmp_path / "none.pem"))

    assert caught.value.code == "misconfigured"


def test_tls_with_a_server_that_speaks_none(server: Server) -> None:
    endpoint = Endpoint.parse(
        server.url.replace("http:", "https:"),
        allowed_hosts=["127.0.0.1"],
        allow_private_network=True,
    )

    with pytest.raises(UpstreamError) as caught:
        post(endpoint, b"{}", budget=QUICK)

    assert (caught.value.code, caught.value.retryable) == ("upstream_unavailable", True)


def test_a_name_that_leads_to_loopback_is_not_connected_to(server: Server) -> None:
    endpoint = Endpoint.parse(
        f"https://localhost:{server.server_port}/",
        allowed_hosts=["localhost"],
        allow_private_network=True,
    )

    with pytest.raises(UpstreamError, match="loopback") as caught:
        post(endpoint, b"{}", budget=QUICK)

    assert caught.value.code == "misconfigured"
    assert server.connections == 0


def _resolving(monkeypatch: pytest.MonkeyPatch, *answers: list[str]) -> list[str]:
    """Let names resolve to ``answers``, one list after the other; return the names asked for."""
    real = socket.getaddrinfo
    asked: list[str] = []

    def resolve(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        if host[0].isdigit():
            return real(host, port, *args, **kwargs)
        addresses = answers[min(len(asked), len(answers) - 1)]
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (item, port)) for item in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    return asked


@pytest.mark.parametrize(
    ("addresses", "kind"),
    [
        pytest.param(["169.254.169.254"], "link-local", id="instance metadata"),
        pytest.param(["10.1.2.3"], "private", id="a private address"),
        pytest.param(["192.0.2.1", "10.1.2.3"], "private", id="a private one behind a public one"),
        pytest.param(["127.0.0.1"], "loopback", id="this machine"),
        pytest.param(["::ffff:10.1.2.3"], "private", id="a private one as IPv6"),
        pytest.param(["64:ff9b::a9fe:a9fe"], "link-local", id="instance metadata behind NAT64"),
        pytest.param(["fd00:ec2::254"], "instance metadata", id="instance metadata over IPv6"),
        pytest.param(["0.0.0.0"], "unspecified", id="any address"),
    ],
)
def test_where_a_name_must_not_lead(
    monkeypatch: pytest.MonkeyPatch, addresses: list[str], kind: str
) -> None:
    _resolving(monkeypatch, addresses)
    endpoint = Endpoint.parse("https://a.example/", allowed_hosts=["a.example"])

    with pytest.raises(UpstreamError, match=kind) as caught:
        post(endpoint, b"{}", budget=QUICK)

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)


def test_a_name_that_changes_its_mind_after_the_check_gains_nothing(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    asked = _resolving(monkeypatch, ["192.0.2.1"], ["127.0.0.1"])
    endpoint = Endpoint.parse(
        f"https://a.example:{server.server_port}/", allowed_hosts=["a.example"]
    )

    with pytest.raises(UpstreamError):
        post(endpoint, b"{}", budget=Budget(0.3, 0.2, 0.2, tries=1, base=0, cap=0, least=0))

    assert asked == ["a.example"]
    assert server.connections == 0


def test_the_environment_names_no_proxy_and_no_credential(
    monkeypatch: pytest.MonkeyPatch, server: Server, tmp_path: Path
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login someone password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("NO_PROXY", "")

    post(at(server), b"{}", headers={"Authorization": "Splunk abc"})

    assert server.received[0].headers["authorization"] == "Splunk abc"


def test_cookies_are_not_kept(server: Server) -> None:
    server.replies = [Reply(headers={"Set-Cookie": "a=b; Path=/"})]

    post(at(server), b"{}")
    post(at(server), b"{}")

    assert "cookie" not in server.received[1].headers


def test_a_failure_does_not_carry_the_request(server: Server) -> None:
    server.replies = [Reply(reset=True)]

    with pytest.raises(UpstreamError) as caught:
        post(at(server, "/?key=hidden"), b"{}", headers={"X": "hidden"}, budget=QUICK)

    assert "hidden" not in str(caught.value)
    assert caught.value.__cause__ is None
