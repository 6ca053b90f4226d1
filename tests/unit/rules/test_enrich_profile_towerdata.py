import hashlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from jsonschema import Draft202012Validator

from cognito_rules import ConfigurationError, UpstreamError
from cognito_rules.login import Login
from cognito_rules.protocol import after
from functions.enrich_profile_towerdata.app import rule
from tests.deliveries import a_delivery, facts_of, through_lambdas_door, with_rotated
from tests.log_lines import log_lines
from tests.loopback import Reply, Server, reply, serving
from tests.moments import SILENCE, ends_soon

# An address that is not verified is unknown to an enrichment rule, and so keeps it from running. So
# does a missing consent, and that nobody waits for the answer: all three are decided in the login.

SAMPLE = json.loads(Path("events/enrich_profile_towerdata.json").read_text())
SECRETS = {"ATDATA_API_KEY": "key-of-the-account"}
USER = {"email": "Ann@Acme.test", "enrichment": {}}
PROFILE = {"age": "25-34", "gender": "Female", "household_income": "100k-125k"}
DAYS_90 = 90 * 24 * 3600

# What TowerData's own SDKs (Python, Ruby, Perl) put into a query: the key and one identity, and in
# later ones a list of fields, which the account's default stands for here.
QUERY = {
    "type": "object",
    "required": ["api_key"],
    "additionalProperties": False,
    "properties": {
        "api_key": {"type": "string", "minLength": 1},
        "email": {"type": "string", "format": "email"},
        "md5_email": {"type": "string", "pattern": "^[0-9a-f]{32}$"},
        "sha1_email": {"type": "string", "pattern": "^[0-9a-f]{40}$"},
        "fields": {"type": "string"},
    },
    "oneOf": [{"required": [name]} for name in ("email", "md5_email", "sha1_email")],
}


@pytest.fixture
def atdata() -> Iterator[Server]:
    with serving() as server:
        server.replies = [reply(200, PROFILE)]
        yield server


def ask(atdata: Server, settings: dict[str, Any] | None = None, **known: Any) -> Login:
    given = {"user": USER, "request": {"geoip": {"country_code": "US"}}} | known
    return a_delivery(atdata, settings or {}, SECRETS, **given)


def enrichment(
    status: str, facts: dict[str, Any] | None = None, seconds: int = DAYS_90
) -> dict[str, Any]:
    effect = {"effect": "set_enrichment", "source": "towerdata", "status": status}
    return effect | ({"facts": facts} if facts else {}) | {"expires_in": seconds}


# -- what is asked, and what is kept ---------------------------------------------------------------


def test_the_wished_fields_of_a_person_are_kept_and_nothing_else(atdata: Server) -> None:
    effects = rule.decide(ask(atdata))

    assert effects.warnings == []
    assert effects.items == [enrichment("found", {"age": "25-34", "gender": "Female"})]
    [sent] = atdata.received
    assert (sent.method, sent.body) == ("GET", b"")
    assert facts_of(sent)["path"] == "/v5/td"
    assert facts_of(sent)["authorization"] is None


@pytest.mark.parametrize(
    ("identify_by", "sent"),
    [
        pytest.param("email", {"email": "Ann@Acme.test"}, id="the address"),
        pytest.param(
            "md5",
            {"md5_email": hashlib.md5(b"ann@acme.test").hexdigest()},
            id="a hash of it in lower case",
        ),
        pytest.param(
            "sha1",
            {"sha1_email": hashlib.sha1(b"ann@acme.test").hexdigest()},
            id="another hash",
        ),
    ],
)
def test_a_person_is_identified_as_the_vendors_clients_do(
    atdata: Server, identify_by: str, sent: dict[str, str]
) -> None:
    rule.decide(ask(atdata, {"identify_by": identify_by}))

    query = dict(parse_qsl(urlsplit(atdata.received[0].path).query))
    Draft202012Validator(QUERY).validate(query)
    assert query == sent | {"api_key": "key-of-the-account"}


def test_what_is_no_short_text_or_number_is_dropped(atdata: Server) -> None:
    odd = {"age": "x" * 200, "gender": {"is": "Female"}, "score": 7, "flag": True, "empty": " "}
    atdata.replies = [reply(200, odd)]

    effects = rule.decide(ask(atdata, {"fields": [*odd, "status"]}))

    assert effects.items == [enrichment("found", {"age": "x" * 100, "score": 7})]


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(reply(200, {}), id="is empty"),
        pytest.param(reply(200, {"household_income": "x"}), id="has no wished field"),
        pytest.param(reply(404, {}), id="is that there is none"),
    ],
)
def test_that_nothing_is_known_is_kept_as_long(atdata: Server, answer: Reply) -> None:
    atdata.replies = [answer]

    assert rule.decide(ask(atdata)).items == [enrichment("none")]


@pytest.mark.parametrize("status", ["found", "none", "failed"])
def test_nobody_is_asked_about_while_an_answer_is_kept(atdata: Server, status: str) -> None:
    kept = {"towerdata": {"status": status}}

    effects = rule.decide(ask(atdata, user=USER | {"enrichment": kept}))

    assert (effects.items, atdata.received) == ([], [])


@pytest.mark.parametrize(
    ("countries", "country", "asked"),
    [
        pytest.param(["US"], "US", True, id="in the country"),
        pytest.param(["US"], "DE", False, id="in another country"),
        pytest.param(["US"], None, False, id="of whom the country is unknown"),
        pytest.param([], None, True, id="anywhere"),
    ],
)
def test_people_are_asked_about(
    atdata: Server, countries: list[str], country: str | None, asked: bool
) -> None:
    request = {"geoip": {"country_code": country}} if country else {}

    effects = rule.decide(ask(atdata, {"countries": countries}, request=request))

    assert bool(atdata.received) is asked
    assert effects.warnings == ([] if asked else ["skipped_country"])


def test_the_answer_is_seen_by_later_rules_and_by_no_token(atdata: Server) -> None:
    effects = rule.decide(ask(atdata)).items

    seen = after({"user": {}}, effects)["user"]
    assert seen == {
        "enrichment": {"towerdata": {"status": "found", "age": "25-34", "gender": "Female"}}
    }
    assert [item["effect"] for item in effects] == ["set_enrichment"]


# -- when AtData does not answer as hoped ----------------------------------------------------------


def test_an_outage_is_tried_three_times_and_then_later(atdata: Server) -> None:
    atdata.replies = [Reply(500)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(ask(atdata))

    assert (caught.value.retryable, len(atdata.received)) == (True, 3)


def test_a_silence_ends_when_its_time_is_over(atdata: Server) -> None:
    answered = threading.Event()
    atdata.replies = [Reply(after=answered.wait), reply(200, PROFILE)]

    with ends_soon(SILENCE / 2):
        effects = rule.decide(ask(atdata, {"timeout_ms": 1000}))

    answered.set()
    assert [item["status"] for item in effects.items] == ["found"]
    assert len(atdata.received) >= 2


@pytest.mark.parametrize(
    ("status", "code"), [(400, "http_400"), (422, "http_422"), (402, "misconfigured")]
)
def test_a_refusal_is_final(atdata: Server, status: int, code: str) -> None:
    atdata.replies = [reply(status, PROFILE)]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(ask(atdata))

    assert (caught.value.code, caught.value.retryable) == (code, False)


@pytest.mark.parametrize("status", [401, 403])
def test_a_key_that_was_rotated_is_read_again(atdata: Server, status: int) -> None:
    atdata.replies = [Reply(status), reply(200, PROFILE)]

    effects = rule.decide(with_rotated(ask(atdata), SECRETS, {"ATDATA_API_KEY": "newer"}))

    assert effects.items[0]["status"] == "found"
    assert [dict(parse_qsl(urlsplit(r.path).query))["api_key"] for r in atdata.received] == [
        "key-of-the-account",
        "newer",
    ]


def test_a_key_that_stays_refused_is_for_an_operator_and_in_no_log(atdata: Server) -> None:
    atdata.replies = [reply(403, {"error": "key-of-the-account"})]

    with log_lines() as log, pytest.raises(UpstreamError) as caught:
        rule.decide(ask(atdata))

    assert (caught.value.code, len(atdata.received)) == ("misconfigured", 1)
    written = json.dumps(log.records) + str(caught.value)
    assert "key-of-the-account" not in written
    assert "cme.test" not in written


@pytest.mark.parametrize(
    "answer",
    [pytest.param(Reply(200, b"<html>"), id="a page"), pytest.param(reply(200, []), id="a list")],
)
def test_an_answer_that_is_no_profile_is_tried_again(atdata: Server, answer: Reply) -> None:
    atdata.replies = [answer]

    with pytest.raises(UpstreamError) as caught:
        rule.decide(ask(atdata))

    assert (caught.value.code, caught.value.retryable) == ("upstream_protocol", True)


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"path": "v5/td"}, "path", id="a path without a slash"),
        pytest.param({"path": "/v5/td?a=b"}, "path", id="a path with a query"),
        pytest.param({"ttl_days": 0}, "ttl_days", id="no time to keep an answer"),
        pytest.param({"identify_by": "phone"}, "identify_by", id="another identity"),
        pytest.param({"claim_map": {"age": "x"}}, "claim_map", id="claims: it is in no token"),
    ],
)
def test_a_wrong_setting_is_an_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        rule.configure(settings, {})


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({}, "https://api.atdata.com/v5/td"),
        ({"legacy_host": True}, "https://api.towerdata.com/v5/td"),
    ],
)
def test_the_vendors_own_host_is_called(settings: dict[str, Any], url: str) -> None:
    from functions.enrich_profile_towerdata.app import _endpoint

    assert _endpoint(rule.configure(settings, {}), "").url == url


def test_the_rule_does_not_run_without_an_address() -> None:
    assert [str(read) for read in rule.manifest.required_reads] == ["user.email!"]


def test_the_sample_event_through_lambdas_door(atdata: Server) -> None:
    response = through_lambdas_door("enrich_profile_towerdata", SAMPLE, atdata, SECRETS)

    assert response == {"version": 1, "effects": SAMPLE["expect"]}
