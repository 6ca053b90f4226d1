from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cognito_rules import ConfigurationError, Effects
from cognito_rules.dynamodb_json import from_item
from cognito_rules.testing import a_context, a_login
from cognito_rules.token_ledger import function_ledger
from functions.set_access_token_id.app import rule
from tests.log_lines import log_lines
from tests.loopback import Reply, Server, reply, serving
from tests.moments import SILENCE, ends_soon

SAMPLE = json.loads(Path("events/set_access_token_id.json").read_text())
NAMESPACE = "https://example.com/"
CLAIM = "https://example.com/token_id"
ULID = re.compile(r"[0-9A-HJKMNP-TV-Z]{26}")
NOON = 1795003200  # 2026-11-18T12:00:00Z

JANE = {"user_id": "6f1c2d9e-0000-4000-8000-000000000001"}
APP = {"client_id": "1example23456789clientid00", "metadata": {}}
LOGIN: dict[str, Any] = {
    "user": JANE,
    "client": APP,
    "transaction": {"scopes": ["openid", "orders/read"], "user_pool_id": "eu-west-1_Example01"},
}
FIFTEEN_MINUTES = reply(
    200,
    {
        "UserPoolClient": {
            "AccessTokenValidity": 15,
            "TokenValidityUnits": {"AccessToken": "minutes"},
        }
    },
)
WRITTEN = reply(200, {})
THROTTLED = reply(400, {"__type": "#ProvisionedThroughputExceededException"})
REFUSED = reply(400, {"__type": "#AccessDeniedException"})


@pytest.fixture(autouse=True)
def amazon(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    """AWS, as the rule's function meets it."""
    with serving() as server:
        server.replies = [FIFTEEN_MINUTES, WRITTEN]
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
        monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-nobody")
        monkeypatch.setenv("PROFILES_TABLE", "profiles")
        function_ledger.cache_clear()
        yield server
        function_ledger.cache_clear()


def decide(login: dict[str, Any] | None = None, /, **settings: Any) -> Effects:
    settings.setdefault("namespace", NAMESPACE)
    return rule.decide(a_login(**(login or LOGIN), configuration=settings))


def claims_of(effects: Effects) -> dict[tuple[str, str], str]:
    return {(item["token"], item["name"]): item["value"] for item in effects.items}


def items_in(server: Server) -> list[dict[str, Any]]:
    """Return what was put into the ledger."""
    puts = [r for r in server.received if r.headers["x-amz-target"].endswith(".PutItem")]
    return [from_item(put.json()["Item"]) for put in puts]


# The ledger cannot be written ------------------------------------------------------------------


@pytest.mark.parametrize(
    "failure",
    [
        pytest.param(THROTTLED, id="the table is throttled"),
        pytest.param(REFUSED, id="the role may not write"),
        pytest.param(Reply(500, b"no JSON"), id="DynamoDB is out of order"),
        pytest.param(Reply(delay=SILENCE), id="DynamoDB is silent"),
    ],
)
def test_a_token_is_issued_with_its_id_and_a_warning(amazon: Server, failure: Reply) -> None:
    amazon.replies = [FIFTEEN_MINUTES, failure]

    with ends_soon(3.0):
        effects = decide()

    assert ULID.fullmatch(claims_of(effects)["access", CLAIM])
    assert effects.warnings == ["token_ledger_write_failed"]
    assert effects.denied_with is None


def test_a_strict_shop_gets_no_token(amazon: Server) -> None:
    amazon.replies = [FIFTEEN_MINUTES, THROTTLED]

    effects = decide(on_ledger_failure="deny")

    assert effects.items == [
        {
            "effect": "deny",
            "code": "token_ledger_unavailable",
            "public_code": "try_again",
            "reason": "Sign-in is unavailable right now. Please try again.",
        }
    ]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(REFUSED, id="the role may not ask"),
        pytest.param(reply(400, {"__type": "ResourceNotFoundException"}), id="no such client"),
        pytest.param(Reply(200, b"[]"), id="no JSON object"),
        pytest.param(Reply(delay=SILENCE), id="Cognito is silent"),
    ],
)
def test_a_token_whose_life_is_unknown_is_kept_for_a_day(amazon: Server, answer: Reply) -> None:
    amazon.replies = [answer, WRITTEN]

    with log_lines() as lines:
        effects = decide()

    assert effects.warnings == []
    assert [item["expires_at"] for item in items_in(amazon)] == [NOON + 24 * 3600]
    messages = [line["message"] for line in lines.records]
    assert messages == ["token_validity_unreadable", "rule finished"]


# The id ------------------------------------------------------------------------------------------


def test_an_access_token_gets_an_id_that_the_ledger_knows(amazon: Server) -> None:
    effects = decide()

    token_id = claims_of(effects)["access", CLAIM]
    assert set(claims_of(effects)) == {("access", CLAIM)}
    assert items_in(amazon) == [
        {
            "pk": f"LEDGER#{token_id}",
            "listing": f"LEDGER#{APP['client_id']}",
            "listed_at": NOON,
            "token_id": token_id,
            "client_id": APP["client_id"],
            "sub": JANE["user_id"],
            "issued_at": NOON,
            "expires_at": NOON + 15 * 60,
            "scopes": ["openid", "orders/read"],
        }
    ]


def test_each_run_makes_another_id_and_another_item(amazon: Server) -> None:
    ids = [claims_of(decide())["access", CLAIM] for _ in range(3)]

    assert len(set(ids)) == 3
    assert [item["token_id"] for item in items_in(amazon)] == ids


def test_a_machines_token_is_known_by_its_client(amazon: Server) -> None:
    effects = decide({"client": APP, "transaction": LOGIN["transaction"]})

    [item] = items_in(amazon)
    assert item["client_id"] == APP["client_id"]
    assert "sub" not in item
    assert claims_of(effects) == {("access", CLAIM): item["token_id"]}
    assert rule.manifest.runs_on_client_credentials
    assert rule.manifest.runs_on_refresh


@pytest.mark.parametrize(
    ("client", "settings", "pattern"),
    [
        pytest.param({}, {}, r"[0-9A-Z]{26}", id="a ULID"),
        pytest.param({}, {"format": "uuid4"}, r"[0-9a-f]{8}-[0-9a-f-]{27}", id="a UUID"),
        pytest.param({}, {"prefix": "acme-"}, r"acme-[0-9A-Z]{26}", id="a prefix for everybody"),
        pytest.param(
            {"token_id_prefix": "partner-acme-"},
            {"prefix": "other-"},
            r"partner-acme-[0-9A-Z]{26}",
            id="the prefix of the application goes before it",
        ),
    ],
)
def test_what_an_id_looks_like(
    client: dict[str, str], settings: dict[str, str], pattern: str
) -> None:
    effects = decide(LOGIN | {"client": APP | {"metadata": client}}, **settings)

    assert re.fullmatch(pattern, claims_of(effects)["access", CLAIM])


def test_a_prefix_that_belongs_into_no_id_is_ignored_with_a_warning() -> None:
    effects = decide(LOGIN | {"client": APP | {"metadata": {"token_id_prefix": "a#b "}}})

    assert ULID.fullmatch(claims_of(effects)["access", CLAIM])
    assert effects.warnings == ["token_id_prefix_ignored"]


def test_an_application_that_is_not_registered_has_no_prefix() -> None:
    effects = decide(LOGIN | {"client": {"client_id": APP["client_id"]}})

    assert ULID.fullmatch(claims_of(effects)["access", CLAIM])


def test_both_tokens_can_carry_the_id() -> None:
    claims = claims_of(decide(also_id_token=True))

    assert set(claims) == {("access", CLAIM), ("id", CLAIM)}
    assert len(set(claims.values())) == 1


def test_without_a_ledger_aws_is_not_called(amazon: Server) -> None:
    effects = decide(ledger=False)

    assert ULID.fullmatch(claims_of(effects)["access", CLAIM])
    assert amazon.received == []


@pytest.mark.parametrize(
    ("client", "seconds"),
    [
        pytest.param({"AccessTokenValidity": 2}, 7200, id="hours when no unit is set"),
        pytest.param({}, 3600, id="an hour when nothing is set"),
        pytest.param(
            {"AccessTokenValidity": 300, "TokenValidityUnits": {"AccessToken": "seconds"}},
            300,
            id="seconds",
        ),
        pytest.param(
            {"AccessTokenValidity": 1, "TokenValidityUnits": {"AccessToken": "days"}},
            86_400,
            id="days",
        ),
    ],
)
def test_an_item_lives_as_long_as_the_token(
    amazon: Server, client: dict[str, Any], seconds: int
) -> None:
    amazon.replies = [reply(200, {"UserPoolClient": client}), WRITTEN]

    decide()

    assert [item["expires_at"] for item in items_in(amazon)] == [NOON + seconds]


def test_cognito_is_asked_once_for_the_life_of_a_clients_tokens(amazon: Server) -> None:
    for _ in range(3):
        decide()

    targets = [received.headers["x-amz-target"].rpartition(".")[2] for received in amazon.received]
    assert targets == ["DescribeUserPoolClient", "PutItem", "PutItem", "PutItem"]


def test_an_item_is_never_written_over_another(amazon: Server) -> None:
    decide()

    put = amazon.received[1].json()
    assert put["ConditionExpression"].startswith("attribute_not_exists(pk)")


def test_a_write_whose_answer_was_lost_is_no_failure(amazon: Server) -> None:
    amazon.replies = [FIFTEEN_MINUTES, Reply(reset=True), WRITTEN]

    effects = decide()

    assert effects.warnings == []
    assert len({item["token_id"] for item in items_in(amazon)}) == 1


def test_the_sample_event_gives_an_access_token_its_id() -> None:
    request = {key: value for key, value in SAMPLE.items() if key != "expect"}

    [effect] = rule(request, a_context())["effects"]

    assert effect["name"] == CLAIM
    assert effect["value"].startswith("partner-acme-")


# Settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"namespace": "", "claim": "jti"}, "protected_claim", id="Cognito's own id"),
        pytest.param({"claim": "jti"}, "protected_claim", id="its name below a namespace"),
        pytest.param({"namespace": ""}, "namespace", id="no namespace"),
        pytest.param({"format": "serial"}, "format", id="an unknown format"),
        pytest.param({"prefix": "a#b"}, "prefix", id="a prefix that belongs into no id"),
        pytest.param({"prefix": "a" * 65}, "prefix", id="a prefix without end"),
        pytest.param({"on_ledger_failure": "retry"}, "on_ledger_failure", id="no such way out"),
        pytest.param({"applications": ["a"]}, "applications", id="that is the entry's when"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        decide(**settings)


def test_the_chain_knows_which_claims_are_written() -> None:
    configuration = rule.configure({"namespace": NAMESPACE, "also_id_token": True})

    assert rule.written_claims(configuration) == {("access", CLAIM), ("id", CLAIM)}
