"""What the product's logger writes during a test."""

import contextlib
import io
import json
import logging
from collections.abc import Iterator
from typing import Any

from cognito_rules.logs import logger


class LogLines:
    """The lines so far, as text and as records."""

    def __init__(self, written: io.StringIO) -> None:
        self._written = written

    @property
    def text(self) -> str:
        """All lines as they were written."""
        return self._written.getvalue()

    @property
    def records(self) -> list[dict[str, Any]]:
        """All lines, parsed."""
        return [json.loads(line) for line in self.text.splitlines()]


@contextlib.contextmanager
def log_lines() -> Iterator[LogLines]:
    """Collect what is logged in the block."""
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(logger().registered_formatter)
    # By name: Powertools' logger has no way to take a handler off again.
    ours = logging.getLogger(logger().name)
    ours.addHandler(handler)
    try:
        yield LogLines(written)
    finally:
        ours.removeHandler(handler)
