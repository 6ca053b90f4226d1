"""Find the traces of logins in the stack's log, and join the trigger calls of one login.

docs/traces.md describes the records. CloudWatch is asked by FilterLogEvents for the id as a phrase,
which needs no index and sees a record a few seconds after it was written.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any

from cli.stack import DeployedStack, one_line_errors

Record = dict[str, Any]

# Trigger calls of one login that share no decision are this close to each other.
_JOINED_SECONDS = 60
# As cognito_rules.trace writes them; importing it would load the login function's AWS client.
_MESSAGE, _SCHEMA = "login decided", 1
_BEFORE_TOKENS = ("PostAuthentication_", "PostConfirmation_")
_NOT_OF_A_SIGN_IN = frozenset(
    {"TokenGeneration_RefreshTokens", "TokenGeneration_ClientCredentials"}
)
# What CloudWatch reads in the record, and nobody else.
_OF_METRICS = frozenset({"_aws", "Stack", "Duration"})


@dataclass(frozen=True)
class LoginTrace:
    """The trigger calls of one login, first one first.

    ``by_time`` says that they share no decision, so that only person, application and time join
    them.
    """

    calls: tuple[Record, ...]
    by_time: bool = False

    @property
    def started(self) -> datetime:
        """When its first call began."""
        return datetime.fromtimestamp(self.calls[0]["started_at"] / 1000, UTC)

    @property
    def last(self) -> Record:
        """The call that had the last word."""
        return self.calls[-1]

    @property
    def is_over(self) -> bool:
        """Whether no further call of this login is to be expected."""
        return self.last.get("outcome") != "allow" or not _is_before_tokens(self.last)

    def is_about(self, name: str) -> bool:
        """Say whether ``name`` is the transaction id, or an event id, of this login."""
        return any(name in (c.get("transaction_id"), c.get("event_id")) for c in self.calls)

    def as_json(self) -> dict[str, Any]:
        """Return the login for another program."""
        calls = [{k: v for k, v in c.items() if k not in _OF_METRICS} for c in self.calls]
        return {"joined_by": "time" if self.by_time else "transaction_id", "calls": calls}


class TraceLog:
    """The traces of one stack."""

    def __init__(self, stack: DeployedStack) -> None:
        self._stack = stack
        no_stack = f"{stack.name} is no stack of Cognito Rules."
        self.group = stack.output("LoginLogGroup", otherwise=no_stack)

    @cached_property
    def _logs(self) -> Any:
        return self._stack.client("logs")

    @cached_property
    def days(self) -> int | None:
        """How many days CloudWatch keeps a trace; None: for ever."""
        with one_line_errors():
            found = self._logs.describe_log_groups(logGroupNamePrefix=self.group)["logGroups"]
        for group in found:
            if group["logGroupName"] == self.group:
                days = group.get("retentionInDays")
                return None if days is None else int(days)
        return None

    def find(self, name: str, *, since: datetime) -> list[LoginTrace]:
        """Return the logins that a transaction id, an event id or a user id names, oldest first."""
        records = list(self._records(name, since))
        one = [r for r in records if name in (r.get("transaction_id"), r.get("event_id"))]
        if one:
            # A call that shares no decision with this one has only the person in common.
            person = one[0].get("user_id")
            if person is not None:
                began = datetime.fromtimestamp(one[0]["started_at"] / 1000, UTC)
                near = timedelta(seconds=_JOINED_SECONDS)
                records = list(self._records(person, began - near, began + near + near))
            return [login for login in join([*records, *one]) if login.is_about(name)]
        return join(record for record in records if record.get("user_id") == name)

    def await_login(
        self, user_id: str, *, since: datetime, seconds: float = 15
    ) -> LoginTrace | None:
        """Return the person's latest login since a moment, waiting for the log to tell of it.

        A login whose tokens are still to come is returned when the time is over; None when the log
        tells of none.
        """
        ends = time.monotonic() + seconds
        while True:
            logins = self.find(user_id, since=since)
            if logins and logins[-1].is_over:
                return logins[-1]
            if time.monotonic() > ends:
                return logins[-1] if logins else None
            time.sleep(0.5)

    def _records(
        self, phrase: str, since: datetime, until: datetime | None = None
    ) -> Iterator[Record]:
        # A quoted phrase; ids and names hold no quotes, and what does would be no pattern.
        wanted = {
            "logGroupName": self.group,
            "filterPattern": json.dumps(phrase.replace('"', "").replace("\\", "")),
            "startTime": int(since.timestamp() * 1000),
        }
        if until is not None:
            wanted["endTime"] = int(until.timestamp() * 1000)
        with one_line_errors():
            for page in self._logs.get_paginator("filter_log_events").paginate(**wanted):
                for event in page["events"]:
                    record = _record(event["message"])
                    if record is not None:
                        yield record


def user_id_of(stack: DeployedStack, name: str) -> str | None:
    """Return the ``sub`` of the person with this user name or e-mail address; None: nobody."""
    pool = stack.output("UserPoolId", otherwise=f"{stack.name} is no stack of Cognito Rules.")
    with one_line_errors():
        cognito = stack.client("cognito-idp")
        try:
            found = cognito.admin_get_user(UserPoolId=pool, Username=name)["UserAttributes"]
        except cognito.exceptions.UserNotFoundException:
            if "@" not in name or '"' in name:
                return None
            # The pool may not take addresses as names.
            users = cognito.list_users(UserPoolId=pool, Filter=f'email = "{name}"', Limit=2)[
                "Users"
            ]
            if len(users) != 1:
                return None
            found = users[0]["Attributes"]
    return next((str(a["Value"]) for a in found if a["Name"] == "sub"), None)


def join(records: Iterable[Record]) -> list[LoginTrace]:
    """Return the logins of these calls, oldest first; a call that is given twice counts once."""
    calls = {record["event_id"]: record for record in records}
    by_transaction: dict[str, list[Record]] = {}
    for call in sorted(calls.values(), key=lambda call: int(call["started_at"])):
        by_transaction.setdefault(call["transaction_id"], []).append(call)
    logins: list[LoginTrace] = []
    for group in (part for calls in by_transaction.values() for part in _sign_ins(calls)):
        login = LoginTrace(tuple(group))
        earlier = next((e for e in reversed(logins) if _goes_on(e, login)), None)
        if earlier is None:
            logins.append(login)
        else:
            logins[logins.index(earlier)] = LoginTrace((*earlier.calls, *login.calls), by_time=True)
    return sorted(logins, key=lambda login: login.started)


def _sign_ins(calls: list[Record]) -> Iterator[list[Record]]:
    """Yield the calls of each sign-in: within a minute, two of them can share one decision."""
    begin = 0
    for index in range(1, len(calls)):
        if _is_before_tokens(calls[index]) and not _is_before_tokens(calls[index - 1]):
            yield calls[begin:index]
            begin = index
    yield calls[begin:]


def _goes_on(earlier: LoginTrace, later: LoginTrace) -> bool:
    """Say whether ``later`` is the token stage that ``earlier`` lets expect."""
    first, second = earlier.last, later.calls[0]
    if earlier.is_over or _is_before_tokens(second) or second["trigger"] in _NOT_OF_A_SIGN_IN:
        return False
    same = all(first.get(key) == second.get(key) for key in ("user_id", "client_id"))
    between = second["started_at"] - first["started_at"] - first["duration_ms"]
    return same and between <= _JOINED_SECONDS * 1000


def _is_before_tokens(call: Mapping[str, Any]) -> bool:
    return str(call.get("trigger")).startswith(_BEFORE_TOKENS)


def _record(message: str) -> Record | None:
    try:
        record = json.loads(message)
    except ValueError:
        return None
    if not isinstance(record, dict) or record.get("message") != _MESSAGE:
        return None
    return record if record.get("schema") == _SCHEMA else None
