"""The chain that is live: what is published, and what decides while that cannot be had.

A login is decided by the document that AppConfig deploys. Where AppConfig does not answer, or hands
out a document that the check refuses, the last good one decides: the one in memory, in a new
environment the one kept in the profiles table, and else the one packaged with the function. A call
has one chain from its beginning to its end.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from cognito_rules.chain import version_of
from cognito_rules.dynamodb import ConditionFailedError, DynamoDb, keys
from cognito_rules.dynamodb_json import to_item
from cognito_rules.errors import ChainError, RuleError
from cognito_rules.logs import log_record, logger
from cognito_rules.pipeline import LoginFunction, LoginRefusedError
from cognito_rules.runner import UNAVAILABLE

if TYPE_CHECKING:
    from cognito_rules.app_config import ConfigurationSession
    from cognito_rules.aws import Aws

RENEW_EVERY = 60.0
WAIT_SECONDS = 0.2
# Nobody waits that long: an answer that comes after WAIT_SECONDS is for the next call.
_ASK_SECONDS = 2.0
_KEY = "CHAIN#live"


class KeptChain:
    """The last good document, in the profiles table."""

    def __init__(self, aws: Aws, table: str) -> None:
        self._dynamodb = DynamoDb(aws)
        self._table = table

    def read(self) -> str | None:
        """Return the document, or None when none was kept; StoreError when it cannot be read."""
        found = self._dynamodb.batch_get({self._table: keys([_KEY])}, _ASK_SECONDS)
        document = found.get((self._table, _KEY), {}).get("document")
        return document if isinstance(document, str) else None

    def write(self, document: str, *, at: float) -> None:
        """Keep the document that was live ``at`` this time (epoch), unless a later one is kept.

        Raises
        ------
        StoreError : it cannot be written.
        """
        put = {
            "TableName": self._table,
            "Item": to_item({"pk": _KEY, "document": document, "kept_at": at}),
            # An environment that was frozen writes late what it heard long ago.
            "ConditionExpression": "attribute_not_exists(kept_at) OR kept_at <= :at",
            "ExpressionAttributeValues": to_item({":at": at}),
        }
        with contextlib.suppress(ConditionFailedError):
            self._dynamodb.call("PutItem", put, _ASK_SECONDS)


@dataclass(frozen=True)
class _Answer:
    """What came of asking AppConfig.

    ``found`` decides from now on; without it nothing is new, or (not ``is_good``) AppConfig did not
    answer, or handed out what the check refuses. ``at`` is when it was asked (epoch).
    """

    at: float = 0.0
    found: LoginFunction | None = None
    document: str = ""
    is_good: bool = True


class LiveLogin:
    """The login function of one execution environment, which follows what is published.

    Parameters
    ----------
    packaged : with the chain that the build put beside it; None when the check refuses that one.
    read : returns the login function of a document, or raises ChainError.
    keeps : whether this function may write the last good document into the table.
    clock : seconds since the epoch. The monotonic clock may stand still in a frozen environment.
    wait_seconds : how long a call waits for what is live.
    """

    def __init__(
        self,
        *,
        packaged: LoginFunction | None,
        read: Callable[[str], LoginFunction],
        session: ConfigurationSession,
        kept: KeptChain,
        keeps: bool,
        threads: ThreadPoolExecutor,
        clock: Callable[[], float] = time.time,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self.packaged = packaged
        self.current = packaged
        self._read = read
        self._session = session
        self._kept = kept
        self._keeps = keeps
        self._threads = threads
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._asked_at: float | None = None
        self._asking: Future[_Answer] | None = None
        self._wait_until = 0.0
        # Whether AppConfig ever said what is live, be it nothing: until then the table may say it.
        self._has_heard = False
        self._reading: Future[str | None] | None = None
        # What is still to be kept, and since when it is known to be live.
        self._unkept: tuple[str, float] | None = None
        self._refused: set[str] = set()
        # What AppConfig returned last, and "nothing new" means.
        self._is_refused = False

    def handle(self, event: Any, *, started: float | None = None) -> dict[str, Any]:
        """Decide one trigger call by the chain that is live; see ``LoginFunction.handle``.

        Raises
        ------
        LoginRefusedError : the login is refused; ``try_again`` when there is no good chain.
        """
        begun = time.monotonic() if started is None else started
        is_new = self._asked_at is None
        if self._is_due():
            self._ask()
        if is_new or self.current is None:
            self._newer()
        if self.current is None:
            log_record("login decided", {"outcome": "deny", "code": "no_chain"}, failed=True)
            raise LoginRefusedError(f"try_again: {UNAVAILABLE}")
        return self.current.handle(event, started=begun, newer=self._newer)

    def _newer(self) -> LoginFunction | None:
        """Return the login function that takes over from now on, or None when none does."""
        before = self.current
        answer = self._answer()
        if answer is not None and answer.is_good:
            self._has_heard = True
            self._take(answer)
        elif not self._has_heard:
            self._take_kept()
        # What comes again, as after an outage, need not decide again what is being decided.
        if before is None or self.current is None:
            return self.current
        return None if self.current.chain.version == before.chain.version else self.current

    def _begin(self, work: Callable[..., Any], *given: Any) -> Future[Any] | None:
        """Begin work on a thread; None where there is none to be had: a login can do without."""
        try:
            return self._threads.submit(work, *given)
        except RuntimeError as error:
            logger().warning("chain not renewed", reason=_reason(error))
            return None

    # AppConfig --------------------------------------------------------------------------------

    def _is_due(self) -> bool:
        # A clock that was set back must not put off the next question.
        return self._asked_at is None or not 0 <= self._clock() - self._asked_at < RENEW_EVERY

    def _ask(self) -> None:
        """Ask AppConfig, on a thread: the tables are read meanwhile."""
        self._asked_at = self._clock()
        self._wait_until = time.monotonic() + self._wait_seconds
        self._asking = self._begin(self._published, self._asked_at, self._asking)
        if not self._has_heard and self.current is self.packaged:
            self._reading = self._begin(self._from_table)
        if self._unkept is not None:
            self._begin(self._keep, self._unkept, None)

    def _answer(self) -> _Answer | None:
        """Return the answer to the question that is under way, None without one.

        It is waited for until WAIT_SECONDS after the question, and later looked at in passing.
        """
        asking = self._asking
        if asking is None:
            return None
        wait([asking], max(0.0, self._wait_until - time.monotonic()))
        if not asking.done():
            return None
        self._asking = None
        return asking.result()

    def _take(self, answer: _Answer) -> None:
        if answer.found is None:
            return
        self.current = answer.found
        if self._keeps:
            self._unkept = (answer.document, answer.at)
            self._begin(self._keep, self._unkept, self._reading)
        self._reading = None

    def _published(self, at: float, before: Future[_Answer] | None) -> _Answer:
        """Ask AppConfig what is live.

        ``before`` is a question that was under way when the environment was frozen. Its answer is
        of then, and counts where nothing is new since.
        """
        earlier = before.result() if before is not None else None
        held = earlier if earlier is not None and earlier.found is not None else None
        try:
            content = self._session.latest(_ASK_SECONDS)
        except Exception as error:
            # The call that waits for it goes on with the chain that there is.
            logger().warning("chain not renewed", reason=_reason(error))
            return held or _Answer(at, is_good=False)
        if content is None:
            return replace(held or _Answer(is_good=not self._is_refused), at=at)
        document = content.decode(errors="replace")
        found = self._checked(document, "published")
        self._is_refused = found is None
        if found is None:
            return held or _Answer(at, is_good=False)
        return _Answer(at, found, document)

    def _checked(self, document: str, source: str) -> LoginFunction | None:
        """Return the login function of a document; None, and one line in the log, if refused."""
        version = version_of(document)
        for known in (self.current, self.packaged):
            if known is not None and known.chain.version == version:
                return replace(known, chain_source=source)
        try:
            return replace(self._read(document), chain_source=source)
        except Exception as error:  # a rule's own check is code of a rule
            if version not in self._refused:
                self._refused.add(version)
                reasons = error.problems if isinstance(error, ChainError) else [_reason(error)]
                problems = [reason[:300] for reason in reasons[:5]]
                refused = {"chain": version, "chain_source": source, "problems": problems}
                log_record("chain refused", refused, failed=True)
            return None

    # The table --------------------------------------------------------------------------------

    def _from_table(self) -> str | None:
        try:
            return self._kept.read()
        except Exception as error:
            logger().warning("kept chain not read", reason=_reason(error))
            return None

    def _take_kept(self) -> None:
        """Let the kept chain decide, once it is there; it is waited for as AppConfig is."""
        reading = self._reading
        if reading is None:
            return
        wait([reading], max(0.0, self._wait_until - time.monotonic()))
        if not reading.done():
            return
        self._reading = None
        document = reading.result()
        if document is not None:
            self.current = self._checked(document, "kept") or self.current

    def _keep(self, unkept: tuple[str, float], reading: Future[str | None] | None) -> None:
        """Keep a document for environments that start without AppConfig, unless it is kept."""
        document, at = unkept
        if reading is None or reading.result() != document:
            try:
                self._kept.write(document, at=at)
            except Exception as error:
                logger().warning("chain not kept", reason=_reason(error))
                return  # again with the next question
        if self._unkept == unkept:
            self._unkept = None


def _reason(error: Exception) -> str:
    """Return what a log may say of an error; the text of one that is not ours may hold anything."""
    return str(error) if isinstance(error, RuleError) else type(error).__name__
