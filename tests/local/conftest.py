"""One embedded AWS for each test process (with ``-n``: each worker), and what tests build in it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from local.oidc_provider import OidcProvider
from local.server import EmbeddedAws
from tests.local.login_subject import Subject, a_subject
from tests.local.user_pool import Probe, UserPool


@pytest.fixture(scope="session")
def aws() -> Iterator[EmbeddedAws]:
    """Start the emulator once and end it with everything it started."""
    with EmbeddedAws.started() as running:
        yield running


@pytest.fixture(scope="session")
def oidc() -> Iterator[OidcProvider]:
    """An identity provider for federated sign-ins."""
    with OidcProvider.started() as provider:
        yield provider


@pytest.fixture
def configure(aws: EmbeddedAws) -> Iterator[Callable[..., dict[str, Any]]]:
    """Change settings of the completed Cognito for one test."""
    yield aws.configure_cognito
    aws.configure_cognito(reset=True)


@pytest.fixture(scope="session")
def probe_function(aws: EmbeddedAws, tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return Probe.deploy(aws, tmp_path_factory.mktemp("probe"))


@pytest.fixture
def probe(probe_function: Probe) -> Probe:
    """A trigger function that records each event and answers as the test says."""
    probe_function.reset()
    return probe_function


@pytest.fixture(scope="module")
def pool(aws: EmbeddedAws, probe_function: Probe) -> UserPool:
    """A user pool whose every trigger is the probe."""
    return UserPool.create(aws, probe_function.arn)


@pytest.fixture(scope="session")
def project() -> Path:
    return Path(__file__).resolve().parents[2]


@pytest.fixture
def subject(aws: EmbeddedAws, monkeypatch: pytest.MonkeyPatch) -> Iterator[Subject]:
    """A login function of this process, with tables in the emulator."""
    for name, value in aws.environment.items():
        if name.startswith("AWS_"):
            monkeypatch.setenv(name, value)
    with a_subject(aws) as made:
        yield made
