"""What the tests of identity pools and STS share: a stack of pools and roles, and its reader."""

from pathlib import Path

import pytest

from local.server import EmbeddedAws
from tests.local import identity_stack
from tests.local.identity_stack import READ_ONE, IdentityStack, Person, granting


@pytest.fixture(scope="module")
def stack(aws: EmbeddedAws) -> IdentityStack:
    return identity_stack.build(aws)


@pytest.fixture(scope="module")
def state(aws: EmbeddedAws) -> Path:
    """The emulator's own files, where the signing keys are."""
    return aws.state


@pytest.fixture(scope="module")
def reader(stack: IdentityStack) -> Person:
    """A person whose rules granted the role ``reader`` in the project ``apollo``."""
    return stack.person(granting(stack.roles["reader"], claims=READ_ONE))
