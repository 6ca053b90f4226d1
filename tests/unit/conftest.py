"""What tests of functions share that call AWS: it is a server on loopback."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, settings

from cognito_rules.aws import Aws
from cognito_rules.executors import invoker_threads
from tests.log_lines import LogLines, log_lines
from tests.loopback import Server, serving
from tests.unit.core.login_subject import Subject

# A busy machine draws and runs an example slowly, which says nothing of the code.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")


@pytest.fixture
def aws_environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Set a region and credentials of nobody, and let nothing of this machine be found."""
    for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL_DYNAMODB"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-nobody")
    monkeypatch.delenv("AWS_SESSION_TOKEN", raising=False)
    return monkeypatch


@pytest.fixture
def amazon(aws_environment: pytest.MonkeyPatch) -> Iterator[Server]:
    """Serve on loopback what takes the place of every AWS service."""
    with serving() as server:
        aws_environment.setenv("AWS_ENDPOINT_URL", server.url)
        yield server


@pytest.fixture
def aws(amazon: Server) -> Aws:
    return Aws()


@pytest.fixture
def lines() -> Iterator[LogLines]:
    """Collect what is logged during the test."""
    with log_lines() as written:
        yield written


@pytest.fixture
def subject(amazon: Server) -> Iterator[Subject]:
    with invoker_threads() as threads:
        subject = Subject(amazon, threads)
        subject.knows()
        yield subject
