import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.errors import SecretError
from cognito_rules.login import Login
from cognito_rules.testing import a_login
from functions.record_events_splunk.app import rule
from tests.loopback import Reply, Server, reply, self_signed, serving

# One delivery is one event: sending many in one request, and what is told of one among many
# (invalid-event-number), is not built yet.

SAMPLE = json.loads(Path("events/record_events_splunk.json").read_text())
TAKEN = reply(200, {"text": "Success", "code": 0})
EVENT = {
    "id": "01JD8Z6V3N4W2B7QK5XGH9T1RM",
    "type": "LoginCompleted",
    "occurred_at": "2026-11-22T09:30:00.123Z",
    "first_login": False,
}


@pytest.fixture
def collector() -> Iterator[Server]:
    with serving() as server:
        server.replies = [TAKEN]
        yield server


def settings_for(collector: Server, **more: Any) -> dict[str, Any]:
    return {
        "endpoint": collector.url,
        "allow_private_network": True,
        **more,
    }


def a_delivery(collector: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    known.setdefault("event", EVENT)
    return a_login(
        configuration=settings_for(collector, **(settings or {})),
        secrets={"SPLUNK_HEC_TOKEN": "hec-1"},
        **known,
    )


def sent_to(collector: Server) -> dict[str, Any]:
    [received] = collector.received
    envelope: dict[str, Any] = received.json()
    return envelope


def test_what_the_collector_receives(collector: Server) -> None:
    login = a_delivery(
        collector,
        {"index": "logins"},
        user={"user_id": "u1", "name": "Zoë Doe"},
        client={"client_id": "c1", "name": "Payroll"},
        connection={"name": "google"},
        request={"ip": "203.0.113.7", "user_agent": "Firefox"},
        transaction={"protocol": "oidc", "user_pool_id": "eu-west-1_A"},
        authentication={"methods": [{"name": "pwd"}, {"name": "mfa", "type": "totp"}]},
    )

    effects = rule.decide(login)

    assert effects.items == []
    assert sent_to(collector) == {
        "time": 1795339800.123,
        "host": "eu-west-1_A",
        "source": "cognito",
        "sourcetype": "cognito:rules:login",
        "index": "logins",
        "event": {
            "message": "Login",
            "application": "Payroll",
            "clientId": "c1",
            "clientIP": "203.0.113.7",
            "userAgent": "Firefox",
            "protocol": "oidc",
            "userName": "Zoë Doe",
            "userId": "u1",
            "connection": "google",
            "methods": ["pwd", "mfa"],
            "loginId": "01JD8Z6V3N4W2B7QK5XGH9T1RM",
        },
        "fields": {"login_id": "01JD8Z6V3N4W2B7QK5XGH9T1RM"},
    }
    [received] = collector.received
    assert received.path == "/services/collector/event"
    assert received.headers["authorization"] == "Splunk hec-1"


def test_what_is_unknown_is_left_out(collector: Server) -> None:
    rule.decide(a_delivery(collector))

    assert sent_to(collector) == {
        "time": 1795339800.123,
        "source": "cognito",
        "sourcetype": "cognito:rules:login",
        "event": {"message": "Login", "loginId": EVENT["id"]},
        "fields": {"login_id": EVENT["id"]},
    }


@pytest.mark.parametrize(
    ("event", "message", "code"),
    [
        pytest.param({"first_login": True}, "SignUp", None, id="a first login"),
        pytest.param({}, "Login", None, id="a later login"),
        pytest.param(
            {"type": "LoginDenied", "code": "user_flagged", "first_login": True},
            "LoginDenied",
            "user_flagged",
            id="a refused login, with the code that the person never saw",
        ),
    ],
)
def test_the_message(
    collector: Server, event: dict[str, Any], message: str, code: str | None
) -> None:
    rule.decide(a_delivery(collector, event=EVENT | event))

    sent = sent_to(collector)["event"]
    assert (sent["message"], sent.get("code")) == (message, code)


def test_searches_of_old_dashboards_are_kept(collector: Server) -> None:
    old = {"source": "auth0", "sourcetype": "auth0_activity", "host": "acme.auth0.com"}

    rule.decide(a_delivery(collector, old))

    assert old.items() <= sent_to(collector).items()


def test_an_event_that_is_sent_late_keeps_its_time(collector: Server) -> None:
    rule.decide(a_delivery(collector, now="2026-11-22T10:00:00Z"))

    assert sent_to(collector)["time"] == 1795339800.123


@pytest.mark.parametrize("hec_code", [5, 6, 7, 10, 11, 12, 13, 14, 15, 16])
def test_an_event_that_the_collector_will_not_have_is_not_sent_again(
    collector: Server, hec_code: int
) -> None:
    collector.replies = [reply(400, {"text": "No", "code": hec_code, "invalid-event-number": 0})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(a_delivery(collector))

    assert (caught.value.code, caught.value.retryable) == (f"hec_{hec_code}", False)
    assert len(collector.received) == 1


@pytest.mark.parametrize(
    ("status", "hec_code"),
    [
        pytest.param(401, 2, id="token missing"),
        pytest.param(401, 3, id="token malformed"),
        pytest.param(403, 1, id="token disabled"),
        pytest.param(403, 4, id="token invalid"),
    ],
)
def test_a_token_that_stays_refused_is_for_an_operator(
    collector: Server, status: int, hec_code: int
) -> None:
    collector.replies = [reply(status, {"text": "No", "code": hec_code})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(a_delivery(collector))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)


def test_a_token_that_was_rotated_is_read_again(collector: Server) -> None:
    collector.replies = [reply(403, {"text": "Invalid token", "code": 4}), TAKEN]
    tokens = {False: "hec-1", True: "hec-2"}
    login = Login(
        {"event": EVENT},
        configuration=settings_for(collector),
        secret=lambda name, refresh: tokens[refresh],
    )

    rule.decide(login)

    sent = [request.headers["authorization"] for request in collector.received]
    assert sent == ["Splunk hec-1", "Splunk hec-2"]


@pytest.mark.parametrize(
    ("status", "hec_code"),
    [(429, 26), (429, 27), (500, 8), (503, 9), (503, 18), (503, 19), (503, 20), (503, 23)],
)
def test_a_busy_collector_is_asked_again(collector: Server, status: int, hec_code: int) -> None:
    collector.replies = [reply(status, {"text": "Busy", "code": hec_code}), TAKEN]

    rule.decide(a_delivery(collector))

    assert len(collector.received) == 2


def test_a_collector_that_stays_busy_is_asked_again_later(collector: Server) -> None:
    busy = reply(503, {"text": "Busy", "code": 9}, headers={"Retry-After": "120"})
    collector.replies = [busy]

    response = _invoke(SAMPLE, collector)

    fault = response["fault"]
    assert (fault["code"], fault["retryable"]) == ("upstream_unavailable", True)
    assert fault["retry_after"] == 120


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(Reply(200, b"<html>OK</html>"), id="a page"),
        pytest.param(reply(200, {"ok": True}), id="other JSON"),
        pytest.param(reply(200, []), id="a list"),
    ],
)
def test_an_answer_of_something_else_does_not_count_as_delivered(
    collector: Server, answer: Reply
) -> None:
    collector.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(a_delivery(collector))

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", True)


def test_a_certificate_of_a_private_authority_needs_its_bundle(tmp_path: Path) -> None:
    bundle = self_signed(tmp_path)
    with serving(bundle) as collector:
        collector.replies = [TAKEN]

        with pytest.raises(UpstreamError, match="ca_bundle") as caught:
            rule.decide(a_delivery(collector))
        rule.decide(a_delivery(collector, {"ca_bundle": str(bundle)}))

    assert caught.value.code == "misconfigured"
    assert len(collector.received) == 1


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({}, id="no endpoint"),
        pytest.param({"endpoint": "http://http-inputs-acme.splunkcloud.com"}, id="plain http"),
        pytest.param({"endpoint": ""}, id="an empty endpoint"),
        pytest.param(
            {"endpoint": "https://splunk.acme.example", "allowed_hosts": ["*.splunkcloud.com"]},
            id="a host not listed",
        ),
        pytest.param({"endpoint": "https://u:p@a.splunkcloud.com"}, id="a password in the URL"),
        pytest.param({"endpoint": "https://10.0.0.8"}, id="a private address, not asked for"),
        pytest.param({"endpoint": "http://127.0.0.1:8088"}, id="a laptop's, not asked for"),
        pytest.param({"endpoint": "https://a.splunkcloud.com", "verify": False}, id="no checks"),
        pytest.param({"endpoint": "https://a.splunkcloud.com", "path": "/a?b"}, id="a query"),
    ],
)
def test_a_wrong_setting_is_an_error_before_anything_is_sent(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        rule.configure({}, settings)


def test_the_endpoint_comes_from_the_template_alone(collector: Server) -> None:
    with pytest.raises(ConfigurationError, match=r"template\.yaml"):
        rule.configure({"endpoint": collector.url}, {})


def test_a_secret_that_cannot_be_read_sends_nothing(collector: Server) -> None:
    def unreadable(name: str, refresh: bool) -> str:
        raise SecretError(name, "Secrets Manager did not answer", retryable=True)

    login = Login({"event": EVENT}, configuration=settings_for(collector), secret=unreadable)

    with pytest.raises(SecretError):
        rule.decide(login)

    assert collector.received == []


def test_the_sample_event_through_lambdas_door(collector: Server) -> None:
    response = _invoke(SAMPLE, collector)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    [received] = collector.received
    assert received.headers["authorization"] == "Splunk hec-1"
    sent = received.json()
    assert (sent["event"]["message"], sent["index"]) == ("SignUp", "logins")


def _invoke(event: dict[str, Any], collector: Server) -> Any:
    """Return what the rule answers in a process of its own, with the variables of its stanza."""
    script = (
        "import json, sys; from functions.record_events_splunk.app import rule; "
        "answer = rule(json.load(sys.stdin), None); print(json.dumps(answer))"
    )
    secret = json.dumps({"SPLUNK_HEC_TOKEN": "hec-1"})
    with serving() as secrets_manager:
        secrets_manager.replies = [reply(200, {"SecretString": secret})]
        environment = {
            "PYTHONPATH": f"layers/core{os.pathsep}.",
            "RULE_SETTINGS": json.dumps(settings_for(collector)),
            "SECRET_NAMES": json.dumps({"SPLUNK_HEC_TOKEN": "cognito-rules/splunk"}),
            "AWS_ENDPOINT_URL_SECRETS_MANAGER": secrets_manager.url,
            "AWS_ACCESS_KEY_ID": "x",
            "AWS_SECRET_ACCESS_KEY": "x",
            "AWS_DEFAULT_REGION": "eu-west-1",
        }
        finished = subprocess.run(
            [sys.executable, "-c", script],
            input=json.dumps(event),
            env=os.environ | environment,
            capture_output=True,
            text=True,
            check=True,
        )
    assert secrets_manager.received[0].json() == {"SecretId": "cognito-rules/splunk"}
    return json.loads(finished.stdout.splitlines()[-1])
