"""``cognito-rules chain`` where there is no stack, no network, or no good document."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from cli.chain_changes import changes
from cli.main import app
from tests.loopback import Reply, Server

GUARD = '[[rules]]\nrule = "require_group"\nwhen = { applications = ["*"] }\n'
GOOD = GUARD + 'configuration = { groups = ["staff"] }\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "chain.toml"


def command(*arguments: str, env: dict[str, str | None] | None = None) -> Result:
    return CliRunner().invoke(app, ["chain", *arguments], env=env or {})


# A document that is refused --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        pytest.param("rules = [", 1, "no TOML", id="an open list"),
        pytest.param('a = 1\n\n[[rules]\nrule = "x"\n', 3, "no TOML", id="an open header"),
        pytest.param(GUARD + "mode = \n", 4, "no TOML: Invalid value", id="no value"),
        pytest.param("a = 1\n", 1, "unknown key 'a'", id="an unknown key"),
        pytest.param(GUARD, 1, "groups is missing", id="a missing setting"),
        pytest.param(GOOD + "\n" + GOOD, 6, "the id stands twice", id="a second entry"),
        pytest.param(
            GUARD + '[rules.configuration]\ngroups = [\n  "staff",\n  7,\n]\n',
            7,
            "groups[1] must be string",
            id="an item of a list",
        ),
        pytest.param(
            '[applications.abc]\nname = "wiki"\n[applications.def]\nname = "wiki"\n',
            4,
            "the name 'wiki' is taken",
            id="an application",
        ),
    ],
)
def test_a_problem_is_named_by_its_line(file: Path, text: str, line: int, reason: str) -> None:
    file.write_text(text)

    result = command("check", str(file), "--offline")

    assert result.exit_code == 1
    assert f"{file}:{line}: " in result.stderr
    assert reason in result.stderr
    assert "Traceback" not in result.output


def test_all_problems_are_named_in_the_order_of_their_lines(file: Path) -> None:
    file.write_text(GUARD + 'mode = "on"\n\n[[rules]]\nrule = "nobody"\n')

    result = command("check", str(file), "--offline", "--json")

    found = json.loads(result.stdout)
    assert result.exit_code == 1
    assert found["chain"] is None
    assert [problem["line"] for problem in found["problems"]] == [1, 4, 7]


@pytest.mark.parametrize("what", ["missing", "a folder", "no text"])
def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path, what: str) -> None:
    path = {"missing": tmp_path / "no.toml", "a folder": tmp_path}.get(what, tmp_path / "x.toml")
    if what == "no text":
        path.write_bytes(b"\xff\xfe")

    result = command("check", str(path), "--offline")

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert path.name in result.stderr


def test_a_good_document_is_named_by_its_version(file: Path) -> None:
    file.write_text(GOOD)
    said = command("check", str(file), "--offline")
    file.write_text("# a comment\n" + GOOD)

    again = command("check", str(file), "--offline", "--json")

    assert said.exit_code == again.exit_code == 0
    assert json.loads(again.stdout)["chain"] in said.stdout


@pytest.mark.parametrize("subcommand", ["check", "diff", "publish"])
def test_an_empty_file_is_no_chain_that_lets_everybody_in(file: Path, subcommand: str) -> None:
    file.write_text("\n")

    result = command(subcommand, str(file))

    assert result.exit_code == 2
    assert result.stderr == f"{file} is empty: write `rules = []` where no rule is to run.\n"


# Without a stack -------------------------------------------------------------------------------

COMMANDS = (["show"], ["check"], ["diff"], ["publish"], ["rollback"])


def closed_port() -> str:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize("arguments", COMMANDS)
def test_without_a_network_each_command_is_one_line(
    aws_environment: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    aws_environment.setenv("AWS_ENDPOINT_URL", closed_port())

    result = command(*arguments)

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "AWS cannot be asked" in result.stderr
    assert "is up, or unset it" in result.stderr


@pytest.mark.parametrize("arguments", COMMANDS)
def test_an_endpoint_that_is_no_address_is_one_line(
    aws_environment: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    aws_environment.setenv("AWS_ENDPOINT_URL", "localhost")

    result = command(*arguments)

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "set AWS_ENDPOINT_URL to an http address" in result.stderr


@pytest.mark.parametrize("arguments", COMMANDS)
def test_without_credentials_each_command_is_one_line(
    aws_environment: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    aws_environment.delenv("AWS_ACCESS_KEY_ID")
    aws_environment.delenv("AWS_SECRET_ACCESS_KEY")

    result = command(*arguments)

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert "AWS cannot be asked" in result.stderr


def error(code: str, message: str) -> Reply:
    said = f"<Code>{code}</Code><Message>{message}</Message>"
    document = f"<ErrorResponse><Error>{said}</Error></ErrorResponse>"
    return Reply(400, document.encode(), {"Content-Type": "text/xml"})


@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.parametrize(
    ("answer", "said"),
    [
        pytest.param(
            error("ValidationError", "Stack with id x does not exist"),
            "There is no stack x in this account and Region",
            id="unknown stack",
        ),
        pytest.param(
            error("ExpiredToken", "The security token is expired"),
            "ExpiredToken: The security token is expired. Sign in to AWS again",
            id="expired",
        ),
        pytest.param(
            error("AccessDenied", "Not you"), "Use credentials that may call it", id="no right"
        ),
    ],
)
def test_what_aws_refuses_is_one_line(
    amazon: Server, arguments: list[str], answer: Reply, said: str
) -> None:
    amazon.replies = [answer]

    result = command(*arguments, "--stack", "x")

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert said in result.stderr


@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.parametrize(
    ("status", "said"),
    [
        pytest.param("CREATE_COMPLETE", "x is no stack of Cognito Rules", id="another stack"),
        pytest.param("CREATE_IN_PROGRESS", "wait for the end of the deployment", id="half made"),
        pytest.param("ROLLBACK_COMPLETE", "look at its events and deploy again", id="failed"),
    ],
)
def test_a_stack_without_a_chain_is_one_line(
    amazon: Server, arguments: list[str], status: str, said: str
) -> None:
    document = (
        '<DescribeStacksResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">'
        "<DescribeStacksResult><Stacks><member><StackName>x</StackName>"
        f"<StackStatus>{status}</StackStatus></member></Stacks></DescribeStacksResult>"
        "</DescribeStacksResponse>"
    )
    amazon.replies = [Reply(200, document.encode(), {"Content-Type": "text/xml"})]

    result = command(*arguments, "--stack", "x")

    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1
    assert said in result.stderr


# What changes ----------------------------------------------------------------------------------


def a(name: str, **more: Any) -> dict[str, Any]:
    return {"rule": name, **more}


def documents(*entries: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"rules": list(entries), **more}


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        pytest.param(documents(a("x")), documents(a("x")), [], id="nothing"),
        pytest.param(
            documents(), documents(a("x")), [("added", "entry x", {"rule": (None, "x")})], id="new"
        ),
        pytest.param(documents(a("x")), documents(), [("removed", "entry x", {})], id="gone"),
        pytest.param(
            documents(a("x", id="one")),
            documents(a("x", id="two")),
            [
                ("removed", "entry one", {}),
                ("added", "entry two", {"rule": (None, "x"), "id": (None, "two")}),
            ],
            id="another id",
        ),
        pytest.param(
            documents(a("x", configuration={"a": {"b": 1}, "c": [1]})),
            documents(a("x", configuration={"a": {"b": 2}, "c": [1]}, mode="off")),
            [
                (
                    "changed",
                    "entry x",
                    {"configuration.a.b": (1, 2), "mode": (None, "off")},
                )
            ],
            id="a setting and a key",
        ),
        pytest.param(
            documents(a("x", rollout=1)),
            documents(a("x", rollout=True)),
            [("changed", "entry x", {"rollout": (1, True)})],
            id="a number becomes a truth",
        ),
        pytest.param(
            documents(a("x"), a("y"), a("z")),
            documents(a("z"), a("x"), a("y")),
            [("moved", "entry z", {})],
            id="one entry elsewhere",
        ),
        pytest.param(
            {"applications": {"abc": {"name": "wiki"}}},
            {"applications": {"abc": {"name": "wikis"}}},
            [("changed", "application abc", {"name": ("wiki", "wikis")})],
            id="an application",
        ),
        pytest.param(
            {},
            {"on_commit_failure": "refuse"},
            [("changed", "the document", {"on_commit_failure": (None, "refuse")})],
            id="a key of the document",
        ),
    ],
)
def test_what_changes(before: Any, after: Any, expected: list[Any]) -> None:
    found = [(c.kind, c.what, dict(c.values)) for c in changes(before, after)]

    assert found == expected
