from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.captures import function_captures
from cognito_rules.dynamodb_json import from_item
from cognito_rules.login import format_time
from cognito_rules.testing import a_context, a_login
from functions.debug_capture.app import rule
from tests.loopback import Reply, Server, reply, serving
from tests.moments import SILENCE, ends_soon

NOON = 1795003200  # 2026-11-18T12:00:00Z, when logins of tests happen
ANN: dict[str, Any] = {"user_id": "u1", "email": "ann@acme.test", "email_verified": True}
TOKEN = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ1MSJ9.c2lnbmF0dXJl"


@pytest.fixture(autouse=True)
def amazon(aws_environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """AWS, as the rule's function meets it."""
    with serving() as server:
        aws_environment.setenv("AWS_ENDPOINT_URL", server.url)
        aws_environment.setenv("SESSIONS_TABLE", "sessions")
        function_captures.cache_clear()
        yield server
        function_captures.cache_clear()


def capture(login: dict[str, Any] | None = None, /, **settings: Any) -> Effects:
    settings = {"stage": "dev", "enabled_until": "2026-11-18T18:00:00Z"} | settings
    return rule.decide(a_login(**(login or {"user": ANN}), configuration=settings))


def captured(amazon: Server) -> list[dict[str, Any]]:
    """Return the items that were put into the table."""
    return [from_item(put.json()["Item"]) for put in amazon.received]


def login_in(item: dict[str, Any]) -> dict[str, Any]:
    request = json.loads(item["request"])
    assert (request["version"], request["configuration"]) == (1, {})
    login: dict[str, Any] = request["login"]
    return login


# -- when it does not work, and when it may not ----------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(reply(400, {"__type": "#AccessDeniedException"}), id="no permission"),
        pytest.param(reply(400, {"__type": "#ThrottlingException"}), id="a throttle"),
        pytest.param(Reply(500, b"no JSON"), id="an outage"),
        pytest.param(Reply(delay=SILENCE), id="silence"),
    ],
)
def test_a_login_goes_on_without_its_picture(amazon: Server, failure: Reply) -> None:
    amazon.replies = [failure]

    with ends_soon(3.0):
        effects = capture()

    assert (effects.items, effects.warnings) == ([], ["debug_capture_failed"])


def test_production_is_refused(amazon: Server) -> None:
    with pytest.raises(ConfigurationError, match="not run in production"):
        capture(stage="prod")

    assert amazon.received == []


def test_production_is_what_a_deployment_is_that_says_nothing() -> None:
    configuration = {"enabled_until": "2026-11-18T18:00:00Z"}

    with pytest.raises(ConfigurationError, match="not run in production"):
        rule.configure(configuration, {})


@pytest.mark.parametrize(
    "path",
    [
        "user.identities",
        "user.user_metadata",
        "user.app_metadata",
        "user.app_metadata.plan",
        "user.attributes",
        "request.client_metadata",
        "request.query",
        "request",
        "user",
        "*",
        "user.shoe_size",
        "",
    ],
)
def test_what_must_never_be_captured_is_refused_at_the_start(path: str) -> None:
    with pytest.raises(ConfigurationError, match="not captured"):
        capture(fields=["user.user_id", path])


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"enabled_until": "tomorrow"}, "must be a time", id="no time"),
        pytest.param({"enabled_until": "2026-11-18T18:00:00"}, "must be a time", id="no zone"),
        pytest.param(
            {"enabled_until": format_time(datetime.now(UTC) + timedelta(hours=25))},
            "24 hours",
            id="too far ahead",
        ),
        pytest.param({"fields": []}, "fields", id="no fields"),
        pytest.param(
            {"fields": ["request.geoip", "request.geoip.country"]}, "another", id="two of one"
        ),
        pytest.param({"keep_hours": 169}, "keep_hours", id="more than a week"),
        pytest.param({"external_url": "https://bin.example"}, "no setting", id="a third party"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        capture(**settings)


def test_an_end_is_required() -> None:
    with pytest.raises(ConfigurationError, match="enabled_until is missing"):
        rule.configure({}, {"stage": "dev"})


def test_after_its_end_it_only_reminds_of_itself(amazon: Server) -> None:
    effects = capture(enabled_until="2026-11-18T12:00:00Z")

    assert (effects.warnings, amazon.received) == (["debug_capture_expired"], [])


# -- what is captured ------------------------------------------------------------------------------


def test_the_listed_fields_are_kept_for_a_day(amazon: Server) -> None:
    effects = capture({"user": ANN | {"username": "not listed"}, "client": {"client_id": "shop"}})

    [item] = captured(amazon)
    assert (effects.items, effects.warnings) == ([], [])
    assert amazon.received[0].json()["TableName"] == "sessions"
    assert item["pk"].startswith("CAPTURE#01")
    assert (item["captured_at"], item["expires_at"]) == (NOON, NOON + 24 * 3600)
    assert login_in(item) == {
        "now": "2026-11-18T12:00:00.000Z",
        "user": ANN,
        "client": {"client_id": "shop"},
        "connection": {"name": None},
        "stats": {"logins_count": None},
    }


def test_one_part_of_a_map(amazon: Server) -> None:
    capture(
        {"request": {"geoip": {"country": "PT", "city": "x"}}}, fields=["request.geoip.country"]
    )

    assert login_in(captured(amazon)[0])["request"] == {"geoip": {"country": "PT"}}


def test_tokens_and_secrets_inside_of_values_are_left_out(amazon: Server) -> None:
    login = {
        "client": {"metadata": {"api_token": "x1", "note": f"Bearer {TOKEN}", "n": [TOKEN, 7]}},
        "request": {"user_agent": "a" * 5000},
    }

    capture(login, fields=["client.metadata", "request.user_agent"])

    picture = login_in(captured(amazon)[0])
    assert picture["client"]["metadata"] == {"note": "Bearer (a token)", "n": ["(a token)", 7]}
    assert picture["request"]["user_agent"] == "a" * 2000


@pytest.mark.parametrize(("only", "count"), [("u1", 1), ("u2", 0), (None, 1)])
def test_one_persons_logins_only(amazon: Server, only: str | None, count: int) -> None:
    capture(only_sub=only)

    assert len(amazon.received) == count


def test_the_sample_events_json_through_lambdas_door(
    amazon: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = json.loads(Path("events/debug_capture.json").read_text())
    monkeypatch.setenv("RULE_SETTINGS", json.dumps(sample["template"]))
    rule.__dict__.pop("template_settings", None)

    answer = rule(sample, a_context())

    rule.__dict__.pop("template_settings", None)
    assert answer == {"version": 1, "effects": sample["expect"]}
    assert login_in(captured(amazon)[0])["user"] == sample["login"]["user"]
