"""Rules that ask systems of the company during a sign-in: each in its function, with its layer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tomlkit

from local.sign_in import App, SignInRefused, Tokens
from local.stack import Person, Stack
from tests.local.stack.conftest import CHAIN
from tests.loopback import Reply, Server, self_signed
from tests.moments import wait_for
from tests.mongo_server import MongoServer, mongo_server
from tests.sql_server import SqlServer, sql_server

NAMESPACE = "https://example.com/"
SOAP_ANSWER = (
    b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    b"<Answer><role>reader</role></Answer></s:Body></s:Envelope>"
)
RULES = [
    {
        "rule": "add_roles_from_soap_service",
        "when": {"applications": ["*"]},
        "configuration": {
            "namespace": NAMESPACE,
            "claim": "soap",
            "body_template": "<Ask><user>{user_id}</user></Ask>",
            "role_path": ["Answer", "role"],
        },
    },
    {
        "rule": "add_roles_from_sqlserver",
        "when": {"applications": ["*"]},
        "configuration": {
            "namespace": NAMESPACE,
            "claim": "sql",
            "query": "SELECT role FROM roles WHERE email = @email",
            "cache_seconds": 0,
        },
    },
    {
        "rule": "enrich_from_mongodb",
        "when": {"applications": ["*"]},
        "configuration": {
            "namespace": NAMESPACE,
            "database": "crm",
            "collection": "people",
            "claims": {"plan": "plan"},
        },
    },
]


@pytest.fixture(scope="module")
def mongo() -> Iterator[MongoServer]:
    with mongo_server() as server:
        yield server


@pytest.fixture(scope="module")
def sql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SqlServer, Path]]:
    certificate = self_signed(tmp_path_factory.mktemp("sql"))
    with sql_server(certificate, "right") as server:
        server.rows = ["editor"]
        yield server, certificate


@pytest.fixture(scope="module", autouse=True)
def chain(
    stack: Stack, vendors: Server, mongo: MongoServer, sql: tuple[SqlServer, Path]
) -> Iterator[None]:
    name = stack.login_function.removesuffix("-login")
    server, certificate = sql
    secrets = {
        "soap": {"SOAP_USERNAME": "robot", "SOAP_PASSWORD": "word"},
        "mongodb": {"MONGODB_URI": mongo.uri},
        "sqlserver": {
            "SQLSERVER_HOST": "127.0.0.1",
            "SQLSERVER_PORT": str(server.port),
            "SQLSERVER_DATABASE": "crm",
            "SQLSERVER_USERNAME": "robot",
            "SQLSERVER_PASSWORD": "right",
            "SQLSERVER_CA_BUNDLE": certificate.read_text(),
        },
    }
    for system, values in secrets.items():
        stack.aws.client("secretsmanager").put_secret_value(
            SecretId=f"{name}/{system}", SecretString=json.dumps(values)
        )
    vendors.routes = {"/roles": Reply(200, SOAP_ANSWER)}
    stack.use_chain(tomlkit.dumps({"rules": RULES}))
    yield
    stack.use_chain(CHAIN)
    vendors.routes = {}


def claims_of(tokens: Tokens) -> dict[str, Any]:
    return {name: tokens.id_claims.get(NAMESPACE + name) for name in ("soap", "sql", "plan")}


def told(tokens: Tokens) -> Tokens | None:
    return tokens if claims_of(tokens)["plan"] else None


def test_what_they_say_of_a_person_is_in_the_tokens_and_kept(
    stack: Stack,
    app: App,
    new_person: Callable[..., Person],
    mongo: MongoServer,
    sql: tuple[SqlServer, Path],
) -> None:
    person = new_person()
    mongo.documents = [{"cognito_sub": person.user_id, "plan": "gold"}]

    # Claims that came too late, on a busy machine, come with the next sign-in.
    tokens = wait_for(lambda: told(app.srp(person.username, person.password)), seconds=40)

    found = claims_of(tokens)
    assert found == {"soap": ["reader"], "sql": ["editor"], "plan": "gold"}
    kept = stack.profile(person.user_id)["app_metadata"]
    assert kept["mongodb_claims"]["answer"] == {"plan": "gold"}
    assert kept["soap_roles"]["answer"] == ["reader"]
    [asked] = {query.values["@P1"] for query in sql[0].queries}
    assert asked == person.username

    asked_before = len(mongo.finds)
    assert claims_of(app.refresh_by_initiate_auth(str(tokens.refresh_token))) == found
    assert len(mongo.finds) == asked_before


def test_while_roles_cannot_be_asked_for_nobody_logs_in(
    app: App, new_person: Callable[..., Person], sql: tuple[SqlServer, Path]
) -> None:
    person = new_person()
    sql[0].error = 208
    try:
        with pytest.raises(SignInRefused, match="try_again"):
            app.srp(person.username, person.password)
    finally:
        sql[0].error = 0
