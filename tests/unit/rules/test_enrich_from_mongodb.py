import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bson import Decimal128, ObjectId

from cognito_rules import ConfigurationError, Effects, UpstreamError
from cognito_rules import mongodb as client
from cognito_rules.errors import SecretError
from cognito_rules.login import Login
from cognito_rules.testing import a_login, is_as_expected
from functions.enrich_from_mongodb.app import rule
from tests.deliveries import through_lambdas_door
from tests.moments import SILENCE, ends_soon
from tests.mongo_server import MongoServer, mongo_server

SAMPLE = json.loads(Path("events/enrich_from_mongodb.json").read_text())
SUB = SAMPLE["login"]["user"]["user_id"]
ANN = {"user_id": SUB, "email": "Ann@acme.test", "email_verified": True, "app_metadata": {}}
DOCUMENT = {"_id": 1, "cognito_sub": SUB, "email": "ann@ACME.test", "plan": "gold", "salary": 9}
BY_EMAIL: dict[str, Any] = {"match_field": "email"}
REFRESH = "TokenGeneration_RefreshTokens"
PLAN = "https://example.com/plan"


@pytest.fixture
def database() -> Iterator[MongoServer]:
    with mongo_server() as server:
        server.documents = [DOCUMENT]
        yield server
        client.close()


def ask(
    database: MongoServer,
    user: dict[str, Any] | None = None,
    /,
    *,
    trigger: str = "PostAuthentication_Authentication",
    uri: str | None = None,
    **settings: Any,
) -> Effects:
    login = a_login(
        user=ANN | (user or {}),
        transaction={"trigger": trigger},
        configuration=SAMPLE["configuration"] | settings,
        secrets={"MONGODB_URI": uri or database.uri},
    )
    return rule.decide(login)


def claims_of(effects: Effects, token: str = "id") -> dict[str, Any]:
    return {
        item["name"].removeprefix("https://example.com/"): item["value"]
        for item in effects.items
        if item["effect"] == "set_claim" and item["token"] == token
    }


def kept_by(effects: Effects) -> dict[str, Any]:
    [kept] = [item["value"] for item in effects.items if item["effect"] == "set_app_metadata"]
    return {"mongodb_claims": kept}


# -- when the database does not answer -------------------------------------------------------------


def break_down(database: MongoServer, how: str) -> None:
    match how:
        case "silent":
            database.delay = SILENCE
        case "drops":
            database.drops = True
        case "down":
            database.close()
        case _:
            database.failure = {"code": int(how), "errmsg": f"no read for {SUB}"}


FAILURES = [
    pytest.param("silent", "upstream_timeout", id="silent"),
    pytest.param("drops", "upstream_unavailable", id="drops the connection"),
    pytest.param("down", "upstream_timeout", id="down"),
    pytest.param("13", "misconfigured", id="forbids it"),
    pytest.param("50", "upstream_timeout", id="out of time itself"),
    pytest.param("96", "mongodb_96", id="in trouble"),
]


@pytest.mark.parametrize(("how", "code"), FAILURES)
def test_people_log_in_without_claims_while_it_is(
    database: MongoServer, how: str, code: str
) -> None:
    break_down(database, how)

    with ends_soon(3.0):
        effects = ask(database, timeout_ms=300)

    assert (effects.items, effects.warnings) == ([], [f"enrichment_unavailable:{code}"])


@pytest.mark.parametrize(("how", "code"), FAILURES)
def test_people_are_refused_where_that_is_wished_while_it_is(
    database: MongoServer, how: str, code: str
) -> None:
    break_down(database, how)

    effects = ask(database, timeout_ms=300, on_failure="deny")

    assert effects.denied_with == "enrichment_unavailable"
    assert effects.items[0]["public_code"] == "try_again"
    assert len(effects.items) == 1


@pytest.mark.parametrize(
    "uri",
    [
        pytest.param("mongodb://db.example.com/", id="without TLS"),
        pytest.param("mongodb://127.0.0.1,db.example.com/", id="one of two without TLS"),
        pytest.param("mongodb+srv://db.example.com/?tls=false", id="TLS switched off"),
        pytest.param("mongodb://db.example.com/?tls=true&tlsInsecure=true", id="insecure"),
        pytest.param(
            "mongodb+srv://db.example.com/?tlsAllowInvalidCertificates=true", id="any certificate"
        ),
        pytest.param("mongodb://db/?tls=true&tlsAllowInvalidHostnames=true", id="any host"),
        pytest.param(
            "mongodb+srv://db.example.com/?retryWrites=true;tlsInsecure=true",
            id="insecure, behind the other separator",
        ),
        pytest.param("https://user:pass-word@db.example.com/", id="another scheme"),
        pytest.param("mongodb://", id="no host"),
        pytest.param("", id="nothing"),
        pytest.param("mongodb://[", id="no URI"),
    ],
)
def test_a_uri_that_is_not_safe_is_refused_unsent(uri: str) -> None:
    with pytest.raises(UpstreamError) as caught:
        client.check_uri(uri)

    assert caught.value.code == "misconfigured"
    assert "pass-word" not in str(caught.value)


def test_a_uri_with_a_mistake_is_misconfigured(database: MongoServer) -> None:
    effects = ask(database, uri="mongodb://127.0.0.1:99999/")

    assert effects.warnings == ["enrichment_unavailable:misconfigured"]


def test_a_uri_without_a_password_says_what_it_needs(database: MongoServer) -> None:
    uri = f"{database.uri}&authSource=%24external&authMechanism=MONGODB-AWS"

    with pytest.raises(UpstreamError, match="pymongo-auth-aws in a layer") as caught:
        client.find_documents(uri, "d", "c", {"cognito_sub": "u1"}, ["tier"], seconds=5.0)

    assert caught.value.code == "misconfigured"


def test_a_secret_that_is_missing_is_a_failure_like_others() -> None:
    def no_secret(name: str, refresh: bool) -> str:
        raise SecretError(name, f"the secret holds no text for {name}")

    facts = a_login(user=ANN, transaction={"trigger": "x"}).facts
    login = Login(facts, configuration=SAMPLE["configuration"], secret=no_secret)

    assert rule.decide(login).warnings == ["enrichment_unavailable:secret_error"]


# -- what is asked ---------------------------------------------------------------------------------


def test_the_listed_fields_alone_are_read(database: MongoServer) -> None:
    effects = ask(database)

    [find] = database.finds
    assert claims_of(effects) == {"plan": "gold"}
    assert find["filter"] == {"cognito_sub": SUB}
    assert find["projection"] == {"_id": False, "plan": True}
    assert (find["find"], find["$db"], find["limit"]) == ("people", "crm", 2)
    assert 0 < find["maxTimeMS"] <= 800
    assert "salary" not in json.dumps(effects.items)


@pytest.mark.parametrize(
    "user",
    [
        pytest.param({"email_verified": False}, id="nobody proved"),
        pytest.param({"email_verified": None}, id="nobody says so of"),
        pytest.param({"email": None}, id="is not there"),
    ],
)
def test_nothing_is_asked_by_an_address_that(database: MongoServer, user: dict[str, Any]) -> None:
    effects = ask(database, user, **BY_EMAIL)

    assert (effects.items, database.finds) == ([], [])


def test_a_proved_address_is_found_in_any_case(database: MongoServer) -> None:
    assert claims_of(ask(database, **BY_EMAIL)) == {"plan": "gold"}


def test_a_person_is_always_a_text(database: MongoServer) -> None:
    ask(database, {"user_id": {"$ne": ""}})

    assert database.finds[0]["filter"] == {"cognito_sub": "{'$ne': ''}"}


def test_the_connection_is_kept(database: MongoServer) -> None:
    for _ in range(3):
        ask(database, cache_seconds=0)

    assert len(database.finds) == 3
    assert database.connections <= 3  # one that asks, and the driver's own two that watch


def test_a_connection_that_was_quiet_for_long_is_not_trusted() -> None:
    kept = client._kept_client("mongodb://127.0.0.1:1/", 0.1)

    # Less than the 350 seconds after which AWS's networks forget a connection.
    idle = kept.options.pool_options.max_idle_time_seconds
    assert idle is not None
    assert 0 < idle < 350
    client.close()


def test_a_rotated_uri_takes_the_place_of_the_old_one(database: MongoServer) -> None:
    with mongo_server() as old:
        old.failure = {"code": 18, "errmsg": "Authentication failed."}
        facts = a_login(user=ANN, transaction={"trigger": "x"}).facts
        login = Login(
            facts,
            configuration=SAMPLE["configuration"],
            secret=lambda name, refresh: database.uri if refresh else old.uri,
        )

        assert claims_of(rule.decide(login)) == {"plan": "gold"}
        client.close()


# -- what the document says ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("documents", "warnings"),
    [
        pytest.param([], [], id="nobody"),
        pytest.param([DOCUMENT, DOCUMENT], ["document_not_unique"], id="two"),
        pytest.param([{"cognito_sub": SUB}], [], id="somebody without the field"),
    ],
)
def test_there_is_no_claim_when_the_database_knows(
    database: MongoServer, documents: list[dict[str, Any]], warnings: list[str]
) -> None:
    database.documents = documents

    effects = ask(database, on_failure="deny")

    assert (claims_of(effects), effects.warnings, effects.denied_with) == ({}, warnings, None)


@pytest.mark.parametrize(
    ("value", "claim"),
    [
        pytest.param(7, 7, id="a number"),
        pytest.param(True, True, id="a boolean"),
        pytest.param(["a", 1], ["a", 1], id="a list"),
        pytest.param([], [], id="an empty list"),
        pytest.param({"a": 1}, None, id="an object"),
        pytest.param([{"a": 1}], None, id="a list of objects"),
        pytest.param(None, None, id="a null"),
        pytest.param(ObjectId(), None, id="an id of MongoDB"),
        pytest.param(Decimal128("1.5"), None, id="a decimal"),
        pytest.param(dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None, id="a date"),
    ],
)
def test_what_a_claim_can_hold(database: MongoServer, value: Any, claim: Any) -> None:
    database.documents = [DOCUMENT | {"plan": value}]

    assert claims_of(ask(database)).get("plan") == claim


def test_a_large_value_is_left_out_as_a_whole(database: MongoServer) -> None:
    database.documents = [DOCUMENT | {"plan": ["x" * 100] * 30, "tier": "a"}]

    effects = ask(database, claims={"plan": "plan", "tier": "tier"}, targets=["id", "access"])

    assert claims_of(effects) == claims_of(effects, "access") == {"tier": "a"}
    assert effects.warnings == ["claim_too_large"]


def test_a_field_inside_of_another(database: MongoServer) -> None:
    database.documents = [DOCUMENT | {"address": {"country": "PT", "street": "x"}}]

    assert claims_of(ask(database, claims={"address.country": "country"})) == {"country": "PT"}


# -- answers that are kept -------------------------------------------------------------------------


def test_an_answer_is_kept_for_five_minutes(database: MongoServer) -> None:
    kept = kept_by(ask(database))

    again = ask(database, {"app_metadata": kept})

    assert [item["effect"] for item in again.items] == ["set_claim"]
    assert len(database.finds) == 1
    assert SUB not in json.dumps(kept)


def test_a_refresh_shows_an_old_answer_and_opens_no_connection(database: MongoServer) -> None:
    kept = kept_by(ask(database))
    kept["mongodb_claims"]["at"] = "2026-11-01T12:00:00Z"

    refreshed = ask(database, {"app_metadata": kept}, trigger=REFRESH)

    assert claims_of(refreshed) == {"plan": "gold"}
    assert len(database.finds) == 1


def test_a_refresh_without_an_answer_asks_nothing(database: MongoServer) -> None:
    effects = ask(database, trigger=REFRESH, on_failure="deny")

    assert (effects.items, database.finds) == ([], [])


@pytest.mark.parametrize(
    ("changes", "settings"),
    [
        pytest.param({"at": "2026-11-18T11:55:00Z"}, {}, id="of five minutes ago"),
        pytest.param({"question": "another"}, {}, id="to another question"),
        pytest.param({}, {"claims": {"plan": "plan", "tier": "tier"}}, id="for other fields"),
        pytest.param({}, {"cache_seconds": 0}, id="that are not kept"),
    ],
)
def test_answers_that_count_no_longer(
    database: MongoServer, changes: dict[str, Any], settings: dict[str, Any]
) -> None:
    kept = kept_by(ask(database))
    kept["mongodb_claims"] |= changes

    ask(database, {"app_metadata": kept}, **settings)

    assert len(database.finds) == 2


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"claims": {"$where": "x"}}, "no field", id="an operator"),
        pytest.param({"claims": {"a.$ne": "x"}}, "no field", id="an operator inside"),
        pytest.param({"claims": {"a..b": "x"}}, "no field", id="an empty name"),
        pytest.param({"claims": {}}, "claims is empty", id="no fields"),
        pytest.param({"namespace": "plan"}, "namespace", id="no namespace"),
        pytest.param({"database": "a.b"}, "database", id="a database with a dot"),
        pytest.param({"collection": "$cmd"}, "collection", id="a collection of commands"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(
    database: MongoServer, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ask(database, **settings)


def test_the_chain_knows_which_claims_it_writes() -> None:
    assert rule.written_claims(rule.configure(SAMPLE["configuration"])) == {("id", PLAN)}


def test_the_sample_through_lambdas_door(database: MongoServer) -> None:
    secrets = {"MONGODB_URI": database.uri}

    answer = through_lambdas_door("enrich_from_mongodb", SAMPLE, None, secrets)

    assert is_as_expected(SAMPLE["expect"], answer["effects"])
