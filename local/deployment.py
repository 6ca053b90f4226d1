"""Deploy the stack into the embedded AWS: ``sam build`` if something changed, ``sam deploy``."""

import contextlib
import fcntl
import hashlib
import io
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local import leash
from local.errors import DeploymentError, SetUpError
from local.server import PROJECT, STATE, EmbeddedAws
from local.warm import warm_up

# What a build reads. Anything else in the repository does not change it.
BUILD_INPUTS = ("template.yaml", "samconfig.toml", "chain.toml", "functions", "layers", "tools")
NOT_INPUTS = frozenset({"__pycache__", ".mypy_cache", ".ruff_cache"})
CONFIGURATION = "local"
BEGINS = frozenset({"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS", "REVIEW_IN_PROGRESS"})
BUILT = PROJECT / ".aws-sam" / "build" / "template.yaml"
DIGEST = STATE / "build.sha256"


def deploy(
    aws: EmbeddedAws,
    *,
    parameters: Mapping[str, str] | None = None,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, str]:
    """Build and deploy the project's template unchanged and return the stack's outputs.

    Parameters
    ----------
    parameters : template parameters over those of samconfig.toml's ``[local]``.
    say : told in a line each what happens, as it begins.

    Raises
    ------
    SetUpError : there is no ``sam`` in this environment.
    DeploymentError : with the first lines that say why, or CloudFormation's first failed resource.
    """
    build(aws, say=say)
    say("Deploying with sam deploy.")
    command = ["deploy", "--config-env", CONFIGURATION, "--no-progressbar"]
    if parameters:
        # The option takes the place of the file's, so what the file says goes along.
        given = {**_configured_parameters(), **parameters}
        command += ["--parameter-overrides", *(f"{n}={v}" for n, v in given.items())]
    with _built_folder(fcntl.LOCK_SH):
        finished = _sam(aws, command)
    stack = _stack_name(finished.stdout)
    if finished.returncode != 0:
        raise DeploymentError(f"sam deploy failed: {_first_failure(aws, stack, finished)}")
    say("Starting the functions.")
    warm_up(aws, stack, (PROJECT / "chain.toml").read_text(encoding="utf-8"))
    return outputs(aws, stack)


def build(aws: EmbeddedAws, *, say: Callable[[str], None] = lambda line: None) -> None:
    """Run ``sam build`` unless the last good build had the same inputs."""
    with _built_folder(fcntl.LOCK_EX):
        digest = _digest_of_inputs()
        if BUILT.exists() and DIGEST.exists() and DIGEST.read_text() == digest:
            return
        say("Building with sam build.")
        DIGEST.unlink(missing_ok=True)
        finished = _sam(aws, ["build", "--config-env", CONFIGURATION])
        if finished.returncode != 0:
            raise DeploymentError(f"sam build failed: {_reason(finished)}")
        DIGEST.write_text(digest)


def packed(artifact: Path, replaced: Mapping[str, str] | None = None) -> bytes:
    """Return a built function as a zip file, with other texts in the files that ``replaced`` names.

    ``artifact`` is a folder beside ``BUILT``.

    Raises
    ------
    FileNotFoundError : there is no such build.
    """
    files = sorted(path for path in artifact.rglob("*") if path.is_file())
    if not files:
        raise FileNotFoundError(artifact)
    other = replaced or {}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in files:
            name = path.relative_to(artifact).as_posix()
            archive.writestr(name, other[name] if name in other else path.read_bytes())
    return packed.getvalue()


@contextlib.contextmanager
def _built_folder(mode: int) -> Iterator[None]:
    """Keep the built folder from being written (LOCK_SH), or from being read or written (LOCK_EX).

    Two test processes, or a demo beside the tests, share it.
    """
    STATE.mkdir(exist_ok=True)
    with (STATE / "build.lock").open("w") as lock:
        fcntl.flock(lock, mode)
        yield


def outputs(aws: EmbeddedAws, stack: str) -> dict[str, str]:
    """Return the outputs of a deployed stack by name."""
    described = aws.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]
    return {item["OutputKey"]: item["OutputValue"] for item in described.get("Outputs", [])}


def _configured_parameters() -> dict[str, str]:
    configured = tomllib.loads((PROJECT / "samconfig.toml").read_text(encoding="utf-8"))
    given: list[str] = configured[CONFIGURATION]["deploy"]["parameters"]["parameter_overrides"]
    return dict(parameter.split("=", 1) for parameter in given)


def _sam(aws: EmbeddedAws, arguments: list[str]) -> subprocess.CompletedProcess[str]:
    # Beside this interpreter first: make puts the environment on the path, an IDE does not.
    beside = Path(sys.executable).parent
    path = f"{beside}{os.pathsep}{os.environ.get('PATH', '')}"
    sam = shutil.which("sam", path=path)
    if sam is None:
        raise SetUpError("`sam` is not installed in this environment: run `make setup`.")
    # By default sam looks after the stack's events every five seconds.
    environment = aws.environment | {"PATH": path, "SAM_CLI_POLL_DELAY": "0.3"}
    command = [sam, *arguments]
    if Path(sam).parent == beside:
        command = [sys.executable, "-P", str(Path(__file__).with_name("quick_sam.py")), *command]
    return leash.run(command, cwd=PROJECT, env=environment)


def _stack_name(output: str) -> str:
    """Return the stack's name as ``sam deploy`` prints it; it comes from samconfig.toml."""
    found = re.search(r"Stack name\s*:\s*(\S+)", output)
    return found[1] if found else ""


def _first_failure(aws: EmbeddedAws, stack: str, finished: subprocess.CompletedProcess[str]) -> str:
    try:
        events: list[dict[str, Any]] = (
            aws.client("cloudformation").describe_stack_events(StackName=stack)["StackEvents"]
            if stack
            else []
        )
    except ClientError:
        events = []
    failures = []
    for event in events:
        if event["ResourceStatus"].endswith("_FAILED") and event.get("ResourceStatusReason"):
            failures.append(f"{event['LogicalResourceId']}: {event['ResourceStatusReason']}")
        # Newest first, so this is where the deployment began; what is older is another one's.
        if event["PhysicalResourceId"] == event["StackId"] and event["ResourceStatus"] in BEGINS:
            break
    # The first failure is the cause, the later ones are its consequences.
    return failures[-1] if failures else _reason(finished)


def _reason(finished: subprocess.CompletedProcess[str]) -> str:
    """Return the line of sam's output that says why, or its last one."""
    lines = [line.strip() for line in f"{finished.stdout}\n{finished.stderr}".splitlines()]
    errors = [line for line in lines if line.startswith(("Error:", "Build Failed"))]
    said = errors or [line for line in lines if line] or ["it said nothing"]
    return said[-1]


def _digest_of_inputs() -> str:
    digest = hashlib.sha256()
    for path in sorted(_inputs()):
        digest.update(f"{path.relative_to(PROJECT)}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _inputs() -> Iterator[Path]:
    for name in BUILD_INPUTS:
        top = PROJECT / name
        if top.is_file():
            yield top
        for path in top.rglob("*"):
            if path.is_file() and not NOT_INPUTS.intersection(path.parts):
                yield path
