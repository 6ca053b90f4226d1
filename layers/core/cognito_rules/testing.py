"""For tests of rules: a login, a Lambda context. Public, so that users can test their own rules."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from cognito_rules.fields import FIELDS
from cognito_rules.login import Login, parse_time

# Leaf names that stand in one section only, so that a test may write a_login(groups=["sales"]).
_SECTION_OF = {
    field: section
    for section, fields in FIELDS.items()
    for field in fields
    if sum(field in others for others in FIELDS.values()) == 1
}
# Where a name stands in several sections, the section that a test means by it.
_SECTION_OF |= {"groups": "user", "user_metadata": "user", "metadata": "client"}


def a_login(
    *,
    configuration: Mapping[str, Any] | None = None,
    now: datetime | str = "2026-11-18T12:00:00Z",
    secrets: Mapping[str, str] | None = None,
    **given: Any,
) -> Login:
    """Return a login that knows what is given and nothing else.

    ``given`` holds sections (``user={"email": "jane@example.com"}``) and, where the name is clear,
    fields (``groups=["sales"]``, ``client_id="payroll-app"``). ``secrets`` maps names to texts.
    ``now`` is a datetime or an RFC 3339 text; the default is a Wednesday at noon, UTC.
    """
    facts: dict[str, Any] = {}
    for name, value in given.items():
        if name in FIELDS:
            facts.setdefault(name, {}).update(value)
        elif name in _SECTION_OF:
            facts.setdefault(_SECTION_OF[name], {})[name] = value
        else:
            raise TypeError(f"{name!r} is no section and no unambiguous field of a login")
    for section, fields in facts.items():
        for field in fields:
            if field not in FIELDS[section]:
                raise TypeError(f"a login has no field {section}.{field}")
    moment = parse_time(now) if isinstance(now, str) else now
    options: dict[str, Any] = {}
    if secrets is not None:
        options["secret"] = lambda name, refresh: secrets[name]
    return Login(facts, configuration=configuration, now=moment, **options)


def is_as_expected(expected: Any, found: Any) -> bool:
    """Return whether effects, or a part of them, are what an event's ``expect`` says.

    A text ``regex:<pattern>`` stands for every text that the whole pattern matches: some rules make
    something new at each run.
    """
    if isinstance(expected, str) and expected.startswith("regex:"):
        return isinstance(found, str) and bool(re.fullmatch(expected.removeprefix("regex:"), found))
    if isinstance(expected, dict) and isinstance(found, dict):
        return expected.keys() == found.keys() and all(
            is_as_expected(value, found[key]) for key, value in expected.items()
        )
    if isinstance(expected, list) and isinstance(found, list):
        return len(expected) == len(found) and all(map(is_as_expected, expected, found))
    return bool(expected == found)


@dataclass(frozen=True)
class FakeContext:
    """A Lambda context with the parts that handlers use."""

    function_name: str = "test"
    function_version: str = "$LATEST"
    invoked_function_arn: str = "arn:aws:lambda:eu-west-1:123456789012:function:test"
    memory_limit_in_mb: int = 256
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"
    remaining_ms: int = 5_000

    def get_remaining_time_in_millis(self) -> int:
        """Return the milliseconds that the invocation still has."""
        return self.remaining_ms


def a_context(**changes: Any) -> FakeContext:
    """Return a Lambda context for a test."""
    return FakeContext(**changes)
