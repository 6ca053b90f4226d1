"""``cognito-rules login``: sign in to the deployed stack as a person, and see the tokens."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from cli.asking import Person, password
from cli.sign_in import AppClient, SignInRefused, Tokens
from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import err, out, print_json, table_of
from cli.timeline import draw
from cli.traces import TraceLog, user_id_of

_NO_STACK = "{} is no stack of Cognito Rules: give --stack."
_A_TRIGGER_REFUSED = "UserLambdaValidationException"
_CLOCKS_DIFFER = timedelta(seconds=5)
_TIMES = frozenset({"exp", "iat", "auth_time"})


def login(
    username: Annotated[
        str,
        typer.Argument(metavar="USER", help="User name or e-mail address.", show_default=False),
    ],
    client_id: Annotated[
        str | None,
        typer.Option("--client", help="The app client; default: the stack's.", show_default=False),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print both tokens' claims.")] = False,
    with_trace: Annotated[
        bool, typer.Option("--trace/--no-trace", help="Draw what the rules did; not with --json.")
    ] = True,
    raw: Annotated[
        bool, typer.Option("--raw", help="Print the tokens themselves as JSON; they are secrets.")
    ] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Sign a person in by SRP, through all triggers, and show what the tokens say, and the trace.

    Asks for the password, and for codes and a new password where Cognito does. Exit code 1: no
    tokens, with the reason as the application would get it; 2: it could not be tried.
    """
    deployed = DeployedStack(stack)
    pool_id = deployed.output("UserPoolId", otherwise=_NO_STACK.format(stack))
    client_id = client_id or deployed.output("UserPoolClientId", otherwise=_NO_STACK.format(stack))
    cognito = deployed.client("cognito-idp")
    with one_line_errors():
        described = cognito.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)
    client = AppClient(cognito, pool_id, client_id, described["UserPoolClient"].get("ClientSecret"))
    person = Person("There is no terminal to ask: give the password with --password-stdin.")
    secret = password(person, from_stdin=password_stdin)
    began = datetime.now(UTC)
    with_trace = with_trace and not (as_json or raw)
    try:
        with one_line_errors():
            tokens = client.sign_in(username, secret, person)
    except SignInRefused as refused:
        err.print(f"No tokens: {escape(str(refused))}", highlight=False, soft_wrap=True)
        if with_trace and refused.code == _A_TRIGGER_REFUSED:
            _show_trace(deployed, user_id_of(deployed, username), began)
        raise typer.Exit(1) from None
    show(tokens, as_json=as_json, raw=raw)
    if with_trace:
        _show_trace(deployed, tokens.id_claims["sub"], began)


def _show_trace(deployed: DeployedStack, user_id: str | None, began: datetime) -> None:
    found = None
    if user_id is not None:
        # This machine's clock, and the one of the log.
        since = began - _CLOCKS_DIFFER
        found = TraceLog(deployed).await_login(user_id, since=since)
    out.print()
    if found is None:
        out.print("Its trace has not arrived: `cognito-rules trace USER` finds it later.")
    else:
        out.print(draw(found))


def show(tokens: Tokens, *, as_json: bool, raw: bool) -> None:
    """Print what came out of a sign-in."""
    if raw:
        print_json(vars(tokens))
    elif as_json:
        claims = {"id_token": tokens.id_claims, "access_token": tokens.access_claims}
        print_json(claims | {"expires_in": tokens.expires_in})
    else:
        out.print(claims_table(tokens.id_claims, tokens.access_claims))
        out.print(f"Good for {tokens.expires_in // 60} minutes.", highlight=False)


def claims_table(id_claims: dict[str, Any], access_claims: dict[str, Any]) -> Table:
    """Return both tokens' claims side by side, by name."""
    table = table_of("claim", "ID token", "access token")
    for name in sorted(id_claims.keys() | access_claims.keys()):
        cells = (_said(name, claims.get(name)) for claims in (id_claims, access_claims))
        table.add_row(escape(name), *cells)
    return table


def _said(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name in _TIMES and isinstance(value, int):
        return datetime.fromtimestamp(value, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return escape(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
