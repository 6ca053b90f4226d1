import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509

from cognito_rules import ConfigurationError, Effects
from cognito_rules import sql_server as driver
from cognito_rules.errors import SecretError
from cognito_rules.login import Login
from cognito_rules.testing import a_login
from functions.add_roles_from_sqlserver.app import rule
from tests.deliveries import through_lambdas_door
from tests.loopback import self_signed
from tests.moments import SILENCE, ends_soon
from tests.sql_server import SqlServer, sql_server

SAMPLE = json.loads(Path("events/add_roles_from_sqlserver.json").read_text())
ANN = SAMPLE["login"]["user"]
NONE: dict[str, Any] = SAMPLE["login"]["authorization"]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return self_signed(tmp_path_factory.mktemp("sql"))


@pytest.fixture
def database(certificate: Path) -> Iterator[SqlServer]:
    with sql_server(certificate, "right") as server:
        server.rows = ["admin", "editor"]
        yield server
        driver.close()


@pytest.fixture
def secrets(database: SqlServer, certificate: Path) -> dict[str, str]:
    return {
        "SQLSERVER_HOST": "127.0.0.1",
        "SQLSERVER_PORT": str(database.port),
        "SQLSERVER_DATABASE": "crm",
        "SQLSERVER_USERNAME": "robot",
        "SQLSERVER_PASSWORD": "right",
        "SQLSERVER_CA_BUNDLE": certificate.read_text(),
    }


def ask(secrets: dict[str, str], user: dict[str, Any] | None = None, /, **settings: Any) -> Effects:
    def read(name: str, refresh: bool) -> str:
        value = secrets.get(f"{name}, read again" if refresh else name, secrets.get(name))
        if value is None:
            raise SecretError(name, f"the secret holds no text for {name}")
        return value

    facts = a_login(user=ANN | (user or {}), authorization=NONE).facts
    given = SAMPLE["configuration"] | {"cache_seconds": 60} | settings
    now = a_login().now
    return rule.decide(Login(facts, configuration=given, now=now, secret=read))


def claim_of(effects: Effects) -> Any:
    found = [item["value"] for item in effects.items if item["effect"] == "set_claim"]
    return found[0] if found else "none"


# -- when the server does not answer ---------------------------------------------------------------


def break_down(database: SqlServer, how: str) -> None:
    match how:
        case "silent":
            database.delay = SILENCE
        case "down":
            database.close()
        case "drops":
            database.drops = 9
        case _:
            database.error = int(how)


FAILURES = [
    pytest.param("silent", "upstream_timeout", id="silent"),
    pytest.param("down", "upstream_timeout", id="down"),
    pytest.param("drops", "upstream_unavailable", id="drops the connection"),
    pytest.param("229", "misconfigured", id="forbids the query"),
    pytest.param("208", "sql_208", id="knows no such table"),
]


@pytest.mark.parametrize(("how", "code"), FAILURES)
def test_people_are_refused_while_it_is(
    database: SqlServer, secrets: dict[str, str], how: str, code: str
) -> None:
    break_down(database, how)

    with ends_soon(3.0):
        effects = ask(secrets, timeout_ms=400)

    assert effects.denied_with == "roles_unavailable"
    assert effects.items[0]["public_code"] == "try_again"
    assert "own words" not in json.dumps(effects.items)
    assert effects.warnings == [f"roles_unavailable:{code}"]
    assert len(effects.items) == 1


@pytest.mark.parametrize(("how", "code"), FAILURES)
def test_people_get_no_roles_where_that_is_wished_while_it_is(
    database: SqlServer, secrets: dict[str, str], how: str, code: str
) -> None:
    break_down(database, how)

    effects = ask(secrets, timeout_ms=400, on_failure="omit")

    assert (effects.items, effects.warnings) == ([], [f"roles_unavailable:{code}"])


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"SQLSERVER_PASSWORD": "wrong"}, "misconfigured", id="a wrong password"),
        pytest.param({"SQLSERVER_CA_BUNDLE": ""}, "misconfigured", id="an authority of nobody"),
        pytest.param({"SQLSERVER_CA_BUNDLE": "no PEM"}, "misconfigured", id="no authority"),
        pytest.param({"SQLSERVER_HOST": "localhost"}, "misconfigured", id="another host's name"),
        pytest.param({"SQLSERVER_PORT": "x"}, "misconfigured", id="no port"),
        pytest.param({"SQLSERVER_USERNAME": None}, "secret_error", id="no user"),
    ],
)
def test_what_an_operator_has_to_repair(
    database: SqlServer, secrets: dict[str, str], changes: dict[str, Any], code: str
) -> None:
    changed = {name: value for name, value in (secrets | changes).items() if value is not None}

    effects = ask(changed)

    assert effects.denied_with == "roles_unavailable"
    assert effects.warnings == [f"roles_unavailable:{code}"]
    assert database.queries == []
    if "SQLSERVER_PASSWORD" not in changes:
        assert database.logins == []  # the password was not sent


def test_a_rotated_password_is_read_again(database: SqlServer, secrets: dict[str, str]) -> None:
    rotated = secrets | {"SQLSERVER_PASSWORD": "old", "SQLSERVER_HOST, read again": "127.0.0.1"}

    class Store(dict[str, str]):
        """Reading the host again brings the new password along, since they are one secret."""

        def get(self, name: str, default: Any = None) -> Any:
            if name == "SQLSERVER_HOST, read again":
                self["SQLSERVER_PASSWORD"] = "right"
            return super().get(name, default)

    assert claim_of(ask(Store(rotated))) == ["admin", "editor"]
    assert database.logins == ["robot", "robot"]


# -- what is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "address", ["o'brien@acme.test", "x' OR 1=1 --@acme.test", "@user_id", "%(email)s", "é@ü.test"]
)
def test_an_address_is_a_value_and_never_a_part_of_the_query(
    database: SqlServer, secrets: dict[str, str], address: str
) -> None:
    ask(secrets, {"email": address})

    [query] = database.queries
    assert list(query.values.values()) == [address]
    assert query.text == f"SELECT Role FROM dbo.UserRoles WHERE Email = {next(iter(query.values))}"
    assert "NVARCHAR" in query.declared


@pytest.mark.parametrize(
    "user",
    [
        pytest.param({"email_verified": False}, id="nobody proved"),
        pytest.param({"email_verified": None}, id="nobody says so of"),
        pytest.param({"email": None}, id="is not there"),
    ],
)
def test_nothing_is_asked_by_an_address_that(
    database: SqlServer, secrets: dict[str, str], user: dict[str, Any]
) -> None:
    effects = ask(secrets, user)

    assert (effects.items, database.connections) == ([], 0)


def test_a_query_by_id_with_signs_of_the_driver(
    database: SqlServer, secrets: dict[str, str]
) -> None:
    query = "SELECT r FROM t WHERE u = @user_id AND r LIKE 'a%' AND @@VERSION LIKE '%s'"

    ask(secrets, {"email_verified": False}, query=query)

    [sent] = database.queries
    assert sent.values == {"@P1": ANN["user_id"]}
    assert sent.text == query.replace("@user_id", "@P1")


def test_the_connection_is_kept(database: SqlServer, secrets: dict[str, str]) -> None:
    for _ in range(3):
        ask(secrets)

    assert (len(database.queries), database.connections) == (3, 1)


def test_a_connection_that_was_closed_meanwhile_is_made_again(
    database: SqlServer, secrets: dict[str, str]
) -> None:
    ask(secrets)
    database.forget_connections()

    assert claim_of(ask(secrets)) == ["admin", "editor"]
    assert database.connections == 2


def test_a_connection_that_was_quiet_for_long_is_not_trusted(
    database: SqlServer, secrets: dict[str, str]
) -> None:
    ask(secrets)
    assert driver._kept is not None
    driver._kept.used_at -= driver.MAX_IDLE

    assert claim_of(ask(secrets)) == ["admin", "editor"]
    assert database.connections == 2


# -- the roles -------------------------------------------------------------------------------------


def test_roles_are_a_claim_and_are_seen_by_later_rules(
    database: SqlServer, secrets: dict[str, str]
) -> None:
    effects = ask(secrets, targets=["id", "access"])

    assert [item["effect"] for item in effects.items] == [
        "set_app_metadata",
        "set_claim",
        "set_claim",
        "set_authorization",
    ]
    assert effects.items[3]["roles"] == ["admin", "editor"]


@pytest.mark.parametrize(
    ("rows", "roles"),
    [
        pytest.param([], [], id="none"),
        pytest.param(["a", None, "b", "a"], ["a", "b"], id="each once"),
        pytest.param(["admin,root", "ok", "", "x" * 65], ["ok"], id="what is no role is left out"),
    ],
)
def test_what_the_rows_say(
    database: SqlServer, secrets: dict[str, str], rows: list[str | None], roles: list[str]
) -> None:
    database.rows = rows

    assert claim_of(ask(secrets)) == roles


def test_too_many_roles_are_cut_off_and_noticed(
    database: SqlServer, secrets: dict[str, str]
) -> None:
    database.rows = [f"r{number}" for number in range(60)]

    effects = ask(secrets)

    assert claim_of(effects) == [f"r{number}" for number in range(50)]
    assert effects.warnings == ["roles_truncated"]


def test_an_answer_is_asked_for_once_a_minute(database: SqlServer, secrets: dict[str, str]) -> None:
    kept = ask(secrets).items[0]["value"]

    again = ask(secrets, {"app_metadata": {"sqlserver_roles": kept}})
    other = ask(secrets, {"app_metadata": {"sqlserver_roles": kept}, "email": "bob@acme.test"})

    assert [item["effect"] for item in again.items] == ["set_claim", "set_authorization"]
    assert other.items[0]["effect"] == "set_app_metadata"
    assert len(database.queries) == 2
    assert "ann@" not in json.dumps(kept)


def test_refreshed_tokens_keep_the_roles() -> None:
    assert rule.manifest.runs_on_refresh


# -- whose certificate it is -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "host", "fits"),
    [
        pytest.param(["db.acme.test"], "db.acme.test", True, id="its name"),
        pytest.param(["db.acme.test"], "DB.acme.test", True, id="in capitals"),
        pytest.param(["other.test", "db.acme.test"], "db.acme.test", True, id="one of two"),
        pytest.param(["*.acme.test"], "db.acme.test", True, id="a wildcard"),
        pytest.param(["*.acme.test"], "a.db.acme.test", False, id="two labels for a star"),
        pytest.param(["*.acme.test"], "acme.test", False, id="none for a star"),
        pytest.param(["b.acme.test"], "db.acme.test", False, id="less than its name"),
        pytest.param(["evil.test"], "db.acme.test", False, id="another name"),
        pytest.param([], "common.test", False, id="its common name alone"),
    ],
)
def test_a_certificate_is_for_a_host(names: list[str], host: str, fits: bool) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "common.test")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(1))
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(each) for each in names])
        builder = builder.add_extension(alternatives, critical=False)
    certificate = X509.from_cryptography(builder.sign(key, hashes.SHA256()))

    assert driver._is_for_host(certificate, host.encode()) is fits


# -- settings --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        pytest.param({"query": "SELECT Role FROM t"}, "names nobody", id="nobody"),
        pytest.param({"query": "SELECT @@VERSION"}, "names nobody", id="a variable of the server"),
        pytest.param({"query": "SELECT @x, @email"}, "is none of", id="another variable"),
        pytest.param({"namespace": "roles"}, "namespace", id="no namespace"),
        pytest.param({"role_pattern": "["}, "role_pattern", id="a pattern that is none"),
        pytest.param({"max_roles": 0}, "max_roles", id="no roles"),
    ],
)
def test_a_setting_that_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ask({}, **settings)


def test_the_sample_through_lambdas_door(database: SqlServer, secrets: dict[str, str]) -> None:
    answer = through_lambdas_door("add_roles_from_sqlserver", SAMPLE, None, secrets)

    assert answer == {"version": 1, "effects": SAMPLE["expect"]}
