"""``cognito-rules credentials``: the AWS role that the rules granted a person, for AWS's tools.

Source: AWS SDKs and Tools reference guide, "Process credential provider"; Amazon Cognito developer
guide, "Identity pools authentication flow" (enhanced flow).
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
from typing import Annotated, Any

import typer

from cli.asking import Person, password
from cli.sessions import Session
from cli.sign_in import AppClient, SignInRefused, Tokens
from cli.stack import DEFAULT_STACK, DeployedStack, StackName, one_line_errors
from cli.terminal import stop

_NO_STACK = "{} is no stack of Cognito Rules: give --stack."
_SIGN_IN = "Nobody is signed in: run the command of credential_process once in a terminal."
# The process is started for this profile: reading it would start the process again.
_PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")

User = Annotated[
    str, typer.Argument(metavar="USER", help="User name, or e-mail address.", show_default=False)
]


def credentials(
    username: User,
    pool_id: Annotated[
        str | None, typer.Option("--pool", help="Id of the user pool.", show_default=False)
    ] = None,
    client_id: Annotated[
        str | None,
        typer.Option("--client", help="Id of a public app client.", show_default=False),
    ] = None,
    identity_pool_id: Annotated[
        str | None,
        typer.Option("--identity-pool", help="Id of the identity pool.", show_default=False),
    ] = None,
    role: Annotated[
        str | None,
        typer.Option(
            help="ARN, or name, of one of the granted roles; default: the preferred one.",
            show_default=False,
        ),
    ] = None,
    password_stdin: Annotated[
        bool, typer.Option("--password-stdin", help="Read the password from standard input.")
    ] = False,
    sign_out: Annotated[
        bool, typer.Option("--sign-out", help="Revoke and delete the kept refresh token.")
    ] = False,
    snippet: Annotated[
        bool,
        typer.Option(
            "--snippet", help="Print a profile for ~/.aws/config, from the deployed --stack."
        ),
    ] = False,
    stack: StackName = DEFAULT_STACK,
) -> None:
    """Print AWS credentials of a signed-in person, as AWS's credential_process.

    Signs the person in at the terminal when needed, keeps the refresh token in a file that only its
    owner can read, and exchanges the ID token at the identity pool. It needs no AWS credentials:
    --pool, --client and --identity-pool say where; --snippet writes them into a profile.

    Exit code 1: a rule or Cognito refused; 2: it could not be tried.
    """
    if snippet:
        _print_snippet(DeployedStack(stack), username, role)
        return
    if not (pool_id and client_id and identity_pool_id):
        stop("Give --pool, --client and --identity-pool; --snippet says them for a stack.")
    if "_" not in pool_id:
        stop(f"{pool_id} is no id of a user pool: it looks like eu-west-1_AbC123xyz.")
    region = pool_id.partition("_")[0]
    with one_line_errors():
        client = AppClient(_anonymous("cognito-idp", region), pool_id, client_id)
    session = Session.of(pool_id, client_id, username)
    if sign_out:
        _sign_out(client, session)
        return
    try:
        with one_line_errors():
            tokens = _signed_in(client, session, username, password_stdin)
            found = _exchange(region, pool_id, identity_pool_id, tokens, role)
    except SignInRefused as refused:
        print(f"No credentials: {refused}", file=sys.stderr)
        raise typer.Exit(1) from None
    print(json.dumps(found))


def _anonymous(service: str, region: str) -> Any:
    """Return a client that signs nothing and reads no profile."""
    for name in _PROFILES:
        os.environ.pop(name, None)
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    patience = Config(
        connect_timeout=5,
        read_timeout=30,
        retries={"total_max_attempts": 3},
        signature_version=UNSIGNED,
    )
    return boto3.Session(region_name=region).client(service, config=patience)  # type: ignore[call-overload]


def _signed_in(client: AppClient, session: Session, username: str, password_stdin: bool) -> Tokens:
    kept = session.read()
    if kept is not None and not password_stdin:
        try:
            tokens = client.refresh(kept)
        except SignInRefused as refused:
            # What a rule refuses at a refresh it refuses at a login too: it is for the person.
            if refused.code != "NotAuthorizedException":
                raise
            session.forget()
        else:
            if tokens.refresh_token and tokens.refresh_token != kept:
                session.write(tokens.refresh_token)
            return tokens
    person = Person(_SIGN_IN)
    tokens = client.sign_in(username, password(person, from_stdin=password_stdin), person)
    if tokens.refresh_token:
        session.write(tokens.refresh_token)
    return tokens


def _exchange(
    region: str, pool_id: str, identity_pool_id: str, tokens: Tokens, role: str | None
) -> dict[str, Any]:
    from botocore.exceptions import ClientError

    identity = _anonymous("cognito-identity", region)
    logins = {f"cognito-idp.{region}.amazonaws.com/{pool_id}": tokens.id_token}
    request: dict[str, Any] = {"Logins": logins}
    if role is not None:
        request["CustomRoleArn"] = _granted(tokens, role)
    try:
        identity_id = identity.get_id(IdentityPoolId=identity_pool_id, Logins=logins)["IdentityId"]
        answer = identity.get_credentials_for_identity(IdentityId=identity_id, **request)
    except ClientError as error:
        said = error.response.get("Error", {})
        message = said.get("Message", "")
        if not tokens.id_claims.get("cognito:roles"):
            message = f"the rules grant this person no AWS role ({message})"
        raise SignInRefused(said.get("Code", ""), message) from error
    found = answer["Credentials"]
    return {
        "Version": 1,
        "AccessKeyId": found["AccessKeyId"],
        "SecretAccessKey": found["SecretKey"],
        "SessionToken": found["SessionToken"],
        "Expiration": found["Expiration"].isoformat(),
    }


def _granted(tokens: Tokens, role: str) -> str:
    """Return the ARN of a granted role, by its ARN or its name."""
    granted: list[str] = tokens.id_claims.get("cognito:roles") or []
    for arn in granted:
        if role in (arn, arn.rpartition("/")[2]):
            return arn
    names = ", ".join(arn.rpartition("/")[2] for arn in granted) or "none"
    stop(f"The rules do not grant the role {role}; they grant {names}.")


def _sign_out(client: AppClient, session: Session) -> None:
    from botocore.exceptions import ClientError

    kept = session.read()
    if kept is None:
        print("Nobody is signed in.")
        return
    # One that Cognito no longer knows needs no revocation.
    with one_line_errors(ClientError), contextlib.suppress(ClientError):
        client.cognito.revoke_token(ClientId=client.client_id, Token=kept)
    session.forget()
    print("Signed out: the refresh token is revoked, and deleted here.")


def _print_snippet(stack: DeployedStack, username: str, role: str | None) -> None:
    otherwise = _NO_STACK.format(stack.name)
    names = ("UserPoolId", "UserPoolClientId", "IdentityPoolId")
    pool_id, client_id, identity_pool_id = (
        stack.output(name, otherwise=otherwise) for name in names
    )
    command = (
        f"cognito-rules credentials {shlex.quote(username)} --pool {pool_id} --client {client_id} "
        f"--identity-pool {identity_pool_id}" + (f" --role {shlex.quote(role)}" if role else "")
    )
    print(
        f"[profile {stack.name}]\ncredential_process = {command}\nregion = {pool_id.split('_')[0]}"
    )
