"""What tests of the login path share."""

import pytest

from cognito_rules.aws import Aws
from cognito_rules.store import Store


@pytest.fixture
def store(aws: Aws) -> Store:
    return Store(aws, profiles="profiles", sessions="sessions")
