"""``cognito-rules denylist`` and ``revoke``: cancel access tokens before they expire.

All changes go through the stack's endpoint, so its audit log knows of them.
"""

from __future__ import annotations

import json
import os
import sys
from datetime import UTC, datetime
from typing import Annotated, Any
from urllib.parse import urlencode, urlsplit

import typer

from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import err, out, print_json, stop, table_of

denylist = typer.Typer(help="Cancel access tokens before they expire.", no_args_is_help=True)

_KINDS = ("jti", "token_id", "origin_jti", "sub", "client_id")
_NOT_ENABLED = "The stack has no endpoint for this: deploy it with EnableDenylist=true."

Jti = Annotated[str | None, typer.Option("--jti", help="The id of one token.")]
TokenId = Annotated[
    str | None, typer.Option("--token-id", help="The id that set_access_token_id gave a token.")
]
OriginJti = Annotated[
    str | None, typer.Option("--origin-jti", help="A session: all tokens of one sign-in.")
]
Sub = Annotated[str | None, typer.Option("--sub", help="A person: all tokens of before.")]
ClientId = Annotated[
    str | None, typer.Option("--client-id", help="An application: all tokens of before.")
]


class DenylistEndpoint:
    """The stack's endpoint, called with the credentials of whoever runs the command."""

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack
        self._url = _reachable(stack.output("DenylistEndpoint", otherwise=_NOT_ENABLED))

    def call(self, method: str, *, body: Any = None, **query: str | None) -> Any:
        """Return the JSON of an answer, None of an empty one; ends the command on a refusal."""
        import requests
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest

        given = {name: value for name, value in query.items() if value is not None}
        url = f"{self._url}?{urlencode(given)}" if given else self._url
        data = None if body is None else json.dumps(body)
        request = AWSRequest(method, url, {"Content-Type": "application/json"}, data)
        with one_line_errors():
            credentials = self._stack.session.get_credentials()
            if credentials is None:
                stop("There are no AWS credentials: set AWS_PROFILE, or log in with the AWS CLI.")
            region = self._stack.client("sts").meta.region_name
            SigV4Auth(credentials, "execute-api", region).add_auth(request)
        try:
            answer = requests.request(
                method, url, headers=dict(request.headers), data=data, timeout=30
            )
        except requests.RequestException as error:
            stop(f"The endpoint {self._url} does not answer: {type(error).__name__}")
        return self._read(answer.status_code, answer.text)

    def _read(self, status: int, text: str) -> Any:
        try:
            document = json.loads(text) if text else None
        except ValueError:
            document = {}
        if status < 300:
            return document
        said = document if isinstance(document, dict) else {}
        fields = [f"{f['field']} {f['problem']}" for f in said.get("fields", [])]
        if fields:
            stop("; ".join(fields))
        if status == 403:
            stop("Refused: these credentials need execute-api:Invoke on the endpoint.")
        if said.get("error") == "not_listed":
            stop("There is no such entry.")
        if said.get("listed"):
            stop("The entry is made, but signing out at Cognito failed: run the command again.")
        stop(f"The endpoint answered {status} {said.get('error') or said.get('message') or ''}")


def _reachable(url: str) -> str:
    """Return where the endpoint is from here: below the address that stands for all of AWS."""
    elsewhere = os.environ.get("AWS_ENDPOINT_URL")
    if not elsewhere:
        return url
    parts = urlsplit(url)
    api = parts.netloc.partition(".")[0]
    return f"{elsewhere.rstrip('/')}/_aws/execute-api/{api}/$default{parts.path}"


@denylist.command("add")
def add(
    jti: Jti = None,
    token_id: TokenId = None,
    origin_jti: OriginJti = None,
    sub: Sub = None,
    client_id: ClientId = None,
    not_before: Annotated[
        datetime | None,
        typer.Option(help="With --sub and --client-id: what was issued earlier; default: now."),
    ] = None,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Cancel one token, a session, or all tokens that a person or an application has so far."""
    body = _named(jti=jti, token_id=token_id, origin_jti=origin_jti, sub=sub, client_id=client_id)
    if not_before is not None:
        body["not_before"] = int(not_before.replace(tzinfo=not_before.tzinfo or UTC).timestamp())
    answer = DenylistEndpoint(DeployedStack(stack)).call("POST", body=body)
    out.print("Cancelled.")
    if answer and "reminder" in answer:
        err.print(answer["reminder"], highlight=False)


@denylist.command("remove")
def remove(
    jti: Jti = None,
    token_id: TokenId = None,
    origin_jti: OriginJti = None,
    sub: Sub = None,
    client_id: ClientId = None,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Take an entry off the list: tokens that it cancelled are good again until they expire."""
    name = _named(jti=jti, token_id=token_id, origin_jti=origin_jti, sub=sub, client_id=client_id)
    DenylistEndpoint(DeployedStack(stack)).call("DELETE", **name)
    out.print("Removed.")


@denylist.command("list")
def list_entries(
    client_id: ClientId = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """List what is cancelled, latest first."""
    endpoint = DenylistEndpoint(DeployedStack(stack))
    entries: list[dict[str, Any]] = []
    cursor = None
    while True:
        page = endpoint.call("GET", client_id=client_id, cursor=cursor, limit="100")
        entries += page["entries"]
        cursor = page["next"]
        if cursor is None:
            break
    if as_json:
        print_json(entries)
        return
    table = table_of("kind", "value", "cancelled", "issued before", "until")
    table.columns[1].no_wrap = True  # to be copied
    for entry in entries:
        kind = next(kind for kind in _KINDS if kind in entry)
        moments = (entry.get(name) for name in ("listed_at", "not_before", "expires_at"))
        table.add_row(kind, entry[kind], *map(_moment, moments))
    out.print(table if entries else "Nothing is cancelled.")


def revoke(
    client_id: Annotated[str, typer.Option(help="The app client that the token was issued to.")],
    stack: StackName = DEFAULT_STACK,
) -> None:
    """End a session at once: revoke its refresh token, and cancel its access tokens.

    Asks for the refresh token, or reads it from standard input; it stands in no argument, where
    other programs could see it. It is used once more, since only a token that it brings forth names
    the session.
    """
    deployed = DeployedStack(stack)
    endpoint = DenylistEndpoint(deployed)
    pool = deployed.output("UserPoolId", otherwise=f"{stack} is no stack of Cognito Rules.")
    token = _refresh_token()
    with one_line_errors():
        cognito = deployed.client("cognito-idp")
        described = cognito.describe_user_pool_client(UserPoolId=pool, ClientId=client_id)
        secret = described["UserPoolClient"].get("ClientSecret")
        client = {"ClientId": client_id} | ({"ClientSecret": secret} if secret else {})
        session, token = _session(cognito, client, token)
    endpoint.call("POST", body={"origin_jti": session})
    with one_line_errors():
        cognito.revoke_token(Token=token, **client)
    out.print(f"Revoked the refresh token, and cancelled the access tokens of session {session}.")


def _refresh_token() -> str:
    if sys.stdin.isatty():
        token: str = typer.prompt("Refresh token", hide_input=True)
    else:
        token = sys.stdin.read()
    token = token.strip()
    if not token:
        stop("Give the refresh token on standard input.")
    return token


def _session(cognito: Any, client: dict[str, str], token: str) -> tuple[str, str]:
    """Return the session's ``origin_jti``, and the refresh token that is good now."""
    import jwt

    result = cognito.get_tokens_from_refresh_token(RefreshToken=token, **client)
    tokens = result["AuthenticationResult"]
    # It came from Cognito itself a moment ago.
    claims = jwt.decode(tokens["AccessToken"], options={"verify_signature": False})
    if "origin_jti" not in claims:
        stop("The app client has token revocation off: its sessions have no id. Use --sub.")
    return str(claims["origin_jti"]), tokens.get("RefreshToken") or token


def _named(**given: str | None) -> dict[str, Any]:
    """Return the one name that was given."""
    names = {kind: value for kind, value in given.items() if value is not None}
    if len(names) != 1:
        options = ", ".join(f"--{kind.replace('_', '-')}" for kind in _KINDS)
        stop(f"Give one of {options}.")
    return names


def _moment(seconds: int | None) -> str:
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
