"""The embedded AWS starts, says plainly why it cannot, and always ends what it started."""

import json
import os
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import urllib3
from typer.testing import CliRunner

from cli.main import app
from local import server
from local.__main__ import main
from local.errors import PortInUseError, SetUpError, StartError
from local.server import HOST, EmbeddedAws
from tests.local.user_pool import create_function

# Starts an emulator and a Lambda worker, tells their process ids, and stays.
OWNER = """
    import sys, threading, time
    sys.path.insert(0, {project!r})
    from local.server import EmbeddedAws
    from tests.local.user_pool import create_function
    with EmbeddedAws.started() as aws:
        arn = create_function(aws, {function!r})
        call = lambda: aws.client("lambda").invoke(FunctionName=arn, Payload=b"{{}}")
        threading.Thread(target=call, daemon=True).start()
        time.sleep(1.5)
        print(aws._process.pid, aws._folder, flush=True)
        time.sleep(60)
"""
# A function that never ends: its worker does not come back to read that nobody is there.
ENDLESS = "import time\n\n\ndef handler(event, context):\n    time.sleep(600)\n"


def processes_of_group(group: int) -> list[int]:
    """Processes of a process group that have not ended (a zombie has)."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, _parent, its_group = stat.read_text().rsplit(") ", 1)[1].split()[:3]
        except FileNotFoundError:
            continue
        if int(its_group) == group and state not in "ZX":
            found.append(int(stat.parent.name))
    return found


def wait_until_gone(group: int, folder: Path) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if not processes_of_group(group) and not folder.exists():
            return
        time.sleep(0.05)
    raise AssertionError(f"left behind: {processes_of_group(group)}, {folder.exists()=}")


@pytest.fixture
def owner(project: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that owns an emulator."""
    source = textwrap.dedent(OWNER).format(project=str(project), function=ENDLESS)
    process = subprocess.Popen(
        [sys.executable, "-c", source], stdout=subprocess.PIPE, text=True, cwd=project
    )
    yield process
    process.kill()
    process.communicate()


@pytest.mark.parametrize(
    "number",
    [
        pytest.param(signal.SIGINT, id="SIGINT"),
        pytest.param(signal.SIGTERM, id="SIGTERM"),
        pytest.param(signal.SIGKILL, id="SIGKILL"),
    ],
)
def test_nothing_outlives_its_owner_not_even_a_busy_worker(
    number: signal.Signals, owner: subprocess.Popen[str]
) -> None:
    assert owner.stdout is not None
    group, folder = owner.stdout.readline().split()
    assert len(processes_of_group(int(group))) == 2

    os.kill(owner.pid, number)

    wait_until_gone(int(group), Path(folder))


def test_an_exception_ends_it() -> None:
    def fail() -> None:
        with EmbeddedAws.started() as aws:
            started.append(aws)
            create_function(aws, ENDLESS)
            raise RuntimeError("in the middle")

    started: list[EmbeddedAws] = []
    with pytest.raises(RuntimeError, match="in the middle"):
        fail()

    wait_until_gone(started[0]._process.pid, started[0]._folder)


def test_stopping_twice_is_fine() -> None:
    with EmbeddedAws.started() as aws:
        aws.stop()

    assert not processes_of_group(aws._process.pid)


def test_a_server_that_is_killed_leaves_no_worker() -> None:
    with EmbeddedAws.started() as aws:
        arn = create_function(aws, "def handler(event, context):\n    return 1\n")
        aws.client("lambda").invoke(FunctionName=arn, Payload=b"{}")
        os.kill(aws._process.pid, signal.SIGKILL)
        aws.wait()

    wait_until_gone(aws._process.pid, aws._folder)


def test_it_listens_on_loopback_only(aws: EmbeddedAws) -> None:
    inodes = set()
    for fd in Path(f"/proc/{aws._process.pid}/fd").iterdir():
        try:
            target = fd.readlink()
        except FileNotFoundError:
            continue
        if str(target).startswith("socket:"):
            inodes.add(str(target)[8:-1])
    listening = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A" and fields[9] in inodes:
                listening.append(fields[1])

    assert listening == [f"0100007F:{aws.port:04X}"]


def test_iam_is_enforced(aws: EmbeddedAws) -> None:
    denied = (
        "import boto3\n\n\ndef handler(event, context):\n    boto3.client('s3').list_buckets()\n"
    )
    arn = create_function(aws, denied)

    answer = aws.client("lambda").invoke(FunctionName=arn, Payload=b"{}")

    assert b"AccessDenied" in answer["Payload"].read()


def test_two_run_side_by_side(aws: EmbeddedAws) -> None:
    with EmbeddedAws.started() as other:
        other.client("cognito-idp").create_user_pool(PoolName="only-there")
        pools = aws.client("cognito-idp").list_user_pools(MaxResults=60)["UserPools"]

    assert "only-there" not in [pool["Name"] for pool in pools]


def test_child_processes_talk_to_it_and_to_no_real_account(
    aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "real")

    environment = aws.environment

    assert "AWS_PROFILE" not in environment
    assert "AWS_SESSION_TOKEN" not in environment
    assert environment["AWS_ENDPOINT_URL"] == aws.endpoint
    assert environment["AWS_CONFIG_FILE"] == os.devnull


class TestWhatCannotStart:
    def test_a_port_in_use(self, capsys: pytest.CaptureFixture[str]) -> None:
        with socket.socket() as taken:
            taken.bind((HOST, 0))
            taken.listen()
            port = taken.getsockname()[1]

            assert main(["start", "--port", str(port)]) == 1

            with pytest.raises(PortInUseError), EmbeddedAws.started(port):
                pass
        assert capsys.readouterr().err.splitlines() == [
            f"Port {port} on {HOST} is in use: stop what listens there, or choose another port."
        ]

    def test_a_missing_environment(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        monkeypatch.setattr(server, "EMULATOR_PYTHON", tmp_path / "bin" / "python")

        assert main(["start"]) == 1

        with pytest.raises(SetUpError), EmbeddedAws.started():
            pass
        assert capsys.readouterr().err.splitlines() == [
            "The emulator's environment (.venv-aws) is missing: run `make setup`."
        ]

    def test_an_environment_of_another_python(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        python = tmp_path / "python"
        python.write_text("#!/bin/sh\necho 'Python 3.12.1'\n")
        python.chmod(0o755)
        monkeypatch.setattr(server, "EMULATOR_PYTHON", python)

        assert main(["start"]) == 1

        assert capsys.readouterr().err.splitlines() == [
            "The emulator's environment (.venv-aws) has no Python 3.13: run `make setup`."
        ]

    def test_a_server_that_ends_at_once(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
    ) -> None:
        python = tmp_path / "python"
        python.write_text(
            "#!/bin/sh\n[ \"$1\" = --version ] && echo 'Python 3.13.0' && exit\n"
            "echo 'no such luck'\nexit 3\n"
        )
        python.chmod(0o755)
        monkeypatch.setattr(server, "EMULATOR_PYTHON", python)

        assert main(["start"]) == 1

        with pytest.raises(StartError), EmbeddedAws.started():
            pass
        assert capsys.readouterr().err.splitlines() == [
            "The embedded AWS ended while it started. Its last lines:",
            "no such luck",
        ]


class TestSettings:
    def test_are_changed_and_reset(self, aws: EmbeddedAws) -> None:
        try:
            changed = aws.configure_cognito(deliveries=2, trigger_order="pre_token_first")
            assert (changed["deliveries"], changed["trigger_order"]) == (2, "pre_token_first")
        finally:
            reset = aws.configure_cognito(reset=True)

        assert (reset["deliveries"], reset["trigger_order"]) == (1, "post_authentication_first")

    @pytest.mark.parametrize(
        ("settings", "named"),
        [
            pytest.param({"deliveries": 4}, "deliveries", id="too many"),
            pytest.param({"deliveries": True}, "deliveries", id="a boolean for a number"),
            pytest.param({"pre_token_fires": 1}, "pre_token_fires", id="a number for a boolean"),
            pytest.param({"trigger_order": "random"}, "trigger_order", id="an unknown order"),
            pytest.param({"trigger_ordr": "pre_token_first"}, "trigger_ordr", id="a typing error"),
            pytest.param({"deliveries": 2, "nonsense": 1}, "nonsense", id="one good, one unknown"),
        ],
    )
    def test_that_are_wrong_change_nothing(
        self, settings: dict[str, object], named: str, aws: EmbeddedAws
    ) -> None:
        before = aws.configure_cognito()

        with pytest.raises(ValueError, match=named):
            aws.configure_cognito(**settings)

        assert aws.configure_cognito() == before

    def test_have_no_other_paths(self, aws: EmbeddedAws) -> None:
        response = urllib3.request("GET", f"{aws.endpoint}/_local/nothing", retries=False)

        assert response.status == 404


def test_a_started_stack_says_how_to_sign_in_to_it() -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "local", "start", "--parameter", "RecordLoginsDays=1"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=server.PROJECT,
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line.strip())
            if "AWS_DEFAULT_REGION" in line:
                break
        exports = [line.removeprefix("export ") for line in said if line.startswith("export ")]
        environment = dict(line.split("=", 1) for line in exports)
        [password] = [line.split("the password: ")[1] for line in said if "can sign in" in line]

        signed_in = CliRunner().invoke(
            app,
            ["login", "ada@example.com", "--password-stdin", "--json"],
            input=password,
            env=environment | {"AWS_PROFILE": None},
        )
    finally:
        process.terminate()
        process.communicate()

    assert json.loads(signed_in.stdout)["id_token"]["email"] == "ada@example.com"
    assert any(line.startswith("ReadRecordingsPolicy = ") for line in said)
    assert "source .venv/bin/activate" in said


def test_a_parameter_without_a_value_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["start", "--parameter", "RecordLoginsDays"])

    assert ended.value.code == 2
    assert "'RecordLoginsDays' is not NAME=VALUE" in capsys.readouterr().err
