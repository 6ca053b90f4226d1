"""The endpoint that cancels access tokens: what it takes, writes, answers and tells the audit."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from cognito_rules.aws import Aws
from cognito_rules.denylist_door import REMINDER, DenylistDoor
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.token_denylist import TokenDenylist
from cognito_rules.user_pools import UserPools
from tests.log_lines import LogLines
from tests.loopback import Reply, Server, reply

NOW = 1795003200  # 2026-11-18T12:00:00Z
DAY = 24 * 3600
POOL = "eu-west-1_Example01"
CALLER = {
    "accessKey": "ASIAEXAMPLE",
    "accountId": "111122223333",
    "userArn": "arn:aws:sts::111122223333:assumed-role/support/jane@example.com",
}
DONE = reply(200, {})
NOT_MORE_THAN_IS_THERE = reply(400, {"__type": "#ConditionalCheckFailedException"})


def event(
    method: str,
    body: Any = None,
    *,
    query: dict[str, str] | None = None,
    caller: dict[str, str] | None = CALLER,
) -> dict[str, Any]:
    """Return the event of an HTTP API; ``body`` is sent as JSON unless it is a text."""
    authorizer = {} if caller is None else {"authorizer": {"iam": caller}}
    given: dict[str, Any] = {"requestContext": {"http": {"method": method}, **authorizer}}
    if body is not None:
        given["body"] = body if isinstance(body, str) else json.dumps(body)
    return given | ({} if query is None else {"queryStringParameters": query})


def answer(given: dict[str, Any], *, cascade: bool = False) -> tuple[int, Any]:
    aws = Aws()
    door = DenylistDoor(
        TokenDenylist(aws, "profiles"), UserPools(aws), POOL, cascade=cascade, clock=lambda: NOW
    )
    said = door.handle(given)
    assert said["headers"]["Cache-Control"] == "no-store"
    return said["statusCode"], json.loads(said.get("body", "null"))


def operations(server: Server) -> list[str]:
    return [request.headers["x-amz-target"].partition(".")[2] for request in server.received]


def written(server: Server) -> dict[str, Any]:
    """Return the entry that was written, with its key."""
    request = next(r.json() for r in server.received if r.headers["x-amz-target"].endswith("Item"))
    values = from_item(request["ExpressionAttributeValues"])
    return {name.removeprefix(":"): value for name, value in values.items()} | from_item(
        request["Key"]
    )


# Refused -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"jti": "J", "sub": "S"}, "jti", id="a token and a person"),
        pytest.param({}, "body", id="nothing"),
        pytest.param([], "body", id="a list"),
        pytest.param("{", "body", id="no JSON"),
        pytest.param("", "body", id="no body"),
        pytest.param("[" * 5000, "body", id="JSON without an end"),
        pytest.param({"jti": "J" * 9000}, "body", id="more than eight kibibytes"),
        pytest.param({"jti": ""}, "jti", id="an empty id"),
        pytest.param({"jti": 7}, "jti", id="a number for an id"),
        pytest.param({"jti": "a b"}, "jti", id="an id with a blank"),
        pytest.param({"sub": "a#b"}, "sub", id="a person with a sign of keys"),
        pytest.param({"sub": 'x" or sub ^= "'}, "sub", id="a person who is a filter"),
        pytest.param({"jti": "J", "not_before": NOW}, "not_before", id="a moment for one token"),
        pytest.param({"sub": "S", "aud": "x"}, "aud", id="an audience for a person"),
        pytest.param({"sub": "S", "expires_at": NOW + 9}, "expires_at", id="an end for a person"),
        pytest.param({"sub": "S", "not_before": NOW * 1000}, "not_before", id="milliseconds"),
        pytest.param({"sub": "S", "not_before": True}, "not_before", id="true for a moment"),
        pytest.param({"jti": "J", "expires_at": NOW - 1}, "expires_at", id="an end in the past"),
        pytest.param({"jti": "J", "reason": "lost"}, "reason", id="an unknown field"),
    ],
)
def test_what_is_no_entry_is_answered_with_its_field_and_nothing_is_written(
    body: Any, field: str, amazon: Server
) -> None:
    status, said = answer(event("POST", body))

    assert status == 400
    assert field in [problem["field"] for problem in said["fields"]]
    assert amazon.received == []


@pytest.mark.parametrize(
    "caller", [pytest.param(None, id="nobody"), pytest.param({}, id="a caller without a key")]
)
def test_without_an_iam_caller_nothing_is_done(
    caller: dict[str, str] | None, amazon: Server
) -> None:
    """A route that somebody opened by mistake."""
    status, _ = answer(event("POST", {"jti": "J"}, caller=caller))

    assert status == 403
    assert amazon.received == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "HEAD", None])
def test_other_methods_are_refused(method: Any) -> None:
    assert answer(event(method, {"jti": "J"}))[0] == 405


@pytest.mark.parametrize(
    ("query", "field"),
    [
        pytest.param({"limit": "0"}, "limit", id="a page of nothing"),
        pytest.param({"limit": "101"}, "limit", id="a page too long"),
        pytest.param({"limit": "ten"}, "limit", id="a word for a number"),
        pytest.param({"cursor": "abc"}, "cursor", id="a cursor from elsewhere"),
        pytest.param({"cursor": "WyJVU0VSI2phbmUiLCAxXQ=="}, "cursor", id="a cursor to a profile"),
        pytest.param({"sub": "S"}, "sub", id="an unknown filter"),
        pytest.param({"client_id": "a b"}, "client_id", id="no client's id"),
    ],
)
def test_a_listing_that_cannot_be_is_refused_by_name(
    query: dict[str, str], field: str, amazon: Server
) -> None:
    status, said = answer(event("GET", query=query))

    assert status == 400
    assert [problem["field"] for problem in said["fields"]] == [field]
    assert amazon.received == []


def test_while_the_table_is_down_nothing_is_said_to_be_cancelled(amazon: Server) -> None:
    amazon.replies = [Reply(reset=True)]

    assert answer(event("POST", {"jti": "J"})) == (503, {"error": "denylist_unavailable"})


# Cancelled ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "key", "entry"),
    [
        pytest.param(
            {"aud": "https://api.example.com", "jti": "J"},
            "DENY#jti#J",
            {"aud": "https://api.example.com", "expires_at": NOW + DAY},
            id="a token, as Auth0's endpoint takes it",
        ),
        pytest.param(
            {"origin_jti": "O", "expires_at": NOW + 60},
            "DENY#origin#O",
            {"expires_at": NOW + 60},
            id="a session until it ends",
        ),
        pytest.param(
            {"sub": "S"},
            "DENY#sub#S",
            {"not_before": NOW + 1, "expires_at": NOW + 1 + DAY},
            id="what a person has so far",
        ),
        pytest.param(
            {"client_id": "C", "not_before": NOW - DAY},
            "DENY#client#C",
            {"not_before": NOW - DAY, "expires_at": NOW + DAY, "client_id": "C"},
            id="what an application had yesterday",
        ),
    ],
)
def test_an_entry_is_written_and_the_audit_knows_who_made_it(
    body: dict[str, Any], key: str, entry: dict[str, Any], amazon: Server, lines: LogLines
) -> None:
    amazon.replies = [DONE]

    assert answer(event("POST", body)) == (204, None)

    found = written(amazon)
    assert found["pk"] == key
    assert found | entry == found
    (line,) = [line for line in lines.records if line["message"] == "token denied"]
    assert line["caller"] == {
        "access_key": "ASIAEXAMPLE",
        "account": "111122223333",
        "role": "support",
    }
    assert "jane@example.com" not in lines.text


def test_a_body_in_base_64_is_read(amazon: Server) -> None:
    amazon.replies = [DONE]
    body = base64.b64encode(b'{"jti": "J"}').decode()

    assert answer({**event("POST", body), "isBase64Encoded": True})[0] == 204


def test_the_same_call_again_succeeds_and_never_denies_less(amazon: Server) -> None:
    amazon.replies = [NOT_MORE_THAN_IS_THERE]

    assert answer(event("POST", {"sub": "S", "not_before": NOW - DAY}))[0] == 204

    (request,) = [r.json() for r in amazon.received]
    assert request["ConditionExpression"].endswith("#not_before < :not_before")


def test_an_id_that_the_ledger_knows_is_listed_under_its_client(amazon: Server) -> None:
    amazon.replies = [reply(200, {"Item": to_item({"client_id": "partner"})}), DONE]

    answer(event("POST", {"token_id": "T"}))

    assert from_item(amazon.received[1].json()["ExpressionAttributeValues"])[":client_id"] == (
        "partner"
    )


# Cascade -----------------------------------------------------------------------------------------


def test_with_the_cascade_a_person_is_signed_out_at_cognito_too(amazon: Server) -> None:
    """The name, not the sub, is what Cognito takes where people have names of their own."""
    amazon.replies = [DONE, reply(200, {"Users": [{"Username": "jane"}]}), DONE]

    assert answer(event("POST", {"sub": "S"}), cascade=True)[0] == 204

    assert operations(amazon) == ["UpdateItem", "ListUsers", "AdminUserGlobalSignOut"]
    assert amazon.received[1].json()["Filter"] == 'sub = "S"'
    assert amazon.received[2].json() == {"UserPoolId": POOL, "Username": "jane"}


def test_a_failed_sign_out_is_said_and_the_entry_stands(amazon: Server) -> None:
    amazon.replies = [DONE, reply(400, {"__type": "#InternalErrorException"})]

    status, said = answer(event("POST", {"sub": "S"}), cascade=True)

    assert (status, said) == (502, {"error": "sign_out_failed", "listed": True})


def test_with_the_cascade_an_application_is_not_touched_but_somebody_is_reminded(
    amazon: Server,
) -> None:
    amazon.replies = [DONE]

    assert answer(event("POST", {"client_id": "C"}), cascade=True) == (200, {"reminder": REMINDER})
    assert operations(amazon) == ["UpdateItem"]


def test_without_the_cascade_cognito_is_not_asked(amazon: Server) -> None:
    amazon.replies = [DONE]

    answer(event("POST", {"sub": "S"}))

    assert operations(amazon) == ["UpdateItem"]


# Listed and removed ------------------------------------------------------------------------------


def test_entries_are_listed_page_by_page(amazon: Server) -> None:
    item = {"pk": "DENY#jti#J", "kind": "jti", "value": "J", "listing": "DENY"}
    moments = {"listed_at": NOW - 5, "expires_at": NOW + 5}
    last = to_item({"pk": "DENY#jti#J", "listing": "DENY", "listed_at": NOW - 5})
    amazon.replies = [
        reply(200, {"Items": [to_item(item | moments)], "LastEvaluatedKey": last}),
        reply(200, {"Items": []}),
    ]

    _, page = answer(event("GET", query={"limit": "1", "client_id": "C"}))
    status, end = answer(event("GET", query={"cursor": page["next"]}))

    assert page["entries"] == [{"jti": "J", **moments}]
    assert (status, end) == (200, {"entries": [], "next": None})
    assert amazon.received[1].json()["ExclusiveStartKey"] == last


def test_an_entry_is_removed_and_the_audit_knows(amazon: Server, lines: LogLines) -> None:
    amazon.replies = [reply(200, {"Attributes": to_item({"pk": "DENY#jti#J"})}), DONE]

    assert answer(event("DELETE", query={"jti": "J"}))[0] == 204
    assert answer(event("DELETE", query={"jti": "J"})) == (404, {"error": "not_listed"})

    assert [line["found"] for line in lines.records] == [True, False]


def test_removing_needs_one_name() -> None:
    assert answer(event("DELETE", query={}))[0] == 400
    assert answer(event("DELETE", query={"jti": "J", "sub": "S"}))[0] == 400
