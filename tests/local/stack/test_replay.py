"""``cognito-rules replay`` on the deployed stack: what it foretells is what then really happens."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from typer.testing import CliRunner, Result

from cli.main import app as command_line
from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN

NewPerson = Callable[..., Person]

# Of a rule that is off the reads are recorded, so that it can be tried before it is on.
NOW = """
[[rules]]
rule = "disable_flagged_users"
when = { applications = ["*"] }

[[rules]]
rule = "require_verified_email"
when = { applications = ["*"] }
mode = "off"

[[rules]]
rule = "require_group"
when = { applications = ["*"] }
configuration = { groups = ["staff"] }

[[rules]]
rule = "customize_token_claims_and_scopes"
when = { applications = ["*"] }
[rules.configuration]
namespace = "https://example.com/"
id_token_claims = { chain = "one" }

[[rules]]
rule = "add_email_to_access_token"
configuration = { namespace = "https://example.com/" }
"""
STRICTER = NOW.replace('mode = "off"\n', "").replace('["staff"]', '["board"]')
OTHER_CLAIMS = NOW.replace('{ chain = "one" }', '{ color = "blue" }')


@pytest.fixture(scope="module", autouse=True)
def chain(stack: Stack) -> Iterator[None]:
    stack.use_chain(NOW)
    yield
    stack.use_chain(CHAIN)


@pytest.fixture(autouse=True)
def environment(stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stack.aws.environment.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def people(stack: Stack, app: App, new_person: NewPerson) -> list[Person]:
    """People of every kind, who have just tried to sign in."""
    stack.use_chain(NOW)
    people = [
        new_person(groups=["staff", "board"]),
        new_person(groups=["staff"]),
        new_person(groups=["board"]),
        new_person(),
        new_person(groups=["staff", "board"], email_verified="false"),
        new_person(groups=["board"], email_verified="false"),
        new_person(groups=["staff", "board"], app_metadata={"deleted": True}),
    ]
    for person in people:
        outcome_of(app, person)
    return people


def outcome_of(app: App, person: Person) -> str | dict[str, Any]:
    """Return the claims with which a person is let in, or ``deny``."""
    try:
        tokens = app.srp(person.username, person.password)
    except SignInRefused:
        return "deny"
    prefix = "https://example.com/"
    return {name: value for name, value in tokens.id_claims.items() if name.startswith(prefix)}


def replay(document: Path, *arguments: str) -> Result:
    command = ["replay", "--chain", str(document), "--from", "10m", *arguments]
    return CliRunner().invoke(command_line, command, env={"COLUMNS": "160"})


def foretold(document: Path, people: list[Person], code: int) -> list[dict[str, Any]]:
    """Return what the replay says of each of these people."""
    result = replay(document, "--json")
    assert result.exit_code == code, result.output
    logins = {login["user_id"]: login for login in json.loads(result.stdout)}
    return [logins[person.user_id] for person in people]


def written(folder: Path, document: str) -> Path:
    path = folder / "new.toml"
    path.write_text(document)
    return path


def test_who_is_decided_otherwise_is_who_is_then_decided_otherwise(
    stack: Stack, app: App, people: list[Person], tmp_path: Path
) -> None:
    before = [outcome_of(app, person) == "deny" for person in people]

    logins = foretold(written(tmp_path, STRICTER), people, 1)

    stack.use_chain(STRICTER)
    after = [outcome_of(app, person) == "deny" for person in people]
    assert before == [False, False, True, True, False, True, True]
    assert [login["then"]["decision"] == "deny" for login in logins] == before
    assert [login["now"]["decision"] == "deny" for login in logins] == after
    kinds = {(False, True): "allow_to_deny", (True, False): "deny_to_allow"}
    assert [login["kind"] for login in logins] == [
        kinds.get(pair, "same") for pair in zip(before, after, strict=True)
    ]
    assert "deny_to_allow" in [login["kind"] for login in logins]


def test_other_claims_are_foretold(
    stack: Stack, app: App, people: list[Person], tmp_path: Path
) -> None:
    logins = foretold(written(tmp_path, OTHER_CLAIMS), people, 1)

    stack.use_chain(OTHER_CLAIMS)
    for person, login in zip(people, logins, strict=True):
        claims = outcome_of(app, person)
        if claims == "deny":
            assert login["kind"] == "same"
            continue
        assert login["changes"] == [
            "- claim https://example.com/chain of the id token",
            "+ claim https://example.com/color of the id token",
        ]
        assert claims == {"https://example.com/color": "blue"}


def test_the_same_chain_finds_nothing(people: list[Person], tmp_path: Path) -> None:
    document = written(tmp_path, NOW)

    logins = replay(document, "--json")

    kinds = {login["user_id"]: login["kind"] for login in json.loads(logins.stdout)}
    assert {kinds[person.user_id] for person in people} == {"same"}


def test_the_report_counts_and_names_people(people: list[Person], tmp_path: Path) -> None:
    result = replay(written(tmp_path, STRICTER), "--examples", "1000")

    assert result.exit_code == 1
    for text in ("allow → deny", "deny → allow", "require_group: group_required"):
        assert text in result.stdout
    assert people[1].user_id in result.stdout
    assert people[0].user_id not in result.stdout


def test_the_login_function_can_write_recordings_and_not_read_any(
    stack: Stack, people: list[Person]
) -> None:
    """Decided by the emulator's IAM."""
    item = next(
        item
        for page in stack.aws.client("dynamodb")
        .get_paginator("scan")
        .paginate(TableName=stack.outputs["SessionsTable"])
        for item in page["Items"]
        if item["pk"]["S"].startswith("recording#")
    )
    function = stack.aws.client("lambda").get_function(FunctionName=stack.login_function)
    role = function["Configuration"]["Role"]
    session = stack.aws.client("sts").assume_role(RoleArn=role, RoleSessionName="login")

    kms = stack.aws.client("kms", session["Credentials"])
    sealed = base64.b64decode(item["data_key"]["S"])
    context = {"stack": stack.login_function.removesuffix("-login")}

    with pytest.raises(ClientError) as error:
        kms.decrypt(CiphertextBlob=sealed, EncryptionContext=context)

    assert "AccessDenied" in error.value.response["Error"]["Code"]
    assert "example.com" not in json.dumps(item, default=str)


@pytest.mark.parametrize(
    ("document", "arguments", "said"),
    [
        pytest.param("[[rules", [], "new.toml:1: no TOML", id="no TOML"),
        pytest.param('[[rules]]\nrule = "nobody"', [], "there is no rule 'nobody'", id="no rule"),
        pytest.param(NOW, ["--from", "1m", "--to", "5m"], "is not before --to", id="a period"),
        pytest.param(NOW, ["--from", "soon"], "--from soon: write a time ago", id="a moment"),
        pytest.param(NOW, ["--stack", "strange"], "There is no stack strange", id="a stack"),
    ],
)
def test_what_cannot_be_tried_is_one_line(
    document: str, arguments: list[str], said: str, tmp_path: Path
) -> None:
    result = replay(written(tmp_path, document), *arguments)

    assert result.exit_code == 2
    assert said in result.output
    assert result.output.count("\n") == 1


def test_a_document_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    result = replay(tmp_path / "none.toml")

    assert result.exit_code == 2
    assert "none.toml: No such file" in result.output
