import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.login import Login
from cognito_rules.zap import signature
from functions.trigger_zap_on_signup.app import rule
from tests.deliveries import EVENT, FIRST_LOGIN, LOGIN_ID, a_delivery, through_lambdas_door
from tests.loopback import Reply, Server, reply, serving

# Once for each person is the delivery's promise (once_per_user). What a hook answers, and which one
# is called, is tested with trigger_zap_on_login: both rules send through cognito_rules.zap.

SAMPLE = json.loads(Path("events/trigger_zap_on_signup.json").read_text())
PATH = "/hooks/catch/1/word-1/"
SECRETS = {"ZAPIER_HOOK_URL": f"https://hooks.zapier.com{PATH}", "ZAPIER_SIGNING_KEY": "key-1"}
SIGN_UP = FIRST_LOGIN | {"type": "SignUpConfirmed"}
USER = {"user_id": "u1", "email": "ann@acme.test", "name": "Ann Doe"}


@pytest.fixture
def hook() -> Iterator[Server]:
    with serving() as server:
        server.replies = [reply(200, {"status": "success"})]
        yield server


def trigger(hook: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    known.setdefault("event", SIGN_UP)
    return a_delivery(hook, settings or {}, SECRETS, **({"user": USER} | known))


def test_what_the_hook_receives_of_a_sign_up(hook: Server) -> None:
    effects = rule.decide(trigger(hook))

    assert (effects.items, effects.warnings) == ([], [])
    [received] = hook.received
    assert (received.path, received.json()) == (
        PATH,
        {
            "event_id": LOGIN_ID,
            "event": "signup",
            "occurred_at": "2026-11-22T09:30:00.123Z",
            "user": USER,
        },
    )
    at = int(received.headers["x-signature"].partition(",")[0].removeprefix("t="))
    assert received.headers["x-signature"] == signature("key-1", received.body, at)


@pytest.mark.parametrize(
    ("event", "calls"),
    [
        pytest.param(SIGN_UP, 1, id="a confirmed sign-up"),
        pytest.param(FIRST_LOGIN, 1, id="the first login of somebody's account"),
        pytest.param(EVENT, 0, id="a later login"),
    ],
)
def test_what_a_sign_up_is(hook: Server, event: dict[str, Any], calls: int) -> None:
    rule.decide(trigger(hook, event=event))

    assert len(hook.received) == calls


def test_an_imported_person_did_not_sign_up_now(hook: Server) -> None:
    user = USER | {"created_at": "2020-01-01T00:00:00Z"}
    login = trigger(hook, {"sign_up_cutoff": "2026-11-18"}, user=user, event=FIRST_LOGIN)

    effects = rule.decide(login)

    assert (effects.warnings, hook.received) == (["account_older_than_cutoff"], [])


def test_a_hook_that_is_gone_is_for_an_operator(hook: Server) -> None:
    hook.replies = [Reply(410)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(trigger(hook))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"fields": ["identities"]}, id="identities"),
        pytest.param({"sign_up_cutoff": "2026-13-01"}, id="no such day"),
        pytest.param({"hook_url": "https://hooks.zapier.com/x"}, id="a hook among the settings"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        rule.configure(settings, {})


def test_the_sample_event_through_lambdas_door(hook: Server) -> None:
    response = through_lambdas_door("trigger_zap_on_signup", SAMPLE, hook, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
    assert hook.received[0].json()["event"] == "signup"
