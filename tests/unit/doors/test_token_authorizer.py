"""The Lambda authorizer: which access tokens open an API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from cognito_rules import ConfigurationError
from cognito_rules.authorizer_door import Authorizer, UnauthorizedError, authorizer
from cognito_rules.aws import Aws
from cognito_rules.dynamodb_json import to_item
from tests.log_lines import LogLines
from tests.loopback import Reply, Server, reply
from tests.pool_tokens import (
    CLIENT,
    ISSUER,
    KEYS_PATH,
    POOL,
    SUB,
    AccessToken,
    private_key,
    published,
    token,
)

ARN = "arn:aws:execute-api:eu-west-1:111122223333:api1example/live/GET/orders/17"
NOTHING_LISTED = reply(200, {"Responses": {"profiles": []}})
SILENT = Reply(reset=True)


@pytest.fixture(autouse=True)
def pool(amazon: Server) -> None:
    """The pool publishes a key, and nothing is listed."""
    amazon.routes = {KEYS_PATH: reply(200, published("first"))}
    amazon.replies = [NOTHING_LISTED]


def door(**settings: Any) -> Authorizer:
    given = {"user_pool_id": POOL, "allowed_clients": [CLIENT], **settings}
    return authorizer(given, Aws(), "profiles")


def event(bearer: str | None, *, arn: str = ARN) -> dict[str, Any]:
    """Return the event of a REST API's authorizer of type TOKEN."""
    given = {} if bearer is None else {"authorizationToken": f"Bearer {bearer}"}
    return {"type": "TOKEN", "methodArn": arn, **given}


def outcome(answer: dict[str, Any]) -> tuple[str, str]:
    """Return the effect of a policy and the error that goes with it."""
    statement = answer["policyDocument"]["Statement"][0]
    return statement["Effect"], answer["context"].get("error", "")


def listed(*items: dict[str, Any]) -> Reply:
    return reply(200, {"Responses": {"profiles": [to_item(item) for item in items]}})


def checked(lines: LogLines) -> dict[str, Any]:
    """Return the line about the last token."""
    return [line for line in lines.records if line["message"] == "token checked"][-1]


# Tokens that are none ----------------------------------------------------------------------------


def unsigned() -> str:
    header = base64.urlsafe_b64encode(b'{"alg":"none","kid":"first"}').rstrip(b"=").decode()
    return f"{header}.{token().split('.')[1]}."


def signed_with_the_public_key() -> str:
    """Forge a token as old libraries took it: the public key used as a shared secret."""
    public = private_key("first").public_key()
    pem = public.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header = {"alg": "HS256", "typ": "JWT", "kid": "first"}
    head = base64.urlsafe_b64encode(json.dumps(header).encode()).rstrip(b"=").decode()
    body = f"{head}.{token().split('.')[1]}"
    mac = hmac.new(pem, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def with_another_payload() -> str:
    head, _, signature = token().split(".")
    return f"{head}.{token(sub='somebody-else').split('.')[1]}.{signature}"


def with_the_kid_of(real: str) -> str:
    """Return a token that a stranger signed and says a real key for."""
    claims = jwt.decode(token(), options={"verify_signature": False})
    return jwt.encode(claims, private_key("stranger"), "RS256", {"kid": real})


@pytest.mark.parametrize(
    ("bearer", "code"),
    [
        pytest.param(None, "token_missing", id="no token"),
        pytest.param("", "token_missing", id="an empty one"),
        pytest.param("abc", "malformed_token", id="a word"),
        pytest.param("a.b.c", "malformed_token", id="three words"),
        pytest.param("x" * 11_000, "malformed_token", id="more than fits into headers"),
        pytest.param(unsigned(), "malformed_token", id="unsigned, without a signature part"),
        pytest.param(f"{unsigned()}AAAA", "wrong_algorithm", id="alg none"),
        pytest.param(signed_with_the_public_key(), "wrong_algorithm", id="HS256 by the public key"),
        pytest.param(with_another_payload(), "invalid_signature", id="another payload"),
        pytest.param(with_the_kid_of("first"), "invalid_signature", id="a stranger's signature"),
        pytest.param(AccessToken(kid="other").text, "unknown_key", id="a key nobody published"),
        pytest.param(token(exp=int(time.time()) - 6), "token_expired", id="expired"),
        pytest.param(token(exp=None), "malformed_token", id="without an end"),
        pytest.param(token(iat=None), "malformed_token", id="without a beginning"),
        pytest.param(token(nbf=int(time.time()) + 3000), "token_not_yet_valid", id="of tomorrow"),
        pytest.param(token(iss="https://evil.example"), "issuer_mismatch", id="another pool's"),
        pytest.param(token(token_use="id"), "wrong_token_use", id="an ID token"),
        pytest.param(token(token_use=None), "wrong_token_use", id="a token of no use"),
        pytest.param(token(client_id="2other"), "client_not_allowed", id="another application's"),
        pytest.param(token(client_id=None), "client_not_allowed", id="no application's"),
        pytest.param(token(sub=None), "malformed_token", id="nobody's"),
    ],
)
def test_what_is_no_good_access_token_is_answered_with_401(
    bearer: str | None, code: str, amazon: Server, lines: LogLines
) -> None:
    with pytest.raises(UnauthorizedError, match=r"^Unauthorized$"):
        door().handle(event(bearer))

    assert checked(lines)["code"] == code
    assert not [r for r in amazon.received if r.path == "/"], "the table was asked"


def test_a_scheme_that_is_not_bearer_is_answered_with_401() -> None:
    with pytest.raises(UnauthorizedError):
        door().handle({**event(None), "authorizationToken": f"Basic {token()}"})


@pytest.mark.parametrize(
    "broken",
    [
        pytest.param({}, id="empty"),
        pytest.param({"type": "TOKEN"}, id="without a method"),
        pytest.param({"type": "TOKEN", "methodArn": 7}, id="with a number for a method"),
        pytest.param({"version": "2.0", "routeArn": ARN}, id="of format 2.0 without a route"),
    ],
)
def test_an_event_that_is_no_authorizers_is_answered_with_401(broken: dict[str, Any]) -> None:
    with pytest.raises(UnauthorizedError):
        door().handle(broken)


def test_a_pool_with_the_updated_issuer_is_told_by_the_log_with_both_names(
    lines: LogLines,
) -> None:
    """The operator configured ORIGINAL: every token is refused until the setting is changed."""
    updated = ISSUER.replace("https://", "https://issuer-")

    with pytest.raises(UnauthorizedError):
        door().handle(event(token(iss=updated)))

    line = checked(lines)
    assert (line["code"], line["expected"], line["found"]) == ("issuer_mismatch", ISSUER, updated)
    answer = door(issuer_type="UPDATED").handle(event(token(iss=updated)))
    assert outcome(answer) == ("Allow", "")


# Good tokens -------------------------------------------------------------------------------------


def test_a_good_token_opens_the_stage_and_tells_the_api_whose_it_is(amazon: Server) -> None:
    given = token(**{"https://example.com/token_id": "partner-1"})

    answer = door(token_id_claim="https://example.com/token_id").handle(event(given))

    assert answer == {
        "principalId": SUB,
        "policyDocument": {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Action": "execute-api:Invoke",
                    "Effect": "Allow",
                    "Resource": "arn:aws:execute-api:eu-west-1:111122223333:api1example/live/*",
                }
            ],
        },
        "context": {
            "sub": SUB,
            "client_id": CLIENT,
            "scopes": "openid orders/read",
            "token_id": "partner-1",
        },
    }
    (asked,) = [request.json() for request in amazon.received if request.path == "/"]
    assert asked["RequestItems"]["profiles"]["ConsistentRead"] is True
    assert {key["pk"]["S"] for key in asked["RequestItems"]["profiles"]["Keys"]} == {
        "DENY#jti#jti-1",
        "DENY#token#partner-1",
        "DENY#origin#origin-1",
        f"DENY#sub#{SUB}",
        f"DENY#client#{CLIENT}",
    }


@pytest.mark.parametrize(
    ("audience", "aud", "allowed"),
    [
        pytest.param("https://api.example.com", "https://api.example.com", True, id="equal"),
        pytest.param("https://api.example.com", ["a", "https://api.example.com"], True, id="in it"),
        pytest.param("https://api.example.com", "https://other.example.com", False, id="different"),
        pytest.param("https://api.example.com", None, False, id="none on the token"),
        pytest.param("", "https://api.example.com", True, id="none configured"),
    ],
)
def test_a_resource_bound_token_and_the_audience(audience: str, aud: Any, allowed: bool) -> None:
    authorizes = door(audience=audience)
    if allowed:
        assert outcome(authorizes.handle(event(token(aud=aud)))) == ("Allow", "")
    else:
        with pytest.raises(UnauthorizedError):
            authorizes.handle(event(token(aud=aud)))


def test_clocks_may_differ_by_the_leeway() -> None:
    late = token(exp=int(time.time()) - 20)

    assert outcome(door(leeway_seconds=60).handle(event(late))) == ("Allow", "")


# Cancelled tokens --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "found"),
    [
        pytest.param("jti#jti-1", {}, id="this token"),
        pytest.param("origin#origin-1", {}, id="its session"),
        pytest.param("token#partner-1", {}, id="the id that a rule gave it"),
        pytest.param(f"sub#{SUB}", {"not_before": int(time.time()) + 3000}, id="the person"),
        pytest.param(
            f"client#{CLIENT}", {"not_before": int(time.time()) + 3000}, id="the application's"
        ),
    ],
)
def test_a_listed_token_is_refused(
    key: str, found: dict[str, Any], amazon: Server, lines: LogLines
) -> None:
    amazon.replies = [listed({"pk": f"DENY#{key}", **found})]
    given = token(**{"https://example.com/token_id": "partner-1"})

    answer = door(token_id_claim="https://example.com/token_id").handle(event(given))

    assert outcome(answer) == ("Deny", "token_denied")
    assert checked(lines)["user_id"] == SUB
    assert given not in lines.text


@pytest.mark.parametrize(("issued", "effect"), [(-1, "Deny"), (0, "Allow"), (1, "Allow")])
def test_a_cut_off_counts_for_what_was_issued_before_it(
    issued: int, effect: str, amazon: Server
) -> None:
    moment = int(time.time()) - 100
    amazon.replies = [listed({"pk": f"DENY#sub#{SUB}", "not_before": moment})]

    answer = door().handle(event(token(iat=moment + issued)))

    assert outcome(answer)[0] == effect


def test_a_token_without_jti_is_looked_up_by_what_it_has(amazon: Server, lines: LogLines) -> None:
    """The app client has token revocation off."""
    door().handle(event(token(jti=None, origin_jti=None)))

    (asked,) = [request.json() for request in amazon.received if request.path == "/"]
    keys = [key["pk"]["S"] for key in asked["RequestItems"]["profiles"]["Keys"]]
    assert sorted(keys) == [f"DENY#client#{CLIENT}", f"DENY#sub#{SUB}"]
    assert "token_without_jti" in lines.text


def test_while_the_table_is_down_no_token_opens_anything(amazon: Server) -> None:
    amazon.replies = [SILENT]

    assert outcome(door().handle(event(token()))) == ("Deny", "denylist_unavailable")


def test_while_the_table_is_down_tokens_pass_where_the_operator_wished_so(
    amazon: Server, lines: LogLines
) -> None:
    amazon.replies = [SILENT]

    assert outcome(door(on_table_failure="allow").handle(event(token()))) == ("Allow", "")
    assert "denylist unavailable, token allowed" in lines.text


# Scopes ------------------------------------------------------------------------------------------

BY_ROUTE = {"*": ["orders/read"], "POST /orders/{id}": ["orders/write"]}


def test_a_token_without_the_scope_of_the_route_is_refused_for_that_request_only() -> None:
    arn = ARN.replace("/GET/", "/POST/")

    answer = door(required_scopes=BY_ROUTE).handle(event(token(), arn=arn))

    assert outcome(answer) == ("Deny", "insufficient_scope")
    assert answer["policyDocument"]["Statement"][0]["Resource"] == arn


def test_where_routes_differ_an_answer_holds_for_the_one_that_was_asked_for() -> None:
    """API Gateway may keep it and use it for other routes."""
    answer = door(required_scopes=BY_ROUTE).handle(event(token()))

    assert answer["policyDocument"]["Statement"][0]["Resource"] == ARN


@pytest.mark.parametrize("character", ["*", "?"])
def test_a_path_that_reads_as_a_pattern_opens_nothing(character: str) -> None:
    """A policy for ``/orders/*`` would open every order to one whose id is an asterisk."""
    answer = door(required_scopes=BY_ROUTE).handle(event(token(), arn=f"{ARN}{character}"))

    assert outcome(answer) == ("Deny", "ambiguous_path")


# HTTP APIs ---------------------------------------------------------------------------------------


def second_format(bearer: str | None, *, route: str = "GET /orders/{id}") -> dict[str, Any]:
    return {
        "version": "2.0",
        "type": "REQUEST",
        "routeArn": ARN,
        "routeKey": route,
        "headers": {} if bearer is None else {"Authorization": f"bearer {bearer}"},
    }


def first_format(bearer: str) -> dict[str, Any]:
    return {
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": ARN,
        "resource": "/orders/{id}",
        "headers": {"authorization": f"Bearer {bearer}"},
    }


def test_an_http_api_gets_the_simple_answer() -> None:
    allowed = door().handle(second_format(token()))

    assert allowed["isAuthorized"] is True
    assert allowed["context"]["sub"] == SUB
    assert door().handle(second_format(None)) == {"isAuthorized": False}
    assert door().handle(second_format(token(token_use="id"))) == {"isAuthorized": False}


def test_an_http_api_of_format_1_gets_a_policy_even_for_no_token() -> None:
    assert outcome(door().handle(first_format(token())))[0] == "Allow"
    assert outcome(door().handle(first_format("abc"))) == ("Deny", "malformed_token")


def test_a_rest_api_with_an_authorizer_of_type_request() -> None:
    given = {**first_format(token()), "version": None}

    assert outcome(door().handle(given))[0] == "Allow"


# The pool's keys ---------------------------------------------------------------------------------


def asked_for_keys(server: Server) -> int:
    return sum(request.path == KEYS_PATH for request in server.received)


def test_keys_are_fetched_once_for_many_tokens(amazon: Server) -> None:
    authorizes = door()

    for _ in range(5):
        assert outcome(authorizes.handle(event(token())))[0] == "Allow"

    assert asked_for_keys(amazon) == 1


def test_a_key_that_the_pool_begins_to_use_is_found_without_a_restart(amazon: Server) -> None:
    authorizes = door()
    authorizes.handle(event(token()))
    amazon.routes = {KEYS_PATH: reply(200, published("first", "second"))}

    answer = authorizes.handle(event(AccessToken(kid="second").text))

    assert outcome(answer) == ("Allow", "")
    assert asked_for_keys(amazon) == 2


def test_who_makes_up_key_ids_cannot_make_the_pool_be_asked_each_time(amazon: Server) -> None:
    authorizes = door()

    for number in range(30):
        with pytest.raises(UnauthorizedError):
            authorizes.handle(event(AccessToken(kid=f"made-up-{number % 10}").text))

    assert asked_for_keys(amazon) <= 6


def test_without_keys_no_token_is_taken_and_another_would_fare_no_better(amazon: Server) -> None:
    amazon.routes = {KEYS_PATH: SILENT}

    assert outcome(door().handle(event(token()))) == ("Deny", "keys_unavailable")


# Settings ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"allowed_clients": []}, "allowed_clients", id="no application"),
        pytest.param({"allowed_clients": [""]}, "allowed_clients", id="an empty application"),
        pytest.param({"user_pool_id": "pool"}, "user_pool_id", id="no pool's id"),
        pytest.param({"leeway_seconds": 61}, "leeway_seconds", id="too much leeway"),
        pytest.param({"on_table_failure": "ignore"}, "on_table_failure", id="an unknown word"),
        pytest.param({"required_scopes": {"/orders": ["a"]}}, "required_scopes", id="no method"),
        pytest.param({"issuer_type": "NEW"}, "issuer_type", id="an unknown issuer type"),
        pytest.param({"issuer": "https://evil.example"}, "issuer", id="a setting nobody knows"),
    ],
)
def test_wrong_settings_are_refused_by_name(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        door(**settings)
