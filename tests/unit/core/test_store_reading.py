"""What the login path reads, over a real connection to a server that answers like DynamoDB."""

from __future__ import annotations

import json
import socket

import pytest

from cognito_rules.aws import Aws
from cognito_rules.errors import StoreError
from cognito_rules.store import Loaded, Store
from tests.loopback import Reply, Server, reply
from tests.moments import SILENCE, ends_soon
from tests.unit.core.tables import NOW, SUB, error, load, loaded

# Reading: failures ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(error("ResourceNotFoundException"), id="no such table"),
        pytest.param(error("AccessDeniedException"), id="not allowed"),
        pytest.param(error("ValidationException"), id="a bad request"),
        pytest.param(error("UnrecognizedClientException"), id="bad credentials"),
        pytest.param(Reply(400, b"{}"), id="an error without a name"),
        pytest.param(Reply(200, b"<html>"), id="no JSON"),
        pytest.param(Reply(200, b"[]"), id="a list"),
        pytest.param(Reply(200, b"null"), id="null"),
        pytest.param(Reply(400, b"null"), id="an error that is null"),
    ],
)
def test_what_repeating_does_not_mend_is_refused_at_once(
    store: Store, amazon: Server, answer: Reply
) -> None:
    amazon.replies = [answer]

    with pytest.raises(StoreError):
        load(store)

    assert len(amazon.received) == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(error("ProvisionedThroughputExceededException"), id="throttled"),
        pytest.param(error("ThrottlingException"), id="throttled by the account"),
        pytest.param(error("RequestLimitExceeded"), id="above the account's limit"),
        pytest.param(error("InternalServerError", 500), id="a server error"),
        pytest.param(Reply(503, b"<html>busy</html>"), id="a server error in HTML"),
        pytest.param(Reply(500, b""), id="a server error without a word"),
        pytest.param(Reply(reset=True), id="a connection that broke"),
        pytest.param(
            reply(200, {"Responses": {}, "UnprocessedKeys": {"profiles": {"Keys": []}}}),
            id="keys that were left out",
        ),
    ],
)
def test_what_repeating_may_mend_is_repeated(store: Store, amazon: Server, answer: Reply) -> None:
    amazon.replies = [answer, loaded({"pk": f"USER#{SUB}", "logins_count": 3})]

    assert load(store).logins_count == 3
    assert len(amazon.received) == 2


def test_repeating_ends_in_time(store: Store, amazon: Server) -> None:
    amazon.replies = [error("ThrottlingException")]

    with ends_soon(), pytest.raises(StoreError, match=r"in time|no time"):
        load(store, timeout=0.5)

    assert len(amazon.received) > 2


def test_keys_that_are_left_out_again_and_again_end_in_time(store: Store, amazon: Server) -> None:
    left_out = {"profiles": {"Keys": [], "ConsistentRead": True}}
    amazon.replies = [reply(200, {"Responses": {}, "UnprocessedKeys": left_out})]

    with pytest.raises(StoreError, match=r"in time|no time"):
        load(store, timeout=0.1)


def test_a_slow_table_is_given_up_in_time(store: Store, amazon: Server) -> None:
    amazon.replies = [Reply(delay=SILENCE)]

    with ends_soon(), pytest.raises(StoreError):
        load(store, timeout=0.1)


def test_without_time_the_tables_are_not_asked(store: Store, amazon: Server) -> None:
    with pytest.raises(StoreError):
        load(store, timeout=0.0)

    assert amazon.received == []


def test_tables_that_cannot_be_reached_are_an_error(aws_environment: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        aws_environment.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{unused.getsockname()[1]}")
        store = Store(Aws(), profiles="profiles", sessions="sessions")

        with pytest.raises(StoreError):
            load(store, timeout=0.2)


def test_an_error_names_no_person(store: Store, amazon: Server) -> None:
    amazon.replies = [error("ValidationException")]

    with pytest.raises(StoreError) as failed:
        load(store)

    assert str(failed.value) == "BatchGetItem: ValidationException"


# Reading --------------------------------------------------------------------------------------


def test_everything_is_read_at_once_and_strongly_consistent(store: Store, amazon: Server) -> None:
    memo = {"pk": "decision#1", "answers": "{}"}
    login = {"pk": "login#1", "committed_at": NOW}
    profile = {"pk": f"USER#{SUB}", "logins_count": 2, "app_metadata": {"a": [1, None, 1.5]}}
    amazon.replies = [loaded(profile, [memo, login])]

    found = load(store)

    assert found == Loaded(profile=profile, memo=memo, last_login_at=NOW)
    [request] = amazon.received
    asked = json.loads(request.body)["RequestItems"]
    assert all(table["ConsistentRead"] is True for table in asked.values())
    assert asked["profiles"]["Keys"] == [{"pk": {"S": f"USER#{SUB}"}}]
    assert asked["sessions"]["Keys"] == [{"pk": {"S": "decision#1"}}, {"pk": {"S": "login#1"}}]


def test_a_person_whom_the_table_does_not_know_has_an_empty_profile(
    store: Store, amazon: Server
) -> None:
    amazon.replies = [loaded()]

    found = load(store)

    assert found == Loaded(profile={}, memo=None, last_login_at=None)
    assert found.logins_count == 0


def test_without_keys_of_sessions_only_the_profile_is_asked_for(
    store: Store, amazon: Server
) -> None:
    amazon.replies = [loaded()]

    store.load(SUB, memo_key=None, login_key=None, timeout=1.0)

    assert list(json.loads(amazon.received[0].body)["RequestItems"]) == ["profiles"]


def test_only_what_was_left_out_is_asked_for_again(store: Store, amazon: Server) -> None:
    first = loaded({"pk": f"USER#{SUB}", "logins_count": 7})
    left_out = {"sessions": {"Keys": [{"pk": {"S": "decision#1"}}], "ConsistentRead": True}}
    body = json.loads(first.body) | {"UnprocessedKeys": left_out}
    amazon.replies = [reply(200, body), loaded(None, [{"pk": "decision#1", "answers": "x"}])]

    found = load(store)

    assert found.logins_count == 7
    assert found.memo == {"pk": "decision#1", "answers": "x"}
    assert json.loads(amazon.received[1].body)["RequestItems"] == left_out
