"""``cognito-rules login`` and ``credentials`` against the deployed stack, as a person uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import boto3
import pytest

from local.server import EmbeddedAws
from local.sign_in import App, SignInRefused
from local.stack import Person, Stack
from tests import terminal

PROGRAM = str(Path(sys.executable).parent / "cognito-rules")
READ_ONLY = "aws-read-only"
DEVELOPER = "aws-developer"
CLAIM = "https://example.com/chain"

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def environment(aws: EmbeddedAws, tmp_path: Path) -> dict[str, str]:
    """An operator's, with a home of the test."""
    return aws.environment | {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / ".config")}


@pytest.fixture
def nobody(aws: EmbeddedAws, environment: dict[str, str]) -> dict[str, str]:
    """A person's, who has no AWS credentials."""
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION")
    return {name: value for name, value in environment.items() if name not in keys}


def run(
    environment: dict[str, str], *arguments: str, typed: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run the command without a terminal, as a program does."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env=environment,
        input=typed,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        start_new_session=True,
    )


def ids(stack: Stack) -> list[str]:
    outputs = stack.outputs
    names = {
        "--pool": "UserPoolId",
        "--client": "UserPoolClientId",
        "--identity-pool": "IdentityPoolId",
    }
    return [part for option, name in names.items() for part in (option, outputs[name])]


# login --------------------------------------------------------------------------------------------


def test_a_login_shows_what_the_tokens_say(
    environment: dict[str, str], new_person: Callable[..., Person]
) -> None:
    person = new_person(groups=["staff"])

    shown = run(environment, "login", person.username, "--password-stdin", typed=person.password)
    result = run(
        environment, "login", person.username, "--password-stdin", "--json", typed=person.password
    )

    assert shown.returncode == 0, shown.stderr
    assert CLAIM in shown.stdout
    assert "Good for 15 minutes." in shown.stdout
    assert "customize_token_claims_and_scopes" in shown.stdout  # the trace
    said = json.loads(result.stdout)
    assert said["id_token"][CLAIM] == said["access_token"][CLAIM] == "decided"
    assert said["expires_in"] == 900


def test_a_temporary_password_is_replaced_at_the_terminal(
    environment: dict[str, str], new_person: Callable[..., Person]
) -> None:
    person = new_person(groups=["staff"], temporary=True)
    answers = [("Password:", person.password), ("New password", "Better-than-1-old")]

    code, screen = terminal.run(
        [PROGRAM, "login", person.username],
        environment,
        [*answers, ("Once more", "Better-than-1-old")],
    )

    assert code == 0, screen
    assert CLAIM in screen
    assert "Better-than-1-old" not in screen
    assert person.password not in screen


@pytest.mark.parametrize(
    ("groups", "password", "said"),
    [
        pytest.param(["staff"], "Wrong-password-1", "NotAuthorizedException", id="wrong password"),
        pytest.param([], None, "You do not have access to this application", id="a rule refuses"),
    ],
)
def test_a_refusal_is_one_line(
    environment: dict[str, str],
    new_person: Callable[..., Person],
    groups: Sequence[str],
    password: str | None,
    said: str,
) -> None:
    person = new_person(groups=groups)

    result = run(
        environment,
        *["login", person.username, "--password-stdin", "--no-trace"],
        typed=password or person.password,
    )

    assert result.returncode == 1
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


def test_the_trace_of_a_refusal_is_shown(
    environment: dict[str, str], new_person: Callable[..., Person]
) -> None:
    person = new_person(groups=[])

    result = run(environment, "login", person.username, "--password-stdin", typed=person.password)

    assert result.returncode == 1
    assert "group_required" in result.stdout


def test_another_client_and_one_with_a_secret(
    aws: EmbeddedAws,
    stack: Stack,
    environment: dict[str, str],
    new_person: Callable[..., Person],
) -> None:
    person = new_person(groups=["staff"])
    cognito = aws.client("cognito-idp")
    clients = [
        cognito.create_user_pool_client(
            UserPoolId=stack.pool_id, ClientName="c", GenerateSecret=True, ExplicitAuthFlows=[flow]
        )["UserPoolClient"]["ClientId"]
        for flow in ("ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH")
    ]

    allowed, refused = (
        run(
            environment,
            "login",
            person.username,
            "--client",
            client,
            "--password-stdin",
            typed=person.password,
        )
        for client in clients
    )

    assert allowed.returncode == 0, allowed.stderr
    assert refused.returncode == 1
    assert "USER_SRP_AUTH" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param(["login", "ada"], "give the password with --password-stdin", id="no terminal"),
        pytest.param(["login", "ada", "--password-stdin"], "holds no password", id="no password"),
        pytest.param(["login", "ada", "--stack", "absent"], "There is no stack absent", id="stack"),
        pytest.param(
            ["login", "ada", "--client", "absent"], "DescribeUserPoolClient: ", id="no such client"
        ),
        pytest.param(["credentials", "ada"], "Give --pool, --client and", id="no ids"),
        pytest.param(
            ["credentials", "ada", "--pool", "x", "--client", "y", "--identity-pool", "z"],
            "x is no id of a user pool",
            id="a wrong id",
        ),
    ],
)
def test_wrong_input_is_one_line(
    stack: Stack, environment: dict[str, str], arguments: list[str], said: str
) -> None:
    result = run(environment, *arguments)

    assert result.returncode == 2
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


# credentials --------------------------------------------------------------------------------------


@pytest.fixture
def signed_in(
    stack: Stack, nobody: dict[str, str], new_person: Callable[..., Person]
) -> tuple[Person, Path]:
    """A person with two roles who has signed in, and the file that keeps the session."""
    person = new_person(groups=["staff", READ_ONLY, DEVELOPER])
    result = run(
        nobody,
        *["credentials", person.username, *ids(stack), "--password-stdin"],
        typed=person.password,
    )
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["Version"] == 1
    [kept] = Path(nobody["XDG_CONFIG_HOME"]).rglob("*.json")
    return person, kept


def test_aws_tools_get_the_role_by_a_profile(
    aws: EmbeddedAws,
    stack: Stack,
    environment: dict[str, str],
    nobody: dict[str, str],
    signed_in: tuple[Person, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    person, _ = signed_in
    snippet = run(environment, "credentials", person.username, "--snippet", "--role", "x").stdout
    profile = snippet.replace("= cognito-rules", f"= {PROGRAM}").replace(
        "--role x", f"--role {stack.role_of_group[READ_ONLY].rpartition('/')[2]}"
    )
    (tmp_path / "config").write_text(profile)
    for name in os.environ.keys() - nobody.keys():
        monkeypatch.delenv(name)
    for name, value in nobody.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_PROFILE", "cognito-rules")

    session = boto3.Session()
    identity = session.client("sts").get_caller_identity()

    assert session.region_name == "eu-west-1"
    assert identity["Arn"].split("/")[1] == stack.role_of_group[READ_ONLY].rpartition("/")[2]
    objects = session.client("s3").list_objects_v2
    with pytest.raises(session.client("s3").exceptions.ClientError, match="AccessDenied"):
        objects(Bucket=stack.outputs["ExampleBucket"])


def test_the_session_is_kept_for_its_owner_alone(signed_in: tuple[Person, Path]) -> None:
    person, kept = signed_in

    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o077 == 0
    assert json.loads(kept.read_text()).keys() == {"refresh_token"}
    assert person.name not in kept.name


def test_a_session_that_others_can_read_is_refused(
    stack: Stack, nobody: dict[str, str], signed_in: tuple[Person, Path]
) -> None:
    person, kept = signed_in
    kept.chmod(0o640)

    result = run(nobody, "credentials", person.username, *ids(stack))

    assert result.returncode == 2
    assert "Others may read" in result.stderr


def test_a_session_that_ended_asks_for_a_sign_in(
    aws: EmbeddedAws, stack: Stack, nobody: dict[str, str], signed_in: tuple[Person, Path]
) -> None:
    person, kept = signed_in
    aws.client("cognito-idp").admin_user_global_sign_out(
        UserPoolId=stack.pool_id, Username=person.username
    )

    result = run(nobody, "credentials", person.username, *ids(stack))

    assert result.returncode == 2
    assert result.stderr.startswith("Nobody is signed in: run the command")
    assert result.stdout == ""
    assert not kept.exists()


def test_a_rule_that_refuses_refuses_credentials_too(
    stack: Stack, nobody: dict[str, str], signed_in: tuple[Person, Path]
) -> None:
    person, kept = signed_in
    stack.set_app_metadata(person.user_id, {"deleted": True})

    result = run(nobody, "credentials", person.username, *ids(stack))

    assert result.returncode == 1
    assert "No credentials: UserLambdaValidationException" in result.stderr
    assert result.stderr.count("\n") == 1
    assert kept.exists()


def test_a_role_that_is_not_granted_is_named_with_those_that_are(
    stack: Stack, nobody: dict[str, str], signed_in: tuple[Person, Path]
) -> None:
    person, _ = signed_in

    result = run(nobody, "credentials", person.username, *ids(stack), "--role", "administrator")

    assert result.returncode == 2
    granted = stack.role_of_group[READ_ONLY].rpartition("/")[2]
    assert "do not grant the role administrator" in result.stderr
    assert granted in result.stderr


def test_a_person_without_a_role_gets_no_credentials(
    stack: Stack, nobody: dict[str, str], new_person: Callable[..., Person]
) -> None:
    person = new_person(groups=["staff"])

    result = run(
        nobody,
        *["credentials", person.username, *ids(stack), "--password-stdin"],
        typed=person.password,
    )

    assert result.returncode == 1
    assert "the rules grant this person no AWS role" in result.stderr


def test_signing_out_revokes_and_forgets(
    stack: Stack, app: App, nobody: dict[str, str], signed_in: tuple[Person, Path]
) -> None:
    person, kept = signed_in
    token = json.loads(kept.read_text())["refresh_token"]

    first, second = (
        run(nobody, "credentials", person.username, *ids(stack), "--sign-out") for _ in range(2)
    )

    assert "Signed out" in first.stdout
    assert "Nobody is signed in" in second.stdout
    assert not kept.exists()
    with pytest.raises(SignInRefused, match="NotAuthorized"):
        stack.web.refresh_by_initiate_auth(token)


# tokens -------------------------------------------------------------------------------------------


def test_rules_that_do_not_run_here_are_invoked_in_the_stack(
    stack: Stack,
    environment: dict[str, str],
    new_person: Callable[..., Person],
    tmp_path: Path,
) -> None:
    person = new_person()
    event = json.loads(Path("events/cognito/TokenGeneration_Authentication_V3.json").read_text())
    event["request"]["groupConfiguration"] = {"groupsToOverride": [READ_ONLY]}
    event["request"]["userAttributes"]["sub"] = event["userName"] = person.user_id
    (tmp_path / "event.json").write_text(json.dumps(event))
    chain = '[[rules]]\nrule = "disable_flagged_users"\nwhen = { applications = ["*"] }\n'
    chain += '[[rules]]\nrule = "map_aws_role"\nwhen = { applications = ["*"] }\n'
    (tmp_path / "chain.toml").write_text(chain)
    command = ["tokens", str(tmp_path / "event.json"), "--chain", str(tmp_path / "chain.toml")]

    alone = run(environment, *command, "--json")
    deployed = run(environment, *command, "--json", "--stack", "cognito-rules")
    stack.set_app_metadata(person.user_id, {"deleted": True})
    flagged = run(environment, *command, "--stack", "cognito-rules")

    assert json.loads(alone.stdout)["not_run"].keys() == {"map_aws_role"}
    said = json.loads(deployed.stdout)
    assert said["id_token"]["after"]["cognito:roles"] == [stack.role_of_group[READ_ONLY]]
    assert said["not_run"] == {}
    assert flagged.returncode == 1
    assert "entry disable_flagged_users" in flagged.stdout
    # The one profile that was read is the one that the test wrote.
    assert stack.profile(person.user_id).keys() == {"pk", "app_metadata"}
