import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.stub import Stubber

from cognito_rules.errors import SecretError
from cognito_rules.secrets import PREVIOUS, Secrets, read_secret
from tests.log_lines import log_lines

NAME = "SPLUNK_HEC_TOKEN"
ID = "cognito-rules/splunk"
HOUR = 3600.0


class Clock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def forward(self, seconds: float) -> None:
        self.seconds += seconds


class Store:
    """Secrets over a stubbed Secrets Manager: every answer is used, and no other call is made."""

    def __init__(self) -> None:
        client = boto3.client(
            "secretsmanager",
            region_name="eu-west-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
            config=Config(retries={"total_max_attempts": 1}),
        )
        self.client = client
        self.stub = Stubber(client)
        self.clock = Clock()
        self.secrets = Secrets(client, {NAME: ID, "OTHER": ID}, self.clock)

    def answers(self, value: Any) -> None:
        text = value if isinstance(value, str) else json.dumps(value)
        self.stub.add_response("get_secret_value", {"SecretString": text}, {"SecretId": ID})

    def fails(self, code: str, status: int = 400) -> None:
        self.stub.add_client_error("get_secret_value", code, http_status_code=status)

    def read(self, *, refresh: bool = False) -> str:
        return self.secrets.read(NAME, refresh=refresh)


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()
    with store.stub:
        yield store
    store.stub.assert_no_pending_responses()


def test_a_secret_is_read_once_in_300_seconds(store: Store) -> None:
    store.answers({NAME: "one", "OTHER": "another"})

    first = store.read()
    store.clock.forward(299)
    second = store.read()

    assert (first, second) == ("one", "one")
    assert store.secrets.read("OTHER") == "another"


@pytest.mark.parametrize(
    "text", ["hec-1", "hec-1\n", '{"SPLUNK_HEC_TOKEN": "hec-1"}', ' {"SPLUNK_HEC_TOKEN":"hec-1"}']
)
def test_a_secret_is_its_text_or_an_object_with_its_name(store: Store, text: str) -> None:
    store.answers(text)

    assert store.read() == "hec-1"


def test_an_older_one_is_read_again(store: Store) -> None:
    store.answers({NAME: "one"})
    store.answers({NAME: "two"})

    store.read()
    store.clock.forward(301)

    assert store.read() == "two"


@pytest.mark.parametrize("code", ["InternalServiceError", "ThrottlingException"])
def test_an_outage_is_bridged_with_the_last_good_value(store: Store, code: str) -> None:
    store.answers({NAME: "one"})
    store.fails(code, 500)

    store.read()
    store.clock.forward(HOUR)

    assert store.read() == "one"


def test_an_outage_is_warned_of_without_the_value(store: Store) -> None:
    store.answers({NAME: "hec-0123456789"})
    store.fails("InternalServiceError", 500)

    store.read()
    store.clock.forward(HOUR)
    with log_lines() as log:
        store.read()

    [line] = log.records
    assert (line["message"], line["level"], line["secret"]) == ("secret_stale", "WARNING", NAME)
    assert line["age_seconds"] == HOUR
    assert "0123456789" not in log.text


def test_during_an_outage_secrets_manager_is_asked_once_a_minute(store: Store) -> None:
    store.answers({NAME: "one"})
    store.fails("InternalServiceError", 500)
    store.fails("InternalServiceError", 500)
    store.answers({NAME: "two"})

    store.read()
    store.clock.forward(HOUR)
    values = []
    for _ in range(5):
        values.append(store.read())
        store.clock.forward(30)

    assert values == ["one", "one", "one", "one", "two"]


def test_a_value_older_than_twelve_hours_is_not_used(store: Store) -> None:
    store.answers({NAME: "one"})
    store.fails("InternalServiceError", 500)

    store.read()
    store.clock.forward(12 * HOUR + 1)

    with pytest.raises(SecretError) as caught:
        store.read()
    assert caught.value.retryable


def test_an_outage_at_a_cold_start_is_worth_another_try(store: Store) -> None:
    store.fails("InternalServiceError", 500)

    with pytest.raises(SecretError) as caught:
        store.read()

    assert (caught.value.name, caught.value.retryable) == (NAME, True)


@pytest.mark.parametrize(
    "code",
    [
        "AccessDeniedException",
        "ResourceNotFoundException",
        "InvalidRequestException",
        "DecryptionFailure",
    ],
)
def test_a_secret_that_was_taken_away_is_gone_at_once(store: Store, code: str) -> None:
    store.answers({NAME: "one"})
    store.fails(code)

    store.read()
    store.clock.forward(301)

    with pytest.raises(SecretError, match=code) as caught:
        store.read()
    assert not caught.value.retryable


def test_a_refused_secret_is_read_again_once_a_minute(store: Store) -> None:
    store.answers({NAME: "one"})
    store.answers({NAME: "two"})
    store.answers({NAME: "three"})

    store.read()
    values = []
    for _ in range(3):
        values.append(store.read(refresh=True))
        store.clock.forward(31)

    assert values == ["two", "two", "three"]


@pytest.mark.parametrize(
    "text",
    [
        pytest.param('{"SPLUNK_HEC_TOKEN": "hec-0123456789"', id="broken JSON"),
        pytest.param("  {hec-0123456789}", id="no JSON at all"),
        pytest.param(" \n", id="white space"),
        pytest.param('{"TOKEN": "hec-0123456789"}', id="another key"),
        pytest.param('{"SPLUNK_HEC_TOKEN": {"hec-0123456789": 1}}', id="no text"),
        pytest.param('{"SPLUNK_HEC_TOKEN": ""}', id="an empty text"),
    ],
)
def test_a_malformed_secret_is_an_error_that_does_not_show_it(store: Store, text: str) -> None:
    store.answers(text)

    with pytest.raises(SecretError) as caught:
        store.read()

    error: BaseException | None = caught.value
    assert isinstance(error, SecretError)
    assert not error.retryable
    while error is not None:
        assert "0123456789" not in repr(error)
        assert "0123456789" not in repr(vars(error))
        error = error.__cause__ or error.__context__


def test_the_version_before_is_read_where_that_is_wished(store: Store) -> None:
    before = Secrets(store.client, {NAME: ID}, store.clock, version=PREVIOUS)
    asked = {"SecretId": ID, "VersionStage": "AWSPREVIOUS"}
    store.stub.add_response("get_secret_value", {"SecretString": "old"}, asked)

    assert before.read(NAME) == "old"


def test_a_name_without_an_id(store: Store) -> None:
    with pytest.raises(SecretError, match=r"template\.yaml"):
        store.secrets.read("MISSING")


def test_a_name_that_the_manifest_does_not_list() -> None:
    with pytest.raises(SecretError, match="not declared"):
        read_secret(NAME, declared=("OTHER",))
