import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.errors import SecretError
from cognito_rules.http import basic_credentials
from cognito_rules.login import Login
from cognito_rules.testing import a_login
from functions.add_roles_from_soap_service.app import rule
from tests.deliveries import through_lambdas_door
from tests.loopback import Reply, Server, self_signed, serving
from tests.moments import SILENCE, ends_soon

SAMPLE = json.loads(Path("events/add_roles_from_soap_service.json").read_text())
SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
SECRETS = {"SOAP_USERNAME": "robot", "SOAP_PASSWORD": "pass<word"}
ANN = {"user_id": "u1", "email": "ann@acme.test", "email_verified": True, "app_metadata": {}}
BY_EMAIL: dict[str, Any] = {"body_template": "<GetRoles><mail>{email}</mail></GetRoles>"}
NONE: dict[str, Any] = {"roles": [], "permissions": [], "groups": []}
CLAIM = "https://example.com/roles"
BOMB = (
    '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">]>'
    "<x>&b;&b;&b;&b;</x>"
)


def answered(*roles: str, other: str = "") -> Reply:
    items = "".join(f"<string>{role}</string>" for role in roles)
    return envelope(
        f'<GetRolesResponse xmlns="http://example.com/">{other}'
        f"<GetRolesResult>{items}</GetRolesResult></GetRolesResponse>"
    )


def envelope(body: str, status: int = 200) -> Reply:
    text = (
        '<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">'
        f"<s:Header/><s:Body>{body}</s:Body></s:Envelope>"
    )
    return Reply(status, text.encode(), {"Content-Type": "text/xml"})


FAULT = (
    "<s:Fault><faultcode>s:Server</faultcode><faultstring>Ann is unknown</faultstring></s:Fault>"
)


@pytest.fixture
def service() -> Iterator[Server]:
    with serving() as server:
        server.replies = [answered("admin", "editor")]
        yield server


def settings(service: Server, **changes: Any) -> dict[str, Any]:
    return {
        **SAMPLE["configuration"],
        "endpoint": f"{service.url}/service",
        "allow_private_network": True,
        "cache_seconds": 60,
        **changes,
    }


def ask(
    service: Server,
    user: dict[str, Any] | None = None,
    secrets: dict[str, str] = SECRETS,
    **changes: Any,
) -> Effects:
    login = a_login(
        user=ANN | (user or {}),
        authorization=NONE,
        configuration=settings(service, **changes),
        secrets=secrets,
    )
    return rule.decide(login)


def claim_of(effects: Effects) -> Any:
    found = [item["value"] for item in effects.items if item["effect"] == "set_claim"]
    return found[0] if found else "none"


def stored_by(effects: Effects) -> Any:
    found = [item["value"] for item in effects.items if item["effect"] == "set_app_metadata"]
    return found[0] if found else None


# -- when the service does not answer --------------------------------------------------------------


FAILURES = [
    pytest.param(envelope(FAULT), "soap_fault", id="a fault with 200"),
    pytest.param(envelope(FAULT, 500), "upstream_unavailable", id="a fault with 500"),
    pytest.param(Reply(200, BOMB.encode()), "upstream_protocol", id="an entity bomb"),
    pytest.param(
        Reply(200, b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>'), "upstream_protocol", id="a DTD"
    ),
    pytest.param(Reply(200, b"<html><p>Sorry<br></html>"), "upstream_protocol", id="a page"),
    pytest.param(Reply(200, b"<Envelope/>"), "upstream_protocol", id="another envelope"),
    pytest.param(Reply(200, b""), "upstream_protocol", id="nothing"),
    pytest.param(
        Reply(200, b"<?xml version='1.0' encoding='x'?><a/>"), "upstream_protocol", id="x"
    ),
    pytest.param(Reply(200, b"<a>" + b"x" * 300_000), "upstream_protocol", id="too much"),
    pytest.param(Reply(401), "misconfigured", id="a wrong password"),
    pytest.param(Reply(302), "misconfigured", id="a redirect"),
    pytest.param(Reply(delay=SILENCE), "upstream_timeout", id="silence"),
    pytest.param(Reply(reset=True), "upstream_timeout", id="a reset"),
]


@pytest.mark.parametrize(("failure", "code"), FAILURES)
def test_people_are_refused_when_it_answers(service: Server, failure: Reply, code: str) -> None:
    service.replies = [failure]

    with ends_soon(3.0):
        effects = ask(service, timeout_ms=300)

    assert effects.denied_with == "roles_unavailable"
    assert effects.items[0]["public_code"] == "try_again"
    assert effects.warnings == [f"roles_unavailable:{code}"]
    assert len(effects.items) == 1


@pytest.mark.parametrize(("failure", "code"), FAILURES)
def test_people_get_no_roles_where_that_is_wished(
    service: Server, failure: Reply, code: str
) -> None:
    service.replies = [failure]

    effects = ask(service, timeout_ms=300, on_failure="omit")

    assert (effects.items, effects.warnings) == ([], [f"roles_unavailable:{code}"])


def test_a_secret_that_is_missing_is_a_failure_like_others(service: Server) -> None:
    def no_secret(name: str, refresh: bool) -> str:
        raise SecretError(name, f"the secret holds no text for {name}")

    effects = rule.decide(
        Login(a_login(user=ANN).facts, configuration=settings(service), secret=no_secret)
    )

    assert effects.denied_with == "roles_unavailable"
    assert effects.warnings == ["roles_unavailable:secret_error"]
    assert service.received == []


# -- who is asked about ----------------------------------------------------------------------------


def test_two_people_are_two_questions(service: Server) -> None:
    """The old rule sent nobody, so that everybody had the same roles."""
    ask(service, {"user_id": "u1"})
    ask(service, {"user_id": "u2"})

    first, second = (ElementTree.fromstring(received.body) for received in service.received)
    assert [user_in(first), user_in(second)] == ["u1", "u2"]


def user_in(document: ElementTree.Element) -> str | None:
    return document.findtext(
        f"{SOAP}Body/{{http://example.com/}}GetRoles/{{http://example.com/}}user"
    )


@pytest.mark.parametrize(
    "text", ["a&b<", "</user><user>u2", "]]>", '"quoted"', "{email}", "a\x00b\x1f", "&#x26;"]
)
def test_a_name_stays_one_text(service: Server, text: str) -> None:
    ask(service, {"user_id": text})

    document = ElementTree.fromstring(service.received[0].body)
    expected = text.replace("\x00", "\ufffd").replace("\x1f", "\ufffd")
    assert user_in(document) == expected


@pytest.mark.parametrize(
    "user",
    [
        pytest.param({"email_verified": False}, id="nobody proved"),
        pytest.param({"email_verified": None}, id="nobody says so of"),
        pytest.param({"email": None}, id="is not there"),
    ],
)
def test_nothing_is_asked_by_an_address_that(service: Server, user: dict[str, Any]) -> None:
    effects = ask(service, user, **BY_EMAIL)

    assert (effects.items, service.received) == ([], [])


def test_a_proved_address_is_asked_about(service: Server) -> None:
    assert claim_of(ask(service, **BY_EMAIL)) == ["admin", "editor"]
    assert b"<mail>ann@acme.test</mail>" in service.received[0].body


# -- how it is asked -------------------------------------------------------------------------------


def test_the_request_is_soap(service: Server) -> None:
    ask(service)

    [received] = service.received
    assert (received.method, received.path) == ("POST", "/service")
    assert received.headers["content-type"] == "text/xml; charset=utf-8"
    assert received.headers["soapaction"] == '"http://example.com/GetRoles"'
    expected = basic_credentials(*SECRETS.values())["Authorization"]
    assert received.headers["authorization"] == expected
    assert ElementTree.fromstring(received.body).tag == f"{SOAP}Envelope"


def test_ws_security(service: Server) -> None:
    ask(service, authentication="ws_security")

    [received] = service.received
    token = ElementTree.fromstring(received.body).find(
        f"{SOAP}Header/{WSSE}Security/{WSSE}UsernameToken"
    )
    assert token is not None
    assert token.findtext(f"{WSSE}Username") == "robot"
    assert token.findtext(f"{WSSE}Password") == "pass<word"
    assert "authorization" not in received.headers


def test_a_client_certificate_takes_the_place_of_a_password(tmp_path: Path) -> None:
    authority, robot = self_signed(tmp_path), self_signed(tmp_path, "robot")
    certificate, begin, key = robot.read_text().partition("-----BEGIN PRIVATE KEY-----")
    secrets = {"SOAP_CERTIFICATE": certificate, "SOAP_PRIVATE_KEY": begin + key}

    with serving(authority, callers=robot) as service:
        service.replies = [answered("admin")]
        given: dict[str, Any] = {"authentication": "certificate", "ca_bundle": str(authority)}
        effects = ask(service, secrets=secrets, **given)
        refused = ask(service, secrets=secrets | {"SOAP_PRIVATE_KEY": "word"}, **given)

    assert claim_of(effects) == ["admin"]
    [received] = service.received
    assert received.caller == "robot"
    assert "authorization" not in received.headers
    assert refused.denied_with == "roles_unavailable"
    assert refused.warnings == ["roles_unavailable:misconfigured"]


def test_a_service_that_asks_for_no_password_gets_none(service: Server) -> None:
    ask(service, authentication="none")

    assert "authorization" not in service.received[0].headers


# -- the roles -------------------------------------------------------------------------------------


def test_roles_are_a_claim_and_are_seen_by_later_rules(service: Server) -> None:
    effects = ask(service, targets=["id", "access"])

    assert [item["effect"] for item in effects.items] == [
        "set_app_metadata",
        "set_claim",
        "set_claim",
        "set_authorization",
    ]
    assert effects.items[1]["name"] == CLAIM
    assert effects.items[3]["roles"] == ["admin", "editor"]


@pytest.mark.parametrize(
    ("answer", "roles"),
    [
        pytest.param(answered(), [], id="none"),
        pytest.param(envelope("<Other/>"), [], id="another answer"),
        pytest.param(answered("a", "", " b ", "a"), ["a", "b"], id="each once"),
        pytest.param(answered("admin,root", "ok"), ["ok"], id="what is no role is left out"),
        pytest.param(
            answered("a", other="<string>elsewhere</string>"), ["a"], id="only where roles stand"
        ),
    ],
)
def test_what_the_answer_says(service: Server, answer: Reply, roles: list[str]) -> None:
    service.replies = [answer]

    assert claim_of(ask(service)) == roles


def test_too_many_roles_are_cut_off_and_noticed(service: Server) -> None:
    service.replies = [answered(*(f"r{number}" for number in range(60)))]

    effects = ask(service)

    assert claim_of(effects) == [f"r{number}" for number in range(50)]
    assert effects.warnings == ["roles_truncated"]


# -- answers that are kept -------------------------------------------------------------------------


def test_an_answer_is_asked_for_once_a_minute(service: Server) -> None:
    kept = stored_by(ask(service))

    again = ask(service, {"app_metadata": {"soap_roles": kept}})

    assert (claim_of(again), stored_by(again)) == (["admin", "editor"], None)
    assert len(service.received) == 1
    assert kept["at"] == "2026-11-18T12:00:00.000Z"
    assert "u1" not in json.dumps(kept)


@pytest.mark.parametrize(
    ("changes", "given"),
    [
        pytest.param({"at": "2026-11-18T11:59:00Z"}, {}, id="a minute ago"),
        pytest.param({"at": "2026-11-18T12:05:00Z"}, {}, id="from the future"),
        pytest.param({"at": "soon"}, {}, id="of no time"),
        pytest.param({"question": "another"}, {}, id="to another question"),
        pytest.param({}, {"role_path": ["GetRolesResponse"]}, id="by other settings"),
        pytest.param({}, {"cache_seconds": 0}, id="which are not kept"),
    ],
)
def test_answers_that_count_no_longer(
    service: Server, changes: dict[str, Any], given: dict[str, Any]
) -> None:
    kept = stored_by(ask(service)) | changes

    ask(service, {"app_metadata": {"soap_roles": kept}}, **given)

    assert len(service.received) == 2


def test_another_persons_answer_is_none(service: Server) -> None:
    kept = stored_by(ask(service))

    ask(service, {"user_id": "u2", "app_metadata": {"soap_roles": kept}})

    assert len(service.received) == 2


def test_refreshed_tokens_keep_the_roles() -> None:
    assert rule.manifest.runs_on_refresh


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "message"),
    [
        pytest.param({"body_template": "<GetRoles/>"}, "names nobody", id="nobody"),
        pytest.param({"body_template": "<a>{user_id}"}, "no XML", id="half a document"),
        pytest.param({"body_template": "<a>{user_id}{name}</a>"}, "is none of", id="unknown"),
        pytest.param({"endpoint": "http://roles.example.com"}, "https", id="without TLS"),
        pytest.param(
            {"endpoint": "https://169.254.169.254/"}, "link-local", id="instance metadata"
        ),
        pytest.param({"namespace": "roles"}, "namespace", id="no namespace"),
        pytest.param({"role_pattern": "("}, "role_pattern", id="a pattern that is none"),
        pytest.param({"soap_action": 'a"b'}, "soap_action", id="a quote in the action"),
        pytest.param({"role_path": []}, "role_path", id="no path"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    service: Server, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ask(service, **given)


def test_the_sample_through_lambdas_door(service: Server) -> None:
    template = {"endpoint": f"{service.url}/service", "allow_private_network": True}

    answer = through_lambdas_door(
        "add_roles_from_soap_service", SAMPLE | {"template": template}, None, SECRETS
    )

    assert answer == {"version": 1, "effects": SAMPLE["expect"]}
