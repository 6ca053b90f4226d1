"""The chain that is live: what is published, and what decides while that cannot be had."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest

from cognito_rules.app_config import ConfigurationSession
from cognito_rules.aws import Aws
from cognito_rules.chain import Chain, canonical, version_of
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.executors import invoker_threads
from cognito_rules.live_chain import KeptChain, LiveLogin
from cognito_rules.pipeline import LoginFunction, LoginRefusedError
from tests.cognito_events import client_credentials, post_authentication, pre_token
from tests.log_lines import LogLines
from tests.loopback import Received, Reply, Server, reply
from tests.moments import wait_for
from tests.unit.core.chains import a_manifest
from tests.unit.core.login_subject import Subject

ENTRY = {"rule": "enricher", "placement": "inline"}
PACKAGED = {"rules": [ENTRY | {"id": "packaged"}]}
FIRST = {"rules": [ENTRY | {"id": "first"}]}
SECOND = {"rules": [ENTRY | {"id": "second"}]}
REFUSED = {"rules": [{"rule": "no_such_rule"}]}
DOWN = Reply(500)
OVER = threading.Event()
SILENT = Reply(after=OVER.wait)
# How long a call waits: for what comes, on any machine, and for what does not come in time.
PATIENT = 10.0
BRIEF = 0.2
CATALOGUE = {"enricher": a_manifest("enricher")}


def version(document: dict[str, Any]) -> str:
    return version_of(canonical(document))


class Clock:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class Environment:
    """AWS on loopback, and the environments of a login function that live there."""

    def __init__(self, amazon: Server, threads: ThreadPoolExecutor) -> None:
        self.amazon = amazon
        self.clock = Clock()
        self._threads = threads
        self._subject = Subject(amazon, threads)
        self._subject.rule("enricher")
        self.kept: str | None = None
        self.publish(None)

    def appconfig(self, start: Reply, poll: Reply) -> None:
        self.amazon.routes = {"/configurationsessions": start, "/configuration": poll}
        profiles = []
        if self.kept is not None:
            profiles.append(to_item({"pk": "CHAIN#live", "document": self.kept}))
        self.amazon.replies = [reply(200, {"Responses": {"profiles": profiles}})]

    def publish(
        self, document: dict[str, Any] | str | None, *, after: threading.Event | None = None
    ) -> None:
        """Deploy a document; None stands for an answer without one."""
        text = document if isinstance(document, str) else canonical(document) if document else ""
        self.appconfig(
            reply(201, {"InitialConfigurationToken": "first"}),
            Reply(
                200,
                text.encode(),
                {"Next-Poll-Configuration-Token": "next"},
                after=after.wait if after else None,
            ),
        )

    def breaks(self, answer: Reply) -> None:
        """Let AppConfig answer like this."""
        self.appconfig(answer, answer)

    def keep(self, document: dict[str, Any] | str) -> None:
        """Put a document into the table."""
        self.kept = document if isinstance(document, str) else canonical(document)

    def start(
        self,
        *,
        packaged: dict[str, Any] | None = PACKAGED,
        keeps: bool = True,
        threads: ThreadPoolExecutor | None = None,
        wait_seconds: float = PATIENT,
    ) -> LiveLogin:
        """Return the login function of a new environment."""
        made = self._subject.function

        def read(document: str) -> LoginFunction:
            if "breaks" in document:
                raise KeyError("of a rule's own check")
            return replace(made, chain=Chain.parse_json(document, CATALOGUE))

        aws = Aws()
        return LiveLogin(
            packaged=read(canonical(packaged)) if packaged is not None else None,
            read=read,
            session=ConfigurationSession(aws, "stack", "live", "chain"),
            kept=KeptChain(aws, "profiles"),
            keeps=keeps,
            threads=threads or self._threads,
            clock=self.clock,
            wait_seconds=wait_seconds,
        )

    def asked(self) -> int:
        """Return how often a configuration was asked for."""
        return sum(r.path.startswith("/configuration?") for r in list(self.amazon.received))

    def written(self, count: int = 0) -> list[str]:
        """Return the documents in the table after ``count`` were written, and a moment for more."""
        wait_for(lambda: len(self._written()) >= count)
        time.sleep(0.1)
        return self._written()

    def _written(self) -> list[str]:
        bodies = [
            json.loads(request.body)
            for request in list(self.amazon.received)
            if request.headers.get("x-amz-target", "").endswith("PutItem")
        ]
        items = [from_item(body["Item"]) for body in bodies]
        return [item["document"] for item in items if item["pk"] == "CHAIN#live"]


@pytest.fixture
def world(amazon: Server) -> Iterator[Environment]:
    OVER.clear()
    with invoker_threads() as threads:
        yield Environment(amazon, threads)
        OVER.set()


def decided(lines: LogLines) -> list[tuple[str, str]]:
    """Return version and source of the chains of all calls that were decided."""
    return [
        (record["chain"], record["chain_source"])
        for record in lines.records
        if record["message"] == "login decided" and "chain" in record
    ]


def last_decided(lines: LogLines) -> tuple[str, str] | None:
    return decided(lines)[-1] if decided(lines) else None


def again(login: LiveLogin, lines: LogLines) -> tuple[str, str] | None:
    """Return what decides one more call."""
    with contextlib.suppress(LoginRefusedError):
        login.handle(client_credentials())
    return last_decided(lines)


def refusals(lines: LogLines) -> list[dict[str, Any]]:
    return [record for record in lines.records if record["message"] == "chain refused"]


# Without AppConfig ----------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [DOWN, SILENT, Reply(reset=True)], ids=["error", "late", "gone"])
def test_a_new_environment_without_appconfig_decides_by_the_kept_chain(
    world: Environment, lines: LogLines, answer: Reply
) -> None:
    world.keep(FIRST)
    world.breaks(answer)

    world.start(wait_seconds=1.0).handle(pre_token())

    assert decided(lines) == [(version(FIRST), "kept")]


def test_with_nothing_kept_it_decides_by_the_packaged_chain(
    world: Environment, lines: LogLines
) -> None:
    world.breaks(DOWN)

    world.start().handle(pre_token())

    assert decided(lines) == [(version(PACKAGED), "packaged")]


@pytest.mark.parametrize(
    "document", [REFUSED, "{", "", "[]", "\x00"], ids=["refused", "cut", "empty", "a list", "junk"]
)
def test_a_poisoned_kept_chain_never_decides(
    world: Environment, lines: LogLines, document: Any
) -> None:
    world.keep(document)
    world.breaks(DOWN)

    world.start().handle(pre_token())

    assert decided(lines) == [(version(PACKAGED), "packaged")]
    assert [record["chain_source"] for record in refusals(lines)] == ["kept"]


def test_without_appconfig_and_table_it_decides_by_the_packaged_chain(
    world: Environment, lines: LogLines
) -> None:
    world.breaks(SILENT)
    world.amazon.replies = [SILENT]

    world.start(wait_seconds=BRIEF).handle(client_credentials())

    assert decided(lines) == [(version(PACKAGED), "packaged")]
    assert not OVER.is_set()


def slow_table(world: Environment, answers: list[Reply]) -> None:
    """Let each read of the kept chain be answered by the next of these, at last by the last."""
    queue = list(answers)

    def decide(received: Received) -> Reply | None:
        if b"CHAIN#live" not in received.body or b"Keys" not in received.body:
            return None
        return queue.pop(0) if len(queue) > 1 else queue[0]

    world.amazon.decide = decide


@pytest.mark.parametrize("packaged", [PACKAGED, None], ids=["packaged", "nothing"])
def test_a_kept_chain_that_came_late_decides_the_next_call(
    world: Environment, lines: LogLines, packaged: dict[str, Any] | None
) -> None:
    world.keep(FIRST)
    world.breaks(DOWN)
    come = threading.Event()
    slow_table(world, [replace(world.amazon.replies[0], after=come.wait)])
    login = world.start(packaged=packaged, wait_seconds=BRIEF)
    with contextlib.suppress(LoginRefusedError):
        login.handle(client_credentials())
    assert last_decided(lines) != (version(FIRST), "kept")

    come.set()

    wait_for(lambda: again(login, lines) == (version(FIRST), "kept"))


def test_a_kept_chain_that_could_not_be_read_is_asked_for_again(
    world: Environment, lines: LogLines
) -> None:
    world.keep(FIRST)
    world.breaks(DOWN)
    refused = reply(400, {"__type": "AccessDeniedException"})
    slow_table(world, [refused, world.amazon.replies[0]])
    login = world.start()

    login.handle(pre_token())
    login.handle(pre_token())
    world.clock.now += 60
    login.handle(pre_token())

    assert [source for _, source in decided(lines)] == ["packaged", "packaged", "kept"]


def test_a_refused_kept_chain_is_checked_once_in_a_minute(
    world: Environment, lines: LogLines
) -> None:
    world.keep(REFUSED)
    world.breaks(DOWN)
    login = world.start()

    for _ in range(3):
        login.handle(pre_token())

    reads = [r for r in world.amazon.received if b"CHAIN#live" in r.body]
    assert len(reads) == 1
    assert [source for _, source in decided(lines)] == ["packaged"] * 3


def test_an_environment_without_threads_decides_by_what_it_has(
    world: Environment, lines: LogLines
) -> None:
    """Rules of the chain may be inline; then a login needs no thread."""
    with invoker_threads() as threads:
        login = world.start(threads=threads)

    login.handle(client_credentials())

    assert decided(lines) == [(version(PACKAGED), "packaged")]
    assert "chain not renewed" in lines.text


def test_without_any_good_chain_logins_are_refused(world: Environment, lines: LogLines) -> None:
    world.keep(REFUSED)
    world.breaks(DOWN)
    login = world.start(packaged=None)

    for _ in range(2):
        with pytest.raises(LoginRefusedError, match=r"^try_again"):
            login.handle(pre_token())

    assert [r["code"] for r in lines.records if r["message"] == "login decided"] == ["no_chain"] * 2


def test_a_refused_packaged_chain_is_of_no_consequence_once_another_is_published(
    world: Environment, lines: LogLines
) -> None:
    world.publish(FIRST)

    world.start(packaged=None).handle(pre_token())

    assert decided(lines) == [(version(FIRST), "published")]


@pytest.mark.parametrize("answer", [DOWN, SILENT, Reply(reset=True)], ids=["error", "late", "gone"])
def test_an_outage_leaves_the_chain_that_was_good(
    world: Environment, lines: LogLines, answer: Reply
) -> None:
    world.publish(FIRST)
    login = world.start(wait_seconds=1.0)
    login.handle(pre_token())

    world.breaks(answer)
    world.clock.now += 60
    login.handle(pre_token())

    assert decided(lines) == [(version(FIRST), "published")] * 2


def test_after_an_outage_the_published_chain_takes_over(
    world: Environment, lines: LogLines
) -> None:
    world.breaks(DOWN)
    login = world.start()
    login.handle(pre_token())

    world.publish(FIRST)
    world.clock.now += 60
    login.handle(pre_token())

    assert [source for _, source in decided(lines)] == ["packaged", "published"]


def test_an_answer_that_came_late_decides_the_next_call(
    world: Environment, lines: LogLines
) -> None:
    come = threading.Event()
    world.publish(FIRST, after=come)
    login = world.start(wait_seconds=BRIEF)
    login.handle(client_credentials())
    assert last_decided(lines) == (version(PACKAGED), "packaged")

    come.set()

    wait_for(lambda: again(login, lines) == (version(FIRST), "published"))
    assert world.asked() == 1


@pytest.mark.parametrize("is_there", [False, True], ids=["under way", "there"])
@pytest.mark.parametrize("later", [SECOND, None], ids=["another", "no other"])
def test_an_answer_from_before_the_environment_was_frozen_is_asked_for_again(
    world: Environment, lines: LogLines, later: dict[str, Any] | None, is_there: bool
) -> None:
    come = threading.Event()
    world.publish(FIRST, after=come)
    login = world.start(wait_seconds=1.0)
    login.handle(client_credentials())
    if is_there:
        come.set()
        time.sleep(0.2)

    world.publish(later)
    world.clock.now += 3600
    threading.Timer(0.2, come.set).start()
    login.handle(client_credentials())

    assert last_decided(lines) == (version(later or FIRST), "published")


# A document that the check refuses ------------------------------------------------------------


def test_a_refused_document_never_replaces_a_good_one_and_is_logged_once(
    world: Environment, lines: LogLines
) -> None:
    world.publish(FIRST)
    login = world.start()
    login.handle(pre_token())

    world.publish(REFUSED)
    for _ in range(3):
        world.clock.now += 60
        login.handle(pre_token())

    assert decided(lines) == [(version(FIRST), "published")] * 4
    [refused] = refusals(lines)
    assert refused["level"] == "ERROR"
    assert refused["problems"] == ["entry no_such_rule: there is no rule 'no_such_rule'"]
    assert world.written(1) == [canonical(FIRST)]


def test_a_check_that_breaks_is_a_refusal(world: Environment, lines: LogLines) -> None:
    world.keep({"rules": [ENTRY | {"id": "breaks_too"}]})
    world.publish({"rules": [ENTRY | {"id": "breaks"}]})

    world.start().handle(client_credentials())

    assert decided(lines) == [(version(PACKAGED), "packaged")]
    assert [record["problems"] for record in refusals(lines)] == [["KeyError"], ["KeyError"]]


def test_a_new_environment_that_is_handed_a_refused_document_decides_by_the_kept_one(
    world: Environment, lines: LogLines
) -> None:
    world.keep(FIRST)
    world.publish(REFUSED)

    world.start().handle(pre_token())

    assert decided(lines) == [(version(FIRST), "kept")]
    assert world.written() == []


def test_a_refused_document_stays_refused_though_appconfig_says_that_nothing_is_new(
    world: Environment, lines: LogLines
) -> None:
    world.keep(FIRST)
    world.publish(REFUSED)
    refused = reply(400, {"__type": "AccessDeniedException"})
    slow_table(world, [refused, world.amazon.replies[0]])
    login = world.start()
    login.handle(pre_token())

    world.publish(None)
    world.clock.now += 60
    login.handle(pre_token())

    assert [source for _, source in decided(lines)] == ["packaged", "kept"]


# What is published ----------------------------------------------------------------------------


@pytest.mark.parametrize("event", [pre_token(), client_credentials()], ids=["person", "machine"])
def test_a_new_environment_decides_its_first_call_by_what_is_published(
    world: Environment, lines: LogLines, event: dict[str, Any]
) -> None:
    world.publish(FIRST)

    world.start().handle(event)

    assert decided(lines) == [(version(FIRST), "published")]


def test_before_the_first_publication_the_packaged_chain_decides(
    world: Environment, lines: LogLines
) -> None:
    world.keep(REFUSED)  # not even looked at

    world.start().handle(pre_token())

    assert decided(lines) == [(version(PACKAGED), "packaged")]
    assert refusals(lines) == []


def test_within_a_minute_nothing_is_asked(world: Environment) -> None:
    world.publish(FIRST)
    login = world.start()

    for second in (0, 1, 30, 28.9):
        world.clock.now += second
        login.handle(pre_token())
    assert world.asked() == 1

    world.clock.now += 0.1
    login.handle(pre_token())
    assert world.asked() == 2


def test_a_clock_that_was_set_back_puts_nothing_off(world: Environment) -> None:
    world.publish(FIRST)
    login = world.start()
    login.handle(pre_token())

    world.clock.now -= 3600
    login.handle(pre_token())

    assert world.asked() == 2


@pytest.mark.parametrize("event", [pre_token(), client_credentials()], ids=["person", "machine"])
def test_the_call_that_hears_of_a_new_chain_is_decided_by_it(
    world: Environment, lines: LogLines, event: dict[str, Any]
) -> None:
    world.publish(FIRST)
    login = world.start()
    login.handle(event)

    world.publish(SECOND)
    world.clock.now += 60
    login.handle(event)

    assert decided(lines) == [(version(FIRST), "published"), (version(SECOND), "published")]


def test_appconfig_is_asked_while_the_tables_are_read(world: Environment, lines: LogLines) -> None:
    both = threading.Barrier(2, timeout=PATIENT)
    world.publish(FIRST)
    login = world.start()
    login.handle(pre_token())
    world.publish(SECOND)
    poll = world.amazon.routes["/configuration"]
    world.amazon.routes["/configuration"] = replace(poll, after=both.wait)
    [loads] = world.amazon.replies
    world.amazon.replies = [replace(loads, after=both.wait), loads]
    world.clock.now += 60

    login.handle(pre_token())

    assert last_decided(lines) == (version(SECOND), "published")
    assert not both.broken


def test_two_environments_with_different_chains_share_no_decision(
    world: Environment, amazon: Server
) -> None:
    """During a rollout one trigger of a login can meet the old chain, and the other the new one."""
    world.publish(FIRST)
    old = world.start(keeps=False)
    old.handle(post_authentication())
    world.publish(SECOND)
    new = world.start(keeps=False)

    amazon.received.clear()
    old.handle(pre_token())
    new.handle(pre_token())

    def memo_keys() -> list[str]:
        reads = [
            r for r in amazon.received if r.headers.get("x-amz-target", "").endswith("BatchGetItem")
        ]
        wanted = [r.json()["RequestItems"] for r in reads]
        return [
            key["pk"]["S"]
            for items in wanted
            for key in items.get("sessions", {}).get("Keys", [])
            if key["pk"]["S"].startswith("decision#")
        ]

    first, second = memo_keys()
    assert first != second


# What is kept ---------------------------------------------------------------------------------


def test_a_document_is_kept_once(world: Environment) -> None:
    world.publish(FIRST)
    login = world.start()

    for _ in range(3):
        login.handle(pre_token())
        world.publish(None)
        world.clock.now += 60

    assert world.written(1) == [canonical(FIRST)]


def test_a_new_environment_does_not_keep_again_what_is_kept(world: Environment) -> None:
    world.keep(FIRST)
    world.publish(FIRST)

    world.start().handle(pre_token())

    assert world.written() == []


def test_a_document_that_could_not_be_kept_is_kept_later(
    world: Environment, lines: LogLines, amazon: Server
) -> None:
    world.publish(FIRST)
    [good] = amazon.replies
    amazon.replies = [reply(400, {"__type": "AccessDeniedException"})]
    login = world.start()
    login.handle(client_credentials())
    wait_for(lambda: "chain not kept" in lines.text)

    world.publish(None)
    amazon.replies = [good]
    world.clock.now += 60
    login.handle(client_credentials())

    assert len(world.written(2)) == 2
    assert "chain not kept" in lines.text


def test_a_kept_document_gives_way_to_a_later_one_only(
    world: Environment, aws: Aws, amazon: Server, lines: LogLines
) -> None:
    """An environment that was frozen may write what it heard long ago."""
    kept = KeptChain(aws, "profiles")
    amazon.replies = [reply(400, {"__type": "ConditionalCheckFailedException"})]

    kept.write("{}", at=world.clock.now)

    [put] = [json.loads(request.body) for request in amazon.received]
    assert put["ConditionExpression"] == "attribute_not_exists(kept_at) OR kept_at <= :at"
    assert from_item(put["Item"])["kept_at"] == world.clock.now
    assert from_item(put["ExpressionAttributeValues"])[":at"] == world.clock.now
    assert "chain not kept" not in lines.text


def test_a_document_is_kept_as_of_the_time_it_was_asked_for(
    world: Environment, amazon: Server, lines: LogLines
) -> None:
    """However late it is written: it must not replace what another environment heard since."""
    world.publish(FIRST)
    [good] = amazon.replies
    amazon.replies = [reply(400, {"__type": "AccessDeniedException"})]
    login = world.start()
    asked_at = world.clock.now
    login.handle(client_credentials())
    wait_for(lambda: "chain not kept" in lines.text)
    world.breaks(DOWN)
    amazon.replies = [good]
    world.clock.now += 7200
    login.handle(client_credentials())

    assert world.written(2) == [canonical(FIRST)] * 2
    puts = [
        r.json() for r in amazon.received if r.headers.get("x-amz-target", "").endswith("PutItem")
    ]
    assert [from_item(put["Item"])["kept_at"] for put in puts] == [asked_at] * 2


def test_a_document_that_comes_again_takes_no_call_over(world: Environment) -> None:
    world.publish(FIRST)
    login = world.start()
    login.handle(pre_token())
    world.breaks(DOWN)
    world.clock.now += 60
    login.handle(pre_token())

    world.publish(FIRST)
    world.clock.now += 60
    world.amazon.received.clear()
    login.handle(pre_token())

    reads = [r for r in world.amazon.received if b"USER#" in r.body and b"Keys" in r.body]
    assert len(reads) == 1


def test_a_function_that_keeps_nothing_writes_nothing(world: Environment) -> None:
    world.publish(FIRST)

    world.start(keeps=False).handle(pre_token())

    assert world.written() == []


def test_a_kept_chain_reads_as_it_was_written(world: Environment, aws: Aws, amazon: Server) -> None:
    world.keep(FIRST)
    world.publish(None)

    assert KeptChain(aws, "profiles").read() == canonical(FIRST)
