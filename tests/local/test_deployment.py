"""Deploying a stack into the embedded AWS: built when needed, and one line when it fails."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

from local import deployment, leash
from local.errors import DeploymentError, SetUpError
from local.server import EmbeddedAws

TEMPLATE = """
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Parameters:
  Greeting: {Type: String, Default: hello}
Resources:
  Topic:
    Type: AWS::SNS::Topic
    Properties: {TopicName: !Sub "${AWS::StackName}-${Greeting}"}
Outputs:
  Topic: {Value: !Ref Topic}
"""
CONFIGURATION = """
version = 0.1
[local.global.parameters]
stack_name = "STACK"
region = "eu-west-1"
[local.deploy.parameters]
capabilities = "CAPABILITY_IAM"
confirm_changeset = false
fail_on_empty_changeset = false
resolve_s3 = true
parameter_overrides = ["Greeting=configured"]
"""


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project of its own, which is what gets deployed."""
    (tmp_path / "template.yaml").write_text(TEMPLATE)
    (tmp_path / "chain.toml").write_text("")
    stack = f"test-{uuid4().hex[:8]}"
    (tmp_path / "samconfig.toml").write_text(CONFIGURATION.replace("STACK", stack))
    monkeypatch.setattr(deployment, "PROJECT", tmp_path)
    monkeypatch.setattr(deployment, "STATE", tmp_path / ".local")
    monkeypatch.setattr(deployment, "BUILT", tmp_path / ".aws-sam" / "build" / "template.yaml")
    monkeypatch.setattr(deployment, "DIGEST", tmp_path / ".local" / "build.sha256")
    return tmp_path


def test_a_stack_is_deployed_and_an_unchanged_one_not_built_again(
    aws: EmbeddedAws, elsewhere: Path
) -> None:
    said: list[str] = []

    outputs = deployment.deploy(aws, say=said.append)

    assert outputs["Topic"].endswith("-configured")
    assert "Building with sam build." in said

    said.clear()
    outputs = deployment.deploy(aws, parameters={"Greeting": "given"}, say=said.append)
    assert outputs["Topic"].endswith("-given")
    assert "Building with sam build." not in said

    said.clear()
    (elsewhere / "functions").mkdir()
    (elsewhere / "functions" / "app.py").write_text("")
    deployment.build(aws, say=said.append)
    assert said == ["Building with sam build."]


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        pytest.param(
            "{Type: AWS::Cognito::UserPoolClient, Properties: {UserPoolId: eu-west-1_gone}}",
            r"sam deploy failed: Broken: .*eu-west-1_gone",
            id="a resource that cannot be created",
        ),
        pytest.param(
            "{Type: AWS::Nothing::Here}",
            r"sam deploy failed: .*AWS::Nothing::Here",
            id="a type that does not exist",
        ),
    ],
)
def test_a_failed_deployment_says_the_first_reason_in_one_line(
    resource: str, reason: str, aws: EmbeddedAws, elsewhere: Path
) -> None:
    broken = TEMPLATE.replace("Outputs:", f"  Broken: {resource}\nOutputs:")
    (elsewhere / "template.yaml").write_text(broken)

    with pytest.raises(DeploymentError, match=reason) as failed:
        deployment.deploy(aws)

    assert len(str(failed.value).splitlines()) == 1


def test_a_failed_build_says_why_in_one_line_and_is_tried_again(
    aws: EmbeddedAws, elsewhere: Path
) -> None:
    (elsewhere / "template.yaml").write_text("Resources: [")

    for _ in range(2):
        with pytest.raises(DeploymentError, match="sam build failed: Error:") as failed:
            deployment.build(aws)
        assert len(str(failed.value).splitlines()) == 1


def test_without_sam_it_says_to_set_up(
    aws: EmbeddedAws, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    monkeypatch.setenv("PATH", "/nowhere")

    with pytest.raises(SetUpError, match="make setup"):
        deployment.build(aws)


class TestALeash:
    def test_gives_back_what_the_command_said(self, tmp_path: Path) -> None:
        command = [sys.executable, "-c", "import os; print(os.getcwd()); exit(3)"]

        finished = leash.run(command, cwd=tmp_path, env=dict(os.environ))

        assert (finished.returncode, finished.stdout) == (3, f"{tmp_path}\n")

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_ends_the_command_with_its_owner(
        self, number: signal.Signals, project: Path, tmp_path: Path
    ) -> None:
        said = tmp_path / "said"
        sleeper = (
            f"import os, time; open({str(said)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
        )
        owner = (
            "import os, sys; from pathlib import Path; from local import leash; "
            f"leash.run([sys.executable, '-c', {sleeper!r}], cwd=Path('.'), env=dict(os.environ))"
        )
        process = subprocess.Popen(
            [sys.executable, "-c", owner], cwd=project, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 10
        while (not said.exists() or not said.read_text()) and time.monotonic() < deadline:
            time.sleep(0.05)
        sleeping = Path(f"/proc/{said.read_text()}/stat")

        process.send_signal(number)
        process.wait(10)

        while sleeping.exists() and sleeping.read_text().rsplit(") ", 1)[1][0] not in "ZX":
            assert time.monotonic() < deadline, "the command outlived its owner"
            time.sleep(0.05)
