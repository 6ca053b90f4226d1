"""Start the embedded AWS as a child process, wait for it, and always end it.

The child is ``python -m local.aws``, run by the emulator's own environment (``.venv-aws``), in
a process group of its own together with the Lambda workers that it starts. Its standard input
is a pipe whose other end only this process holds: when this process ends in whatever way,
also by SIGKILL, the pipe closes and the child ends itself and its workers (``local.aws.lifeline``).
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import urllib3
from botocore import UNSIGNED
from botocore.config import Config

from local.errors import PortInUseError, SetUpError, StartError

PROJECT = Path(__file__).resolve().parent.parent
STATE = PROJECT / ".local"
EMULATOR_PYTHON = PROJECT / ".venv-aws" / "bin" / "python"

REGION = "eu-west-1"
ACCOUNT_ID = "000000000000"
HOST = "127.0.0.1"

ONE_ATTEMPT = Config(retries={"total_max_attempts": 1}, read_timeout=60)
START_SECONDS = 30.0
STOP_SECONDS = 4.0
KEPT_LOGS = 10


class EmbeddedAws:
    """One running emulator. Make it with ``EmbeddedAws.started()``."""

    def __init__(self, port: int, process: subprocess.Popen[bytes], folder: Path, log: Path):
        self.port = port
        self.endpoint = f"http://{HOST}:{port}"
        self.log_path = log
        self._clients: dict[tuple[str, str, str | None], Any] = {}
        self._process = process
        self._folder = folder

    @classmethod
    @contextlib.contextmanager
    def started(cls, port: int | None = None) -> Iterator["EmbeddedAws"]:
        """Start an emulator, yield it when it answers, and end it with all its processes.

        Parameters
        ----------
        port : the TCP port on 127.0.0.1, or None for a free one.

        Raises
        ------
        SetUpError : the emulator's environment, or its Python 3.13, is missing.
        PortInUseError : ``port`` is taken.
        StartError : the server ended while it started (with its last log lines), or was silent
            for 30 seconds.
        """
        aws = _start(port)
        try:
            yield aws
        finally:
            aws.stop()

    @property
    def state(self) -> Path:
        """Folder in which the emulator keeps its state, signing keys among it."""
        return self._folder / "state"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a child process (sam, a script) that shall talk to this emulator only.

        It is the caller's environment without any real AWS profile, plus the endpoint, the test
        credentials and the region.
        """
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith("AWS_")
        }
        return inherited | {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_REGION": REGION,
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "AWS_EC2_METADATA_DISABLED": "true",
            "SAM_CLI_TELEMETRY": "0",
        }

    def client(
        self, service: str, credentials: Mapping[str, str] | None = None, **kwargs: Any
    ) -> Any:
        """Return a boto3 client of this emulator.

        Parameters
        ----------
        service : boto3's service name, e.g. ``cognito-idp``.
        credentials : ``AccessKeyId``, ``SecretAccessKey`` and ``SessionToken`` as STS and identity
            pools return them (``SecretKey`` is accepted too); None for the account's root key.
        kwargs : passed on to boto3, e.g. ``config``.
        """
        given = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test"}
        key = (service, given["AccessKeyId"], given.get("SessionToken"))
        # Making a client takes a tenth of a second, and threads may share one.
        if not kwargs and key in self._clients:
            return self._clients[key]
        config = kwargs.pop("config", None)
        client = boto3.session.Session().client(
            service,  # type: ignore[call-overload]
            endpoint_url=self.endpoint,
            region_name=REGION,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given.get("SecretAccessKey") or given["SecretKey"],
            aws_session_token=given.get("SessionToken"),
            config=config or ONE_ATTEMPT,
            **kwargs,
        )
        if config is None and not kwargs:
            self._clients[key] = client
        return client

    def public_client(self, service: str) -> Any:
        """Return a boto3 client that signs nothing: a browser or a phone has no credentials."""
        key = (service, "", None)
        if key not in self._clients:
            unsigned = ONE_ATTEMPT.merge(Config(signature_version=UNSIGNED))
            self._clients[key] = self.client(service, config=unsigned)
        return self._clients[key]

    def configure_cognito(self, **settings: Any) -> dict[str, Any]:
        """Change settings of the completed Cognito and return all of them.

        The names are those of ``local.aws.settings.Settings``; ``reset=True`` restores the
        defaults first. ValueError for an unknown name or value.
        """
        return self._local("PUT", "/_local/cognito", settings)

    @contextlib.contextmanager
    def outage(self, faults: Mapping[str, str]) -> Iterator[None]:
        """Have services down for the functions of the stack, as ``local.aws.faults`` describes.

        ``faults`` is service, or ``lambda:<function>`` -> ``unavailable``, ``slow``, ``throttled``
        or ``denied``. ValueError for an unknown one.
        """
        self._local("PUT", "/_local/faults", dict(faults))
        try:
            yield
        finally:
            self._local("PUT", "/_local/faults", {})

    def trigger_calls(self, **equal: str) -> list[dict[str, Any]]:
        """Return the recorded Lambda trigger calls, oldest first.

        Each has ``trigger``, ``source``, ``pool``, ``client``, ``user``, ``delivery`` (1 to 3),
        ``outcome`` (``ok``, or the error code the caller saw) and ``dropped`` (protected claims
        that the answer named). ``equal`` keeps the calls whose field equals the given value.
        """
        calls: list[dict[str, Any]] = self._local("GET", "/_local/cognito/triggers", None)["calls"]
        return [call for call in calls if all(call[name] == value for name, value in equal.items())]

    def forget_trigger_calls(self) -> None:
        """Empty the list that ``trigger_calls`` reads."""
        self._local("DELETE", "/_local/cognito/triggers", None)

    def _local(self, method: str, path: str, body: dict[str, Any] | None) -> dict[str, Any]:
        response = urllib3.request(
            method, self.endpoint + path, json=body, timeout=10, retries=False
        )
        answer: dict[str, Any] = response.json()
        if response.status != 200:
            raise ValueError(answer["message"])
        return answer

    def wait(self) -> None:
        """Wait until the server ends, which it does by itself only when something is wrong."""
        os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)

    def has_ended(self) -> bool:
        """Whether the server has ended; ``stop`` is still to be called."""
        if self._process.returncode is not None:
            return True
        flags = os.WEXITED | os.WNOWAIT | os.WNOHANG
        return os.waitid(os.P_PID, self._process.pid, flags) is not None

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines the server wrote."""
        return "\n".join(self.log_path.read_text(errors="replace").splitlines()[-lines:])

    def stop(self) -> None:
        """End the server and every process it started; calling it again does nothing."""
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        deadline = time.monotonic() + STOP_SECONDS
        while not self.has_ended() and time.monotonic() < deadline:
            time.sleep(0.01)
        if self._process.returncode is None:
            # Not reaped yet, so the group's number is still ours: a worker may have outlived it.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        shutil.rmtree(self._folder, ignore_errors=True)


def _start(port: int | None) -> EmbeddedAws:
    if not EMULATOR_PYTHON.exists():
        raise SetUpError("The emulator's environment (.venv-aws) is missing: run `make setup`.")
    # The workers run as this Python, and functions are written for Lambda's python3.13.
    asked = subprocess.run(
        [str(EMULATOR_PYTHON), "--version"], capture_output=True, text=True, check=False
    )
    if not asked.stdout.startswith("Python 3.13."):
        raise SetUpError(
            "The emulator's environment (.venv-aws) has no Python 3.13: run `make setup`."
        )
    chosen = _free_port() if port is None else port
    if port is not None and not _is_free(port):
        raise PortInUseError(
            f"Port {port} on {HOST} is in use: stop what listens there, or choose another port."
        )
    logs = STATE / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for old in sorted(logs.glob("emulator-*.log"), key=_age)[:-KEPT_LOGS]:
        old.unlink(missing_ok=True)
    log = logs / f"emulator-{os.getpid()}-{chosen}.log"
    folder = Path(tempfile.mkdtemp(prefix=f"emulator-{chosen}-", dir=STATE))
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(EMULATOR_PYTHON), "-m", "local.aws"],
            cwd=PROJECT,
            env=_server_environment(chosen, folder),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    aws = EmbeddedAws(chosen, process, folder, log)
    try:
        _wait_until_it_answers(aws, process)
    except BaseException:
        aws.stop()
        raise
    return aws


def _wait_until_it_answers(aws: EmbeddedAws, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if aws.has_ended():
            raise StartError(
                f"The embedded AWS ended while it started. Its last lines:\n{aws.log_tail()}"
            )
        try:
            health = urllib3.request(
                "GET", f"{aws.endpoint}/_local/health", timeout=1, retries=False
            )
            # Another program can have taken the free port meanwhile: only our child knows its id.
            if health.status == 200 and health.json() == {"process": process.pid}:
                return
        except (urllib3.exceptions.HTTPError, ValueError):
            pass
        time.sleep(0.05)
    raise StartError(
        f"The embedded AWS did not answer within {START_SECONDS:.0f} seconds. "
        f"Its last lines:\n{aws.log_tail()}"
    )


def _server_environment(port: int, folder: Path) -> dict[str, str]:
    temporary = folder / "tmp"
    temporary.mkdir()
    dropped = ("AWS_", "MINISTACK", "LOCALSTACK", "LAMBDA_", "VIRTUAL_ENV", "PYTHON", "SERVICES")
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(dropped)}
    return inherited | {
        "AUTH": "true",
        "BIND_HOST": HOST,
        "GATEWAY_PORT": str(port),
        "MINISTACK_REGION": REGION,
        "MINISTACK_ACCOUNT_ID": ACCOUNT_ID,
        "MINISTACK_COGNITO_PRETOKEN_STRICT": "1",
        "STATE_DIR": str(folder / "state"),
        "TMPDIR": str(temporary),
        # Both would listen on every interface, and nothing here needs them.
        "IOT_MTLS_ENABLED": "0",
        "SFTP_ENABLED": "0",
        "PYTHONUNBUFFERED": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
        return True


def _age(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0
