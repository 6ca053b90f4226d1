"""Where the CPU time of a login goes: the parts of an invoke and of a decision, one by one."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from statistics import median
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import ReadOnlyCredentials

from bench.logins import PROFILES, events, login_function
from bench.loopback import Loopback, profile_of
from bench.remote import waiting_rules
from bench.thirty_rules import thirty_rules
from cognito_rules.aws import Aws
from cognito_rules.connections import Connections
from cognito_rules.dynamodb_json import from_item, to_item
from cognito_rules.executors import RuleInvoker
from cognito_rules.planner import Run, make_plan
from cognito_rules.runner import read_answer
from cognito_rules.sigv4 import signed_headers
from cognito_rules.store import Store
from cognito_rules.triggers import Trigger

_TIMES, _REPETITIONS = 100, 7


def measure_costs(server: Loopback) -> list[dict[str, Any]]:
    """Return CPU microseconds, medians, one warm call after the other on one thread."""
    environment = server.environment()
    works = _of_an_invoke(environment) | _of_a_decision() | _of_the_tables()
    samples: dict[str, list[float]] = {name: [] for name in works}
    for number in range(_REPETITIONS + 1):
        for name, work in works.items():
            taken = _cpu_us(work)
            if number:
                samples[name].append(taken)
    return [{"part": name, "cpu_us": median(taken)} for name, taken in samples.items()]


def _cpu_us(work: Callable[[], object]) -> float:
    began = time.process_time()
    for _ in range(_TIMES):
        work()
    return (time.process_time() - began) / _TIMES * 1e6


def _of_an_invoke(environment: dict[str, str]) -> dict[str, Callable[[], object]]:
    origin = environment["AWS_ENDPOINT_URL_LAMBDA"]
    path = "/2015-03-31/functions/wait-0-rule_0/invocations"
    keys = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
    credentials = ReadOnlyCredentials(*(environment[key] for key in keys))
    run = _a_run()
    request = run.request(0, "2026-11-22T09:30:00.000Z")
    body = json.dumps(request).encode()

    def sign() -> dict[str, str]:
        return signed_headers(
            credentials,
            service="lambda",
            region="eu-west-1",
            host=urlsplit(origin).netloc,
            path=path,
            body=body,
            headers={"Content-Type": "application/json"},
            now=datetime.now(UTC),
        )

    def sign_by_botocore() -> None:
        signed = AWSRequest("POST", origin + path, data=body, headers={"Content-Type": "a/b"})
        SigV4Auth(credentials, "lambda", "eu-west-1").add_auth(signed)

    headers, connections = sign(), Connections(origin)
    invoker = RuleInvoker(Aws(), "wait-0-")
    client = boto3.client("lambda")
    return {
        "one invoke, all of it": lambda: invoker.invoke("rule_0", request, 2.0),
        "… projection of the login (what the rule may see)": lambda: run.request(0, "now"),
        "… request to JSON": lambda: json.dumps(request, separators=(",", ":")).encode(),
        "… signature": sign,
        "… HTTP exchange": lambda: connections.send(
            "POST", path, body, headers, connect=1.0, timeout=2.0
        ),
        "… check of the answer": lambda: read_answer(run.plan.steps[0].entry, _ANSWER),
        "for comparison: the signature by botocore": sign_by_botocore,
        "for comparison: one invoke by boto3's client": lambda: client.invoke(
            FunctionName="wait-0-rule_0", Payload=body
        )["Payload"].read(),
    }


_CLAIM = {"effect": "set_claim", "token": "id", "name": "https://rules.example/a", "value": "gold"}
_ANSWER = {"version": 1, "effects": [_CLAIM]}


def _a_run() -> Run:
    entries, manifests = waiting_rules(10)
    function = login_function(entries, manifests)
    facts = Trigger.parse(events("user")[1]).facts(None)
    facts["user"] |= {"user_metadata": {"step": 1}, "app_metadata": {"plan": "gold"}}
    return Run(make_plan(function.chain.entries, token_stage=True), facts)


def _of_a_decision() -> dict[str, Callable[[], object]]:
    entries = thirty_rules().chain.entries
    run = _a_run()
    # A plan is kept for the entries it was made for, so an equal chain is planned anew.
    equal = iter([tuple(map(copy, entries)) for _ in range(_TIMES * (_REPETITIONS + 1))])
    return {
        "planning thirty entries, first login of an environment": lambda: make_plan(
            next(equal), token_stage=True
        ),
        "planning thirty entries, later logins": lambda: make_plan(entries, token_stage=True),
        "state of a run of ten entries": lambda: Run(run.plan, run.facts).ready(),
    }


def _of_the_tables() -> dict[str, Callable[[], object]]:
    item = profile_of("user")
    values = from_item(item)
    store = Store(Aws(), profiles=PROFILES, sessions="bench-sessions")
    table = boto3.resource("dynamodb").Table(PROFILES)
    return {
        "profile from DynamoDB's form": lambda: from_item(item),
        "profile to DynamoDB's form": lambda: to_item(values),
        "one read of the tables, all of it": lambda: store.load(
            "user", memo_key="decision#a", login_key="login#a", timeout=1.0
        ),
        "for comparison: one get_item by boto3's resource": lambda: table.get_item(
            Key={"pk": "USER#user"}, ConsistentRead=True
        ),
    }
