import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.login import Login
from cognito_rules.zap import signature
from functions.trigger_zap_on_login.app import rule
from tests.deliveries import EVENT, LOGIN_ID, a_delivery, through_lambdas_door, with_rotated
from tests.loopback import Reply, Server, reply, serving

# Zapier has no client for its hooks, and says of a body only that it is JSON. Which applications
# the rule is for is said by its entry.

SAMPLE = json.loads(Path("events/trigger_zap_on_login.json").read_text())
PATH = "/hooks/catch/1/word-1/"
SECRETS = {"ZAPIER_HOOK_URL": f"https://hooks.zapier.com{PATH}", "ZAPIER_SIGNING_KEY": "key-1"}
TAKEN = reply(200, {"status": "success", "request_id": "r1", "id": "i1", "attempt": "a1"})
KNOWN: dict[str, Any] = {
    "user": {"user_id": "u1", "email": "ann@acme.test", "name": "Ann Doe"},
    "client": {"name": "Portal"},
    "connection": {"name": "google", "strategy": "google-oauth2"},
    "request": {"ip": "203.0.113.5", "user_agent": "Firefox"},
}
BODY = {
    "event_id": LOGIN_ID,
    "event": "login",
    "occurred_at": "2026-11-22T09:30:00.123Z",
    "user": {"user_id": "u1", "email": "ann@acme.test", "name": "Ann Doe"},
    "appName": "Portal",
    "connection": "google",
    "strategy": "google-oauth2",
}


@pytest.fixture
def hook() -> Iterator[Server]:
    with serving() as server:
        server.replies = [TAKEN]
        yield server


def trigger(hook: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    return a_delivery(hook, settings or {}, SECRETS, **(KNOWN | known))


def test_what_the_hook_receives_of_a_login(hook: Server) -> None:
    effects = rule.decide(trigger(hook))

    assert effects.items == []
    [received] = hook.received
    assert (received.path, received.json()) == (PATH, BODY)
    at = int(received.headers["x-signature"].partition(",")[0].removeprefix("t="))
    assert abs(at - time.time()) < 5
    assert received.headers["x-signature"] == signature("key-1", received.body, at)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        pytest.param([], {"user": {}}, id="nothing of the person"),
        pytest.param(["user_id"], {"user": {"user_id": "u1"}}, id="the id"),
        pytest.param(
            ["ip", "userAgent"],
            {"user": {}, "ip": "203.0.113.5", "userAgent": "Firefox"},
            id="address and browser, because they are listed",
        ),
    ],
)
def test_what_is_sent_is_what_is_listed(
    hook: Server, fields: list[str], expected: dict[str, Any]
) -> None:
    rule.decide(trigger(hook, {"fields": fields}))

    always = {name: BODY[name] for name in ("event_id", "event", "occurred_at")}
    assert hook.received[0].json() == always | expected


def test_tokens_among_the_identities_stay_here(hook: Server) -> None:
    identities = [{"provider": "google", "profile_data": {"access_token": "ya29.word"}}]
    metadata = {"app_metadata": {"event_id": "forged"}, "user_metadata": {"plan": "gold"}}

    rule.decide(trigger(hook, user=KNOWN["user"] | {"identities": identities} | metadata))

    assert hook.received[0].json() == BODY


def test_what_a_person_calls_themselves_takes_no_other_place(hook: Server) -> None:
    name = '", "event_id": "forged'

    rule.decide(trigger(hook, user=KNOWN["user"] | {"name": name}))

    body = hook.received[0].json()
    assert (body["event_id"], body["user"]["name"]) == (LOGIN_ID, name)


def test_a_repetition_has_the_same_event_id(hook: Server) -> None:
    hook.replies = [Reply(reset=True), TAKEN]

    rule.decide(trigger(hook))

    assert [sent.json()["event_id"] for sent in hook.received] == [LOGIN_ID, LOGIN_ID]


def test_without_a_key_the_body_is_not_signed(hook: Server) -> None:
    rule.decide(trigger(hook, {"sign": False}))

    assert "x-signature" not in hook.received[0].headers


@pytest.mark.parametrize("status", [200, 201, 202])
def test_other_services_answer_as_they_like(hook: Server, status: int) -> None:
    hook.replies = [Reply(status, b"Accepted")]

    rule.decide(trigger(hook))

    assert len(hook.received) == 1


@pytest.mark.parametrize(
    ("status", "code"),
    [
        pytest.param(400, "misconfigured", id="a Zap that is not ready"),
        pytest.param(404, "misconfigured", id="no such hook"),
        pytest.param(410, "misconfigured", id="a hook that was taken away"),
        pytest.param(413, "http_413", id="a body that is too large"),
    ],
)
def test_a_refusal_is_final(hook: Server, status: int, code: str) -> None:
    hook.replies = [Reply(status)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(trigger(hook))

    assert (caught.value.code, caught.value.retryable) == (code, False)


def test_a_busy_hook_says_how_long_to_wait(hook: Server) -> None:
    hook.replies = [Reply(429, headers={"Retry-After": "120"})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(trigger(hook))

    assert (caught.value.retryable, caught.value.retry_after) == (True, 120)
    assert len(hook.received) == 1


def test_a_hook_that_was_replaced_is_read_again(hook: Server) -> None:
    hook.replies = [Reply(410), TAKEN]
    newer = SECRETS | {"ZAPIER_HOOK_URL": "https://hooks.zapier.com/hooks/catch/1/word-2/"}

    rule.decide(with_rotated(trigger(hook), SECRETS, newer))

    assert [sent.path for sent in hook.received] == [PATH, "/hooks/catch/1/word-2/"]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("http://hooks.zapier.com/hooks/catch/1/2/", id="plain http"),
        pytest.param("https://hook.eu1.make.com/abc", id="a service that is not listed"),
    ],
)
def test_a_hook_is_on_a_listed_host(hook: Server, url: str) -> None:
    wrong = SECRETS | {"ZAPIER_HOOK_URL": url}

    with pytest.raises(UpstreamError, match=r"hooks\.zapier\.com") as caught:
        rule.decide(with_rotated(trigger(hook), wrong, wrong))

    assert (caught.value.code, hook.received) == ("misconfigured", [])


def test_another_service_can_be_listed(hook: Server) -> None:
    other = SECRETS | {"ZAPIER_HOOK_URL": "https://hook.eu1.make.com/abc"}
    login = trigger(hook, {"allowed_hosts": ["hooks.zapier.com", "*.make.com"]})

    rule.decide(with_rotated(login, other, other))

    assert [sent.path for sent in hook.received] == ["/abc"]


@pytest.mark.parametrize(
    ("settings", "template", "message"),
    [
        pytest.param({"fields": ["identities"]}, {}, "fields", id="identities"),
        pytest.param({"fields": ["app_metadata"]}, {}, "fields", id="metadata"),
        pytest.param({"allowed_hosts": ["*"]}, {}, "template", id="hosts of the chain's"),
        pytest.param({}, {"allowed_hosts": ["*"]}, "allowed_hosts", id="every host"),
        pytest.param({}, {"allowed_hosts": []}, "allowed_hosts", id="no host"),
    ],
)
def test_a_wrong_setting_is_an_error(
    settings: dict[str, Any], template: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, template)


def test_every_login_is_told(hook: Server) -> None:
    for first in (True, False):
        rule.decide(trigger(hook, event=EVENT | {"first_login": first}))

    assert len(hook.received) == 2


def test_the_sample_event_through_lambdas_door(hook: Server) -> None:
    response = through_lambdas_door("trigger_zap_on_login", SAMPLE, hook, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    assert hook.received[0].json()["appName"] == "Portal"
