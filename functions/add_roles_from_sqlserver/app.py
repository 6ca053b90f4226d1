"""Ask a SQL Server for a person's roles."""

from typing import Any

from cognito_rules import Effects, Login, UpstreamError, lambda_rule
from cognito_rules.asked_roles import add_roles, check_roles, role_claims
from cognito_rules.errors import SecretError
from cognito_rules.kept_answers import question
from cognito_rules.sql_server import Server, check_query, first_column

KEY = "sqlserver_roles"
VARIABLES = ["email", "user_id"]
PORT = "1433"


@lambda_rule
def rule(login: Login, effects: Effects) -> None:
    """Add the roles that the query returns for this person; no rows are no roles.

    An address that nobody proved is nobody's: where the query asks by address, such a person gets
    no roles and no query is sent. Later rules read the roles as ``login.authorization``; Cognito's
    groups are not changed.

    Reads:  ``login.user`` (user_id, email, email_verified, app_metadata.sqlserver_roles),
            ``login.authorization``.
    Writes: ``set_claim`` on the tokens in ``targets``, ``set_authorization``, the answer in
            ``app_metadata.sqlserver_roles``; ``deny`` with code ``roles_unavailable``.
    Source: Auth0 rules, "add-roles-from-sqlserver".
    """
    settings = login.configuration
    asks_by_email = "@email" in settings["query"]
    if asks_by_email and not (login.user.email and login.user.email_verified is True):
        return
    known = {"user_id": str(login.user.user_id or ""), "email": str(login.user.email or "")}
    person = {name: known[name] for name in VARIABLES if f"@{name}" in settings["query"]}
    asked = question(person, *(settings[n] for n in ("query", "role_pattern", "max_roles")))
    add_roles(login, effects, KEY, asked, lambda: _roles(login, person))


def _roles(login: Login, person: dict[str, str]) -> list[str]:
    try:
        return _ask(login, person, refresh=False)
    except UpstreamError as error:
        if error.code != "misconfigured":
            raise
    return _ask(login, person, refresh=True)  # a password that was rotated a moment ago


def _ask(login: Login, person: dict[str, str], *, refresh: bool) -> list[str]:
    settings = login.configuration
    return first_column(
        _server(login, refresh=refresh),
        settings["query"],
        person,
        limit=settings["max_roles"] + 1,
        seconds=settings["timeout_ms"] / 1000,
    )


def _server(login: Login, *, refresh: bool) -> Server:
    host = login.secret("SQLSERVER_HOST", refresh=refresh)
    port = _optional(login, "SQLSERVER_PORT", PORT)
    if not port.isdecimal():
        raise UpstreamError(host, "SQLSERVER_PORT is no number", code="misconfigured")
    return Server(
        host=host,
        port=int(port),
        database=login.secret("SQLSERVER_DATABASE"),
        username=login.secret("SQLSERVER_USERNAME"),
        password=login.secret("SQLSERVER_PASSWORD"),
        ca_bundle=_optional(login, "SQLSERVER_CA_BUNDLE", ""),
    )


def _optional(login: Login, name: str, default: str) -> str:
    try:
        return login.secret(name)
    except SecretError as error:
        if error.retryable:
            raise
        return default


@rule.check
def check(configuration: dict[str, Any]) -> None:
    """Refuse a query that is the same for everybody, and what no role claim can be."""
    check_roles(configuration)
    check_query(configuration["query"], VARIABLES)


@rule.claims
def claims(configuration: dict[str, Any]) -> list[tuple[str, str]]:
    """Name the claims that this configuration writes."""
    return role_claims(configuration)
