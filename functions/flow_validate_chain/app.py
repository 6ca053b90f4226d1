"""Check a chain document before AppConfig deploys it."""

from pathlib import Path
from typing import Any

from cognito_rules.chain_terms import ChainTerms
from cognito_rules.chain_validator import validate

_terms = ChainTerms.of_the_environment(Path(__file__).parent)


def handler(event: dict[str, Any], context: object) -> None:
    """Return for a document that may decide logins, and raise for another one."""
    validate(event, _terms)
