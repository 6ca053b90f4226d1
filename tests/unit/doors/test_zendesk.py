"""Single sign-on to Zendesk: who gets there, and what travels on the way."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import jwt
import pytest

from cognito_rules import ConfigurationError
from cognito_rules.errors import SecretError
from cognito_rules.zendesk_door import COOKIE, STATE_SECONDS, ZendeskDoor, zendesk_door
from tests.log_lines import LogLines
from tests.loopback import Reply, Server, reply, serving
from tests.pool_tokens import CLIENT, ISSUER, KEYS_PATH, POOL, SUB, private_key, published

SECRET = "a shared secret of Zendesk, which is long enough"
CALLBACK_URL = "https://doors.example.com/zendesk/callback"
HELP = "https://acme.zendesk.com/hc/en-us/requests/7"
PERSON = {"email": "jane@example.com", "email_verified": True, "name": "Jane Doe"}


@pytest.fixture(autouse=True)
def pool(amazon: Server) -> None:
    amazon.routes = {KEYS_PATH: reply(200, published("first"))}


@pytest.fixture
def pages() -> Iterator[Server]:
    """The pool's sign-in domain, as far as its token endpoint goes."""
    with serving() as server:
        yield server


class Browser:
    """Somebody's browser: it follows redirects and keeps the one cookie."""

    def __init__(self, pages: Server, **settings: Any) -> None:
        self.pages = pages
        self.secret: str | None = SECRET
        self.now = time.time()
        self.cookies: list[str] = []
        given = {
            "user_pool_id": POOL,
            "client_id": CLIENT,
            "sign_in_url": pages.url,
            "callback_url": CALLBACK_URL,
            "subdomain": "acme",
        }
        self.door: ZendeskDoor = zendesk_door(
            given | settings, self.read_secret, clock=lambda: self.now
        )

    def read_secret(self, name: str) -> str:
        if self.secret is None:
            raise SecretError(name, f"the secret holds no text for {name}")
        return self.secret

    def get(self, path: str, **query: str) -> dict[str, Any]:
        event = {"rawPath": path, "rawQueryString": urlencode(query), "cookies": self.cookies}
        return self.send(event)

    def send(self, event: dict[str, Any]) -> dict[str, Any]:
        said = self.door.handle(event)
        assert said["headers"]["Cache-Control"] == "no-store"
        if "cookies" in said:
            [cookie] = said["cookies"]
            assert cookie.endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
            self.cookies = [cookie.partition(";")[0]]
        return said

    def begin(self, **query: str) -> dict[str, str]:
        """Return what the pool is asked."""
        said = self.get("/zendesk/sso", **query)
        assert said["statusCode"] == 302
        url = urlsplit(said["headers"]["Location"])
        assert f"{url.scheme}://{url.netloc}{url.path}" == f"{self.pages.url}/oauth2/authorize"
        return dict(parse_qsl(url.query))

    def sign_in(self, asked: dict[str, str], **claims: Any) -> dict[str, Any]:
        """Return the answer to the pool's redirect, which knows somebody with ``claims``."""
        self.pages.replies = [reply(200, {"id_token": id_token(asked["nonce"], claims)})]
        return self.get("/zendesk/callback", code="code-1", state=asked["state"])


def id_token(nonce: str, claims: dict[str, Any]) -> str:
    now = int(time.time())
    usual = {
        "sub": SUB,
        "iss": ISSUER,
        "aud": CLIENT,
        "token_use": "id",
        "nonce": nonce,
        "iat": now,
        "exp": now + 900,
    }
    known = {name: value for name, value in (usual | PERSON | claims).items() if value is not None}
    return jwt.encode(known, private_key("first"), "RS256", {"kid": "first"})


class Form(HTMLParser):
    """The form of a page: its attributes and hidden fields."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.form: dict[str, str | None] = {}
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag == "form":
            self.form = found
        elif tag == "input":
            self.fields[str(found["name"])] = str(found["value"])


def told(said: dict[str, Any]) -> dict[str, Any]:
    """Return what Zendesk is told, whose signature is checked."""
    assert said["statusCode"] == 200, said
    token = Form(said["body"]).fields["jwt"]
    claims: dict[str, Any] = jwt.decode(token, SECRET, ["HS256"])
    return claims


def refused(said: dict[str, Any]) -> tuple[int, str]:
    assert set(json.loads(said["body"])) == {"error"}
    return said["statusCode"], json.loads(said["body"])["error"]


# Refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        pytest.param({"email_verified": False}, "email_not_verified", id="nobody proved"),
        pytest.param({"email_verified": "false"}, "email_not_verified", id="nobody, as a text"),
        pytest.param({"email_verified": None}, "email_not_verified", id="nobody says"),
        pytest.param({"email": None}, "email_not_verified", id="is not there"),
    ],
)
def test_an_address_that(pages: Server, claims: dict[str, Any], code: str) -> None:
    browser = Browser(pages)

    said = browser.sign_in(browser.begin(), **claims)

    assert refused(said) == (403, code)


@pytest.mark.parametrize(
    ("claims", "code"),
    [
        pytest.param({"token_use": "access"}, "wrong_token_use", id="an access token"),
        pytest.param({"aud": "other"}, "client_not_allowed", id="another application's"),
        pytest.param({"iss": "https://evil.example"}, "issuer_mismatch", id="another pool's"),
        pytest.param({"nonce": "replayed"}, "nonce_mismatch", id="of another sign-in"),
        pytest.param({"exp": 1}, "token_expired", id="one that has ended"),
    ],
)
def test_an_id_token_that_is_not_for_this_sign_in(
    pages: Server, claims: dict[str, Any], code: str
) -> None:
    browser = Browser(pages)

    assert refused(browser.sign_in(browser.begin(), **claims)) == (401, code)


@pytest.mark.parametrize("state", ["", "abc", "e30.e30.e30"])
def test_a_state_that_is_none_is_refused(pages: Server, state: str) -> None:
    browser = Browser(pages)
    asked = browser.begin()

    assert refused(browser.sign_in(asked | {"state": state})) == (400, "state_invalid")
    assert pages.received == []


def test_a_state_that_somebody_else_signed_is_refused(pages: Server) -> None:
    browser = Browser(pages)
    asked = browser.begin()
    claims = {"challenge": asked["nonce"], "exp": int(time.time()) + 60, "return_to": "x"}
    forged = jwt.encode(claims, SECRET, "HS256")

    assert refused(browser.sign_in(asked | {"state": forged})) == (400, "state_invalid")


def test_a_state_ends(pages: Server) -> None:
    browser = Browser(pages)
    asked = browser.begin()
    browser.now += STATE_SECONDS

    assert refused(browser.sign_in(asked)) == (400, "state_expired")


@pytest.mark.parametrize(
    "cookies",
    [
        pytest.param([], id="no cookie"),
        pytest.param([f"{COOKIE}=" + "a" * 43], id="that of another sign-in"),
        pytest.param([f"{COOKIE}=x"], id="one that is none"),
        pytest.param(["other=" + "a" * 43], id="another cookie"),
    ],
)
def test_a_state_of_another_browser_is_refused(pages: Server, cookies: list[str]) -> None:
    """Or somebody could be signed in as somebody else, and write tickets there."""
    browser = Browser(pages)
    asked = browser.begin()
    browser.cookies = cookies

    assert refused(browser.sign_in(asked)) == (403, "state_of_another_browser")
    assert pages.received == []


@pytest.mark.parametrize(
    "query",
    [
        pytest.param({"error": "access_denied", "error_description": "<b>"}, id="an error"),
        pytest.param({"code": ""}, id="an empty code"),
        pytest.param({}, id="nothing"),
    ],
)
def test_what_the_pool_refuses_is_refused_here(pages: Server, query: dict[str, str]) -> None:
    browser = Browser(pages)
    asked = browser.begin()

    said = browser.get("/zendesk/callback", state=asked["state"], **query)

    assert refused(said) == (403, "sign_in_refused")
    assert pages.received == []


@pytest.mark.parametrize(
    ("answer", "status", "code"),
    [
        pytest.param(reply(400, {"error": "invalid_grant"}), 403, "code_refused", id="no code"),
        pytest.param(Reply(500), 502, "try_again", id="an outage"),
        pytest.param(Reply(reset=True), 502, "try_again", id="a reset"),
        pytest.param(Reply(200, b"<html>"), 502, "try_again", id="no JSON"),
        pytest.param(Reply(302, headers={"Location": "/x"}), 502, "try_again", id="a redirect"),
        pytest.param(reply(200, {}), 401, "malformed_token", id="no token"),
        pytest.param(reply(200, []), 401, "malformed_token", id="a list"),
    ],
)
def test_a_code_that_is_not_redeemed(pages: Server, answer: Reply, status: int, code: str) -> None:
    browser = Browser(pages)
    asked = browser.begin()
    pages.replies = [answer]

    said = browser.get("/zendesk/callback", code="code-1", state=asked["state"])

    assert refused(said) == (status, code)


def test_without_the_secret_there_is_no_page_and_no_redirect(pages: Server) -> None:
    browser = Browser(pages)
    asked = browser.begin()
    browser.secret = None

    assert refused(browser.get("/zendesk/sso")) == (500, "misconfigured")
    assert refused(browser.sign_in(asked)) == (500, "misconfigured")


def test_a_person_without_the_external_id_is_refused(pages: Server) -> None:
    browser = Browser(pages, external_id_claim="https://example.com/legacy_user_id")

    assert refused(browser.sign_in(browser.begin())) == (403, "external_id_missing")


@pytest.mark.parametrize("path", ["/zendesk", "/zendesk/other", "/", None])
def test_another_path_is_not_found(pages: Server, path: Any) -> None:
    assert refused(Browser(pages).send({"rawPath": path}))[0] == 404


# Let through -------------------------------------------------------------------------------------


def test_who_comes_without_a_session_goes_to_the_pool_and_back(pages: Server) -> None:
    browser = Browser(pages)

    asked = browser.begin(return_to=HELP, brand_id="42")

    state = asked.pop("state")
    assert asked == {
        "response_type": "code",
        "client_id": CLIENT,
        "redirect_uri": CALLBACK_URL,
        "scope": "openid email profile",
        "nonce": asked["code_challenge"],
        "code_challenge": asked["code_challenge"],
        "code_challenge_method": "S256",
    }
    carried = jwt.decode(state, options={"verify_signature": False})
    assert (carried["return_to"], carried["brand_id"]) == (HELP, "42")
    assert browser.cookies[0].partition("=")[2] not in state

    said = browser.sign_in(asked | {"state": state})

    form = Form(said["body"])
    assert form.form == {"method": "post", "action": "https://acme.zendesk.com/access/jwt"}
    assert form.fields["return_to"] == HELP
    [redeemed] = pages.received
    sent = {name: values[0] for name, values in parse_qs(redeemed.body.decode()).items()}
    verifier = sent.pop("code_verifier")
    assert len(verifier) == 43
    assert sent == {
        "grant_type": "authorization_code",
        "client_id": CLIENT,
        "code": "code-1",
        "redirect_uri": CALLBACK_URL,
    }
    assert browser.cookies == [f"{COOKIE}="]


def test_zendesk_is_told_who_it_is(pages: Server, lines: LogLines) -> None:
    browser = Browser(pages)
    first, second = (told(browser.sign_in(browser.begin())) for _ in range(2))

    assert first.pop("jti") != second.pop("jti")
    assert type(first["iat"]) is int
    assert first["iat"] == int(browser.now)
    del first["iat"]
    assert first == {"email": "jane@example.com", "name": "Jane Doe", "external_id": SUB}
    logged = json.dumps(lines.records)
    assert SUB in logged
    assert "jane@" not in logged
    assert "eyJ" not in logged


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        pytest.param({"name": None, "given_name": "Jane", "family_name": "D"}, "Jane D", id="two"),
        pytest.param({"name": None, "given_name": "Jane"}, "Jane", id="one"),
        pytest.param({"name": None}, "jane@example.com", id="none"),
        pytest.param({"name": '"><script>'}, '"><script>', id="one that is markup"),
    ],
)
def test_a_name_is_what_is_known_of_it(pages: Server, claims: dict[str, Any], name: str) -> None:
    browser = Browser(pages)

    said = browser.sign_in(browser.begin(), **claims)

    assert told(said)["name"] == name
    assert said["body"].count("<script>") == 1


@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        pytest.param({"phone_number_verified": True}, {"phone": "+351999", "locale": "pt"}, id="1"),
        pytest.param({"phone_number_verified": False}, {"locale": "pt"}, id="an unproved number"),
        pytest.param({}, {"locale": "pt"}, id="a number of which nobody says so"),
    ],
)
def test_more_of_a_person(pages: Server, claims: dict[str, Any], expected: dict[str, str]) -> None:
    browser = Browser(pages, send=["phone", "locale"])
    person = {"phone_number": "+351999", "locale": "pt"} | claims

    found = told(browser.sign_in(browser.begin(), **person))

    assert {name: found[name] for name in ("phone", "locale") if name in found} == expected


def test_an_external_id_of_before(pages: Server) -> None:
    claim = "https://example.com/legacy_user_id"
    browser = Browser(pages, external_id_claim=claim)

    assert told(browser.sign_in(browser.begin(), **{claim: "auth0|1"}))["external_id"] == "auth0|1"


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/hc",
        "http://acme.zendesk.com/hc",
        "https://acme.zendesk.com@evil.example/",
        "https://acme.zendesk.com:8443/",
        "https://acme.zendesk.com.evil.example/",
        "//acme.zendesk.com/",
        "/hc",
        "javascript:alert(1)",
        "https://acme.zendesk.com\\@evil.example/",
        "https://acme.zendesk.com/\n",
        "https://[",
        "https:///hc",
        f"{HELP}?{'a' * 2000}",
    ],
)
def test_a_return_to_elsewhere_is_dropped(pages: Server, url: str) -> None:
    browser = Browser(pages, return_to_hosts=[""])  # as a list of none arrives from a template

    said = browser.sign_in(browser.begin(return_to=url))

    assert set(Form(said["body"]).fields) == {"jwt"}


def test_another_brands_host_can_be_named(pages: Server) -> None:
    browser = Browser(pages, return_to_hosts=["help.acme.test"])
    url = 'https://help.acme.test/hc?q="quoted"&b=1'

    said = browser.sign_in(browser.begin(return_to=url))

    assert Form(said["body"]).fields["return_to"] == url


def test_the_page_can_do_nothing_but_post_to_zendesk(pages: Server) -> None:
    browser = Browser(pages, return_to_hosts=["help.acme.test"])

    headers = browser.sign_in(browser.begin())["headers"]

    rules = dict(
        rule.strip().split(" ", 1) for rule in headers["Content-Security-Policy"].split(";")
    )
    assert rules.pop("script-src").startswith("'sha256-")
    assert rules == {
        "default-src": "'none'",
        "form-action": "https://acme.zendesk.com https://help.acme.test",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert headers["Referrer-Policy"] == "no-referrer"


# Settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"subdomain": "acme.evil"}, "subdomain", id="a dot"),
        pytest.param({"subdomain": ""}, "subdomain", id="no subdomain"),
        pytest.param({"subdomain": "acme/x"}, "subdomain", id="a slash"),
        pytest.param({"sign_in_url": "http://pool.example.com"}, "https", id="without TLS"),
        pytest.param({"send": ["password"]}, "send", id="what nobody is told"),
        pytest.param({"client_id": ""}, "client_id", id="no application"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    pages: Server, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Browser(pages, **settings)
