import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import google.auth.transport.requests
import jwt
import pytest
import requests
from google.oauth2 import service_account

from cognito_rules import ConfigurationError, Effects, UpstreamError
from cognito_rules.access_tokens import _kept
from cognito_rules.login import Login
from functions.sync_profile_firebase import app
from functions.sync_profile_firebase.app import rule
from tests.deliveries import a_delivery, differences, facts_of, through_lambdas_door, with_rotated
from tests.loopback import Received, Reply, Server, reply, serving
from tests.pool_tokens import private_key, private_pem

SAMPLE = json.loads(Path("events/sync_profile_firebase.json").read_text())
USER = {"user_id": "u1", "email": "ann@acme.test", "name": "Ann Doe", "nickname": "ann"}
DATABASE = {"database_url": "https://acme.firebaseio.com"}
NODE = "/users/u1/identity.json?print=silent"
ACCOUNT = "rules@acme.iam.gserviceaccount.com"
TOKEN = reply(200, {"access_token": "ya29.first", "expires_in": 3599, "token_type": "Bearer"})
SECOND_TOKEN = reply(200, {"access_token": "ya29.second", "expires_in": 3599})


def secrets(**changed: str) -> dict[str, str]:
    return {
        "FIREBASE_CLIENT_EMAIL": ACCOUNT,
        "FIREBASE_PRIVATE_KEY": private_pem("service-account"),
        "FIREBASE_PRIVATE_KEY_ID": "key-1",
    } | changed


@pytest.fixture(autouse=True)
def a_new_environment() -> None:
    """Forget what an execution environment remembers: tokens, and what was written."""
    _kept.clear()
    app._written.clear()


@pytest.fixture
def firebase() -> Iterator[Server]:
    with serving() as server:
        server.routes = {"/token": TOKEN}
        server.replies = [Reply(204, b"")]
        yield server


def delivery(firebase: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    given = DATABASE | (settings or {})
    return a_delivery(firebase, given, secrets(), **({"user": USER} | known))


def sync(firebase: Server, settings: dict[str, Any] | None = None, **known: Any) -> Effects:
    return rule.decide(delivery(firebase, settings, **known))


def writes(firebase: Server) -> list[Received]:
    return [received for received in firebase.received if received.path != "/token"]


# -- what is written -------------------------------------------------------------------------------


def test_the_profile_is_patched_into_the_persons_node(firebase: Server) -> None:
    effects = sync(firebase)

    [written] = writes(firebase)
    assert (effects.items, effects.warnings) == ([], [])
    assert (written.method, written.path, written.json()) == ("PATCH", NODE, USER)
    assert written.headers["authorization"] == "Bearer ya29.first"


def test_what_else_lies_below_the_person_survives(firebase: Server) -> None:
    sync(firebase)

    # A PATCH of the node changes the named children only, and no request names another place.
    assert {(sent.method, sent.path) for sent in writes(firebase)} == {("PATCH", NODE)}


@pytest.mark.parametrize(
    ("style", "user", "key"),
    [
        pytest.param("sub", {"user_id": "a/b.c"}, "a%252Fb%252Ec", id="illegal characters"),
        pytest.param("sub", {"user_id": "a%2Fb"}, "a%25252Fb", id="what looks like an escape"),
        pytest.param("sub", {"user_id": "é[1]\x7f"}, "%C3%A9%255B1%255D%257F", id="more of them"),
        pytest.param("base64_legacy", {"user_id": "???>"}, "Pz8_Pg==", id="url-safe base64"),
        pytest.param("base64_exact", {"user_id": "???>"}, "Pz8/Pg==", id="as the old rule did"),
        pytest.param(
            "base64_legacy",
            {"user_id": "u1", "app_metadata": {"legacy_user_id": "auth0|1"}},
            "YXV0aDB8MQ==",
            id="the id of before",
        ),
    ],
)
def test_a_persons_key(firebase: Server, style: str, user: dict[str, Any], key: str) -> None:
    sync(firebase, {"key_style": style}, user=user)

    assert writes(firebase)[0].path == f"/users/{key}/identity.json?print=silent"


@pytest.mark.parametrize(
    ("clear", "expected"),
    [
        pytest.param(False, {"user_id": "u1", "name": "Ann"}, id="stays as it was"),
        pytest.param(
            True,
            {"user_id": "u1", "email": None, "name": "Ann", "nickname": None, "picture": None},
            id="is taken out when that is wished",
        ),
    ],
)
def test_a_field_that_is_missing(firebase: Server, clear: bool, expected: Any) -> None:
    sync(firebase, {"clear_missing": clear}, user={"user_id": "u1", "name": "Ann"})

    assert writes(firebase)[0].json() == expected


def test_fields_and_place_of_ones_own(firebase: Server) -> None:
    settings = {"fields": ["email", "email_verified"], "path": "/people/{key}"}

    sync(firebase, settings, user=USER | {"email_verified": False})

    [written] = writes(firebase)
    assert written.path == "/people/u1.json?print=silent"
    assert written.json() == {"email": "ann@acme.test", "email_verified": False}


# -- only what changed -----------------------------------------------------------------------------


def test_a_second_login_that_changes_nothing_writes_nothing(firebase: Server) -> None:
    sync(firebase)

    effects = sync(firebase)

    assert effects.warnings == ["unchanged"]
    assert len(writes(firebase)) == 1


@pytest.mark.parametrize(
    ("settings", "known"),
    [
        pytest.param({}, {"user": USER | {"name": "Ann Roe"}}, id="another name"),
        pytest.param({}, {"user": USER | {"user_id": "u2"}}, id="another person"),
        pytest.param({}, {"now": "2026-11-18T13:00:01Z"}, id="more than an hour later"),
        pytest.param({"only_if_changed": False}, {}, id="always, where that is wished"),
    ],
)
def test_what_is_written_again(
    firebase: Server, settings: dict[str, Any], known: dict[str, Any]
) -> None:
    sync(firebase)

    sync(firebase, settings, **known)

    assert len(writes(firebase)) == 2


@pytest.mark.parametrize("only_if_changed", [True, False])
def test_a_login_that_is_told_late_does_not_bring_an_old_profile_back(
    firebase: Server, only_if_changed: bool
) -> None:
    settings = {"only_if_changed": only_if_changed}
    sync(firebase, settings, user=USER | {"name": "Ann Roe"}, now="2026-11-18T12:30:00Z")

    late = sync(firebase, settings, now="2026-11-18T12:00:00Z")

    assert late.warnings == ["older_than_written"]
    assert [written.json()["name"] for written in writes(firebase)] == ["Ann Roe"]


def test_what_firebase_did_not_take_is_not_remembered(firebase: Server) -> None:
    firebase.replies = [Reply(404), Reply(204, b"")]
    with pytest.raises(UpstreamError):
        sync(firebase)

    assert sync(firebase).warnings == []


def test_the_memory_has_an_end(firebase: Server) -> None:
    app._written.update({f"u{number}": (b"", 0.0) for number in range(app.MAX_WRITTEN)})

    sync(firebase)

    assert len(app._written) == app.MAX_WRITTEN
    assert "u0" not in app._written


# -- tokens ----------------------------------------------------------------------------------------


def test_our_request_for_a_token_is_that_of_googles_own_client(firebase: Server) -> None:
    sync(firebase)
    [ours] = [received for received in firebase.received if received.path == "/token"]
    firebase.received.clear()
    account = {
        "type": "service_account",
        "client_email": ACCOUNT,
        "private_key": private_pem("service-account"),
        "private_key_id": "key-1",
        "token_uri": f"{firebase.url}/token",
    }
    client = service_account.Credentials.from_service_account_info(account, scopes=app.SCOPES)  # type: ignore[no-untyped-call]
    with requests.Session() as session:
        client.refresh(google.auth.transport.requests.Request(session))

    [theirs] = firebase.received
    assert differences(facts_of(theirs), facts_of(ours)) <= {"body.assertion"}
    their_header, their_claims = assertion(theirs)
    our_header, our_claims = assertion(ours)
    assert their_header == our_header == {"typ": "JWT", "alg": "RS256", "kid": "key-1"}
    for claims in (their_claims, our_claims):
        assert claims.pop("exp") - claims.pop("iat") == 3600
    assert our_claims == their_claims
    assert our_claims == {
        "iss": ACCOUNT,
        "aud": "https://oauth2.googleapis.com/token",
        "scope": " ".join(app.SCOPES),
    }


def assertion(received: Received) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return header and claims of the assertion in a request, whose signature is checked."""
    form = parse_qs(received.body.decode())
    assert form["grant_type"] == ["urn:ietf:params:oauth:grant-type:jwt-bearer"]
    [text] = form["assertion"]
    key = private_key("service-account").public_key()
    claims = jwt.decode(text, key, ["RS256"], options={"verify_aud": False})
    return jwt.get_unverified_header(text), claims


def test_a_token_is_kept_until_nine_tenths_of_its_time(
    firebase: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [1000.0]
    monkeypatch.setattr("cognito_rules.access_tokens.time.monotonic", lambda: clock[0])
    for now in (1000.0, 1000.0 + 3599 * 0.89, 1000.0 + 3599 * 0.91):
        clock[0] = now
        rule.decide(delivery(firebase, {"only_if_changed": False}))

    assert [received.path for received in firebase.received].count("/token") == 2


def test_a_token_that_has_ended_is_renewed_once(firebase: Server) -> None:
    sync(firebase)
    firebase.routes = {"/token": SECOND_TOKEN}
    firebase.replies = [Reply(401), Reply(204, b"")]

    sync(firebase, {"only_if_changed": False})

    tokens = [written.headers["authorization"] for written in writes(firebase)]
    assert tokens == ["Bearer ya29.first", "Bearer ya29.first", "Bearer ya29.second"]


def test_a_rotated_key_is_read_again(firebase: Server) -> None:
    before, after = secrets(), secrets(FIREBASE_PRIVATE_KEY_ID="key-2")
    firebase.routes = {}
    firebase.replies = [TOKEN, Reply(401), SECOND_TOKEN, Reply(204, b"")]

    rule.decide(with_rotated(delivery(firebase), before, after))

    asked = [received for received in firebase.received if received.path == "/token"]
    assert [assertion(received)[0]["kid"] for received in asked] == ["key-1", "key-2"]


@pytest.mark.parametrize(
    "key",
    [
        pytest.param("Y29weSBvZiBhIGRhdGFiYXNlIHNlY3JldCE40", id="a database secret"),
        pytest.param("-----BEGIN PRIVATE KEY-----\nx\n", id="half a key"),
    ],
)
def test_what_is_no_service_accounts_key_is_refused_unsent(firebase: Server, key: str) -> None:
    login = a_delivery(firebase, DATABASE, secrets(FIREBASE_PRIVATE_KEY=key), user=USER)

    with pytest.raises(UpstreamError, match="no PEM key") as caught:
        rule.decide(login)

    assert caught.value.code == "misconfigured"
    assert key not in str(caught.value)
    assert firebase.received == []


# -- when it does not work -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "code", "retryable"),
    [
        pytest.param(Reply(400), "misconfigured", False, id="no such path"),
        pytest.param(Reply(404), "misconfigured", False, id="no such database"),
        pytest.param(Reply(401), "misconfigured", False, id="a token that stays refused"),
        pytest.param(Reply(403), "misconfigured", False, id="no permission"),
        pytest.param(Reply(302), "misconfigured", False, id="a redirect"),
        pytest.param(Reply(412), "upstream_unavailable", True, id="contention"),
        pytest.param(Reply(500), "upstream_unavailable", True, id="down"),
        pytest.param(
            Reply(503, headers={"Retry-After": "900"}), "upstream_unavailable", True, id="busy"
        ),
        pytest.param(Reply(reset=True), "upstream_timeout", True, id="a reset"),
    ],
)
def test_what_an_answer_means(firebase: Server, answer: Reply, code: str, retryable: bool) -> None:
    firebase.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        sync(firebase)

    assert (caught.value.code, caught.value.retryable) == (code, retryable)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"database_url": ""}, "database_url", id="no database"),
        pytest.param({"database_url": "https://evil.example"}, "database_url", id="another host"),
        pytest.param(
            {"database_url": "http://acme.firebaseio.com"}, "database_url", id="without TLS"
        ),
        pytest.param(
            {"database_url": "https://acme.firebaseio.com?auth=s"},
            "database_url",
            id="a database secret in the URL",
        ),
        pytest.param({"path": "/users/everybody"}, "needs {key}", id="one place for everybody"),
        pytest.param({"path": "/users/{key}/../.."}, "path", id="a path that climbs"),
        pytest.param({"fields": []}, "fields", id="no fields"),
        pytest.param({"fields": ["identities"]}, "fields", id="what may not leave"),
        pytest.param({"stand_in": "https://firebase.example"}, "stand-in", id="a far stand-in"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    firebase: Server, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        sync(firebase, settings)


def test_the_sample_through_lambdas_door(firebase: Server) -> None:
    answer = through_lambdas_door("sync_profile_firebase", SAMPLE, firebase, secrets())

    assert answer == {"version": 1, "effects": SAMPLE["expect"]}
    [written] = writes(firebase)
    assert written.path.startswith(f"/users/{SAMPLE['login']['user']['user_id']}/identity.json")
