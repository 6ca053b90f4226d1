import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from slack_sdk.models.blocks import ContextBlock, PlainTextObject, SectionBlock
from slack_sdk.webhook import WebhookClient

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.errors import SecretError
from cognito_rules.login import Login
from functions.notify_signup_slack.app import rule
from tests.deliveries import (
    EVENT,
    FIRST_LOGIN,
    LOGIN_ID,
    a_delivery,
    differences,
    facts_of,
    through_lambdas_door,
    with_rotated,
)
from tests.loopback import Reply, Server, serving

# Once for each person is the delivery's promise (once_per_user), and so is a delivery made twice.
# How many messages a minute has is in tests/local/test_pace.py.

SAMPLE = json.loads(Path("events/notify_signup_slack.json").read_text())
PATH = "/services/T0/B0/word-1"
SECRETS = {"SLACK_WEBHOOK_URL": f"https://hooks.slack.com{PATH}"}
OK = Reply(200, b"ok")
KNOWN: dict[str, Any] = {
    "user": {"user_id": "u1", "name": "Ann Doe", "email": "ann@acme.test"},
    "client": {"name": "Portal"},
}


@pytest.fixture
def slack() -> Iterator[Server]:
    with serving() as server:
        server.replies = [OK]
        yield server


def notify(slack: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    known.setdefault("event", FIRST_LOGIN)
    return a_delivery(slack, settings or {}, SECRETS, **(KNOWN | known))


def shown_in(slack: Server) -> str:
    [received] = slack.received
    message = received.json()
    text: str = message["blocks"][0]["text"]["text"]
    assert message["text"] == text
    return text


def test_what_the_channel_receives_of_a_sign_up(slack: Server) -> None:
    effects = rule.decide(notify(slack))

    assert (effects.items, effects.warnings) == ([], [])
    [received] = slack.received
    assert received.path == PATH
    text = "New user: Ann Doe (a***@acme.test) in Portal"
    note = f"2026-11-22T09:30:00.123Z {LOGIN_ID}"
    assert received.json() == {
        "text": text,
        "blocks": [
            {"type": "section", "text": {"type": "plain_text", "text": text}},
            {"type": "context", "elements": [{"type": "plain_text", "text": note}]},
        ],
    }


def test_the_message_is_the_one_that_slacks_own_client_sends(slack: Server) -> None:
    text = "New user: Ann Doe (a***@acme.test) in Portal"
    note = f"2026-11-22T09:30:00.123Z {LOGIN_ID}"
    blocks = [
        SectionBlock(text=PlainTextObject(text=text)),
        ContextBlock(elements=[PlainTextObject(text=note)]),
    ]
    WebhookClient(slack.url + PATH).send(text=text, blocks=blocks)
    theirs = facts_of(slack.received.pop())

    rule.decide(notify(slack))

    assert differences(theirs, facts_of(slack.received[0])) == set()


@pytest.mark.parametrize(
    ("event", "messages"),
    [
        pytest.param(FIRST_LOGIN | {"type": "SignUpConfirmed"}, 1, id="a confirmed sign-up"),
        pytest.param(FIRST_LOGIN, 1, id="the first login of somebody's account"),
        pytest.param(EVENT, 0, id="a later login"),
    ],
)
def test_who_is_announced(slack: Server, event: dict[str, Any], messages: int) -> None:
    rule.decide(notify(slack, event=event))

    assert len(slack.received) == messages


def test_an_imported_person_did_not_sign_up_now(slack: Server) -> None:
    user = KNOWN["user"] | {"created_at": "2020-01-01T00:00:00Z"}

    effects = rule.decide(notify(slack, {"sign_up_cutoff": "2026-11-18"}, user=user))

    assert (effects.warnings, slack.received) == (["account_older_than_cutoff"], [])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        pytest.param("<!channel> hi", "&lt;!channel&gt; hi", id="a ping of everybody"),
        pytest.param("<https://evil|bank>", "&lt;https://evil|bank&gt;", id="a forged link"),
        pytest.param("Tom & Ann", "Tom &amp; Ann", id="an ampersand"),
        pytest.param("&lt;!here&gt;", "&amp;lt;!here&amp;gt;", id="an escape of its own"),
        pytest.param("{email}{user_id}", "{email}{user_id}", id="a placeholder"),
        pytest.param("a\n\n\tb", "a b", id="lines"),
        pytest.param("x" * 5000, "x" * 200, id="a book"),
        pytest.param("", "unknown", id="nothing"),
    ],
)
def test_what_a_person_typed_is_shown_as_it_is(slack: Server, name: str, shown: str) -> None:
    rule.decide(notify(slack, {"template": "{name}"}, user={"name": name}))

    assert shown_in(slack) == shown


@pytest.mark.parametrize(
    ("settings", "email", "shown"),
    [
        pytest.param({}, "ann@acme.test", "a***@acme.test", id="masked"),
        pytest.param({"mask_email": False}, "ann@acme.test", "ann@acme.test", id="whole"),
        pytest.param({}, '"a@b"@acme.test', '"***@acme.test', id="masked, with two signs"),
        pytest.param({}, "annatacme", "***", id="masked, when it is none"),
        pytest.param({}, None, "unknown", id="unknown"),
    ],
)
def test_the_address_is(
    slack: Server, settings: dict[str, Any], email: str | None, shown: str
) -> None:
    rule.decide(notify(slack, settings | {"template": "{email}"}, user={"email": email}))

    assert shown_in(slack) == shown


def test_a_message_of_ones_own(slack: Server) -> None:
    settings = {"template": "{client}/{connection}: {user_id}"}

    rule.decide(notify(slack, settings, connection={"name": "google"}))

    assert shown_in(slack) == "Portal/google: u1"


@pytest.mark.parametrize(
    ("status", "words", "code"),
    [
        pytest.param(400, b"invalid_payload", "slack_invalid_payload", id="a bad message"),
        pytest.param(400, b"<html>", "slack_400", id="a page"),
        pytest.param(403, b"action_prohibited", "misconfigured", id="forbidden"),
        pytest.param(404, b"no_service", "misconfigured", id="no such webhook"),
        pytest.param(404, b"channel_not_found", "misconfigured", id="no such channel"),
        pytest.param(410, b"channel_is_archived", "misconfigured", id="an archived channel"),
    ],
)
def test_a_refusal_is_final(slack: Server, status: int, words: bytes, code: str) -> None:
    slack.replies = [Reply(status, words)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(notify(slack))

    assert (caught.value.code, caught.value.retryable) == (code, False)


def test_a_webhook_that_was_replaced_is_read_again(slack: Server) -> None:
    slack.replies = [Reply(404, b"no_service"), OK]
    newer = {"SLACK_WEBHOOK_URL": "https://hooks.slack.com/services/T0/B0/word-2"}

    rule.decide(with_rotated(notify(slack), SECRETS, newer))

    assert [sent.path for sent in slack.received] == [PATH, "/services/T0/B0/word-2"]


def test_a_busy_slack_says_how_long_to_wait(slack: Server) -> None:
    slack.replies = [Reply(429, b"", headers={"Retry-After": "30"})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(notify(slack))

    assert (caught.value.retryable, caught.value.retry_after) == (True, 30)


def test_another_answer_does_not_count_as_delivered(slack: Server) -> None:
    slack.replies = [Reply(200, b"<html>")]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(notify(slack))

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", True)


@pytest.mark.parametrize(
    "url", ["https://hooks.slack.com.evil.example/services/x", "http://hooks.slack.com/services/x"]
)
def test_a_secret_that_holds_another_url_sends_nothing(slack: Server, url: str) -> None:
    wrong = {"SLACK_WEBHOOK_URL": url}

    with pytest.raises(UpstreamError) as caught:
        rule.decide(with_rotated(notify(slack), wrong, wrong))

    assert (caught.value.code, slack.received) == ("misconfigured", [])


def test_without_a_webhook_nothing_is_sent(slack: Server) -> None:
    def missing(name: str, refresh: bool) -> str:
        raise SecretError(name, "Secrets Manager refused it: ResourceNotFoundException")

    login = notify(slack)

    with pytest.raises(SecretError):
        rule.decide(Login(login.facts, configuration=login.configuration, secret=missing))

    assert slack.received == []


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"template": "{password}"}, "password", id="an unknown placeholder"),
        pytest.param({"template": ""}, "template", id="no message"),
        pytest.param({"max_per_minute": 0}, "max_per_minute", id="none at all"),
        pytest.param({"max_per_minute": 61}, "max_per_minute", id="more than Slack takes"),
        pytest.param({"channel": "#general"}, "channel", id="a channel: the webhook has one"),
        pytest.param({"sign_up_cutoff": "2026-02-30"}, "sign_up_cutoff", id="no such day"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {})


def test_the_sample_event_through_lambdas_door(slack: Server) -> None:
    response = through_lambdas_door("notify_signup_slack", SAMPLE, slack, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    assert shown_in(slack) == "New user: Ann Doe (a***@acme.test) in Portal"
