import json
import time
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from cognito_rules import ConfigurationError, UpstreamError, paid_calls
from cognito_rules.aws import function_aws
from cognito_rules.dynamodb_json import from_item
from cognito_rules.errors import StoreError
from cognito_rules.late_answers import EXPECT_SECONDS, NONCE_SECONDS, late_answers
from cognito_rules.login import Login
from cognito_rules.paid_calls import COUNT_SECONDS
from functions.enrich_profile_fullcontact.app import rule
from tests.deliveries import LOGIN_ID, a_delivery, facts_of, through_lambdas_door, with_rotated
from tests.log_lines import log_lines
from tests.loopback import Reply, Server, reply, serving
from tests.unit.core.tables import error, operations

# An address that is not verified is unknown to an enrichment rule, and so keeps it from running. So
# does a missing consent, and that nobody waits for the answer: all three are decided in the login.

SAMPLE = json.loads(Path("events/enrich_profile_fullcontact.json").read_text())
SECRETS = {"FULLCONTACT_API_KEY": "key-1"}
USER = {"email": "ann@acme.test", "user_id": "sub-1", "enrichment": {}}
PROFILE = {
    "fullName": "Ann Doe",
    "ageRange": None,
    "gender": None,
    "location": None,
    "title": "Engineer",
    "organization": "Acme",
    "linkedin": None,
    "bio": "Likes boats",
    "details": {"name": {"given": "Ann"}, "emails": [{"value": "ann@home.test"}]},
    "updated": "2026-08-14",
}
DAY = 24 * 3600

# FullContact publishes no OpenAPI document: this is what its reference of Person Enrich lists.
REQUEST = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "email": {"type": "string"},
        "emails": {"type": "array", "items": {"type": "string"}},
        "phone": {"type": "string"},
        "phones": {"type": "array", "items": {"type": "string"}},
        "name": {"type": "object"},
        "location": {"type": "object"},
        "profiles": {"type": "array"},
        "webhookUrl": {"type": "string"},
        "confidence": {"enum": ["LOW", "MED", "HIGH", "MAX"]},
    },
    "anyOf": [
        {"required": ["email"]},
        {"required": ["emails"]},
        {"required": ["phone"]},
        {"required": ["phones"]},
        {"required": ["profiles"]},
        {"required": ["name", "location"]},
    ],
}


@pytest.fixture
def fullcontact() -> Iterator[Server]:
    with serving() as server:
        server.replies = [reply(200, PROFILE)]
        yield server


def ask(fullcontact: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    return a_delivery(fullcontact, settings or {}, SECRETS, **({"user": USER} | known))


def enrichment(
    status: str, facts: dict[str, Any] | None = None, seconds: int = 90 * DAY
) -> dict[str, Any]:
    effect = {"effect": "set_enrichment", "source": "fullcontact", "status": status}
    return effect | ({"facts": facts} if facts else {}) | {"expires_in": seconds}


# -- what is asked, and what is kept ---------------------------------------------------------------


def test_title_and_company_are_kept_and_the_details_are_not(fullcontact: Server) -> None:
    effects = rule.decide(ask(fullcontact))

    assert effects.warnings == []
    assert effects.items == [enrichment("found", {"title": "Engineer", "organization": "Acme"})]
    [sent] = fullcontact.received
    assert facts_of(sent) == {
        "method": "POST",
        "path": "/v3/person.enrich",
        "query": {},
        "authorization": "Bearer key-1",
        "content-type": "application/json",
        "body": {"email": "ann@acme.test"},
    }


@pytest.mark.parametrize("settings", [{}, {"confidence": "HIGH", "reporting_key": "portal"}])
def test_the_request_is_one_of_the_vendors_reference(
    fullcontact: Server, settings: dict[str, Any]
) -> None:
    rule.decide(ask(fullcontact, settings))

    [sent] = fullcontact.received
    Draft202012Validator(REQUEST).validate(sent.json())
    assert sent.json().get("confidence") == settings.get("confidence")
    assert sent.headers.get("reporting-key") == settings.get("reporting_key")


@pytest.mark.parametrize("status", ["found", "none", "failed", "pending"])
def test_nobody_is_paid_for_while_an_answer_is_kept(fullcontact: Server, status: str) -> None:
    kept = {"fullcontact": {"status": status}}

    effects = rule.decide(ask(fullcontact, user=USER | {"enrichment": kept}))

    assert (effects.items, fullcontact.received) == ([], [])


def test_that_nobody_is_known_is_kept_as_long_and_the_error_is_not_data(
    fullcontact: Server,
) -> None:
    fullcontact.replies = [reply(404, {"status": 404, "message": "Profile not found"})]

    assert rule.decide(ask(fullcontact)).items == [enrichment("none")]


@pytest.mark.parametrize(
    "answer",
    [pytest.param(Reply(200, b"<html>"), id="a page"), pytest.param(reply(200, []), id="a list")],
)
def test_a_billed_answer_that_is_no_profile_is_not_asked_for_again(
    fullcontact: Server, answer: Reply
) -> None:
    fullcontact.replies = [answer]

    assert rule.decide(ask(fullcontact)).items == [enrichment("none")]
    assert len(fullcontact.received) == 1


# -- when FullContact does not answer as hoped, and what may be billed -----------------------------


def test_after_a_timeout_nobody_asks_again_for_a_day(fullcontact: Server) -> None:
    fullcontact.replies = [Reply(delay=4.0)]

    effects = rule.decide(ask(fullcontact, {"timeout_ms": 2500}))

    assert effects.items == [enrichment("failed", seconds=DAY)]
    assert effects.warnings == ["fullcontact_timeout"]
    assert len(fullcontact.received) == 1


def test_a_second_call_after_a_timeout_has_to_be_asked_for(fullcontact: Server) -> None:
    fullcontact.replies = [Reply(delay=4.0)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(ask(fullcontact, {"timeout_ms": 2500, "retry_after_timeout": True}))

    assert (caught.value.code, caught.value.retryable) == ("upstream_timeout", True)


def test_a_limit_is_asked_again_at_once_and_one_time(fullcontact: Server) -> None:
    fullcontact.replies = [Reply(429), reply(200, PROFILE)]

    assert rule.decide(ask(fullcontact)).items[0]["status"] == "found"

    first, second = fullcontact.received
    assert second.at - first.at < 1.0


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        pytest.param(Reply(429), 2, id="a limit that stays"),
        pytest.param(Reply(503), 1, id="out of service"),
    ],
)
def test_what_was_not_looked_up_is_tried_later(
    fullcontact: Server, answer: Reply, calls: int
) -> None:
    fullcontact.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(ask(fullcontact))

    assert (caught.value.retryable, len(fullcontact.received)) == (True, calls)


def test_a_connection_that_was_never_made_is_tried_later() -> None:
    with serving() as gone:
        login = ask(gone)

    with pytest.raises(UpstreamError) as caught:
        rule.decide(login)

    assert caught.value.retryable


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_failure_that_may_be_billed_is_not_repeated(fullcontact: Server, status: int) -> None:
    fullcontact.replies = [Reply(status)]

    effects = rule.decide(ask(fullcontact))

    assert effects.items == [enrichment("failed", seconds=DAY)]
    assert effects.warnings == [f"fullcontact_http_{status}"]
    assert len(fullcontact.received) == 1


def test_an_answer_that_would_come_later_is_not_waited_for(fullcontact: Server) -> None:
    fullcontact.replies = [reply(202, {"status": 202, "message": "Queued for search."})]

    effects = rule.decide(ask(fullcontact))

    assert effects.items == [enrichment("failed", seconds=DAY)]
    assert (effects.warnings, len(fullcontact.received)) == (["fullcontact_queued"], 1)


# -- answers that come later, by FullContact's own call --------------------------------------------

CALLBACKS = "https://a1b2.execute-api.eu-west-1.amazonaws.com/webhooks/fullcontact"
LATER = {"use_webhook": True, "webhook_url": CALLBACKS}


@pytest.fixture
def tables(amazon: Server, aws_environment: pytest.MonkeyPatch) -> Iterator[Server]:
    aws_environment.setenv("SESSIONS_TABLE", "sessions")
    aws_environment.setenv("PROFILES_TABLE", "profiles")
    for made in (late_answers, paid_calls._calls, function_aws):
        made.cache_clear()
    yield amazon
    for made in (late_answers, paid_calls._calls, function_aws):
        made.cache_clear()


def test_fullcontact_may_call_later_and_is_known_by_what_it_is_told(
    fullcontact: Server, tables: Server
) -> None:
    fullcontact.replies = [reply(202, {"status": 202, "message": "Queued for search."})]

    effects = rule.decide(ask(fullcontact, LATER))

    assert effects.items == [enrichment("pending", seconds=DAY)]
    [sent] = fullcontact.received
    Draft202012Validator(REQUEST).validate(sent.json())
    base, _, nonce = sent.json()["webhookUrl"].rpartition("/")
    assert (base, len(nonce)) == (CALLBACKS, 43)
    assert operations(tables) == ["UpdateItem", "PutItem"]
    assert tables.connections == 1
    put = tables.received[1]
    item = from_item(put.json()["Item"])
    assert item.pop("expires_at") == pytest.approx(time.time() + NONCE_SECONDS, abs=60)
    assert item == {
        "pk": f"webhook#{sha256(nonce.encode()).hexdigest()}",
        "person": "sub-1",
        "login_id": LOGIN_ID,
        "source": "fullcontact",
        "kept": {"fields": ["title", "organization", "location", "linkedin"], "ttl_days": 90},
    }
    assert nonce not in str(put.body)


def test_no_two_calls_are_known_by_the_same(fullcontact: Server, tables: Server) -> None:
    for _ in range(2):
        rule.decide(ask(fullcontact, LATER))

    assert len({sent.json()["webhookUrl"] for sent in fullcontact.received}) == 2


def test_nobody_is_asked_whose_answer_could_not_be_told_apart(
    fullcontact: Server, tables: Server
) -> None:
    tables.decide = lambda received: (
        error("AccessDeniedException") if "PutItem" in received.headers["x-amz-target"] else None
    )

    with pytest.raises(StoreError) as caught:
        rule.decide(ask(fullcontact, LATER))

    assert (caught.value.retryable, fullcontact.received) == (True, [])


@pytest.mark.parametrize(
    ("answer", "kept"),
    [
        pytest.param(
            reply(200, PROFILE),
            enrichment("found", {"title": "Engineer", "organization": "Acme"}),
            id="known at once",
        ),
        pytest.param(reply(404, {"status": 404}), enrichment("none"), id="nobody"),
    ],
)
def test_an_answer_that_is_there_is_not_waited_for(
    fullcontact: Server, tables: Server, answer: Reply, kept: dict[str, Any]
) -> None:
    fullcontact.replies = [answer]

    assert rule.decide(ask(fullcontact, LATER)).items == [kept]


def test_all_that_it_waits_for_fits_into_the_rules_time() -> None:
    limits = {setting.name: setting.schema for setting in rule.manifest.settings.settings}
    asked_twice = 2 * limits["timeout_ms"]["maximum"]

    assert asked_twice + 1000 * (COUNT_SECONDS + EXPECT_SECONDS) <= rule.manifest.timeout_ms


def test_without_an_endpoint_nobody_can_call() -> None:
    with pytest.raises(ConfigurationError, match="EnableFullContactWebhook=true"):
        rule.configure({"use_webhook": True}, {})


# -- refusals --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "code"),
    [(400, "http_400"), (422, "http_422"), (402, "misconfigured"), (403, "misconfigured")],
)
def test_a_refusal_is_final_and_its_body_is_not_kept(
    fullcontact: Server, status: int, code: str
) -> None:
    fullcontact.replies = [reply(status, {"status": status, "message": "ann@acme.test"})]

    with log_lines() as log, pytest.raises(UpstreamError) as caught:
        rule.decide(ask(fullcontact))

    assert (caught.value.code, caught.value.retryable) == (code, False)
    assert "ann" not in json.dumps(log.records) + str(caught.value)


def test_a_key_that_was_rotated_is_read_again(fullcontact: Server) -> None:
    fullcontact.replies = [reply(401, {"status": 401}), reply(200, PROFILE)]

    login = with_rotated(ask(fullcontact), SECRETS, {"FULLCONTACT_API_KEY": "key-2"})

    assert rule.decide(login).items[0]["status"] == "found"
    assert [r.headers["authorization"] for r in fullcontact.received] == [
        "Bearer key-1",
        "Bearer key-2",
    ]


def test_a_key_that_stays_refused_is_for_an_operator(fullcontact: Server) -> None:
    fullcontact.replies = [reply(401, {"status": 401, "message": "no"})]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(ask(fullcontact))

    assert (caught.value.code, caught.value.retryable) == ("misconfigured", False)


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"timeout_ms": 2000}, "timeout_ms", id="less than FullContact itself waits"),
        pytest.param({"confidence": "SURE"}, "confidence", id="another confidence"),
        pytest.param({"max_calls_per_day": -1}, "max_calls_per_day", id="fewer calls than none"),
        pytest.param({"reporting_key": "a\nb"}, "reporting_key", id="a key of two lines"),
        pytest.param({"claim_map": {"title": "x"}}, "claim_map", id="claims: it is in no token"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {})


def test_the_rule_does_not_run_without_an_address() -> None:
    assert [str(read) for read in rule.manifest.required_reads] == ["user.email!"]


def test_the_vendors_own_host_is_called() -> None:
    from functions.enrich_profile_fullcontact.app import _endpoint

    url = "https://api.fullcontact.com/v3/person.enrich"
    assert _endpoint(rule.configure({}, {})).url == url


def test_the_sample_event_through_lambdas_door(fullcontact: Server) -> None:
    response = through_lambdas_door("enrich_profile_fullcontact", SAMPLE, fullcontact, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
