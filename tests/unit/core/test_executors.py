"""Where rules run: remote ones over real connections to loopback, pure ones on this thread."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cognito_rules.aws import Aws
from cognito_rules.chain import Entry
from cognito_rules.effects import Effects
from cognito_rules.executors import RuleExecutor, RuleInvoker, invoker_threads
from cognito_rules.login import Login
from cognito_rules.planner import make_plan
from cognito_rules.rule import Rule
from cognito_rules.runner import MAX_AT_ONCE, run_plan
from tests.loopback import Reply, Server, reply
from tests.moments import SILENCE, SOON, ends_soon, wait_for
from tests.unit.core.chains import a_chain, a_manifest, answer, denial

NOW = "2026-11-22T12:00:00.000Z"
REQUEST = {"version": 1, "login": {"now": NOW, "unknown": []}, "configuration": {}}
CLAIM = {"effect": "set_claim", "token": "id", "name": "https://x/y", "value": "ö"}


@pytest.fixture
def invoker(aws: Aws) -> RuleInvoker:
    return RuleInvoker(aws, "stack-rule-")


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with invoker_threads() as threads:
        yield threads


def an_entry(name: str = "subject", placement: str = "function", **declared: Any) -> Entry:
    manifest = a_manifest(name, **({"writes": ["id_token.claims"]} | declared))
    return a_chain(manifest, **{name: {"placement": placement}}).entries[0]


# What an invocation comes to ------------------------------------------------------------------

FUNCTION_ERROR = {"X-Amz-Function-Error": "Unhandled"}


@pytest.mark.parametrize(
    ("replies", "code", "calls"),
    [
        pytest.param([Reply(429)], "throttled", 2, id="throttled twice"),
        pytest.param([Reply(403)], "not_authorized", 1, id="not allowed"),
        pytest.param([Reply(404)], "function_missing", 1, id="no such function"),
        pytest.param([Reply(500)], "lambda_unavailable", 1, id="a server error"),
        pytest.param([Reply(502)], "lambda_unavailable", 1, id="a function that cannot start"),
        pytest.param([Reply(429), Reply(404)], "function_missing", 2, id="throttled, then missing"),
        pytest.param(
            [reply(200, {"errorMessage": "x"}, headers=FUNCTION_ERROR)],
            "rule_crashed",
            1,
            id="a crash",
        ),
        pytest.param(
            [reply(200, answer(CLAIM), headers=FUNCTION_ERROR)],
            "rule_crashed",
            1,
            id="a crash that looks like an answer",
        ),
        pytest.param([Reply(200, b"<html>")], "invalid_answer", 1, id="no JSON"),
        pytest.param([Reply(200, b"")], "invalid_answer", 1, id="nothing"),
        pytest.param([Reply(200, b"\xff\xfe")], "invalid_answer", 1, id="no text"),
        pytest.param(
            [Reply(200, b'{"version":1,"effects":[' + b" " * 2**20 + b"]}")],
            "invalid_answer",
            1,
            id="an answer without end",
        ),
        pytest.param([Reply(200, b"[" * 200_000)], "invalid_answer", 1, id="endless nesting"),
        pytest.param([Reply(delay=0.5)], "timeout", 1, id="too slow"),
        pytest.param([Reply(reset=True)], "lambda_unavailable", 2, id="a reset, twice"),
    ],
)
def test_an_invocation_that_fails_is_a_fault(
    invoker: RuleInvoker, amazon: Server, replies: list[Reply], code: str, calls: int
) -> None:
    amazon.replies = replies

    response = invoker.invoke("require_group", REQUEST, 0.3, repeatable=True)

    assert response["version"] == 1
    assert response["fault"]["code"] == code
    assert len(amazon.received) == calls


def test_a_refused_connection_is_a_fault(aws_environment: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        aws_environment.setenv(
            "AWS_ENDPOINT_URL_LAMBDA", f"http://127.0.0.1:{unused.getsockname()[1]}"
        )
        response = RuleInvoker(Aws(), "p-").invoke("rule", REQUEST, 0.3)

    assert response["fault"]["code"] == "lambda_unavailable"


def test_without_credentials_it_is_a_fault(
    amazon: Server, aws_environment: pytest.MonkeyPatch
) -> None:
    aws_environment.delenv("AWS_ACCESS_KEY_ID")
    aws_environment.delenv("AWS_SECRET_ACCESS_KEY")

    response = RuleInvoker(Aws(), "p-").invoke("rule", REQUEST, 0.3)

    assert response["fault"]["code"] == "lambda_unavailable"


def test_a_throttle_is_tried_again_once(invoker: RuleInvoker, amazon: Server) -> None:
    amazon.replies = [Reply(429), reply(200, answer(CLAIM))]

    assert invoker.invoke("rule", REQUEST, 1.0) == answer(CLAIM)


def test_a_throttle_is_not_tried_again_without_time(
    invoker: RuleInvoker, amazon: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cognito_rules.executors._THROTTLE_PAUSE", (SOON, SOON))
    amazon.replies = [Reply(429)]

    response = invoker.invoke("rule", REQUEST, SOON)

    assert response["fault"]["code"] == "throttled"
    assert len(amazon.received) == 1


def test_the_second_try_has_the_time_that_is_left(invoker: RuleInvoker, amazon: Server) -> None:
    amazon.replies = [Reply(429, delay=0.2), Reply(delay=SILENCE)]

    with ends_soon():
        response = invoker.invoke("rule", REQUEST, 1.0)

    assert response["fault"]["code"] == "timeout"
    first, second = (received.at for received in amazon.received)
    assert second - first >= 0.2


def test_a_connection_that_died_is_tried_again_where_nothing_can_happen_twice(
    invoker: RuleInvoker, amazon: Server
) -> None:
    amazon.replies = [Reply(reset=True), reply(200, answer(CLAIM))]

    assert invoker.invoke("rule", REQUEST, 1.0, repeatable=True) == answer(CLAIM)


def test_otherwise_it_is_a_fault(invoker: RuleInvoker, amazon: Server) -> None:
    amazon.replies = [Reply(reset=True), reply(200, answer(CLAIM))]

    response = invoker.invoke("rule", REQUEST, 1.0)

    assert response["fault"]["code"] == "lambda_unavailable"
    assert len(amazon.received) == 1


def test_a_rule_is_invoked_by_its_name_with_its_request(
    invoker: RuleInvoker, amazon: Server
) -> None:
    amazon.replies = [reply(200, answer(CLAIM))]

    response = invoker.invoke("require_group", REQUEST, 1.0)

    [request] = amazon.received
    assert response == answer(CLAIM)
    assert request.path == "/2015-03-31/functions/stack-rule-require_group/invocations"
    assert json.loads(request.body) == REQUEST


# Side by side ---------------------------------------------------------------------------------


def test_remote_rules_run_side_by_side(
    invoker: RuleInvoker, amazon: Server, threads: ThreadPoolExecutor
) -> None:
    together = threading.Barrier(10, timeout=SOON)
    amazon.replies = [reply(200, answer(), after=together.wait)]
    chain = a_chain(*(a_manifest(f"r{n}") for n in range(10)))
    executor = RuleExecutor(invoker, {}, threads)

    outcome = run_plan(
        make_plan(chain.entries, token_stage=True),
        {},
        executor,
        now=NOW,
        deadline=executor.now() + SOON,
    )

    assert [record.outcome for record in outcome.records] == ["ok"] * 10


def test_calls_left_over_from_one_login_do_not_slow_the_next(
    invoker: RuleInvoker, amazon: Server, threads: ThreadPoolExecutor
) -> None:
    over = threading.Event()
    slow = [reply(200, answer(), after=over.wait)] * MAX_AT_ONCE
    amazon.replies = [*slow, reply(200, answer())]
    left_over = RuleExecutor(invoker, {}, threads)
    for index in range(MAX_AT_ONCE):
        left_over.start(index, an_entry(), REQUEST, SOON)
    wait_for(lambda: len(amazon.received) == MAX_AT_ONCE)
    executor = RuleExecutor(invoker, {}, threads)

    executor.start(0, an_entry(), REQUEST, SOON)
    answered = executor.wait(executor.now() + SOON)

    assert answered == [(0, answer())]
    assert not over.is_set()
    over.set()


def test_answers_of_one_run_never_reach_another(
    invoker: RuleInvoker, amazon: Server, threads: ThreadPoolExecutor
) -> None:
    come = threading.Event()
    amazon.replies = [reply(200, answer(denial()), after=come.wait), reply(200, answer())]
    first = RuleExecutor(invoker, {}, threads)
    first.start(0, an_entry(), REQUEST, SOON)
    wait_for(lambda: amazon.received)
    second = RuleExecutor(invoker, {}, threads)

    second.start(0, an_entry(), REQUEST, SOON)

    assert second.wait(second.now() + SOON) == [(0, answer())]
    come.set()
    assert first.wait(first.now() + SOON) == [(0, answer(denial()))]


def test_waiting_ends_in_time(invoker: RuleInvoker, threads: ThreadPoolExecutor) -> None:
    executor = RuleExecutor(invoker, {}, threads)
    started = time.monotonic()

    with ends_soon():
        assert executor.wait(started + 0.05) == []
    assert time.monotonic() - started > 0.04
    assert executor.wait(started - 10) == []


def test_a_request_that_cannot_be_sent_is_answered_all_the_same(
    invoker: RuleInvoker, threads: ThreadPoolExecutor
) -> None:
    executor = RuleExecutor(invoker, {}, threads)

    executor.start(3, an_entry(), {"login": {"x": {1, 2}}}, 1.0)
    [(index, response)] = executor.wait(executor.now() + 1.0)

    assert index == 3
    assert response["fault"]["code"] == "lambda_unavailable"


@pytest.mark.parametrize(
    ("external", "calls"),
    [
        pytest.param(False, 2, id="a rule that only looks"),
        pytest.param(True, 1, id="a rule that changes a third party"),
    ],
)
def test_after_a_broken_connection(
    invoker: RuleInvoker,
    amazon: Server,
    threads: ThreadPoolExecutor,
    external: bool,
    calls: int,
) -> None:
    amazon.replies = [Reply(reset=True), reply(200, answer())]
    executor = RuleExecutor(invoker, {}, threads)

    executor.start(0, an_entry(external=external), REQUEST, 1.0)
    executor.wait(executor.now() + 1.0)

    assert len(amazon.received) == calls


# Inline ---------------------------------------------------------------------------------------


def inline(decide: Any, **declared: Any) -> tuple[Entry, dict[str, Rule]]:
    entry = an_entry("pure", "inline", **declared)
    return entry, {"pure": Rule(decide, entry.manifest)}


def test_an_inline_rule_answers_at_once_on_this_thread(
    invoker: RuleInvoker, amazon: Server, threads: ThreadPoolExecutor
) -> None:
    ran_on: list[int] = []

    def decide(login: Login, effects: Effects) -> None:
        ran_on.append(threading.get_ident())
        effects.set_claim("id", "https://x/y", "ö")

    entry, rules = inline(decide)

    assert RuleExecutor(invoker, rules, threads).start(0, entry, REQUEST, 1.0) == answer(CLAIM)
    assert ran_on == [threading.get_ident()]
    assert amazon.received == []


def test_an_inline_rule_that_crashes_answers_a_fault(
    invoker: RuleInvoker, threads: ThreadPoolExecutor
) -> None:
    def decide(login: Login, effects: Effects) -> None:
        raise KeyError("jane@example.com")

    entry, rules = inline(decide)

    response = RuleExecutor(invoker, rules, threads).start(0, entry, REQUEST, 1.0)

    assert response["fault"]["code"] == "rule_error"
    assert "jane" not in json.dumps(response)


def test_an_inline_rule_that_is_not_packaged_is_a_fault(
    invoker: RuleInvoker, threads: ThreadPoolExecutor
) -> None:
    entry, _ = inline(lambda login, effects: None)

    response = RuleExecutor(invoker, {}, threads).start(0, entry, REQUEST, 1.0)

    assert response["fault"]["code"] == "function_missing"


def test_an_inline_rule_cannot_change_the_settings_of_the_next_login(
    invoker: RuleInvoker, threads: ThreadPoolExecutor
) -> None:
    def decide(login: Login, effects: Effects) -> None:
        login.configuration["allowed"].append("attacker")
        login.configuration["table"]["x"] = 1

    entry, rules = inline(decide)
    settings: dict[str, Any] = {"allowed": ["staff"], "table": {}}

    RuleExecutor(invoker, rules, threads).start(
        0, entry, {**REQUEST, "configuration": settings}, 1.0
    )

    assert settings == {"allowed": ["staff"], "table": {}}
